"""ManageSieve: commands, strings, literals, responses without tags, and who logged in (RFC 5804).

Knows: as much of the grammar as a recorder needs to cut the stream, find the user and mask the credentials.
Must not know: scripts, sockets. It decides nothing for the wire.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from rawlog.protocols.framing import Lane, Span
from rawlog.protocols.ordered import FORWARD, OrderedFramer, found, moved
from rawlog.protocols.sasl import payload_span, secret_span

MECHANISM_LIMIT = 20  # RFC 4422 3.1
SASL_LIMIT = 8 * 1024  # a longer SASL message in a literal is masked but not understood; Dovecot takes no longer ones

_VERB = re.compile(rb"[ \t]*([A-Za-z]+)(?=[ \t]|\Z)[ \t]*")
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ATOM = re.compile(rb'[^\s"(){}]+')
_LITERAL = re.compile(rb"\{(\d{1,18})\+?\}\Z")
_RESPONSE = re.compile(rb"(OK|NO|BYE)(?=[ \t(]|\Z)", re.IGNORECASE)
_LAST_CHALLENGE = re.compile(rb'\(SASL[ \t]+"((?:[^"\\]|\\.)*)"', re.IGNORECASE | re.DOTALL)  # RFC 5804 2.1
_LAST_CHALLENGE_LITERAL = re.compile(rb"\(SASL[ \t]+\{\d+\+?\}\Z", re.IGNORECASE)
_LOGGED_IN = re.compile(rb'OK[ \t]+"Logged in', re.IGNORECASE)  # begins Dovecot's post-login recordings

_VERBS = frozenset(
    b"AUTHENTICATE CAPABILITY CHECKSCRIPT DELETESCRIPT GETSCRIPT HAVESPACE LISTSCRIPTS LOGOUT NOOP PUTSCRIPT "
    b"RENAMESCRIPT SETACTIVE STARTTLS UNAUTHENTICATE XCLIENT".split()
)
_SENSITIVE = frozenset((b"AUTHENTICATE", b"XCLIENT"))
_ASKS = {b"STARTTLS": "tls", b"UNAUTHENTICATE": "unauthenticate"}
_FLAGS = (b'"STARTTLS"', b'"UNAUTHENTICATE"')  # capabilities without a value


class _Command:
    """A client command in the making; it goes on after each literal. The verb of a SASL response is empty."""

    def __init__(self, verb: bytes, *, secret: bool = False) -> None:
        self.verb = verb
        self.secret = secret  # all of it, literals included
        self.mechanism = False  # of AUTHENTICATE: it is known
        self.message = False  # the literal in progress is a SASL message


class ManageSieveFramer(OrderedFramer):
    """Cuts ManageSieve. See Framer."""

    protocol: ClassVar[str] = "managesieve"
    login_words = (b"AUTHENTICATE",)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._command: _Command | None = None
        self._begun: bytes | None = None  # the server's line in progress, up to its first literal; None between lines
        self._listed = 0  # data lines of the server since its last response

    # -- the client ---------------------------------------------------------------------------------------------

    def on_client_line(self, line: bytes, start: int) -> list[Span]:
        text = line.rstrip(b"\r\n")
        command, at = self._command, 0
        if command is None:
            if not text.strip() and not self._sasl_turn:
                return []  # nobody answers that
            command, at = self._begin(text)
        spans = self._arguments(command, text, at, start)
        literal = _LITERAL.search(text)
        self._command = command if literal else None
        if literal:
            self._begin_literal(command, int(literal[1]))
        else:
            self._end_command(command)
        return spans

    def _begin(self, text: bytes) -> tuple[_Command, int]:
        """The command that begins with ``text``, and where its arguments begin."""
        if self.responds(text) or text[:1] in (b'"', b"{"):
            return _Command(b""), 0
        match = _VERB.match(text)
        verb = match[1].upper() if match else b"?"
        if match is None or verb not in _VERBS or b"\r" in text:
            return _Command(verb, secret=self.is_suspect(text)), 0
        return _Command(verb), match.end()

    def is_command(self, text: bytes) -> bool:
        return text[:1] not in (b'"', b"{")

    def _arguments(self, command: _Command, text: bytes, at: int, start: int) -> list[Span]:
        """The secret spans from ``at`` on."""
        if command.secret:
            return [(start, start + len(text))] if text else []
        if command.verb == b"AUTHENTICATE" and not command.mechanism:
            return self._mechanism(command, text, at, start)
        if command.verb in (b"AUTHENTICATE", b""):
            return self._message(text, at, start)
        return found(FORWARD, text, start) if command.verb == b"XCLIENT" else []

    def _mechanism(self, command: _Command, text: bytes, at: int, start: int) -> list[Span]:
        """The arguments of AUTHENTICATE from the mechanism on, which may stand in a literal to come."""
        word = _STRING.match(text, at) or _ATOM.match(text, at)
        if word is None:
            command.secret = _LITERAL.match(text, at) is None
            return [(start + at, start + len(text))] if command.secret and at < len(text) else []
        command.mechanism = True
        group = word.lastindex or 0
        return self.begin_sasl(word[group], start + word.start(group)) + self._message(text, word.end(), start)

    def _message(self, text: bytes, at: int, start: int) -> list[Span]:
        """A SASL message, in quotes or a literal to come; what is neither is secret as a whole."""
        at += len(text) - at - len(text[at:].lstrip(b" \t"))
        if at == len(text) or _LITERAL.match(text, at):
            return []
        string = _STRING.fullmatch(text.rstrip(b" \t"), at)
        if string is None:
            return [(start + at, start + len(text))]
        if self._sasl is None:
            return moved(payload_span(string[1]), start + string.start(1))
        return moved(self._sasl.client(string[1]), start + string.start(1))

    def _begin_literal(self, command: _Command, size: int) -> None:
        mechanism = command.verb == b"AUTHENTICATE" and not command.mechanism and not command.secret
        command.message = command.verb == b"" or (command.verb == b"AUTHENTICATE" and command.mechanism)
        secret = command.secret or command.message or (mechanism and size > MECHANISM_LIMIT)
        self.expect_literal(self.client, size, secret=secret, keep=SASL_LIMIT if mechanism or command.message else 0)

    def on_literal(self, lane: Lane, data: bytes | None) -> None:
        command = self._command
        if lane is self.server or command is None:
            return
        if command.message:
            if self._sasl and data is not None:
                self._sasl.client(data)
        elif command.verb == b"AUTHENTICATE" and not command.secret:
            command.mechanism = True
            self.begin_sasl(data or b"", lane.begin)

    def _end_command(self, command: _Command) -> None:
        """The command's last line is there."""
        if command.verb == b"" and self._sasl is not None:
            self._sasl_turn = self._sasl_perhaps = False
            self.hold()
        elif command.verb == b"AUTHENTICATE" and command.mechanism:
            self.ask("auth", decisive=True)
        else:
            self.ask(_ASKS.get(command.verb, "other"), decisive=command.verb in _ASKS)

    def in_dialogue(self) -> bool:
        return self._command is not None or self._sasl_turn

    # -- the server ---------------------------------------------------------------------------------------------

    def on_server_line(self, line: bytes, start: int) -> list[Span]:
        text = line.rstrip(b"\r\n")
        first, self._begun = self._begun is None, text if self._begun is None else self._begun
        response = _RESPONSE.match(self._begun)
        secret = response is None and self._is_challenge(self._begun)
        if literal := _LITERAL.search(text):
            last_challenge = first and response is not None and _LAST_CHALLENGE_LITERAL.search(text) is not None
            self.expect_literal(self.server, int(literal[1]), secret=secret or last_challenge)
        else:
            begun, self._begun = self._begun, None
            self._end_line(begun, response[1].upper() if response else b"")
        if not self.greeted:
            self.hold()  # the client speaks when the greeting is over
        if secret:
            return self._challenge_spans(text, start)
        if response and (last := _LAST_CHALLENGE.search(text)):
            return moved(secret_span(last[1]), start + last.start(1))
        return []

    def _is_challenge(self, line: bytes) -> bool:
        if self.asked == "auth":
            return True
        # Without the client's side nobody knows; a challenge is one string.
        alone = self.greeted and not self.authenticated and self.client.tape.end == 0 and line.upper() not in _FLAGS
        return alone and (_STRING.fullmatch(line) or _LITERAL.fullmatch(line)) is not None

    def _challenge_spans(self, text: bytes, start: int) -> list[Span]:
        if _LITERAL.fullmatch(text):
            return []
        if string := _STRING.fullmatch(text):
            return moved(secret_span(string[1]), start + string.start(1))
        return [(start, start + len(text))] if text else []

    def _end_line(self, line: bytes, status: bytes) -> None:
        """The server's line that begins with ``line`` is complete, all literals included."""
        if not status:
            self._listed += 1
            self.challenge()
            return
        listed, self._listed = self._listed, 0
        greeting, self.greeted = not self.greeted, True
        if greeting:
            self.release()
        if self.asked == "greeting":
            self.answered()
            greeting = listed > 0
        what = "" if greeting else self.answered()
        if not what and _LOGGED_IN.match(line):
            self.authenticated = True
        self._verdict(what, status == b"OK")

    def _verdict(self, what: str, ok: bool) -> None:
        if what == "auth":
            self.end_sasl(ok)
        elif what == "unauthenticate":
            self.authenticated = self.authenticated and not ok
        elif what == "tls" and ok:
            self.tls_accepted()
            self.owe("greeting")  # RFC 5804 2.2: the server says its capabilities again, unasked

    # -- holds and limits ---------------------------------------------------------------------------------------

    def is_harmless(self, lane: Lane, head: bytes) -> bool:
        if lane is self.server:
            return self.asked != "auth" and self.authenticated
        if self.guarded or self._sasl_turn or self._sasl_perhaps:
            return False
        if self._command is not None:
            return not self._command.secret and self._command.verb in _VERBS - _SENSITIVE
        verb = _VERB.match(head)
        return verb is not None and verb.end(1) < len(head) and verb[1].upper() in _VERBS - _SENSITIVE
