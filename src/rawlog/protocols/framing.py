"""The Framer: cuts both directions of one conversation into lines, literals, dot blocks and opaque bytes.

The theory. Bytes come in as they were read, in any chunks; fragments come out, the same ones for every chunking. A
fragment is a position in the stream of its direction, together with the secret spans in it. A grammar (imap.py,
pop3.py, ...) is a subclass that looks at complete lines and says what follows them: a literal, a dot block, or a
*hold*. Bytes whose meaning depends on the other side's answer are held, that is understood later (they were forwarded
long before): after a synchronising literal, DATA, AUTH, STARTTLS. So the fragments are also the same when the whole
client side is fed before the server side.

Knows: lines, counts, holds, limits, spans. Must not know: any protocol, sockets, clocks, files. A Framer never raises
whatever it is fed, and never loses a byte: what it can't cut is opaque.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from rawlog.events import Direction
from rawlog.protocols.tape import Tape

LINE_LIMIT = 64 * 1024  # security.md: longer lines are forwarded and not parsed; Dovecot stops at 64 KiB too
HOLD_LIMIT = 64 * 1024  # a client has at most a few pipelined commands under way while it waits for an answer
LONG_LINE_TAIL = 64  # what is kept of an overlong line's end: enough to see that a literal follows
ENDLESS = 1 << 62  # the end of a span that goes on until further notice

Span = tuple[int, int]  # offsets [start, end) in the stream of one direction


class Kind(Enum):
    """What a fragment is."""

    LINE = "line"
    LITERAL = "literal"
    BLOCK = "block"
    OPAQUE = "opaque"


class Switch(Enum):
    """A point where the transport under the conversation changes."""

    TLS = "tls"
    COMPRESS = "compress"


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of one direction: bytes ``[start, end)`` of that direction's stream.

    ``data`` is the line with its ending for ``Kind.LINE``, and empty for the others, which can be of any size.
    ``secrets`` are the spans inside it that hold credentials.
    """

    direction: Direction
    kind: Kind
    start: int
    end: int
    data: bytes = b""
    secrets: tuple[Span, ...] = ()


class _Mode(Enum):
    LINES = 0
    COUNTED = 1  # a literal: skip a number of bytes
    DOTTED = 2  # a dot block: skip until a line with one dot
    LONG = 3  # a line over the limit: skip until LF
    REST = 4  # opaque until the end


class Lane:
    """One direction: its tape and what the framer is doing with it."""

    __slots__ = (
        "begin",
        "direction",
        "ended",
        "head",
        "held",
        "mode",
        "pin",
        "secret",
        "secret_at",
        "spans",
        "tape",
        "wanted",
        "window",
    )

    def __init__(self, direction: Direction) -> None:
        self.direction = direction
        self.tape = Tape()
        self.mode = _Mode.LINES
        self.held = False
        self.ended = False
        self.begin = 0  # where the fragment in progress began
        self.wanted = 0  # bytes that the literal in progress still lacks
        self.secret = False  # the fragment in progress is secret as a whole
        self.secret_at: int | None = None  # the dot block in progress is secret from here on
        self.head: list[bytes] | None = None  # what is kept of the fragment in progress for the grammar
        self.window = b""  # the last bytes of a long line or dot block
        self.pin: int | None = None  # from here on it is not yet decided what is secret
        self.spans: list[Span] = []  # secrets found, not yet taken


