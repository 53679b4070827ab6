"""Each protocol in a few words: a fake server that lets everybody in, how a client logs in, how it is refused.

Knows: the smallest conversation of each protocol. Must not know: the gateway.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.support.peer import Peer


@dataclass(frozen=True)
class Tongue:
    """``answers`` of the server to what begins so; ``login`` are a client's lines, ``welcome`` begins the last answer.

    ``starttls`` and ``go``: the client's word and what the gateway says to it. ``refused``: how a refusal begins.
    """

    scheme: str
    greeting: bytes
    answers: tuple[tuple[bytes, bytes], ...]
    login: tuple[bytes, ...]
    welcome: bytes
    starttls: bytes
    go: bytes
    refused: bytes

    def __call__(self, peer: Peer) -> None:
        """The server's side of a conversation."""
        peer.send(self.greeting)
        while line := peer.line():
            for begin, answer in self.answers:
                if re.match(begin, line, re.IGNORECASE):
                    peer.send(answer)
                    break

    def greet(self, peer: Peer) -> bytes:
        """The client reads the greeting."""
        return peer.until(self.greeting.splitlines(keepends=True)[-1][-6:])

    def log_in(self, peer: Peer) -> bytes:
        """The client logs in; the answer to its last line, or why not."""
        answer = b""
        for line in self.login:
            peer.send(line)
            answer = peer.line()
        return answer


IMAP = Tongue(
    "imap",
    b"* OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN] ready.\r\n",
    ((rb"\S+ LOGIN .*\{\d+\}\r\n", b"+ go on\r\n"), (rb"\S+ LOGIN", b"a OK in\r\n"), (rb"\S+ AUTH", b"+ \r\n")),
    (b"a LOGIN bob secret\r\n",),
    b"a OK",
    b"t STARTTLS\r\n",
    b"t OK",
    b"* BYE ",
)
POP3 = Tongue(
    "pop3",
    b"+OK ready.\r\n",
    ((rb"AUTH", b"+ \r\n"), (rb"USER", b"+OK go on\r\n"), (rb"PASS", b"+OK in\r\n")),
    (b"USER bob\r\n", b"PASS secret\r\n"),
    b"+OK in",
    b"STLS\r\n",
    b"+OK Begin",
    b"-ERR [SYS/TEMP] ",
)
SIEVE = Tongue(
    "sieve",
    b'"IMPLEMENTATION" "x"\r\n"SASL" "PLAIN"\r\n"SIEVE" "fileinto"\r\nOK "ready."\r\n',
    ((rb'AUTHENTICATE "PLAIN" "', b'OK "in"\r\n'), (rb'AUTHENTICATE "PLAIN"\r', b'""\r\n')),
    (b'AUTHENTICATE "PLAIN" "AGJvYgBzZWNyZXQ="\r\n',),
    b"OK",
    b"STARTTLS\r\n",
    b"OK",
    b"BYE (TRYLATER) ",
)
SUBMISSION = Tongue(
    "submission",
    b"220 mail ESMTP ready.\r\n",
    ((rb"EHLO", b"250-mail\r\n250 AUTH PLAIN\r\n"), (rb"AUTH PLAIN \S", b"235 2.7.0 in\r\n"), (rb"AUTH", b"334 \r\n")),
    (b"AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n",),
    b"235",
    b"STARTTLS\r\n",
    b"220 2.0.0",
    b"421 4.3.2 ",
)
LMTP = Tongue(
    "lmtp",
    b"220 mail LMTP ready.\r\n",
    ((rb"LHLO", b"250 mail\r\n"), (rb"NOOP", b"250 2.0.0 yes\r\n")),
    (),
    b"",
    b"STARTTLS\r\n",
    b"220 2.0.0",
    b"421 4.3.2 ",
)

TONGUES = (IMAP, POP3, SIEVE, SUBMISSION, LMTP)
WITH_LOGIN = TONGUES[:4]
