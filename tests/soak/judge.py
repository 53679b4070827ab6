"""Compares recordings with the conversations that they are of, and removes those that are right.

Knows: Dovecot's pair with stamps, lines that stand for gaps. Must not know: sockets.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rawlog.events import Direction
from rawlog.formats.dovecot import PairDecoder
from tests.soak.talk import PASSWORD, Talk

GAP = re.compile(rb"\[rawlog: (\d+) bytes not recorded from [^\]]*\]\r\n")
"""Where a line is under way, CRLF precedes it."""
_TORN = re.compile(rb"(?<=\n)[0-9]{1,10}(?:\.[0-9]{0,6})?\Z|(?:\r\n)?\[rawlog: [^\]]*\]?\r?\Z")
"""A stamp, or the line of a gap, of which the disk took only the beginning."""
SETTLED = 2.0
"""Seconds after the client's end in which a gateway under load writes the last of it."""
_NUMBER = re.compile(rb"\A(?:n|DELE |NOOP )(\d+)")


@dataclass
class Verdict:
    """What was found. ``wrong`` are sentences; there must be none."""

    complete: int = 0
    gaps: int = 0
    lost: int = 0
    cut: int = 0  # whose client left in the middle
    short: int = 0  # whose end could not be written, as the log tells
    wrong: list[str] = field(default_factory=list)


class Judge:
    """``add`` a conversation that is over, with when it began; ``look`` at what was recorded.

    ``was_full(begun, ended)`` says whether the disk was, between two moments; it is asked when the recording is judged,
    since its end may be written a little later than the conversation ended.
    """

    def __init__(self, directory: Path, was_full: Callable[[float, float], bool]) -> None:
        self._directory = directory
        self._was_full = was_full
        self._over: dict[int, tuple[Talk, float, float]] = {}
        self.verdict = Verdict()

    def add(self, talk: Talk, begun: float) -> None:
        self._over[talk.number] = talk, begun, time.monotonic()

    def look(self) -> int:
        """Judges the recordings of conversations that are over; gives how many others there are."""
        others = 0
        for path in sorted(self._directory.glob("*.in")):
            out = path.with_suffix(".out")
            said = _text(path, Direction.IN)
            number = _NUMBER.match(said)
            talk, begun, ended = self._over.get(int(number[1]) if number else 0, (None, 0.0, 0.0))
            if talk is None or time.monotonic() - ended < SETTLED:
                others += 1
                continue
            del self._over[talk.number]
            self._judge(talk, self._was_full(begun, ended), said, _text(out, Direction.OUT))
            path.unlink()
            out.unlink()
        return others

    def _judge(self, talk: Talk, full: bool, said: bytes, heard: bytes) -> None:
        verdict, missing, short = self.verdict, 0, False
        for name, got, wanted in zip(("in", "out"), (said, heard), talk.recorded(), strict=True):
            lost = sum(int(gap[1]) for gap in GAP.finditer(got))
            missing += lost
            if why := _wrong(talk, got, wanted, lost, may_be_short=full):
                verdict.wrong.append(f"{talk.number} ({talk.protocol}, {talk.kind}): .{name} {why}")
            short = short or (talk.kind != "reset" and len(got) < len(wanted) and not lost)
        verdict.short += short
        verdict.complete += not missing
        verdict.gaps += bool(missing)
        verdict.lost += missing
        verdict.cut += talk.kind == "reset"


def _wrong(talk: Talk, got: bytes, wanted: bytes, lost: int, *, may_be_short: bool) -> str:
    """What is wrong with one half of a recording that says itself that ``lost`` bytes are not in it."""
    if may_be_short:
        got = _TORN.sub(b"", got)  # all that was written of it
    first, *rest = GAP.split(got)[::2]
    most = len(first) + sum(map(len, rest)) + lost
    if PASSWORD in got:
        return "has the password"
    if not (wanted.startswith(first) or (rest and wanted.startswith(first.removesuffix(b"\r\n")))):
        at = next(at for at in range(len(first) + 1) if first[at : at + 1] != wanted[at : at + 1])
        return f"has {first[max(0, at - 40) : at + 60]!r} at {at} instead of {wanted[at : at + 20]!r}"
    if talk.kind == "reset" or (may_be_short and most < len(wanted)):
        return ""
    if not most - 2 * len(rest) <= len(wanted) <= most:
        return f"has {most} of {len(wanted)} bytes, {lost} of them as a gap"
    return ""


def _text(path: Path, direction: Direction) -> bytes:
    decoder = PairDecoder(direction, stamps=True, boundaries=False)
    data = path.read_bytes() if path.exists() else b""
    return b"".join(chunk.data for chunk in [*decoder.feed(data), *decoder.end()])
