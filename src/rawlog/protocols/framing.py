"""The Framer: cuts both directions of one conversation into lines, literals, dot blocks and opaque bytes.

The theory. Bytes come in as they were read, in any chunks; fragments come out, the same ones for every chunking. A
fragment is a position in the stream of its direction, together with the secret spans in it. A grammar (imap.py,
pop3.py, ...) is a subclass that looks at complete lines and says what follows them: a literal, a dot block, or a
*hold*. Bytes whose meaning depends on the other side's answer are held, that is understood later (they were forwarded
long before): after a synchronising literal, DATA, AUTH, STARTTLS. So the fragments are also the same when the whole
client side is fed before the server side.

Knows: lines, counts, holds, limits, spans. Must not know: any protocol, sockets, clocks, files. A Framer never raises
whatever it is fed, and never loses a byte: what it can't cut is opaque, and secret where that is in doubt.
"""

from __future__ import annotations

import re
from typing import ClassVar

from rawlog.events import Direction
from rawlog.protocols.echo import SECRET_LIMIT, Echo
from rawlog.protocols.fragments import Fragment as Fragment
from rawlog.protocols.fragments import Kind as Kind
from rawlog.protocols.fragments import Lane as Lane
from rawlog.protocols.fragments import Mode, within
from rawlog.protocols.fragments import Span as Span
from rawlog.protocols.fragments import Switch as Switch
from rawlog.protocols.grammar import Grammar

LINE_LIMIT = 64 * 1024  # security.md: longer lines are forwarded and not parsed; Dovecot stops at 64 KiB too
HOLD_LIMIT = 64 * 1024  # a client has at most a few pipelined commands under way while it waits for an answer
LONG_LINE_TAIL = 64  # what is kept of an overlong line's end: enough to see that a literal follows
HEAD = 64  # what is_harmless sees of an unfinished line

_TLS = (b"\x15", b"\x16")  # how the records of a TLS handshake begin: alert, handshake (RFC 8446 5.1)


