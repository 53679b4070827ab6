"""IMAP: commands, literals, continuations, and who logged in (RFC 3501, 9051, 7888, 4959, 2177, 4978, 4467).

Knows: as much of the grammar as a recorder needs to cut the stream, find the user and mask the credentials.
Must not know: mailboxes, messages, sockets. It decides nothing for the wire; the bytes have been forwarded already.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Any, ClassVar

from rawlog.protocols import sasl
from rawlog.protocols.framing import Framer, Lane, Span

OUTSTANDING_LIMIT = 10_000  # commands without an answer that are remembered; the oldest is forgotten beyond that
NAME_LIMIT = 1024  # a longer user name in a literal is not kept

_COMMAND = re.compile(rb"([^\s]+)[ \t]+([^\s]+)[ \t]*")
_LITERAL = re.compile(rb"~?\{(\d{1,19})(\+?)\}$")
_QUOTED = re.compile(rb'"(?:[^"\\\r\n]|\\.)*"', re.DOTALL)
_ATOM = re.compile(rb'[^\s"(){}\x00-\x1f\x7f]+')
_STATUS = re.compile(rb"\* (?:OK|NO|BAD|BYE|PREAUTH)\b", re.IGNORECASE)
_URL_TOKEN = re.compile(rb';urlauth=[^:\s"]*:[^:\s"]*:([^\s")]+)', re.IGNORECASE)

# Commands whose arguments hold no credential (before login everything else is masked as a malformed login).
_HARMLESS = frozenset(b"CAPABILITY NOOP LOGOUT ID STARTTLS ENABLE IDLE COMPRESS SELECT LANGUAGE".split())
_SENSITIVE = (b"LOGIN", b"AUTHENTICATE", b"URLFETCH", b"GENURLAUTH")
_SENSITIVE_DATA = (b"* GENURLAUTH", b"* URLFETCH", b"+")
_HELD_FOR_VERDICT = {b"STARTTLS": "tls", b"COMPRESS": "compress", b"UNAUTHENTICATE": "unauthenticate"}


@dataclass
class _Command:
    """A client command in the making; it goes on after each literal."""

    tag: bytes
    verb: bytes
    secret: bool = False  # all of it, literals included
    arguments: int = 0  # of LOGIN, counted
    user: bytes | None = None  # of LOGIN
    user_at: Span | None = None  # where the only argument of LOGIN stands, until a second one comes
    literal: tuple[int, bool] | None = None  # size and secrecy of a literal that waits for "+"


class ImapFramer(Framer):
    """Cuts IMAP. See Framer."""

    protocol: ClassVar[str] = "imap"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._command: _Command | None = None
        self._outstanding: dict[bytes, deque[str]] = {}  # tag -> what was asked, oldest first
        self._count = 0
        self._continuations: deque[tuple[bytes, str]] = deque()  # who waits for "+": tag, "idle" | "literal" | "sasl"
        self._sasl: sasl.Exchange | None = None
        self._sasl_turn = False  # the client's next line is a SASL response
        self._login_user: bytes | None = None
        self._in_data = False  # the server's next line continues untagged data after a literal
        self._data_secret = False

    # -- the client ---------------------------------------------------------------------------------------------

    def on_client_line(self, line: bytes, start: int) -> list[Span]:
        text = line.rstrip(b"\r\n")
        if self._sasl_turn:
            return self._sasl_response(text, start)
        command = self._command
        if command is None:
            command, arguments_at = self._new_command(text)
            if command is None:
                return self._stray_line(text, start)
            spans = self._first_line(command, text, start, arguments_at)
        else:
            spans = self._next_line(command, text, 0, start)
        literal = _LITERAL.search(text)
        if literal and not self._sasl:
            self._begin_literal(command, int(literal[1]), nonsync=literal[2] == b"+")
        else:
            spans.extend(self._end_command(command))
        return spans

    def _new_command(self, text: bytes) -> tuple[_Command | None, int]:
        match = _COMMAND.match(text)
        if match is None:
            return None, 0
        self._command = _Command(match[1], match[2].upper())
        self._remember(match[1], "other")
        return self._command, match.end()

    def _stray_line(self, text: bytes, start: int) -> list[Span]:
        """A line that is no command: DONE, a blank line; before login perhaps a stray password."""
        if self.authenticated or not text or text.upper() == b"DONE":
            return []
        return [(start, start + len(text))]

    def _first_line(self, command: _Command, text: bytes, start: int, at: int) -> list[Span]:
        verb = command.verb
        if verb == b"AUTHENTICATE":
            return self._authenticate(command, text, start, at)
        if verb == b"IDLE":
            self._continuations.append((command.tag, "idle"))
        if verb == b"UID" or verb in _HARMLESS or verb in _HELD_FOR_VERDICT:
            return []
        if verb != b"LOGIN" and not self.authenticated:
            command.secret = True
            return [(start, start + len(text))]
        return self._next_line(command, text, at, start)

    def _next_line(self, command: _Command, text: bytes, at: int, start: int) -> list[Span]:
        """The arguments of a command that may hold a secret: from ``at`` on in its first line, or a later line."""
        if command.secret:
            return [(start + at, start + len(text))] if at < len(text) else []
        if command.verb == b"LOGIN":
            return self._login_arguments(command, text, at, start)
        if command.verb in _SENSITIVE:
            return [(start + m.start(1), start + m.end(1)) for m in _URL_TOKEN.finditer(text)]
        return []

    def _login_arguments(self, command: _Command, text: bytes, at: int, start: int) -> list[Span]:
        """The first argument is the user's name, everything behind it is secret; what is malformed, all of it."""
        spans: list[Span] = []
        while (at := _skip_blanks(text, at)) < len(text):
            if _LITERAL.match(text, at):
                command.arguments += 1
                break
            word = _QUOTED.match(text, at) or _ATOM.match(text, at)
            if word is None or (word.end() < len(text) and text[word.end()] not in b" \t"):
                spans.append((start + at, start + len(text)))
                command.arguments += 2
                break
            command.arguments += 1
            if command.arguments == 1:
                command.user, command.user_at = _unquote(word[0]), (start + word.start(), start + word.end())
                self.client.pin = command.user_at[0]
            else:
                spans.append((start + word.start(), start + word.end()))
            at = word.end()
        if command.arguments > 1:
            self.client.pin = None
        return spans

    def _begin_literal(self, command: _Command, size: int, *, nonsync: bool) -> None:
        secret = command.secret or (command.verb == b"LOGIN" and command.arguments > 1)
        secret = secret or command.verb in (b"URLFETCH", b"GENURLAUTH")
        if nonsync:
            self._literal(command, size, secret)
            return
        command.literal = (size, secret)
        self._continuations.append((command.tag, "literal"))
        self.hold()

    def _literal(self, command: _Command, size: int, secret: bool) -> None:
        is_name = command.verb == b"LOGIN" and command.arguments == 1 and not command.secret
        if is_name:
            command.user_at = (self.client.tape.start, self.client.tape.start + size)
            self.client.pin = command.user_at[0]
        self.expect_literal(self.client, size, secret=secret, keep=NAME_LIMIT if is_name else 0)

    def on_literal(self, lane: Lane, data: bytes | None) -> None:
        command = self._command
        if lane is self.client and command is not None and data is not None:
            command.user = data

    def _end_command(self, command: _Command) -> list[Span]:
        """The command's last line is there."""
        self._command = None
        self.client.pin = None
        if command.verb == b"LOGIN":
            self._login_user = command.user if command.arguments == 2 else None
            self._await(command.tag, "login")
            if command.arguments == 1 and command.user_at:  # LOGIN with one argument: perhaps the password
                return [command.user_at]
        elif command.verb in _HELD_FOR_VERDICT:
            self._await(command.tag, _HELD_FOR_VERDICT[command.verb])
        return []

    # -- SASL ---------------------------------------------------------------------------------------------------

    def _authenticate(self, command: _Command, text: bytes, start: int, at: int) -> list[Span]:
        words = text[at:].split(None, 1) or [b""]
        self._sasl = sasl.Exchange(words[0])
        self._continuations.append((command.tag, "sasl"))
        self._await(command.tag, "authenticate")
        if len(words) == 1:
            return []
        return _moved(self._sasl.client(words[1]), start + len(text) - len(words[1]))

    def _sasl_response(self, text: bytes, start: int) -> list[Span]:
        self._sasl_turn = False
        self.hold()
        if self._sasl is None:
            return [(start, start + len(text))]
        tag = next((tag for tag, asked in self._outstanding.items() if "authenticate" in asked), b"")
        self._continuations.append((tag, "sasl"))
        return _moved(self._sasl.client(text), start)

    # -- the server ---------------------------------------------------------------------------------------------

    def on_server_line(self, line: bytes, start: int) -> list[Span]:
        text = line.rstrip(b"\r\n")
        if self._in_data:
            return self._data_line(text, start)
        if text[:1] == b"+" and text[1:2] in (b"", b" "):
            return self._continue(text, start)
        if text.startswith(b"* "):
            return self._untagged(text, start)
        self._tagged(text)
        return []

    def _untagged(self, text: bytes, start: int) -> list[Span]:
        if _STATUS.match(text):
            if text[2:9].upper() == b"PREAUTH":
                self.authenticated = True
            return []
        self._data_secret = text[:12].upper().startswith((b"* GENURLAUTH", b"* URLFETCH"))
        return self._data_line(text, start)

    def _data_line(self, text: bytes, start: int) -> list[Span]:
        literal = _LITERAL.search(text)
        self._in_data = literal is not None
        if literal:
            self.expect_literal(self.server, int(literal[1]), secret=self._data_secret)
        if not self._data_secret:
            return []
        return [(start + m.start(1), start + m.end(1)) for m in _URL_TOKEN.finditer(text)]

    def _continue(self, text: bytes, start: int) -> list[Span]:
        """``+``: the answer to the oldest that waits for one; the text is a challenge when that is SASL."""
        asked = self._continuations.popleft()[1] if self._continuations else ""
        if asked == "literal" and self._command and self._command.literal:
            size, secret = self._command.literal
            self._command.literal = None
            self.release()
            self._literal(self._command, size, secret)
        elif asked == "sasl":
            self._sasl_turn = True
            self.release()
        if self._sasl is not None:
            challenge = text[1:].lstrip(b" ")
            return _moved(sasl.secret_span(challenge), start + len(text) - len(challenge))
        return []

    def _tagged(self, text: bytes) -> None:
        tag, _, rest = text.partition(b" ")
        asked = self._outstanding.get(tag)
        if not asked:
            if not self.authenticated and not self._outstanding and rest[:3].upper() == b"OK ":
                self.authenticated = True  # the recording begins at the login's answer, as rawlog_dir does
            return
        what = asked.popleft()
        self._count -= 1
        if not asked:
            del self._outstanding[tag]
            self._continuations = deque(c for c in self._continuations if c[0] != tag)
            if self._command and self._command.tag == tag and self._command.literal:  # the literal is refused
                self._command = None
                self.client.pin = None
                self.release()
        self._verdict(what, rest[:3].upper() in (b"OK ", b"OK"))

    def _verdict(self, what: str, ok: bool) -> None:
        if what == "other":
            return
        if what == "authenticate":
            self._logged_in(ok, self._sasl.user if self._sasl else None)
            self._sasl, self._sasl_turn = None, False
        elif what == "login":
            user = self._login_user
            self._logged_in(ok, user.decode("utf-8", "surrogateescape") if user else None)
        elif what == "unauthenticate":
            self.authenticated = self.authenticated and not ok
        elif ok and what == "tls":
            self.tls_accepted()
        elif ok and what == "compress":
            self.compress_accepted()
        self.release()

    def _logged_in(self, ok: bool, user: str | None) -> None:
        if ok:
            self.authenticated, self.user = True, user

    def in_dialogue(self) -> bool:
        return self._command is not None or self._sasl_turn

    def unanswered(self) -> int:
        return self._count

    def leads_answer(self, line: bytes) -> bool:
        return line[:12].upper() == b"* CAPABILITY"

    # -- holds and limits ---------------------------------------------------------------------------------------

    def on_server_silent(self) -> None:
        """No answer will come: a literal follows its announcement, a SASL response follows AUTHENTICATE."""
        command = self._command
        if command and command.literal:
            size, secret = command.literal
            command.literal = None
            self._literal(command, size, secret)
        elif self._sasl:
            following = self.client.tape.peek(256).partition(b"\n")[0].rstrip(b"\r")
            self._sasl_turn = len(following.split()) < 2
            self._sasl = self._sasl if self._sasl_turn else None

    def long_line_is_secret(self, lane: Lane, head: bytes) -> bool:
        return not self.is_harmless(lane, head[:64])

    def is_harmless(self, lane: Lane, head: bytes) -> bool:
        if lane is self.server:
            if self._sasl is not None or self._data_secret:
                return False
            start = head[:12].upper()
            return not any(start.startswith(word) or word.startswith(start) for word in _SENSITIVE_DATA)
        if not self.authenticated or self._command or self._sasl_turn:
            return False
        command = _COMMAND.match(head)
        return command is not None and command.end() < len(head) and command[2].upper() not in _SENSITIVE

    def _remember(self, tag: bytes, asked: str) -> None:
        if self._count >= OUTSTANDING_LIMIT:
            oldest = next(iter(self._outstanding))
            self._count -= len(self._outstanding.pop(oldest))
        self._outstanding.setdefault(tag, deque()).append(asked)
        self._count += 1

    def _await(self, tag: bytes, asked: str) -> None:
        """Hold until the answer to the command just begun under ``tag``, which asked for ``asked``."""
        self._outstanding.setdefault(tag, deque([asked]))[-1] = asked
        self.hold()


def _skip_blanks(text: bytes, at: int) -> int:
    while at < len(text) and text[at] in b" \t":
        at += 1
    return at


def _unquote(word: bytes) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", word[1:-1], flags=re.DOTALL) if word[:1] == b'"' else word


def _moved(span: Span | None, offset: int) -> list[Span]:
    return [] if span is None else [(span[0] + offset, span[1] + offset)]
