"""POP3's words: STLS, CAPA, -ERR (RFC 1939, RFC 2449, RFC 2595, RFC 3206).

Knows: the answer to CAPA, which is a multi-line list, and how STLS is agreed on. Must not know: what happens with it.
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

_OK = re.compile(rb"\+OK(?=[ \r\n])", re.IGNORECASE)


class Pop3(Dialect):
    protocol: ClassVar[str] = "pop3"

    def __init__(self) -> None:
        self._asked: list[bytes] = []  # commands whose answer has not begun
        self._in_list = b""  # the command whose multi-line answer goes on

    def answer(self, line: bytes, offer: Offer) -> Answer | None:
        words = line.split(None, 2)
        verb = words[0].upper() if words else b""
        if verb == b"STLS":
            if offer.starttls:
                return Answer(b"+OK Begin TLS negotiation now.\r\n", Then.START_TLS)
            return Answer(b"-ERR TLS is on already.\r\n" if offer.tls else b"-ERR TLS is not offered here.\r\n")
        if verb == b"XCLIENT":
            return Answer(b"-ERR Unknown command.\r\n")
        login = verb in (b"USER", b"PASS") or (verb == b"AUTH" and words[1:2] and exposed(words[1]))
        if login and not offer.login:
            return Answer(b"-ERR [AUTH] A password is not accepted without TLS: use STLS first.\r\n")
        self._asked.append(verb if len(words) == 1 else b"")
        return None

    def rewrite(self, line: bytes, offer: Offer) -> bytes:
        if self._in_list:
            return b"".join(self._list_line(part, offer) for part in line.splitlines(keepends=True))
        if line[:2] in (b"+ ", b"+\r", b"+\n"):  # a SASL challenge: the answer is still to come
            return line
        asked = self._asked.pop(0) if self._asked else b""
        if line.startswith(b"+OK") and (asked == b"CAPA" or asked == b"AUTH"):
            self._in_list = asked
        return line

    def _list_line(self, line: bytes, offer: Offer) -> bytes:
        words = line.split()
        if words == [b"."]:
            is_capa, self._in_list = self._in_list == b"CAPA", b""
            return b"STLS\r\n" + line if is_capa and offer.starttls else line
        if self._in_list == b"AUTH":
            return line if offered(words, offer) else b""
        name = words[0].upper() if words else b""
        if name == b"STLS" or (name == b"USER" and not offer.login):
            return b""
        if name == b"SASL":
            mechanisms = offered(words[1:], offer)
            return b" ".join([b"SASL", *mechanisms]) + b"\r\n" if mechanisms else b""
        return line

    def starttls(self) -> Greeting:
        greeting = yield Step.READ_LINE
        if not _OK.match(greeting):
            raise BackendError(f"its greeting is not '+OK' but '{shown(greeting)}'; look into the log of that server")
        yield b"STLS\r\n"
        line = yield Step.READ_LINE
        if not _OK.match(line):
            raise BackendError(f"it refused STLS with '{shown(line)}'; switch TLS on there, or use pop3s://")
        yield Step.START_TLS
        # An APOP challenge that came before TLS may be forged: without it the client won't answer it.
        return re.sub(rb" ?<[^>\r\n]*>", b"", greeting)

    def refusal(self, reason: str) -> bytes:
        return f"-ERR [SYS/TEMP] {reason}.\r\n".encode()
