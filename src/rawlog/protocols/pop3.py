"""POP3: commands, answers of one line or of many, and who logged in (RFC 1939, 2449, 2595, 5034, 6856).

Knows: as much of the grammar as a recorder needs to cut the stream, find the user and mask the credentials; also
Dovecot's XCLIENT. Must not know: mailboxes, messages, sockets. It decides nothing for the wire.
"""

from __future__ import annotations

import re
from typing import ClassVar

from rawlog.protocols.framing import Lane, Span
from rawlog.protocols.ordered import FORWARD, OrderedFramer, found, moved
from rawlog.protocols.sasl import secret_span

_COMMAND = re.compile(rb"[ \t]*(\S+)(?:[ \t](.*))?\Z", re.DOTALL)
_CHALLENGE = re.compile(rb"\+(?: (.*))?\Z", re.DOTALL)

_VERBS = frozenset(
    b"APOP AUTH CAPA DELE LANG LIST NOOP PASS QUIT RETR RSET STAT STLS TOP UIDL USER UTF8 XCLIENT".split()
)
_LISTING = frozenset(b"CAPA RETR TOP".split())  # answered by many lines
_LISTING_ALL = frozenset(b"AUTH LANG LIST UIDL".split())  # answered by many lines when there is no argument
_SENSITIVE = frozenset(b"APOP AUTH PASS USER XCLIENT".split())


class Pop3Framer(OrderedFramer):
    """Cuts POP3. See Framer. The body of a multi-line answer is a block behind its ``+OK`` line."""

    protocol: ClassVar[str] = "pop3"
    login_words = (b"PASS", b"APOP", b"AUTH")

    # -- the client ---------------------------------------------------------------------------------------------

    def on_command(self, text: bytes, start: int) -> list[Span]:
        match = _COMMAND.match(text)
        if match is None or (verb := match[1].upper()) not in _VERBS:
            return self.unknown(text, start)
        argument = match[2] or b""
        at = start + len(text) - len(argument)
        if verb == b"PASS":
            self.ask("login", decisive=True)
            return [(at, at + len(argument))] if argument else []
        if verb == b"APOP":
            return self._apop(argument, at)
        if verb == b"AUTH" and argument.strip():
            return self.authenticate(argument, at)
        if verb == b"USER":
            return self._user(argument, at)
        listing = verb in _LISTING or (verb in _LISTING_ALL and not argument.strip())
        self.ask("listing" if listing else "tls" if verb == b"STLS" else "other", decisive=verb == b"STLS")
        return found(FORWARD, argument, at) if verb == b"XCLIENT" else []

    def _user(self, argument: bytes, at: int) -> list[Span]:
        """USER name. A second word may be a password, though some servers take it for a part of the name."""
        self.candidate = argument.decode("utf-8", "surrogateescape") or None
        self.ask("other")
        return _behind_name(argument, at)

    def _apop(self, argument: bytes, at: int) -> list[Span]:
        """APOP name digest (RFC 1939 7)."""
        name = argument.split(None, 1)[:1]
        self.candidate = name[0].decode("utf-8", "surrogateescape") if name else None
        self.ask("login", decisive=True)
        return _behind_name(argument, at)

    def is_command(self, text: bytes) -> bool:
        match = _COMMAND.match(text)
        return match is not None and (match[1].upper() in _VERBS or match[2] is not None)

    # -- the server ---------------------------------------------------------------------------------------------

    def on_server_line(self, line: bytes, start: int) -> list[Span]:
        text = line.rstrip(b"\r\n")
        status = text[:4].upper()
        if status in (b"+OK", b"+OK ", b"-ERR"):
            self._status(status != b"-ERR", text)
            return []
        if match := _CHALLENGE.match(text):
            return self._challenge(match[1] or b"", start + len(text))
        return [(start, start + len(text))] if self.asked == "auth" and text else []

    def _challenge(self, payload: bytes, end: int) -> list[Span]:
        expected = self.asked == "auth"
        self.challenge()
        # Without the client's side nobody knows whether this is a challenge; text has blanks.
        if expected or not (self.authenticated or self._asked or b" " in payload):
            return moved(secret_span(payload), end - len(payload))
        return []

    def _status(self, ok: bool, text: bytes) -> None:
        greeting, self.greeted = not self.greeted, True
        what = "" if greeting else self.answered()
        if not what and text.upper().startswith(b"+OK LOGGED IN"):
            self.authenticated = True  # Dovecot's post-login recordings begin with the answer to the login
        elif what == "login":
            self.logged_in(ok, self.candidate)
        elif what == "auth":
            self.end_sasl(ok)
        elif what == "tls" and ok:
            self.candidate = None
            self.tls_accepted()
        elif what == "listing" and ok:
            self.expect_block(self.server)

    # -- holds and limits ---------------------------------------------------------------------------------------

    def is_harmless(self, lane: Lane, head: bytes) -> bool:
        if lane is self.server:
            return self.asked != "auth" and len(head) > 1 and head[:2] != b"+ "
        if self.guarded or self._sasl_turn or self._sasl_perhaps:
            return False
        command = _COMMAND.match(head)
        return command is not None and command[2] is not None and command[1].upper() in _VERBS - _SENSITIVE


def _behind_name(argument: bytes, at: int) -> list[Span]:
    """Everything behind the first word."""
    words = argument.split(None, 1)
    end = at + len(argument)
    return [(end - len(words[1]), end)] if len(words) > 1 else []
