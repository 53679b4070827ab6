"""The names of Dovecot's files: what they say about a recording, and how recordings are sorted by them.

Knows: the two families of names, ``YYYYmmdd-HHMMSS.PID.N.in`` of ``rawlog_dir`` and ``[IP-]YYYYmmdd-HHMMSS-PID.in`` of
the ``rawlog`` program (``-PID.2.in`` where that was taken), and ``.out`` likewise; and that ``.age`` follows where a
recording is sealed. Must not know: what is in the files.
Making names is the recorder's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rawlog.events import Direction

_NAME = re.compile(
    r"(?:(?P<started>[0-9]{8}-[0-9]{6})\.(?P<pid>[0-9]+)\.(?P<number>[0-9]+)"
    r"|(?:(?P<ip>[0-9a-fA-F.:=]+)-)?(?P<dashed>[0-9]{8}-[0-9]{6})-(?P<lone_pid>[0-9]+)(?:\.(?P<again>[0-9]+))?)"
    r"\.(?P<half>in|out)(?:\.age)?"
)
_HALF = re.compile(r"\.(?:in|out)(?:\.age)?\Z")


@dataclass(frozen=True, slots=True)
class HalfName:
    """What the name of one half of a pair says.

    ``stem`` is the name without ``.in`` or ``.out`` and what follows; ``started`` is ``YYYYmmdd-HHMMSS`` in the
    recorder's local time; ``number`` is 0 and ``ip`` is None where the name has none.
    """

    stem: str
    direction: Direction
    started: str
    pid: int
    number: int
    ip: str | None

    @property
    def order(self) -> tuple[str, int, int]:
        """A key that sorts recordings by their start."""
        return self.started, self.pid, self.number


def parse_name(name: str) -> HalfName | None:
    """What a file name (without directory) says; None when it is of neither family."""
    found = _NAME.fullmatch(name)
    if not found:
        return None
    return HalfName(
        stem=stem_of(name),
        direction=Direction(found["half"]),
        started=found["started"] or found["dashed"],
        pid=int(found["pid"] or found["lone_pid"]),
        number=int(found["number"] or found["again"] or 0),
        ip=found["ip"],
    )


def stem_of(path: str) -> str:
    """What both halves of a pair have in common: the path without ``.in``, ``.out`` and ``.age`` behind them."""
    return _HALF.sub("", path)


def halves_of(stem: str, direction: Direction | None = None) -> list[str]:
    """The paths that the halves of a pair may have, or one half."""
    wanted = Direction if direction is None else (direction,)
    return [f"{stem}.{half.value}{ending}" for half in wanted for ending in ("", ".age")]