class Framer:
    """Base of the grammars. Feed it, take its fragments, ask it who logged in and what is secret.

    ``client`` is the direction that carries the client's commands: IN on a client's leg; OUT in a recording of a leg
    towards a remote server (LMTP proxy, relay). ``hold_limit`` bounds what is held in memory for a live
    conversation (beyond it the client's side becomes opaque and secret); None when reading what is stored already.
    With ``wire_compressed`` the framer stops where COMPRESS begins: see ``switch``.
    """

    protocol: ClassVar[str]

    def __init__(
        self,
        *,
        client: Direction = Direction.IN,
        hold_limit: int | None = HOLD_LIMIT,
        wire_compressed: bool = False,
    ) -> None:
        self.client = Lane(client)
        self.server = Lane(client.other)
        self.lanes = {client: self.client, client.other: self.server}
        self.hold_limit = hold_limit
        self.wire_compressed = wire_compressed
        self.switch: Switch | None = None  # set while the framer waits for resume()
        self.user: str | None = None  # who logged in, once the server has said so
        self.authenticated = False
        self.tls_started = False  # the server accepted STARTTLS or STLS
        self.server_spoke = False
        self.client.held = True  # until the server's first line: the server speaks first in every protocol here
        self._made: list[Fragment] = []
        self._check_tls: set[Direction] = set()

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
        tape = self.lanes[direction].tape
        return tape.take(tape.size)

    def settled(self, direction: Direction) -> int:
        """Offset up to which it is decided what is secret; what lies behind must not be written down yet."""
        lane = self.lanes[direction]
        waiting = lane.held or self.switch is not None
        known = lane.mode is not _Mode.LINES or (lane.tape.size and not waiting and self._harmless(lane))
        settled = lane.tape.end if known else lane.tape.start
        return settled if lane.pin is None else min(settled, lane.pin)

    def expects_command(self) -> bool:
        """Whether the client's next byte begins a command."""
        lane = self.client
        return lane.mode is _Mode.LINES and not lane.held and not self.in_dialogue()

    def expects_bytes(self) -> int:
        """How many bytes of a literal or BDAT chunk the client still owes."""
        return self.client.wanted if self.client.mode is _Mode.COUNTED else 0

    def expects_block(self) -> bool:
        """Whether the client is in the middle of a dot block."""
        return self.client.mode is _Mode.DOTTED

    def take_secrets(self, direction: Direction) -> list[Span]:
        """The secret spans found since the last call. One that reaches to ``ENDLESS`` is cut by a later one."""
        lane = self.lanes[direction]
        spans, lane.spans = lane.spans, []
        return spans

    # -- for the grammars: what a subclass implements -----------------------------------------------------------

    def on_client_line(self, line: bytes, start: int) -> list[Span]:
        """A complete line of the client; gives its secret spans."""
        raise NotImplementedError

    def on_server_line(self, line: bytes, start: int) -> list[Span]:
        """A complete line of the server; gives its secret spans."""
        raise NotImplementedError

    def on_literal(self, lane: Lane, data: bytes | None) -> None:
        """A literal is complete; ``data`` when it was to be kept."""

    def on_block_bytes(self, lane: Lane, data: bytes, start: int) -> int | None:
        """The next bytes of a dot block, at offset ``start``; gives the offset from which on the rest is secret."""
        return None

    def on_block(self, lane: Lane) -> None:
        """A dot block is complete."""

    def in_dialogue(self) -> bool:
        """Whether the client's next line goes on with what it began before: a command with literals, SASL."""
        return False

    def unanswered(self) -> int:
        """How many commands of the client have no answer yet."""
        return 0

    def on_server_silent(self) -> None:
        """The server's side has ended while the client's is held: decide what the rest of the client's bytes is."""

    def long_line_is_secret(self, lane: Lane, head: bytes) -> bool:
        """Whether a line over the limit is secret, from its first ``LINE_LIMIT`` bytes."""
        return lane is self.client

    def is_harmless(self, lane: Lane, head: bytes) -> bool:
        """Whether an unfinished line that begins with ``head`` can't hold a secret, whatever follows."""
        return False

    # -- for the grammars: what a subclass says -----------------------------------------------------------------

    def hold(self) -> None:
        """What follows from the client depends on the server's answer."""
        self.client.held = True

    def release(self) -> None:
        """The server has answered."""
        self.client.held = False

    def expect_literal(self, lane: Lane, size: int, *, secret: bool = False, keep: int = 0) -> None:
        """``size`` bytes of literal follow the line; up to ``keep`` of them are given to ``on_literal``."""
        lane.mode = _Mode.COUNTED
        lane.begin = lane.tape.start
        lane.wanted = size
        lane.secret = secret
        lane.head = [] if size <= keep else None
        if secret and size:
            lane.spans.append((lane.begin, lane.begin + size))

    def expect_block(self, lane: Lane, *, secret: bool = False) -> None:
        """A dot block follows: lines up to one with a single dot (RFC 5321 4.5.2, RFC 1939 3)."""
        lane.mode = _Mode.DOTTED
        lane.begin = lane.tape.start
        lane.secret = False
        lane.secret_at = None
        lane.window = b"\r\n"
        if secret:
            self._hide_block(lane, lane.begin)

    def opaque(self, lane: Lane, *, secret: bool) -> None:
        """Nothing is understood from here on."""
        lane.mode = _Mode.REST
        lane.begin = lane.tape.start
        lane.secret = secret
        lane.pin = None
        if secret:
            lane.spans.append((lane.begin, ENDLESS))

    def tls_accepted(self) -> None:
        """The server agreed to STARTTLS or STLS: what follows is a TLS handshake, or its decrypted inside."""
        self.tls_started = True
        self._check_tls = {Direction.IN, Direction.OUT}
        self.release()

    def compress_accepted(self) -> None:
        """The server agreed to COMPRESS (RFC 4978)."""
        if self.wire_compressed:
            self.switch = Switch.COMPRESS
        self.release()

    # -- the machine --------------------------------------------------------------------------------------------

    def _pump(self) -> list[Fragment]:
        while self.switch is None:
            # The client first: the server's lines answer what the client said before.
            if not self.client.held and self._step(self.client):
                continue
            if self._step(self.server):
                continue
            if not (self.client.held and self._unhold()):
                break
        made, self._made = self._made, []
        return made

    def _unhold(self) -> bool:
        """End a hold that no answer can end any more."""
        lane = self.client
        if self.server.ended:
            lane.held = False
            self.on_server_silent()
            return True
        if self.hold_limit is not None and lane.tape.size > self.hold_limit:
            lane.held = False
            self.opaque(lane, secret=True)
            return True
        return False

    def _step(self, lane: Lane) -> bool:
        """Cut one fragment, or go on with one; False when more bytes are needed."""
        if lane.mode is _Mode.LINES:
            return self._step_line(lane)
        if lane.mode is _Mode.COUNTED:
            return self._step_counted(lane)
        if lane.mode is _Mode.DOTTED:
            return self._step_dotted(lane)
        if lane.mode is _Mode.LONG:
            return self._step_long(lane)
        lane.tape.skip(lane.tape.size)
        if lane.ended and lane.tape.start > lane.begin:
            self._emit(lane, Kind.OPAQUE, lane.begin, b"")
            lane.begin = lane.tape.start
        return False

    def _step_line(self, lane: Lane) -> bool:
        tape = lane.tape
        if lane.direction in self._check_tls and tape.size:
            self._check_tls.discard(lane.direction)
            if tape.peek(1) == b"\x16":  # a TLS handshake record: this recording did not see inside
                self.opaque(lane, secret=False)
                return True
        length = tape.line_length()
        if length is None and tape.size <= LINE_LIMIT:
            if not (lane.ended and tape.size):
                return False
            length = tape.size
        if length is None or length > LINE_LIMIT:
            self._begin_long(lane)
            return True
        start = tape.start
        self._line(lane, tape.take(length), start)
        return True

    def _line(self, lane: Lane, line: bytes, start: int) -> None:
        if lane is self.client:
            spans = self.on_client_line(line, start)
        else:
            if not self.server_spoke:
                self.server_spoke = True
                self.release()
            spans = self.on_server_line(line, start)
        lane.spans.extend(spans)
        self._made.append(Fragment(lane.direction, Kind.LINE, start, start + len(line), line, tuple(spans)))

    def _step_counted(self, lane: Lane) -> bool:
        if lane.head is not None:
            part = lane.tape.take(lane.wanted)
            lane.head.append(part)
            lane.wanted -= len(part)
        else:
            lane.wanted -= lane.tape.skip(lane.wanted)
        if lane.wanted and not lane.ended:
            return False
        lane.mode = _Mode.LINES
        self._emit(lane, Kind.LITERAL, lane.begin, b"")
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
        if lane.secret_at is None and (secret_at := self.on_block_bytes(lane, data, start)) is not None:
            self._hide_block(lane, secret_at)
        if at < 0:
            lane.window = window[-4:]
            if tape.size or not lane.ended:
                lane.pin = self._unsure_end(lane)
                return bool(tape.size)
        self._end_block(lane, tape.start if at < 0 else tape.start - 3)
        return True

    def _hide_block(self, lane: Lane, start: int) -> None:
        lane.secret_at = start
        lane.spans.append((start, ENDLESS))

    def _unsure_end(self, lane: Lane) -> int | None:
        """Where the dot stands that may end a secret block: it is no secret then."""
        if lane.secret_at is not None and (end := re.search(rb"\r\n(\.\r?)\Z", lane.window)):
            return lane.tape.start - len(end[1])
        return None

    def _end_block(self, lane: Lane, end: int) -> None:
        """The block is over; its last line, the dot, begins at ``end``."""
        lane.mode = _Mode.LINES
        lane.pin = None
        secrets: tuple[Span, ...] = ()
        if lane.secret_at is not None:
            lane.spans.append((lane.secret_at, max(lane.secret_at, end)))
            secrets = ((lane.secret_at, end),) if end > lane.secret_at else ()
        if lane.tape.start > lane.begin:
            self._made.append(Fragment(lane.direction, Kind.BLOCK, lane.begin, lane.tape.start, b"", secrets))
        self.on_block(lane)

    def _begin_long(self, lane: Lane) -> None:
        head = lane.tape.peek(LINE_LIMIT)
        lane.mode = _Mode.LONG
        lane.begin = lane.tape.start
        lane.secret = self.long_line_is_secret(lane, head)
        lane.head = [head]
        lane.window = b""
        if lane.secret:
            lane.spans.append((lane.begin, ENDLESS))

    def _step_long(self, lane: Lane) -> bool:
        length = lane.tape.line_length()
        done = length is not None or lane.ended
        part = lane.tape.take(lane.tape.size if length is None else length)
        lane.window = (lane.window + part[-LONG_LINE_TAIL:])[-LONG_LINE_TAIL:]
        if not done:
            return False
        lane.mode = _Mode.LINES
        if lane.secret:
            lane.spans.append((lane.begin, lane.tape.start))
        self._emit(lane, Kind.OPAQUE, lane.begin, b"")
        head = b"".join(lane.head or [])
        self._line_seen(lane, head, lane.window)
        return True

    def _line_seen(self, lane: Lane, head: bytes, tail: bytes) -> None:
        """Let the grammar see an overlong line, shortened: it may start a command or end in a literal."""
        line = head.rstrip(b"\r\n")[: LINE_LIMIT - LONG_LINE_TAIL] + b" " + tail
        if lane is self.client:
            self.on_client_line(line, lane.begin)
        else:
            if not self.server_spoke:
                self.server_spoke = True
                self.release()
            self.on_server_line(line, lane.begin)

    def _emit(self, lane: Lane, kind: Kind, start: int, data: bytes) -> None:
        end = lane.tape.start
        secrets = ((start, end),) if lane.secret and end > start else ()
        self._made.append(Fragment(lane.direction, kind, start, end, data, secrets))

    def _harmless(self, lane: Lane) -> bool:
        if lane.direction in self._check_tls or (lane is self.server and not self.server_spoke):
            return False
        return self.is_harmless(lane, lane.tape.peek(64))
