"""SMTP and submission: commands, replies, DATA and BDAT, and who logged in (RFC 5321, 4954, 3207, 3030, 4468, 2920).

Knows: as much of the grammar as a recorder needs to cut the stream, find the user and mask the credentials; also the
XCLIENT of Postfix and Dovecot. Must not know: envelopes, messages, sockets. It decides nothing for the wire, and it
does not decide where a message ends when servers differ about it: see smuggling.py.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from rawlog.protocols.framing import Lane, Span
from rawlog.protocols.ordered import FORWARD, OrderedFramer, found, moved
from rawlog.protocols.sasl import secret_span
from rawlog.protocols.smuggling import EndWatch

_COMMAND = re.compile(rb"[ \t]*(\S+)(?:[ \t]+(.*))?\Z", re.DOTALL)
_REPLY = re.compile(rb"(\d{3})(?:([ -])(.*))?\Z", re.DOTALL)
_CHUNK = re.compile(rb"(\d{1,18})(?:[ \t]+(LAST))?[ \t]*\Z", re.IGNORECASE)
_URL_TOKEN = re.compile(rb";urlauth=(?:[^:\s]*:[^:\s]*:)?(\S+)", re.IGNORECASE)  # RFC 4467: whoever has it may read
_LOGIN = re.compile(rb"\bLOGIN=(\S+)", re.IGNORECASE)
_HEX = re.compile(rb"\+([0-9A-F]{2})")

_VERBS = frozenset(
    b"AUTH BDAT BURL DATA EHLO ETRN EXPN HELO HELP LHLO MAIL NOOP QUIT RCPT RSET STARTTLS VRFY XCLIENT XFORWARD".split()
)
_ASKS = {b"DATA": "data", b"STARTTLS": "tls", b"XCLIENT": "xclient", b"MAIL": "mail", b"RCPT": "rcpt"}
_ASKS |= dict.fromkeys((b"RSET", b"EHLO", b"HELO", b"LHLO"), "reset")
_DECISIVE = ("data", "tls", "xclient")
_SENSITIVE = frozenset(b"AUTH BURL RCPT XCLIENT".split())
_GREETINGS = (220, 235, 421, 521, 554)  # 235 begins Dovecot's post-login recordings
_VERDICTS = {"auth": (235, 334), "data": (354,), "tls": (220,)}  # beside refusals


class SmtpFramer(OrderedFramer):
    """Cuts SMTP. See Framer. A DATA text is a block, a BDAT chunk a literal."""

    protocol: ClassVar[str] = "smtp"
    login_words = (b"AUTH",)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._watch = EndWatch()
        self._accepted = 0  # recipients of the message that may follow
        self._in_chunk = False  # which is watched as a message with an uncertain end is

    # -- the client ---------------------------------------------------------------------------------------------

    def on_command(self, text: bytes, start: int) -> list[Span]:
        match = _COMMAND.match(text)
        if match is None or (verb := match[1].upper()) not in _VERBS:
            return self.unknown(text, start)
        argument = match[2] or b""
        at = start + len(text) - len(argument)
        if verb == b"AUTH" and argument:
            return self.authenticate(argument, at)
        if verb in (b"BDAT", b"BURL"):
            return self._chunk(verb, argument, at)
        asks = _ASKS.get(verb, "other")
        self.ask(asks, decisive=asks in _DECISIVE)
        if verb == b"XCLIENT":
            self.candidate = _login(argument)
        return found(FORWARD, argument, at) if verb in (b"XCLIENT", b"RCPT") else []

    def _chunk(self, verb: bytes, argument: bytes, at: int) -> list[Span]:
        """BDAT size [LAST] (RFC 3030 2) or BURL url [LAST] (RFC 4468 3.1); each chunk has its reply."""
        last = argument.upper().split()[-1:] == [b"LAST"]
        self.ask("last" if last else "other")
        if verb == b"BURL":
            return found(_URL_TOKEN, argument, at)
        if (chunk := _CHUNK.match(argument)) and (size := int(chunk[1])):
            # A server that does not know BDAT, or refuses it, may read the chunk as commands; nobody else knows.
            self._watch, self._in_chunk = EndWatch(uncertain=True), True
            self.expect_literal(self.client, size)
        return []

    def doubts_literal(self, lane: Lane) -> bool:
        return lane is self.client

    def is_command(self, text: bytes) -> bool:
        match = _COMMAND.match(text)
        return match is not None and (match[1].upper() in _VERBS or match[2] is not None)

    def on_no_answer(self, asked: str) -> None:
        if asked == "data":
            self._watch, self._in_chunk = EndWatch(uncertain=True), False  # perhaps it was refused, and commands follow
            self.expect_block(self.client)

    def on_block_bytes(self, lane: Lane, data: bytes, start: int) -> int | None:
        secret_at = self._watch.feed(data, start)
        # Beyond an uncertain end of data client and server may not mean the same command any more.
        self.wary = self.wary or (secret_at is not None if self._in_chunk else self._watch.uncertain)
        return secret_at

    # -- the server ---------------------------------------------------------------------------------------------

    def on_server_line(self, line: bytes, start: int) -> list[Span]:
        text = line.rstrip(b"\r\n")
        reply = _REPLY.match(text)
        if reply is None:
            return [(start, start + len(text))] if self.asked == "auth" and text else []
        if reply[2] != b"-":
            self._reply(int(reply[1]))
        payload = reply[3] or b""
        return moved(secret_span(payload), start + len(text) - len(payload)) if reply[1] == b"334" else []

    def _reply(self, code: int) -> None:
        if not self.greeted:
            self.greeted = True
            if code in _GREETINGS:
                self.authenticated = code == 235
                return
        what = self.asked
        if self.wary and what in _VERDICTS and code < 400 and code not in _VERDICTS[what]:
            return  # an answer too many
        if what == "auth" and code == 334:
            self.challenge()
            return
        if not what and code == 235:
            self.authenticated = True
        self.on_answer(self.answered(), code)

    def on_answer(self, what: str, code: int) -> None:
        """The command that asked for ``what`` has its answer."""
        if what in ("mail", "reset") and code < 400:
            self._accepted = 0
        elif what == "rcpt" and code < 400:
            self._accepted += 1
        elif what == "auth":
            self.end_sasl(code < 300)
        elif what == "tls" and code == 220:
            self.tls_accepted()
        elif what == "data" and 300 <= code < 400:
            self.owe("message", self.replies())
            self._accepted = 0
            self._watch, self._in_chunk = EndWatch(), False
            self.expect_block(self.client)
        elif what == "last":
            self.owe("message", self.replies() - 1)
            self._accepted = 0
        elif what == "xclient" and code < 300 and self.user is None:
            self.user = self.candidate

    def replies(self) -> int:
        """How many replies a complete message gets."""
        return 1

    def has_recipients(self) -> bool:
        return self._accepted > 0

    # -- holds and limits ---------------------------------------------------------------------------------------

    def is_harmless(self, lane: Lane, head: bytes) -> bool:
        if lane is self.server:
            return self.asked != "auth" and len(head) > 2 and head[:3] != b"334"
        if self.guarded or self._sasl_turn or self._sasl_perhaps:
            return False
        command = _COMMAND.match(head)
        return command is not None and command[2] is not None and command[1].upper() in _VERBS - _SENSITIVE


def _login(argument: bytes) -> str | None:
    """The user's name in XCLIENT, written in xtext (RFC 3461 4)."""
    match = _LOGIN.search(argument)
    if match is None or match[1].upper() in (b"[UNAVAILABLE]", b"[TEMPUNAVAIL]"):
        return None
    return _HEX.sub(lambda octet: bytes.fromhex(octet[1].decode()), match[1]).decode("utf-8", "surrogateescape")
