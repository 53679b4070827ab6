"""SMTP's and LMTP's words: EHLO, STARTTLS, XCLIENT, 421 (RFC 5321, RFC 3207, RFC 4954, RFC 2033).

Knows: the answer to EHLO, which is a multi-line list, and the commands by which a client could claim to be trusted.
Must not know: messages, recipients, what happens with an answer.
"""

from __future__ import annotations

import re
from typing import ClassVar

from rawlog.taps.dialects.base import (
    Answer,
    BackendError,
    Dialect,
    Greeting,
    Offer,
    Step,
    Then,
    exposed,
    offered,
    shown,
)

_BARE = re.compile(rb"(?<=[^\r])\n|\r(?!\n|\Z)")  # a CR at the end may be half of a CRLF: the next piece begins with it
_CHUNK = re.compile(rb"[ \t]*BDAT[ \t]+\d{1,18}(?:[ \t]+LAST)?[ \t]*\r?\n", re.IGNORECASE)
_LISTED_FOR_PROXIES = (b"XCLIENT", b"XFORWARD")
_GREETING_LIMIT = 100  # lines of one answer of a backend


class Smtp(Dialect):
    protocol: ClassVar[str] = "smtp"
    until_login: ClassVar[bool] = False  # EHLO may be said again at any time
    hello: ClassVar[bytes] = b"EHLO"

    def __init__(self) -> None:
        self._hello_asked = False
        self._lines: list[bytes] = []  # of an answer to EHLO, so far
        self._chunking = False  # the server takes BDAT

    def answer(self, line: bytes, offer: Offer) -> Answer | None:
        if b"\r" in line.rstrip(b"\r\n") or b"\0" in line:  # servers differ in what they take for the command then
            return Answer(b"500 5.5.2 A command must not hold a bare CR or NUL.\r\n")
        words = line.split(None, 2)
        verb = words[0].upper() if words else b""
        if verb == b"STARTTLS":
            if offer.starttls:
                return Answer(b"220 2.0.0 Begin TLS negotiation now.\r\n", Then.START_TLS)
            return Answer(
                b"503 5.5.1 TLS is on already.\r\n" if offer.tls else b"502 5.5.1 TLS is not offered here.\r\n"
            )
        if verb in _LISTED_FOR_PROXIES:  # a stranger must not speak with this gateway's address
            return Answer(b"550 5.7.0 " + verb + b" is not accepted from this client.\r\n")
        if verb == b"AUTH" and not offer.login and words[1:2] and exposed(words[1]):
            return Answer(b"523 5.7.10 A password is not accepted without TLS: use STARTTLS first.\r\n")
        if verb == b"BDAT":
            return self._chunk(line, offer)
        if verb == self.hello:
            self._hello_asked = True
        return None

    def _chunk(self, line: bytes, offer: Offer) -> Answer | None:
        """BDAT (RFC 3030) only where the server will take the chunk for one: where it refuses, some servers (Dovecot's
        submission before the login) look for commands in it, unseen by us."""
        if not self._chunking:
            text, why = b"502 5.5.1 BDAT is not offered here.\r\n", "which the server does not offer"
        elif not _CHUNK.fullmatch(line):
            text, why = b"501 5.5.4 BDAT must give a size.\r\n", "without a size"
        elif not offer.message:
            text, why = b"503 5.5.1 MAIL and RCPT must be accepted before BDAT.\r\n", "without a recipient"
        else:
            return None
        return Answer(text, Then.CLOSE, f"the client sent BDAT {why}; refused, for commands could be hidden in it")

    def alone(self, line: bytes) -> bool:
        return line.upper().split(None, 1)[:1] in ([self.hello], [b"BDAT"])

    def rewrite(self, line: bytes, offer: Offer) -> bytes:
        if not self._hello_asked or (not self._lines and line[:3] != b"250"):
            self._hello_asked = False
            return line
        self._lines.append(line)
        if line[3:4] == b"-" and len(self._lines) < _GREETING_LIMIT:
            return b""
        lines, self._lines = self._lines, []
        self._hello_asked = False
        self._chunking = any(each[4:].split()[:1] == [b"CHUNKING"] for each in map(bytes.upper, lines))
        return _extensions(lines, offer)

    def starttls(self) -> Greeting:
        greeting = yield from _reply(b"220")
        yield self.hello + b" rawlog.invalid\r\n"
        yield from _reply(b"250")
        yield b"STARTTLS\r\n"
        yield from _reply(b"220", "switch TLS on there, or use TLS from the start (submissions://, smtps://, lmtps://)")
        yield Step.START_TLS
        return greeting

    def bare(self, before: bytes, block: bytes) -> bytes | None:
        return b"521 5.5.2 A line must end with CRLF.\r\n" if _BARE.search(before + block) else None

    def refusal(self, reason: str) -> bytes:
        return f"421 4.3.2 {reason}.\r\n".encode()


class Lmtp(Smtp):
    protocol: ClassVar[str] = "lmtp"
    hello: ClassVar[bytes] = b"LHLO"


def _reply(code: bytes, advice: str = "look into the log of that server") -> Greeting:
    """Read a whole answer of the backend; anything but ``code`` is a refusal."""
    lines = b""
    for _ in range(_GREETING_LIMIT):
        line = yield Step.READ_LINE
        if line[:3] != code or line[3:4] not in b" -\r\n":
            raise BackendError(f"it answered '{shown(line)}' where {code.decode()} was expected; {advice}")
        lines += line
        if line[3:4] != b"-":
            return lines
    raise BackendError(f"its answer has more than {_GREETING_LIMIT} lines; check host and port")


def _extensions(lines: list[bytes], offer: Offer) -> bytes:
    """An answer to EHLO with its extensions put right; the first line is the server's name."""
    kept = [line[4:].rstrip(b"\r\n") for line in lines]
    texts = kept[:1]
    for text in kept[1:]:
        words = text.split() or [b""]
        name = words[0].upper()
        if name in (b"STARTTLS", *_LISTED_FOR_PROXIES):
            continue
        if name == b"AUTH" or name.startswith(b"AUTH="):
            text = _auth(text, offer)
        if text:
            texts.append(text)
    if offer.starttls:
        texts.append(b"STARTTLS")
    return b"".join(b"250-" + text + b"\r\n" for text in texts[:-1]) + b"250 " + texts[-1] + b"\r\n"


def _auth(text: bytes, offer: Offer) -> bytes:
    """AUTH with the mechanisms that can be used. A list that was empty (behind a login) stays; one that is now goes."""
    mechanisms = re.split(rb"[ =]", text)[1:]
    usable = offered(mechanisms, offer)
    return text[:5] + b" ".join(usable) if usable or not mechanisms else b""
