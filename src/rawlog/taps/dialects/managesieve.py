"""ManageSieve's words: capability lines, STARTTLS, BYE (RFC 5804).

Knows: that the server greets with its capabilities and says them again after TLS. Must not know: scripts.
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

_VERB = re.compile(rb'[ \t]*([A-Za-z]+)(?:[ \t]+"([^"\r\n]*)")?')
_CAPABILITY = re.compile(rb'"([A-Za-z]+)"(?:[ \t]+"([^"\r\n]*)")?[ \t]*\r?\n', re.IGNORECASE)
_OURS = (b"STARTTLS", b"XCLIENT")  # not the server's to offer here
_CAPABILITIES = frozenset(  # a line with another name may be a SASL challenge
    b"IMPLEMENTATION SASL SIEVE MAXREDIRECTS NOTIFY LANGUAGE OWNER VERSION RENAME UNAUTHENTICATE".split()
).union(_OURS)
_OK = re.compile(rb"OK(?=[ \t(\r\n])", re.IGNORECASE)
_LINES_LIMIT = 100


class ManageSieve(Dialect):
    protocol: ClassVar[str] = "managesieve"

    def __init__(self) -> None:
        self._listing = False  # inside a list of capabilities

    def answer(self, line: bytes, offer: Offer) -> Answer | None:
        match = _VERB.match(line)
        verb = match[1].upper() if match else b""
        if verb == b"STARTTLS":
            if offer.starttls:
                return Answer(b'OK "Begin TLS negotiation now."\r\n', Then.START_TLS)
            return Answer(b'NO "TLS is on already."\r\n' if offer.tls else b'NO "TLS is not offered here."\r\n')
        if verb == b"XCLIENT":
            return Answer(b'NO "Unknown command."\r\n')
        if offer.login or verb != b"AUTHENTICATE" or match is None or not exposed(match[2] or b""):
            return None
        refusal = b'NO (ENCRYPT-NEEDED) "A password is not accepted without TLS: use STARTTLS first."\r\n'
        return Answer(refusal, Then.CLOSE if line.rstrip().endswith(b"+}") else Then.GO_ON)

    def rewrite(self, line: bytes, offer: Offer) -> bytes:
        capability = _CAPABILITY.fullmatch(line)
        if capability:
            name = capability[1].upper()
            self._listing = self._listing or name in _CAPABILITIES
            if name in _OURS:
                return b""
            if name == b"SASL":
                return _sasl(capability[2] or b"", offer)
            return line
        if self._listing and re.match(rb"(?:OK|NO|BYE)\b", line, re.IGNORECASE):
            self._listing = False
            if offer.starttls and _OK.match(line):
                return b'"STARTTLS"\r\n' + line
        return line

    def starttls(self) -> Greeting:
        yield from _capabilities()
        yield b"STARTTLS\r\n"
        line = yield Step.READ_LINE
        if not _OK.match(line):
            raise BackendError(f"it refused STARTTLS with '{shown(line)}'; switch TLS on there, or use sieves://")
        yield Step.START_TLS
        return (yield from _capabilities())

    def refusal(self, reason: str) -> bytes:
        return f'BYE (TRYLATER) "{reason}."\r\n'.encode()

    def after_tls(self) -> bytes:
        return b"CAPABILITY\r\n"


def _capabilities() -> Greeting:
    lines = b""
    for _ in range(_LINES_LIMIT):
        line = yield Step.READ_LINE
        lines += line
        if _OK.match(line):
            return lines
        if not line.startswith(b'"'):
            raise BackendError(f"it lists no capabilities but says '{shown(line)}'; look into the log of that server")
    raise BackendError(f"its greeting has more than {_LINES_LIMIT} lines; check host and port")


def _sasl(listed: bytes, offer: Offer) -> bytes:
    return b'"SASL" "' + b" ".join(offered(listed.split(), offer)) + b'"\r\n'
