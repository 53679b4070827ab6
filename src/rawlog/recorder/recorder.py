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
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.gap import Gap, begin_line, utc
from rawlog.recorder.limits import Limit
from rawlog.recorder.sinks import Sink
from rawlog.recorder.track import Track, advice_for, cause_of

__all__ = ["Flusher", "Recorder", "RecorderStats"]

_NOTHING: frozenset[str] = frozenset()


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


class _Side:
    """One direction: its track (None: not recorded), and what was counted."""

    __slots__ = ("direction", "given", "in_line", "lost", "track")

    def __init__(self, direction: Direction, track: Track | None) -> None:
        self.direction = direction
        self.track = track
        self.given = 0
        self.lost = 0
        self.in_line = False  # what was encoded last does not end with LF


class Recorder:
    """Records one conversation.

    ``sinks`` by direction: two for a pair, the same one twice for a single stream, only one for ``-f in``; a direction
    without a sink is not recorded. ``name`` is the conversation in reports, which ``report`` gets as one line each.
    """

    # fmt: off
    __slots__ = (
        "_broken", "_closed", "_encoder", "_flusher", "_gaps", "_in", "_limit", "_mark_track", "_out", "_report",
        "_told", "_tracks", "name",
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
        tracks = {id(sink): Track(sink) for sink in sinks.values()}
        self._tracks = tuple(tracks.values())
        sides = [_Side(d, tracks[id(sinks[d])] if d in sinks else None) for d in (Direction.IN, Direction.OUT)]
        self._in, self._out = sides
        self._mark_track = self._in.track or self._out.track
        self._gaps = 0
        self._told = _NOTHING
        self._broken = ""  # why the encoder can't be used any more
        self._closed = False

    @property
    def healthy(self) -> bool:
        """False while recording does not work, or what was given is missing. For ``strict``: flush, then ask."""
        return not self._broken and not any(track.trouble or track.gap for track in self._tracks)

    @property
    def stats(self) -> RecorderStats:
        """The counts so far; what waits in the buffer counts as recorded until close."""
        sides = (self._in, self._out)
        recorded = {side.direction: side.given - side.lost for side in sides}
        return RecorderStats(recorded, {side.direction: side.lost for side in sides}, self._gaps)

    def chunk(self, at: int | None, direction: Direction, data: bytes) -> None:
        """What one read saw, after it was relayed. ``at`` in microseconds since the epoch. Never raises."""
        side = self._in if direction is Direction.IN else self._out
        track = side.track
        if track is None or self._closed or not data:
            return
        size = len(data)
        side.given += size
        try:
            if cause := self._obstacle(track, size):
                self._lose(side, track, cause, at, size)
                return
            if track.gap:
                self._end_gap(track)
            encoded = self._encoder.chunk(at, direction, data)
            side.in_line = data[-1] != 10
            self._put(track, encoded, direction, size)
        except Exception as error:
            self._break(error)
            self._lose(side, track, self._broken, at, size)

    def mark(self, at: int | None, name: str, detail: Mapping[str, str]) -> None:
        """What the bytes cannot say. Nothing where the format has no marks. Never raises."""
        track = self._mark_track
        if track and not self._closed and not self._obstacle(track, 0):
            self._guard(self._put_mark, track, Mark(at, name, detail))

    def flush(self) -> bool:
        """Writes what waits, unless a failed sink has to be left alone for a while. True when something still waits."""
        if self._closed:
            return False
        for track in self._tracks:
            self._write(track)
            if track.gap and not self._obstacle(track, 0):
                self._guard(self._end_gap, track)
                self._write(track)
        return any(track.buffer.size or track.trouble for track in self._tracks)

    def close(self, at: int | None, reason: str) -> None:
        """The conversation is over. Writes everything, tries a failed sink once more, and reports what is lost."""
        if self._closed:
            return
        self._closed = True
        for track in self._tracks:
            self._write(track, at_once=True)
        self._guard(self._finish, at, reason)
        for track in self._tracks:
            self._write(track)
            waiting = track.buffer.waiting()
            self._in.lost += waiting[Direction.IN]
            self._out.lost += waiting[Direction.OUT]
            self._close_sink(track)
        self._tell_losses()

    def _obstacle(self, track: Track, size: int) -> str:
        """Why ``size`` more bytes, already counted as given, can't be recorded now; or nothing."""
        if self._broken:
            return self._broken
        if track.trouble and track.refuses(size):
            return track.trouble
        if self._limit:
            recorded = self._in.given - self._in.lost + self._out.given - self._out.lost - size
            return self._limit.reached(recorded, size)
        return ""

    def _lose(self, side: _Side, track: Track, cause: str, at: int | None, size: int) -> None:
        """Counts bytes that are not recorded, and opens a gap for them."""
        side.lost += size
        if track.gap is None:
            track.gap = Gap(cause, at, at)
            self._gaps += 1
            if not (track.trouble or self._broken):  # a limit: the sink works, so the recording can say it at once
                self._tell(cause, f"recording to {track.name} stops: {cause}; the conversation goes on")
                mark = Mark(at, "gap", {"cause": cause, "from": utc(at)})
                self._guard(self._say, track, mark, {side.direction: begin_line(cause)})
        track.gap.add(at, side.direction, size)

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
            side = self._in if direction is Direction.IN else self._out
            text = b"\r\n" + line if side.in_line else line
            side.in_line = False
            self._put(track, self._encoder.chunk(mark.at, direction, text), direction, 0)

    def _put_mark(self, track: Track, mark: Mark) -> None:
        self._put(track, self._encoder.mark(mark), Direction.IN, 0)

    def _put(self, track: Track, encoded: bytes, direction: Direction, share: int) -> None:
        if track.buffer.put(encoded, direction, share):
            self._write(track)
        if track.buffer.size:
            self._flusher.add(self)

    def _write(self, track: Track, *, at_once: bool = False) -> None:
        error = track.write(self._flusher.now(), at_once=at_once)
        if error:
            self._tell(
                track.trouble,
                f"recording to {track.name} failed: {track.trouble}; {advice_for(error)}; "
                "the conversation goes on and recording is tried again",
            )

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
            if not track.trouble:
                self._end_gap(track)
        if self._mark_track:
            self._put_mark(self._mark_track, Mark(at, "closed", {"reason": reason}))
        for side in (self._in, self._out):
            if side.track:
                self._put(side.track, self._encoder.end(side.direction), side.direction, 0)

    def _close_sink(self, track: Track) -> None:
        try:
            track.buffer.sink.close()
        except Exception as error:
            cause = cause_of(error)
            self._tell(cause, f"closing {track.name} failed: {cause}; its end may be missing")

    def _tell_losses(self) -> None:
        lost = " and ".join(
            f"{side.lost} bytes of .{side.direction.value}" for side in (self._in, self._out) if side.lost
        )
        if lost:
            causes = "; ".join(sorted(self._told))
            self._tell("", f"{lost} are not in the recording ({causes})")

    def _tell(self, cause: str, sentence: str) -> None:
        """Reports something, once for its cause."""
        if cause not in self._told:
            self._told |= {cause}
            with contextlib.suppress(Exception):
                self._report(f"{self.name}: {sentence}")
