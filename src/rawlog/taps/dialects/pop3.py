"""POP3's words: STLS, CAPA, -ERR (RFC 1939, RFC 2449, RFC 2595, RFC 3206).

Knows: the answer to CAPA, which is a multi-line list, and how STLS is agreed on. Must not know: what happens with it.
"""

from __future__ import annotations

import re
from typing import ClassVar

from rawlog.taps.dialects.base import Answer, BackendError, Dialect, Greeting, Offer, Step, Then, shown, without_plus

_PLAINTEXT = re.compile(rb"(?:USER|PASS)\b|AUTH[ \t]+(?:PLAIN|LOGIN)\b", re.IGNORECASE)


class Pop3(Dialect):
    protocol: ClassVar[str] = "pop3"

    def __init__(self) -> None:
        self._asked: list[bytes] = []  # commands whose answer has not begun
        self._in_list = b""  # the command whose multi-line answer goes on

    def answer(self, line: bytes, offer: Offer) -> Answer | None:
        verb = line.split(None, 1)[0].upper() if line.split() else b""
        if verb == b"STLS":
            if offer.starttls:
                return Answer(b"+OK Begin TLS negotiation now.\r\n", Then.START_TLS)
            return Answer(b"-ERR TLS is on already.\r\n" if offer.tls else b"-ERR TLS is not offered here.\r\n")
        if verb == b"XCLIENT":
            return Answer(b"-ERR Unknown command.\r\n")
        if not offer.login and _PLAINTEXT.match(line):
            return Answer(b"-ERR [AUTH] A password is not accepted without TLS: use STLS first.\r\n")
        self._asked.append(line.rstrip(b"\r\n").upper())
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
            return b"" if words and words[0].upper().endswith(b"-PLUS") else line
        name = words[0].upper() if words else b""
        if name == b"STLS" or (name == b"USER" and not offer.login):
            return b""
        if name == b"SASL":
            mechanisms = without_plus(words[1:])
            if not offer.login:
                mechanisms = [m for m in mechanisms if m.upper() not in (b"PLAIN", b"LOGIN")]
            return b" ".join([b"SASL", *mechanisms]) + b"\r\n" if mechanisms else b""
        return line

    def starttls(self) -> Greeting:
        greeting = yield Step.READ_LINE
        if not greeting.upper().startswith(b"+OK"):
            raise BackendError(f"the server's greeting is not '+OK': {shown(greeting)!r}")
        yield b"STLS\r\n"
        line = yield Step.READ_LINE
        if not line.upper().startswith(b"+OK"):
            raise BackendError(f"the server refused STLS: {shown(line)!r}")
        yield Step.START_TLS
        # An APOP challenge that came before TLS may be forged: without it the client won't answer it.
        return re.sub(rb" ?<[^>\r\n]*>", b"", greeting)

    def refusal(self, reason: str) -> bytes:
        return f"-ERR [SYS/TEMP] {reason}.\r\n".encode()
