"""Commands whose answers carry no tag: POP3, SMTP, LMTP and ManageSieve answer in the order of the commands.

Knows: the queue of commands without an answer, which of them are decisive (what the client sends behind them depends
on the answer), and the course of a SASL dialogue. Must not know: how a command or an answer is written.

Deny by default: while nobody is logged in, a command that the grammar does not know is secret as a whole, for it may be
half of a login that went wrong.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any, ClassVar

from rawlog.protocols import sasl
from rawlog.protocols.framing import Framer, Lane, Span

OUTSTANDING_LIMIT = 1000  # commands without an answer that are remembered; further ones are held, not forgotten

FORWARD = re.compile(rb'\b(?:XRCPT)?FORWARD=([^\s"]+)', re.IGNORECASE)
"""In Dovecot's XCLIENT and RCPT: fields of the user database for the next server, base64; any may be a secret."""


class OrderedFramer(Framer):
    """Base of the grammars without tags. See Framer."""

    login_words: ClassVar[tuple[bytes, ...]]  # what a login begins with

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._asked: deque[str] = deque()  # what the commands without an answer asked for, oldest first
        self._decisive = False  # the last of them is decisive
        self._sasl: sasl.Exchange | None = None
        self._sasl_turn = False  # the client's next line is a SASL response
        self._sasl_perhaps = False  # it may be one: there is no server to say so
        self.candidate: str | None = None  # who asks to be logged in, by another way than SASL
        self.greeted = False  # the server's greeting, or what stands for it, is over
        self.wary = False  # something is wrong with this client: mask the unknown even after a login

    # -- what a subclass implements -----------------------------------------------------------------------------

    def on_command(self, text: bytes, start: int) -> list[Span]:
        """A command line of the client without its ending; gives its secret spans, and asks (see ``ask``)."""
        raise NotImplementedError

    def is_command(self, text: bytes) -> bool:
        """Whether a line that may be a SASL response is a command."""
        raise NotImplementedError

    def on_no_answer(self, asked: str) -> None:
        """No answer will come to the decisive command ``asked``."""

    # -- commands and answers -----------------------------------------------------------------------------------

    def ask(self, what: str, *, decisive: bool = False) -> None:
        """A command is complete, one answer will come. ``what`` is given back by ``answered``."""
        self._asked.append(what)
        self._decisive = decisive
        if decisive or len(self._asked) >= OUTSTANDING_LIMIT:
            self.hold()

    @property
    def asked(self) -> str:
        """What the oldest command without an answer asked for; empty when all are answered."""
        return self._asked[0] if self._asked else ""

    def answered(self) -> str:
        """The oldest command has its answer; gives what it asked for."""
        what = self._asked.popleft() if self._asked else ""
        if not self._asked:
            self._decisive = False
        if not self._decisive and len(self._asked) < OUTSTANDING_LIMIT:
            self.release()
        return what

    def owe(self, what: str, count: int = 1) -> None:
        """The server will give ``count`` more answers before those to other commands."""
        self._asked.extendleft([what] * count)

    def unanswered(self) -> int:
        return len(self._asked)

    @property
    def guarded(self) -> bool:
        """Whether what is not understood is masked."""
        return self.wary or not self.authenticated

    def logged_in(self, ok: bool, user: str | None) -> None:
        """The server's verdict about a login."""
        if ok:
            self.authenticated, self.user = True, user

    # -- the client's lines -------------------------------------------------------------------------------------

    def on_client_line(self, line: bytes, start: int) -> list[Span]:
        text = line.rstrip(b"\r\n")
        if self.responds(text):
            return self.response(text, start)
        # A bare CR ends no line here, yet a server or client may think so: what stands behind it is a stray command.
        command, _, stray = text.partition(b"\r")
        spans = self.on_command(command, start)
        if stray and (self.guarded or spans):
            spans.append((start + len(command) + 1, start + len(text)))
        return spans

    def unknown(self, text: bytes, start: int) -> list[Span]:
        """A command that is not known: the secret spans in it."""
        self.ask("other")
        return [(start, start + len(text))] if text and self.is_suspect(text) else []

    def is_suspect(self, text: bytes) -> bool:
        """Whether a command that is not known may hold a secret. Behind a login: when it looks like one more."""
        return self.guarded or any(word in text.upper() for word in self.login_words)

    # -- SASL ---------------------------------------------------------------------------------------------------

    def authenticate(self, argument: bytes, at: int) -> list[Span]:
        """AUTH mechanism [initial-response] (RFC 5034 4, RFC 4954 4); ``argument`` at offset ``at`` is not empty."""
        mechanism, *rest = argument.split(None, 1)
        spans = self.begin_sasl(mechanism, at)
        self.ask("auth", decisive=True)
        if rest and self._sasl is not None:
            spans += moved(self._sasl.client(rest[0]), at + len(argument) - len(rest[0]))
        return spans

    def begin_sasl(self, mechanism: bytes, at: int) -> list[Span]:
        """The client names a mechanism at offset ``at``; what can't be one is secret."""
        self._sasl = sasl.Exchange(mechanism)
        return [] if sasl.is_mechanism(mechanism) else [(at, at + len(mechanism))]

    def responds(self, text: bytes) -> bool:
        """Whether the client's line ``text`` is a SASL response."""
        if self._sasl_perhaps and not self._sasl_turn and self.is_command(text):
            self._sasl, self._sasl_perhaps = None, False
        return self._sasl_turn or self._sasl_perhaps

    def response(self, text: bytes, start: int) -> list[Span]:
        """A SASL response of the client, at offset ``start``; the server's answer decides what follows."""
        self._sasl_turn = self._sasl_perhaps = False
        self.hold()
        if self._sasl is None:
            return [(start, start + len(text))] if text else []
        return moved(self._sasl.client(text), start)

    def challenge(self) -> None:
        """The server asks for a SASL response."""
        if self.asked == "auth":
            self._sasl_turn = True
            self.release()

    def end_sasl(self, ok: bool) -> None:
        """The server's verdict about the SASL dialogue. After a refusal a response may follow that nobody wants."""
        self.logged_in(ok, self._sasl.user if self._sasl else None)
        self.wary = self.wary or not ok
        self._sasl, self._sasl_turn = None, False

    def in_dialogue(self) -> bool:
        return self._sasl_turn

    # -- holds and limits ---------------------------------------------------------------------------------------

    def on_server_silent(self) -> None:
        asked = self._asked[-1] if self._decisive else ""
        self._asked.clear()
        self._decisive = False
        self._sasl_perhaps = self._sasl is not None
        self.on_no_answer(asked)

    def long_line_is_secret(self, lane: Lane, head: bytes) -> bool:
        return not self.is_harmless(lane, head[:64])


def moved(span: Span | None, offset: int) -> list[Span]:
    """A span inside a payload as spans of the stream, where ``offset`` is the payload's."""
    return [] if span is None else [(span[0] + offset, span[1] + offset)]


def found(pattern: re.Pattern[bytes], text: bytes, offset: int) -> list[Span]:
    """The first group of each match in ``text``, as spans of the stream, where ``offset`` is the text's."""
    return [(offset + match.start(1), offset + match.end(1)) for match in pattern.finditer(text)]
