"""IMAP: commands, literals, continuations, and who logged in (RFC 3501, 9051, 7888, 4959, 2177, 4978, 4467, 8437).

Knows: as much of the grammar as a recorder needs to cut the stream, find the user and mask the credentials.
Must not know: mailboxes, messages, sockets. It decides nothing for the wire; the bytes have been forwarded already.

Deny by default: while nobody is logged in, everything the client sends is secret but what is known to be none; later,
what is no command is secret still.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from rawlog.protocols import imap_arguments as arguments
from rawlog.protocols import sasl
from rawlog.protocols.framing import Framer, Lane, Span
from rawlog.protocols.imap_arguments import LITERAL, before_literal

OUTSTANDING_LIMIT = 1000  # commands without an answer that are remembered; the oldest is forgotten beyond that
TAG_LIMIT = 64  # bytes of a tag that are looked at; no client needs more
NAME_LIMIT = 1024  # a longer user name in a literal is masked and not kept

_COMMAND = re.compile(rb"([^\s]+)[ \t]+([^\s]+)[ \t]*")
_TAGGED = re.compile(rb"([^\s*+]\S*) (OK|NO|BAD)\b", re.IGNORECASE)
_UNTAGGED = re.compile(rb"\* ([A-Z]+)", re.IGNORECASE)
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4}){2,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_STATUS = frozenset(b"OK NO BAD BYE PREAUTH".split())

# What a client may send before login and is no secret: commands without arguments, and commands with harmless ones.
_BARE = frozenset(b"CAPABILITY IDLE LOGOUT NOOP STARTTLS UNAUTHENTICATE".split())
_OPEN = frozenset(b"COMPRESS ENABLE ID LANGUAGE".split())
_LOGINS = (b"AUTHENTICATE", b"LOGIN")
# What a client sends behind a login only. Where no server's side is recorded, this is the only sign of it.
_LATER = frozenset(
    b"APPEND CHECK CLOSE COPY CREATE DELETE EXAMINE EXPUNGE FETCH GETQUOTAROOT LIST LSUB MOVE NAMESPACE RENAME SEARCH "
    b"SELECT SORT STATUS STORE SUBSCRIBE THREAD UID UNSELECT UNSUBSCRIBE".split()
)
# Commands whose answer decides about what the client sends behind them.
_DECISIVE = {
    b"AUTHENTICATE": "sasl",
    b"COMPRESS": "compress",
    b"IDLE": "idle",
    b"LOGIN": "login",
    b"STARTTLS": "tls",
    b"UNAUTHENTICATE": "unauthenticate",
}


class _Command:
    """A client command in the making; it goes on after each literal."""

    def __init__(self, tag: bytes, verb: bytes) -> None:
        self.tag = tag
        self.verb = verb
        self.secret = False  # all of it, literals included
        self.login: arguments.Login | None = None
        self.literal: tuple[int, bool] | None = None  # size and secrecy of a literal that waits for "+"
        self.answered = False  # before it was complete


class _Wait:
    """What the client is held for: ``+``, or the answer to ``tag`` behind ``earlier`` others of the same tag."""

    def __init__(self, tag: bytes, what: str, earlier: int) -> None:
        self.tag = tag
        self.what = what  # "literal", "idle" or "sasl", which "+" goes on with; or another value of _DECISIVE
        self.earlier = earlier


class ImapFramer(Framer):
    """Cuts IMAP. See Framer."""

    protocol: ClassVar[str] = "imap"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._command: _Command | None = None
        self._wait: _Wait | None = None
        self._outstanding: dict[bytes, int] = {}  # commands without an answer by tag, oldest tag first
        self._count = 0
        self._sasl: sasl.Exchange | None = None
        self._sasl_turn = False  # the client's next line is a SASL response
        self._login_user: bytes | None = None
        self._later = False  # nobody said so, but the login must have been
        self._data: bytes | None = None  # the response that the server's next line goes on with, after a literal

    # -- the client ---------------------------------------------------------------------------------------------

    def on_client_line(self, line: bytes, start: int) -> list[Span]:
        text = line.rstrip(b"\r\n")
        if self._sasl_turn:
            return self._sasl_response(text, start)
        command = self._command
        if command is None:
            match = _COMMAND.match(text)
            if match is None:
                return _stray_line(text, start)
            command = self._command = self._new_command(match)
            if command.verb == b"AUTHENTICATE" and not command.secret:
                return self._authenticate(command, text, start, match.end())
            spans = self._arguments(command, text, start, match.end())
        else:
            self.client.pin = None
            spans = self._arguments(command, text, start, None)
        if literal := LITERAL.search(text):
            self._begin_literal(command, text, int(literal[1]), nonsync=literal[2] == b"+")
        else:
            spans += self._end_command(command)
        return spans

    def _new_command(self, match: re.Match[bytes]) -> _Command:
        command = _Command(match[1][:TAG_LIMIT], match[2].upper())
        rest = match.string[match.end() :]
        if command.verb == b"LOGIN":
            command.login = arguments.Login()
        elif command.verb == b"AUTHENTICATE":
            command.secret = before_literal(rest) < len(rest)  # nobody may send it so; some servers take it
        else:
            command.secret = self._is_suspect(command, rest)
        if self._count >= OUTSTANDING_LIMIT:
            self._count -= self._outstanding.pop(next(iter(self._outstanding)))
        self._outstanding[command.tag] = self._outstanding.get(command.tag, 0) + 1
        self._count += 1
        return command

    def _is_suspect(self, command: _Command, rest: bytes) -> bool:
        """Whether the command may be a login that went wrong: one without a tag, or what nobody sends before login."""
        if _names_login(command.tag, command.verb):
            return True
        if not self._is_guarded():
            return False
        self._later = command.verb in _LATER and self.server.ended and not self.server_spoke
        known = command.verb in _OPEN or (command.verb in _BARE and not rest)
        return not self._later and (not known or b"\r" in rest)

    def _is_guarded(self) -> bool:
        """Whether what is not known to be harmless is secret."""
        return not (self.authenticated or self._later)

    def _arguments(self, command: _Command, text: bytes, start: int, at: int | None) -> list[Span]:
        """The secrets in the arguments: from ``at`` on in a command's first line, or in a later line."""
        if command.secret:
            # Of a login without a tag, the tag may be the password.
            begin = (at or 0) if command.verb == b"AUTHENTICATE" else 0
            return [(start + begin, start + before_literal(text))]
        if command.login:
            return command.login.line(text, at or 0, start)
        return arguments.secrets_in(command.verb, text, at, start)

    def _begin_literal(self, command: _Command, text: bytes, size: int, *, nonsync: bool) -> None:
        if command.login:
            secret = not command.login.name_follows or size > NAME_LIMIT
        else:
            # Before login a server may take the literal of an innocent command for commands.
            secret = command.secret or self._is_guarded() or arguments.has_secret_literal(command.verb, text)
        if nonsync:
            self._literal(command, size, secret)
            return
        command.literal = (size, secret)
        self._hold_for("literal", command.tag)

    def _literal(self, command: _Command, size: int, secret: bool) -> None:
        is_name = command.login is not None and command.login.name_follows and not secret
        if is_name:
            self.client.pin = self.client.tape.start
        self.expect_literal(self.client, size, secret=secret, keep=NAME_LIMIT if is_name else 0)

    def on_literal(self, lane: Lane, data: bytes | None) -> None:
        login = self._command.login if lane is self.client and self._command else None
        if login and login.name_follows:
            login.literal(lane.begin - len(data or b""), data)

    def _end_command(self, command: _Command) -> list[Span]:
        """The command's last line is there."""
        self._command = self.client.pin = None
        what = _DECISIVE.get(command.verb)
        if what and not command.answered:
            if what == "sasl":
                self._sasl = sasl.Exchange(b"")
            self._hold_for(what, command.tag)
        if command.login is None:
            return []
        self._login_user = command.login.user
        return command.login.end()

    def _hold_for(self, what: str, tag: bytes) -> None:
        self._wait = _Wait(tag, what, self._outstanding.get(tag, 1) - 1)
        self.hold()

    # -- SASL ---------------------------------------------------------------------------------------------------

    def _authenticate(self, command: _Command, text: bytes, start: int, at: int) -> list[Span]:
        """AUTHENTICATE mechanism [initial-response] (RFC 4959)."""
        self._command = None
        mechanism, payload = (*text[at:].split(None, 1), b"", b"")[:2]
        self._sasl = sasl.Exchange(mechanism)
        self._hold_for("sasl", command.tag)
        spans = [] if sasl.is_mechanism(mechanism) else [(start + at, start + at + len(mechanism))]
        if payload:
            spans += _moved(self._sasl.client(payload), start + len(text) - len(payload))
        return spans

    def _sasl_response(self, text: bytes, start: int) -> list[Span]:
        self._sasl_turn = False
        self.hold()
        return _moved(self._sasl.client(text), start) if self._sasl else _stray_line(text, start)

    # -- the server ---------------------------------------------------------------------------------------------

    def on_server_line(self, line: bytes, start: int) -> list[Span]:
        text = line.rstrip(b"\r\n")
        if start == 0:
            self._begin(text)
        if self._data is not None:
            return self._data_line(self._data, text, start, None)
        if text[:1] == b"+":
            return self._continue(text, start)
        if text[:2] == b"* ":
            name = _UNTAGGED.match(text)
            verb = name[1].upper() if name else b""
            return [] if verb in _STATUS else self._data_line(verb, text, start, name.end() if name else None)
        return self._tagged(text, start)

    def _begin(self, text: bytes) -> None:
        """The first line: a greeting, else the conversation is recorded from behind its login, as by rawlog_dir."""
        tagged = _TAGGED.match(text)
        if tagged:
            self.authenticated |= tagged[2].upper() == b"OK"
        elif text[:2] == b"* ":
            name = _UNTAGGED.match(text)
            self.authenticated |= name is None or name[1].upper() not in (b"OK", b"NO", b"BAD", b"BYE")

    def _data_line(self, verb: bytes, text: bytes, start: int, at: int | None) -> list[Span]:
        """Untagged data: from ``at`` on in its first line, or a later line."""
        literal = LITERAL.search(text) if text[-1:] == b"}" else None
        self._data = verb if literal else None
        if literal:
            self.expect_literal(self.server, int(literal[1]), secret=arguments.has_secret_literal(verb, text))
        return arguments.secrets_in(verb, text, at, start)

    def _continue(self, text: bytes, start: int) -> list[Span]:
        """``+``: what the client is held for may go on; the text is a challenge when that is SASL."""
        challenge = text[1:].lstrip(b" ")
        # Where only this side is recorded, nobody says whether it is a challenge.
        alone = not (self.authenticated or self._count) and _BASE64.fullmatch(challenge)
        is_secret = self._sasl is not None or alone
        what = self._wait.what if self._wait else ""
        if what == "sasl":
            self._sasl_turn = True
            self.release()
        elif what in ("literal", "idle"):
            self._wait = None
            self.release()
            self._literal_may_come()
        return _moved(sasl.secret_span(challenge), start + len(text) - len(challenge)) if is_secret else []

    def _literal_may_come(self) -> None:
        """The literal of the command in progress, if that waits for one, may come now."""
        command = self._command
        if command and command.literal:
            (size, secret), command.literal = command.literal, None
            self._literal(command, size, secret)

    def _tagged(self, text: bytes, start: int) -> list[Span]:
        match = _TAGGED.match(text)
        if match is None:
            return []
        tag, status = match[1][:TAG_LIMIT], match[2].upper()
        if tag in self._outstanding:
            self._answered(tag, status == b"OK")
        elif status == b"BAD" and not self.client.tape.end:  # only this side is recorded: it may be a stray password
            return [(start, start + match.end(1))]
        return []

    def _answered(self, tag: bytes, ok: bool) -> None:
        self._outstanding[tag] -= 1
        self._count -= 1
        if not self._outstanding[tag]:
            del self._outstanding[tag]
        wait, command = self._wait, self._command
        if wait is not None and wait.tag == tag:
            if wait.earlier:
                wait.earlier -= 1
            else:
                self._wait = None
                self._verdict(wait.what, ok)
        elif command is not None and command.tag == tag and tag not in self._outstanding:
            command.answered = True

    def _verdict(self, what: str, ok: bool) -> None:
        if what == "literal":  # refused
            self._command = self.client.pin = None
        elif what == "sasl":
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

    # -- holds and limits ---------------------------------------------------------------------------------------

    def on_server_silent(self) -> None:
        """No answer will come: a literal follows its announcement, a SASL response follows AUTHENTICATE."""
        wait, self._wait = self._wait, None
        following = self.client.tape.peek(256).partition(b"\n")[0].rstrip(b"\r")
        if self._sasl:
            self._sasl_turn = len(following.split()) < 2
            self._sasl = self._sasl if self._sasl_turn else None
        elif wait and wait.what == "compress" and not following.isascii():
            self.compress_accepted()
        self._literal_may_come()

    def long_line_is_secret(self, lane: Lane, head: bytes) -> bool:
        return not self.is_harmless(lane, head[:64])

    def is_harmless(self, lane: Lane, head: bytes) -> bool:
        if lane is self.server:
            return self._is_harmless_response(head)
        if self._is_guarded() or self._command or self._sasl_turn:
            return False
        command = _COMMAND.match(head)
        if command is None or command.end() == len(head):
            return False
        verb = command[2].upper()
        return not _names_login(command[1], verb) and not arguments.may_hold_secret(verb)

    def _is_harmless_response(self, head: bytes) -> bool:
        if self._data is not None:
            return not arguments.may_hold_secret(self._data)
        if self._sasl or head[:1] == b"+" or head in (b"*", b"* "):
            return False
        name = _UNTAGGED.match(head)
        return name is None or (name.end() < len(head) and not arguments.may_hold_secret(name[1].upper()))

    def may_be_repeated(self, line: bytes) -> bool:
        command = _COMMAND.match(line)
        return command is None or not arguments.may_hold_secret(command[2].upper())

    def leads_answer(self, line: bytes) -> bool:
        return line[:12].upper() == b"* CAPABILITY"


def _names_login(tag: bytes, verb: bytes) -> bool:
    """Whether a login stands where the tag should be, or something like one behind it."""
    if b"LOGIN" in verb or b"AUTHENTICATE" in verb:
        return verb != b"UNAUTHENTICATE" or tag.upper() in _LOGINS
    return tag.upper() in _LOGINS


def _stray_line(text: bytes, start: int) -> list[Span]:
    """A line that is no command: the end of IDLE, an empty line, or perhaps a password."""
    return [] if text.upper() == b"DONE" else _moved(sasl.payload_span(text), start)


def _moved(span: Span | None, offset: int) -> list[Span]:
    return [] if span is None else [(span[0] + offset, span[1] + offset)]