class Framer(Grammar):
    """Base of the grammars. Feed it, take its fragments, ask it who logged in and what is secret.

    ``client`` is the direction that carries the client's commands: IN on a client's leg; OUT in a recording of a leg
    towards a remote server (LMTP proxy, relay). ``hold_limit`` bounds what is held in memory for a live
    conversation (beyond it the client's side becomes opaque and secret); None when reading what is stored already.
    With ``wire_compressed`` the framer stops where COMPRESS begins: see ``switch``.

    Who knows that a conversation begins behind a login sets ``authenticated`` and ``user`` before the first byte.
    """

    protocol: ClassVar[str]

    def __init__(
        self,
        *,
        client: Direction = Direction.IN,
        hold_limit: int | None = HOLD_LIMIT,
        wire_compressed: bool = False,
    ) -> None:
        super().__init__(Lane(client), Lane(client.other))
        self.lanes = {client: self.client, client.other: self.server}
        self.hold_limit = hold_limit
        self.wire_compressed = wire_compressed
        self.switch: Switch | None = None  # set while the framer waits for resume()
        self.user: str | None = None  # who logged in last, once the server has said so
        self.authenticated = False
        self.tls_started = False  # the server accepted STARTTLS or STLS
        self.login_at: dict[Direction, int] = {}  # where the login's answer begins, and what follows the login
        self.tls_at: dict[Direction, int] = {}  # offsets behind STARTTLS and its answer
        self.server_spoke = False
        self._leading: int | None = None  # where server lines began that belong to the answer behind them
        self.failure: Exception | None = None  # a mistake in a grammar; everything is opaque and secret since then
        self.client.held = True  # until the server's first line: the server speaks first in every protocol here
        self._echo = Echo()
        self._made: list[Fragment] = []
        if hold_limit is None:
            self._expect_tls()

    # -- feeding ------------------------------------------------------------------------------------------------

    def feed(self, direction: Direction, data: bytes) -> list[Fragment]:
        """Take the next bytes of one direction; gives the fragments completed by them, of either direction."""
        self.lanes[direction].tape.append(data)
        return self._pump()

    def end(self, direction: Direction) -> list[Fragment]:
        """Say that no more bytes come in ``direction``; an unfinished rest comes out as it is."""
        self.lanes[direction].ended = True
        return self._pump()

    def resume(self) -> list[Fragment]:
        """Go on after a switch point (see ``switch``)."""
        self.switch = None
        return self._pump()

    def take_rest(self, direction: Direction) -> bytes:
        """At a switch point: take back the bytes behind it, to feed them again when they are inflated."""
        return self.lanes[direction].tape.give_back()

    def settled(self, direction: Direction) -> int:
        """Offset up to which it is decided what is secret; what lies behind must not be written down yet."""
        lane = self.lanes[direction]
        known = lane.mode is not Mode.LINES or (lane.tape.size > 0 and self._harmless(lane))
        waiting = lane.held or self.switch is not None
        settled = lane.tape.end if known and not waiting else lane.tape.start
        return settled if lane.pin is None else min(settled, lane.pin)

    def secret_from(self, direction: Direction) -> int | None:
        """Offset from which on the fragment in progress is secret as far as it is settled; None: it is not."""
        return self.lanes[direction].secret_at

    def expects_command(self) -> bool:
        """Whether the client's next byte begins a command."""
        lane = self.client
        return lane.mode is Mode.LINES and not lane.held and not self.in_dialogue()

    def expects_bytes(self) -> int:
        """How many bytes of a literal or BDAT chunk the client still owes."""
        return self.client.wanted if self.client.mode is Mode.COUNTED else 0

    def expects_block(self) -> bool:
        """Whether the client is in the middle of a dot block."""
        return self.client.mode is Mode.DOTTED

    def is_lost(self, direction: Direction) -> bool:
        """Whether nothing is understood any more in ``direction``."""
        return self.lanes[direction].mode is Mode.REST

    # -- for the grammars: what a subclass says -----------------------------------------------------------------

    def hold(self) -> None:
        """What follows from the client depends on the server's answer."""
        self.client.held = self.client.mode is not Mode.REST

    def release(self) -> None:
        """The server has answered."""
        self.client.held = False

    def expect_literal(self, lane: Lane, size: int, *, secret: bool = False, keep: int = 0) -> None:
        """``size`` bytes of literal follow the line; if they are not more than ``keep``, ``on_literal`` gets them."""
        if lane.mode is not Mode.REST:
            lane.mode = Mode.COUNTED
            lane.wanted = size
            lane.secret_at = lane.tape.start if secret else None
            lane.head = [] if size <= keep else None
            lane.said = b""

    def expect_block(self, lane: Lane, *, secret: bool = False) -> None:
        """A dot block follows: lines up to one with a single dot (RFC 5321 4.5.2, RFC 1939 3)."""
        if lane.mode is not Mode.REST:
            lane.mode = Mode.DOTTED
            lane.secret_at = lane.tape.start if secret else None
            lane.window = b"\r\n"

    def opaque(self, lane: Lane, *, secret: bool) -> None:
        """Nothing is understood from here on."""
        self._decide_all(lane)
        lane.mode = Mode.REST
        lane.secret_at = lane.tape.start if secret else None

    def tls_accepted(self) -> None:
        """The server agreed to STARTTLS or STLS: what follows is a TLS handshake, or its decrypted inside."""
        self.tls_started = True
        self._expect_tls()
        self.release()

    def compress_accepted(self) -> None:
        """The server agreed to COMPRESS (RFC 4978); it can do so once."""
        if self.wire_compressed:
            self.wire_compressed = False
            self.switch = Switch.COMPRESS
        self.release()

    # -- the machine --------------------------------------------------------------------------------------------

    def _pump(self) -> list[Fragment]:
        try:
            self._cut()
        except Exception as error:  # a mistake in a grammar must cost neither the conversation nor a secret
            self._fail(error)
        made, self._made = self._made, []
        return made

    def _cut(self) -> None:
        while self.switch is None:
            # The client first: the server's lines answer what the client said before.
            if not self.client.held and self._step(self.client):
                continue
            if self._step(self.server):
                continue
            if not (self.client.held and self._unhold()):
                break
        for lane in self.lanes.values():
            if lane.ended and not lane.tape.size:
                self._decide_all(lane)

    def _fail(self, error: Exception) -> None:
        self.failure, self.switch = error, None
        self.client.held = False
        for lane in self.lanes.values():
            self.opaque(lane, secret=True)
            lane.secret_at = lane.begin
            self._step(lane)

    def _expect_tls(self) -> None:
        """The next byte of each direction may begin a TLS record, because this recording did not see inside."""
        for lane in self.lanes.values():
            lane.may_be_tls = True

    def _unhold(self) -> bool:
        """End a hold that no answer can end any more."""
        lane = self.client
        if self.server.ended or self.server.mode is Mode.REST:
            lane.held = False
            self.on_server_silent()
            return True
        if self.hold_limit is not None and lane.tape.size > self.hold_limit:
            lane.held = False
            self._echo.learn(lane.tape.peek(SECRET_LIMIT))
            self.opaque(lane, secret=True)
            return True
        return False

    def _step(self, lane: Lane) -> bool:
        """Cut one fragment, or go on with one; False when more bytes are needed."""
        if lane.mode is Mode.LINES:
            return lane.tape.size > 0 and self._step_line(lane)
        if lane.mode is Mode.COUNTED:
            return self._step_counted(lane)
        if lane.mode is Mode.DOTTED:
            return self._step_dotted(lane)
        if lane.mode is Mode.LONG:
            return self._step_long(lane)
        lane.tape.skip(lane.tape.size)
        if lane.ended:
            self._emit(lane, Kind.OPAQUE, secrets=self._end_secret(lane, lane.tape.start))
        return False

    def _step_line(self, lane: Lane) -> bool:
        tape = lane.tape
        if lane.may_be_tls:
            lane.may_be_tls = False
            if tape.peek(1) in _TLS:
                # Secret, for a client that only begins like TLS must not get its password written down.
                self.opaque(lane, secret=True)
                return True
        length = tape.line_length()
        if length is None and tape.size <= LINE_LIMIT:
            if not lane.ended:
                return False
            length = tape.size
        if length is None or length > LINE_LIMIT:
            self._begin_long(lane)
            return True
        line = tape.take(length)
        spans = self._line(lane, line)
        self._emit(lane, Kind.LINE, line, within(spans, lane.begin, tape.start) if spans else ())
        return True

    def _line(self, lane: Lane, line: bytes) -> list[Span]:
        """Let the grammar see a line; gives its secret spans."""
        if lane is self.client:
            spans = self.on_client_line(line, lane.begin)
            self._decide(lane, spans)
            if spans and self.may_be_repeated(line):
                for start, end in within(spans, lane.begin, lane.tape.start):
                    self._echo.learn(line[start - lane.begin : end - lane.begin])
            return spans
        repeated = self._echo.find(line, lane.begin) if self._echo.expected else []
        return repeated + self._server_line(line, lane.begin)

    def _server_line(self, line: bytes, start: int) -> list[Span]:
        if not self.server_spoke:
            self.server_spoke = True
            self.release()
        before = self.authenticated, self.tls_started
        spans = self.on_server_line(line, start)
        leads = not before[0] and self.leads_answer(line)
        if leads and self._leading is None:
            self._leading = start
        if self.authenticated and not before[0]:
            answer = start if self._leading is None else self._leading
            self.login_at = {self.client.direction: self.client.tape.start, self.server.direction: answer}
        if self.tls_started and not before[1]:
            self.tls_at = {lane.direction: lane.tape.start for lane in (self.client, self.server)}
        if not leads:
            self._leading = None
        return spans

    def _step_counted(self, lane: Lane) -> bool:
        if lane.secret_at is not None or lane.pin is not None:
            lane.said += lane.tape.peek(min(lane.wanted, SECRET_LIMIT - len(lane.said)))
        elif self.doubts_literal(lane):
            lane.secret_at = self.on_block_bytes(lane, lane.tape.peek(lane.wanted), lane.tape.start)
        if lane.head is not None:
            part = lane.tape.take(lane.wanted)
            lane.head.append(part)
            lane.wanted -= len(part)
        else:
            lane.wanted -= lane.tape.skip(lane.wanted)
        if lane.wanted and not lane.ended:
            return False
        lane.mode = Mode.LINES
        secrets = self._end_secret(lane, lane.tape.start)
        if secrets and lane is self.client:
            self._echo.learn(lane.said)
        self._emit(lane, Kind.LITERAL, secrets=secrets)
        self.on_literal(lane, None if lane.head is None else b"".join(lane.head))
        return True

    def _step_dotted(self, lane: Lane) -> bool:
        tape = lane.tape
        if not tape.size and not lane.ended:
            return False
        data, start = tape.peek(LINE_LIMIT), tape.start
        window = lane.window + data
        at = window.find(b"\r\n.\r\n")
        if at >= 0:
            data = data[: at + 5 - len(lane.window)]
        tape.skip(len(data))
        if lane.secret_at is None:
            lane.secret_at = self.on_block_bytes(lane, data, start)
        if at < 0:
            lane.window = window[-4:]
            if tape.size or not lane.ended:
                lane.pin = self._unsure_end(lane)
                return bool(tape.size)
        lane.mode, lane.pin = Mode.LINES, None
        # The dot is no secret.
        self._emit(lane, Kind.BLOCK, secrets=self._end_secret(lane, tape.start if at < 0 else tape.start - 3))
        self.on_block(lane)
        return True

    def _unsure_end(self, lane: Lane) -> int | None:
        """Where the dot stands that may end a secret block."""
        if lane.secret_at is not None and (end := re.search(rb"\r\n(\.\r?)\Z", lane.window)):
            return lane.tape.start - len(end[1])
        return None

    def _begin_long(self, lane: Lane) -> None:
        head = lane.tape.peek(LINE_LIMIT)
        lane.mode = Mode.LONG
        repeats = lane is self.server and self._echo.expected
        lane.secret_at = lane.begin if repeats or self.long_line_is_secret(lane, head) else None
        lane.head = [head[: LINE_LIMIT - LONG_LINE_TAIL]]
        lane.window = b""

    def _step_long(self, lane: Lane) -> bool:
        length = lane.tape.line_length()
        done = length is not None or lane.ended
        part = lane.tape.take(lane.tape.size if length is None else length)
        lane.window = (lane.window + part[-LONG_LINE_TAIL:])[-LONG_LINE_TAIL:]
        if not done:
            return False
        lane.mode = Mode.LINES
        secrets = self._end_secret(lane, lane.tape.start)
        # The grammar sees it shortened: it may start a command or end in a literal.
        self._line(lane, b" ".join((*(lane.head or ()), lane.window)))
        self._emit(lane, Kind.OPAQUE, secrets=secrets)
        return True

    def _end_secret(self, lane: Lane, end: int) -> tuple[Span, ...]:
        """The secret of the fragment that is complete now, and reaches to ``end`` at most."""
        start, lane.secret_at = lane.secret_at, None
        return ((start, end),) if start is not None and start < end else ()

    def _emit(self, lane: Lane, kind: Kind, data: bytes = b"", secrets: tuple[Span, ...] = ()) -> None:
        """Make a fragment of everything taken since the last one."""
        begin, lane.begin = lane.begin, lane.tape.start
        if begin == lane.begin:
            return
        fragment = Fragment(lane.direction, kind, begin, lane.begin, data, secrets)
        undecided = lane.undecided or (lane.pin is not None and lane.pin < lane.begin)
        (lane.undecided if undecided else self._made).append(fragment)

    def _decide(self, lane: Lane, spans: list[Span]) -> None:
        """Give the fragments behind the pin their secrets, and hand them out when the pin is gone."""
        if lane.undecided and spans:
            lane.undecided = [f._replace(secrets=within([*f.secrets, *spans], f.start, f.end)) for f in lane.undecided]
            if any(fragment.secrets for fragment in lane.undecided):
                self._echo.learn(lane.said)
        if lane.pin is None and lane.undecided:
            self._made += lane.undecided
            lane.undecided = []

    def _decide_all(self, lane: Lane) -> None:
        """Nothing more will be learnt about what is pinned: it is secret."""
        if lane.pin is not None:
            spans, lane.pin = [(lane.pin, lane.begin)], None
            self._decide(lane, spans)

    def _harmless(self, lane: Lane) -> bool:
        if lane.may_be_tls or (lane is self.server and (self._echo.expected or not self.server_spoke)):
            return False
        try:
            return self.is_harmless(lane, lane.tape.peek(HEAD))
        except Exception as error:  # see _pump
            self._fail(error)
            return False
