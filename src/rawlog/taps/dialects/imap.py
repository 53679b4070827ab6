"""IMAP's words: STARTTLS, CAPABILITY, BYE (RFC 3501, RFC 9051, RFC 5530).

Knows: the lines in which IMAP lists capabilities and answers STARTTLS. Must not know: what happens with the answer.
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
    shown,
    without_plus,
)

# Some servers take blanks before the tag, so they must not hide a command.
_COMMAND = re.compile(rb"[ \t]*([^\s]+)[ \t]+(STARTTLS|LOGIN|AUTHENTICATE)\b(?:[ \t]+([^\s]*))?", re.IGNORECASE)
_ID = re.compile(rb"([ \t]*[^\s]+[ \t]+ID)(?=[\s(])(.*)", re.IGNORECASE | re.DOTALL)
_CLAIM = re.compile(rb"(?<![^\s(\")])(x)-", re.IGNORECASE)
_DATA = re.compile(rb"(\* CAPABILITY)((?: [^\s\]]+)*)[ \t]*(?=\r?\n)", re.IGNORECASE)
_CODE = re.compile(rb"(?<= \[)(CAPABILITY)((?: [^\s\]]+)*)[ \t]*(?=\])", re.IGNORECASE)
_STATUS = re.compile(rb"[^\s]+ (?:OK|NO|BAD|PREAUTH) \[CAPABILITY ", re.IGNORECASE)


class Imap(Dialect):
    protocol: ClassVar[str] = "imap"

    def answer(self, line: bytes, offer: Offer) -> Answer | None:
        command = _COMMAND.match(line)
        if command is None:
            return self._id(line)
        tag, verb = command[1], command[2].upper()
        if verb == b"STARTTLS":
            return self._starttls(tag, offer)
        if offer.login or (verb == b"AUTHENTICATE" and not exposed(command[3] or b"")):
            return None
        refusal = (
            tag + b" NO [PRIVACYREQUIRED] Plaintext authentication is not allowed without TLS: use STARTTLS first.\r\n"
        )
        # The password may be on its way behind a non-synchronising literal: don't take it for a command.
        return Answer(refusal, Then.CLOSE if line.rstrip().endswith(b"+}") else Then.GO_ON)

    def _id(self, line: bytes) -> Answer | None:
        """ID (RFC 2971) with literals or quoted characters: what is in them can't be put right, see forwarded."""
        match = _ID.match(line)
        literal = line.rstrip().endswith(b"}")
        if match is None or not (literal or b"\\" in match[2]):
            return None
        refusal = line.split(None, 1)[0] + b" BAD ID takes quoted strings here.\r\n"
        why = "the client sent ID with a literal; refused, for it could claim to be a proxy"
        return Answer(refusal, Then.CLOSE if line.rstrip().endswith(b"+}") else Then.GO_ON, why)

    def forwarded(self, line: bytes) -> bytes:
        """ID without what Dovecot believes of a trusted proxy (``x-originating-ip`` and others): our address may be
        one's. All words that begin with ``x-`` get ``x_``, so that the command stays as long as it was."""
        match = _ID.match(line)
        if match is None:
            return line
        return match[1] + _CLAIM.sub(rb"\1_", match[2])

    def _starttls(self, tag: bytes, offer: Offer) -> Answer:
        if offer.starttls:
            return Answer(tag + b" OK Begin TLS negotiation now.\r\n", Then.START_TLS)
        return Answer(tag + (b" BAD TLS is on already.\r\n" if offer.tls else b" BAD TLS is not offered here.\r\n"))

    def rewrite(self, line: bytes, offer: Offer) -> bytes:
        if _DATA.match(line):
            return _DATA.sub(lambda m: m[1] + _capabilities(m[2], offer), line, count=1)
        if _STATUS.match(line):
            return _CODE.sub(lambda m: m[1] + _capabilities(m[2], offer), line, count=1)
        return line

    def starttls(self) -> Greeting:
        greeting = yield Step.READ_LINE
        if not _is_ok(greeting, b"*"):
            raise BackendError(f"its greeting is not '* OK' but '{shown(greeting)}'; look into the log of that server")
        yield b"rawlog1 STARTTLS\r\n"
        line = yield Step.READ_LINE
        while line.startswith(b"* "):
            line = yield Step.READ_LINE
        if not _is_ok(line, b"RAWLOG1"):
            raise BackendError(f"it refused STARTTLS with '{shown(line)}'; switch TLS on there, or use imaps://")
        yield Step.START_TLS
        yield b"rawlog2 CAPABILITY\r\n"
        capabilities = b""
        line = yield Step.READ_LINE
        while line.startswith(b"* "):
            if line.upper().startswith(b"* CAPABILITY "):
                capabilities = line.rstrip(b"\r\n")[2:]
            line = yield Step.READ_LINE
        if not capabilities or not _is_ok(line, b"RAWLOG2"):
            raise BackendError(f"it lists no capabilities in TLS but says '{shown(line)}'; look into the log there")
        text = re.sub(rb"^\* OK *(?:\[[^\]]*\])? *", b"", greeting, flags=re.IGNORECASE)
        return b"* OK [" + capabilities + b"] " + text

    def refusal(self, reason: str) -> bytes:
        return f"* BYE [UNAVAILABLE] {reason}.\r\n".encode()


def _is_ok(line: bytes, tag: bytes) -> bool:
    return line.upper().split(None, 2)[:2] == [tag, b"OK"]


def _capabilities(listed: bytes, offer: Offer) -> bytes:
    """The words of a capability list, each with a blank before it."""
    words = [w for w in without_plus(listed.split()) if w.upper() != b"STARTTLS"]
    if offer.backend_tls:
        words = [w for w in words if w.upper() != b"LOGINDISABLED"]
    if offer.starttls:
        words.append(b"STARTTLS")
    if not offer.login:
        words = [w for w in words if w.upper() != b"LOGINDISABLED" and not _exposed_login(w)]
        words.append(b"LOGINDISABLED")
    return b"".join(b" " + word for word in words)


def _exposed_login(word: bytes) -> bool:
    return word.upper().startswith(b"AUTH=") and exposed(word[5:])
