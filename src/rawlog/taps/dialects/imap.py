"""IMAP's words: STARTTLS, CAPABILITY, BYE (RFC 3501, RFC 9051, RFC 5530).

Knows: the lines in which IMAP lists capabilities and answers STARTTLS. Must not know: what happens with the answer.
"""

from __future__ import annotations

import re
from typing import ClassVar

from rawlog.taps.dialects.base import Answer, BackendError, Dialect, Greeting, Offer, Step, Then, shown, without_plus

_COMMAND = re.compile(rb"([^\s]+)[ \t]+(STARTTLS|LOGIN|AUTHENTICATE)\b(?:[ \t]+([^\s]*))?", re.IGNORECASE)
_DATA = re.compile(rb"\* CAPABILITY((?: [^\s\]]+)*)[ \t]*(?=\r?\n)", re.IGNORECASE)
_CODE = re.compile(rb"(?<= \[)CAPABILITY((?: [^\s\]]+)*)[ \t]*(?=\])", re.IGNORECASE)
_STATUS = re.compile(rb"[^\s]+ (?:OK|NO|BAD|PREAUTH) \[CAPABILITY ", re.IGNORECASE)
_PLAINTEXT = (b"PLAIN", b"LOGIN")


class Imap(Dialect):
    protocol: ClassVar[str] = "imap"

    def answer(self, line: bytes, offer: Offer) -> Answer | None:
        command = _COMMAND.match(line)
        if command is None:
            return None
        tag, verb = command[1], command[2].upper()
        if verb == b"STARTTLS":
            return self._starttls(tag, offer)
        exposed = verb == b"LOGIN" or (command[3] or b"").upper() in _PLAINTEXT
        if offer.login or not exposed:
            return None
        refusal = (
            tag + b" NO [PRIVACYREQUIRED] Plaintext authentication is not allowed without TLS: use STARTTLS first.\r\n"
        )
        # The password may be on its way behind a non-synchronising literal: don't take it for a command.
        return Answer(refusal, Then.CLOSE if line.rstrip().endswith(b"+}") else Then.GO_ON)

    def _starttls(self, tag: bytes, offer: Offer) -> Answer:
        if offer.starttls:
            return Answer(tag + b" OK Begin TLS negotiation now.\r\n", Then.START_TLS)
        return Answer(tag + (b" BAD TLS is on already.\r\n" if offer.tls else b" BAD TLS is not offered here.\r\n"))

    def rewrite(self, line: bytes, offer: Offer) -> bytes:
        if _DATA.match(line):
            return _DATA.sub(lambda m: b"* CAPABILITY" + _capabilities(m[1], offer), line, count=1)
        if _STATUS.match(line):
            return _CODE.sub(lambda m: b"CAPABILITY" + _capabilities(m[1], offer), line, count=1)
        return line

    def starttls(self) -> Greeting:
        greeting = yield Step.READ_LINE
        if not greeting.upper().startswith(b"* OK"):
            raise BackendError(f"the server's greeting is not '* OK', so STARTTLS is not possible: {shown(greeting)!r}")
        yield b"rawlog1 STARTTLS\r\n"
        line = yield Step.READ_LINE
        while line.startswith(b"* "):
            line = yield Step.READ_LINE
        if not line.upper().startswith(b"RAWLOG1 OK"):
            raise BackendError(f"the server refused STARTTLS: {shown(line)!r}")
        yield Step.START_TLS
        yield b"rawlog2 CAPABILITY\r\n"
        capabilities = b""
        line = yield Step.READ_LINE
        while line.startswith(b"* "):
            if line.upper().startswith(b"* CAPABILITY "):
                capabilities = line.rstrip(b"\r\n")[2:]
            line = yield Step.READ_LINE
        if not capabilities:
            raise BackendError(f"the server lists no capabilities after STARTTLS: {shown(line)!r}")
        text = re.sub(rb"^\* OK *(?:\[[^\]]*\])? *", b"", greeting, flags=re.IGNORECASE)
        return b"* OK [" + capabilities + b"] " + text

    def refusal(self, reason: str) -> bytes:
        return f"* BYE [UNAVAILABLE] {reason}.\r\n".encode()


def _capabilities(listed: bytes, offer: Offer) -> bytes:
    """The words of a capability list, each with a blank before it."""
    words = [w for w in without_plus(listed.split()) if w.upper() != b"STARTTLS"]
    if offer.backend_tls:
        words = [w for w in words if w.upper() != b"LOGINDISABLED"]
    if offer.starttls:
        words.append(b"STARTTLS")
    if not offer.login:
        words = [w for w in words if w.upper() not in (b"AUTH=PLAIN", b"AUTH=LOGIN", b"LOGINDISABLED")]
        words.append(b"LOGINDISABLED")
    return b"".join(b" " + word for word in words)
