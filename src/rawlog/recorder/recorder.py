"""Takes the events of one conversation and gives them, encoded, to sinks. Whatever happens there, mail goes on.

Knows: what to do when a sink or the encoder fails; gaps and reports. Must not know: sockets, protocols, where files
lie. Nothing here raises into the caller: the caller is moving somebody's mail.

When a sink fails: the failure is reported once for its cause. What fits into the buffer waits there; what does not is
counted, by direction, as a gap. The sink is tried again after 0.5 s, 1 s, 2 s … 30 s, for as long as the conversation
lasts. When it works again it gets what waited, then the gap (a mark, or a line in formats without marks), then what
follows. Nothing is encoded that does not go to the sink, so encoder and file never disagree. When the encoder itself
fails, recording ends for this conversation; that too is reported and counted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from rawlog.events import Direction, Mark
from rawlog.formats.base import Encoder
from rawlog.recorder.buffer import LARGE
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.gap import Gap, begin_line, utc
from rawlog.recorder.limits import Limit
from rawlog.recorder.sinks import Piece, Sink
from rawlog.recorder.track import Track, advice_for, cause_of

__all__ = ["Flusher", "Recorder", "RecorderStats"]

_NOTHING: frozenset[str] = frozenset()
_NEITHER: frozenset[Direction] = frozenset()
_NO_LOSS: Mapping[Direction, int] = {Direction.IN: 0, Direction.OUT: 0}


class RecorderStats(NamedTuple):
    """What became of one recording, for the log: bytes of the conversation (not of the files) by direction."""

    recorded: Mapping[Direction, int]
    lost: Mapping[Direction, int]
    gaps: int

    def __str__(self) -> str:
        text = f"in={self.recorded[Direction.IN]} out={self.recorded[Direction.OUT]}"
        if not self.gaps and not any(self.lost.values()):
            return text
        return f"{text} lost_in={self.lost[Direction.IN]} lost_out={self.lost[Direction.OUT]} gaps={self.gaps}"


class Recorder:
    """Records one conversation.

    ``sinks`` by direction: two for a pair, the same one twice for a single stream, only one for ``-f in``; a direction
    without a sink is not recorded. ``name`` is the conversation in reports, which ``report`` gets as one line each.

    An encoder may save work: with ``has_marks`` False no mark is made for it, and ``pieces`` (as ``chunk``, but bytes
    that follow each other) is asked in place of ``chunk`` for large reads. There is an object for trouble only where
    there is trouble: thousands of recordings are made, hold still and end without any.
    """

    # fmt: off
    __slots__ = (
        "_broken", "_closed", "_encoder", "_flusher", "_gaps", "_given_in", "_given_out", "_in", "_in_line", "_limit",
        "_lost", "_out", "_report", "_told", "_tracks", "name",
    )
    # fmt: on

    def __init__(
        self,
        encoder: Encoder,
        sinks: Mapping[Direction, Sink],
        *,
        name: str,
        report: Callable[[str], None],
        flusher: Flusher,
        limit: Limit | None = None,
    ) -> None:
        self.name = name
        self._encoder = encoder
        self._report = report
        self._flusher = flusher
        self._limit = limit
        self._in = self._out = None
        self._tracks: tuple[Track, ...] = ()  # one for each sink
        if (into := sinks.get(Direction.IN)) is not None:
            self._in = Track(into)
            self._tracks = (self._in,)
        if (out := sinks.get(Direction.OUT)) is into:
            self._out = self._in
        elif out is not None:
            self._out = Track(out)
            self._tracks += (self._out,)
        self._given_in = self._given_out = 0
        self._lost = _NO_LOSS
        self._in_line = _NEITHER  # directions whose last bytes did not end with LF
        self._gaps = 0
        self._told = _NOTHING
        self._broken = ""  # why the encoder can't be used any more
        self._closed = False

    @property
    def healthy(self) -> bool:
        """False while recording does not work, or what was given is missing. For ``strict``: flush, then ask."""
        for track in self._tracks:
            if track.trouble or track.gap:
                return False
        return not self._broken

    @property
    def stats(self) -> RecorderStats:
        """The counts so far; what waits in the buffer counts as recorded until close."""
        given = {Direction.IN: self._given_in, Direction.OUT: self._given_out}
        recorded = {direction: given[direction] - self._lost[direction] for direction in given}
        return RecorderStats(recorded, self._lost, self._gaps)

    def chunk(self, at: int | None, direction: Direction, data: bytes) -> None:
        """What one read saw, after it was relayed. ``at`` in microseconds since the epoch. Never raises."""
        track = self._in if direction is Direction.IN else self._out
        if track is None or self._closed or not data:
            return
        size = len(data)
        if direction is Direction.IN:
            self._given_in += size
        else:
            self._given_out += size
        try:
            unusual = self._limit or self._broken or track.trouble or track.gap
            if unusual and not self._is_ready(track, at, direction, size):
                return
            if size >= LARGE:
                self._put_large(track, at, direction, data)
            else:
                encoded, buffer = self._encoder.chunk(at, direction, data), track.buffer
                if not buffer.size:  # as in _put; here each call counts, since nearly every read comes by
                    self._flusher.add(self)
                if buffer.put(encoded, direction, size):
                    self._write(track)
            if data[-1] != 10 or self._in_line:
                self._note_line(direction, ended=data[-1] == 10)
        except Exception as error:
            self._break(error)
            self._lose(track, self._broken, at, direction, size)

    def mark(self, at: int | None, name: str, detail: Mapping[str, str]) -> None:
        """What the bytes cannot say. Nothing where the format has no marks. Never raises."""
        if not self._closed and self._tracks and not self._obstacle(self._tracks[0], 0):
            self._guard(self._put_mark, at, name, detail)

    def flush(self) -> bool:
        """Writes what waits, unless a failed sink has to be left alone for a while. True when something still waits."""
        if self._closed:
            return False
        waits = False
        for track in self._tracks:
            if not (track.buffer.size or track.trouble or track.gap):
                continue
            if error := track.write(self._flusher.now()):
                self._tell_failure(track, error)
            if track.gap and not self._obstacle(track, 0):
                self._guard(self._end_gap, track)
                self._write(track)
            if track.buffer.size or track.trouble:
                waits = True
        return waits

    def close(self, at: int | None, reason: str) -> None:
        """The conversation is over. Writes everything, tries a failed sink once more, and reports what is lost."""
        if self._closed:
            return
        self._closed = True
        for track in self._tracks:
            if error := track.write(self._flusher.now(), at_once=True):
                self._tell_failure(track, error)
        self._guard(self._finish, at, reason)
        for track in self._tracks:
            if track.buffer.size or track.buffer.held:
                self._write_last(track)
            try:
                track.buffer.sink.close()
            except Exception as error:
                cause = cause_of(error)
                self._tell(cause, f"closing {track.name} failed: {cause}; its end may be missing")
        if self._lost is not _NO_LOSS:
            self._tell_losses()

    def _obstacle(self, track: Track, size: int) -> str:
        """Why ``size`` more bytes, already counted as given, can't be recorded now; or nothing."""
        if self._broken:
            return self._broken
        if track.trouble and track.refuses(size):
            return track.trouble
        if self._limit:
            recorded = self._given_in + self._given_out - sum(self._lost.values()) - size
            return self._limit.reached(recorded, size)
        return ""

    def _is_ready(self, track: Track, at: int | None, direction: Direction, size: int) -> bool:
        """Whether bytes can be recorded now: a gap ends before them. When they can't be, they are counted as lost."""
        if cause := self._obstacle(track, size):
            self._lose(track, cause, at, direction, size)
            return False
        if track.gap:
            self._end_gap(track)
        return True

    def _lose(self, track: Track, cause: str, at: int | None, direction: Direction, size: int) -> None:
        """Counts bytes that are not recorded, and opens a gap for them."""
        self._count_lost(direction, size)
        if track.gap is None:
            track.gap = Gap(cause, at, at)
            self._gaps += 1
            if not (track.trouble or self._broken):  # a limit: the sink works, so the recording can say it at once
                self._tell(cause, f"recording to {track.name} stops: {cause}; the conversation goes on")
                mark = Mark(at, "gap", {"cause": cause, "from": utc(at)})
                self._guard(self._say, track, mark, {direction: begin_line(cause)})
        track.gap.add(at, direction, size)

    def _count_lost(self, direction: Direction, size: int) -> None:
        self._lost = {**self._lost, direction: self._lost[direction] + size}

    def _note_line(self, direction: Direction, *, ended: bool) -> None:
        """Remembers whether a direction is inside a line."""
        self._in_line = self._in_line - {direction} if ended else self._in_line | {direction}

    def _end_gap(self, track: Track) -> None:
        """Writes what is missing where it is missing. May raise what the encoder raises; the gap stays open then."""
        gap = track.gap
        if gap:
            self._say(track, gap.mark(), {direction: gap.line(direction) for direction in gap.lost})
            track.gap = None

    def _say(self, track: Track, mark: Mark, lines: Mapping[Direction, bytes]) -> None:
        """Puts a mark into the recording, or lines of their own where the format has no marks."""
        if encoded := self._encoder.mark(mark):
            self._put(track, encoded, Direction.IN, 0)
            return
        for direction, line in lines.items():
            text = b"\r\n" + line if direction in self._in_line else line
            self._note_line(direction, ended=True)
            self._put(track, self._encoder.chunk(mark.at, direction, text), direction, 0)

    def _put_mark(self, at: int | None, name: str, detail: Mapping[str, str]) -> None:
        self._put(self._tracks[0], self._encoder.mark(Mark(at, name, detail)), Direction.IN, 0)

    def _put(self, track: Track, encoded: Piece, direction: Direction, share: int) -> None:
        if not track.buffer.size:  # else the flusher knows
            self._flusher.add(self)
        if track.buffer.put(encoded, direction, share):
            self._write(track)

    def _put_large(self, track: Track, at: int | None, direction: Direction, data: bytes) -> None:
        """A large read, in pieces if the encoder can give them: to join them would be a copy more."""
        in_pieces = getattr(self._encoder, "pieces", None)
        *heads, body = in_pieces(at, direction, data) if in_pieces else [self._encoder.chunk(at, direction, data)]
        for head in heads:
            self._put(track, head, direction, 0)
        self._put(track, body, direction, len(data))

    def _write(self, track: Track) -> None:
        if error := track.write(self._flusher.now()):
            self._tell_failure(track, error)

    def _break(self, error: Exception) -> None:
        """The encoder failed: no byte of it can be trusted from here on."""
        self._broken = cause_of(error)
        self._tell(self._broken, f"the encoder failed: {self._broken}; the conversation goes on without a recording")

    def _guard(self, function: Callable[..., None], *arguments: object) -> None:
        """Calls something that uses the encoder."""
        if not self._broken:
            try:
                function(*arguments)
            except Exception as error:
                self._break(error)

    def _finish(self, at: int | None, reason: str) -> None:
        """The last bytes: gaps, the mark ``closed``, what the encoder held back."""
        for track in self._tracks:
            if track.gap and not track.trouble:
                self._end_gap(track)
        if self._tracks and getattr(self._encoder, "has_marks", True):
            self._put_mark(at, "closed", {"reason": reason})
        for direction, into in ((Direction.IN, self._in), (Direction.OUT, self._out)):
            if into and (rest := self._encoder.end(direction)):
                self._put(into, rest, direction, 0)

    def _write_last(self, track: Track) -> None:
        """The last write of a sink; what it does not take then is lost."""
        self._write(track)
        for direction, size in track.buffer.waiting().items():
            self._count_lost(direction, size)

    def _tell_failure(self, track: Track, error: Exception) -> None:
        self._tell(
            track.trouble,
            f"recording to {track.name} failed: {track.trouble}; {advice_for(error)}; "
            "the conversation goes on and recording is tried again",
        )

    def _tell_losses(self) -> None:
        lost = " and ".join(f"{size} bytes of .{direction.value}" for direction, size in self._lost.items() if size)
        if lost:
            causes = "; ".join(sorted(self._told))
            self._tell("", f"{lost} are not in the recording ({causes})")

    def _tell(self, cause: str, sentence: str) -> None:
        """Reports something, once for its cause."""
        if cause not in self._told:
            self._told |= {cause}
            with contextlib.suppress(Exception):
                self._report(f"{self.name}: {sentence}")
