"""The names of Dovecot's files: what they say about a recording, and how recordings are sorted by them.

Knows: the two families of names, ``YYYYmmdd-HHMMSS.PID.N.in`` of ``rawlog_dir`` and ``[IP-]YYYYmmdd-HHMMSS-PID.in`` of
the ``rawlog`` program (``-PID.2.in`` where that was taken), and ``.out`` likewise. Must not know: what is in the files.
Making names is the recorder's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rawlog.events import Direction

_NAME = re.compile(
    r"(?:(?P<started>[0-9]{8}-[0-9]{6})\.(?P<pid>[0-9]+)\.(?P<number>[0-9]+)"
    r"|(?:(?P<ip>[0-9a-fA-F.:=]+)-)?(?P<dashed>[0-9]{8}-[0-9]{6})-(?P<lone_pid>[0-9]+)(?:\.(?P<again>[0-9]+))?)"
    r"\.(?P<half>in|out)"
)


@dataclass(frozen=True, slots=True)
class HalfName:
    """What the name of one half of a pair says.

    ``stem`` is the name without ``.in`` or ``.out``; ``started`` is ``YYYYmmdd-HHMMSS`` in the recorder's local time;
    ``number`` is 0 and ``ip`` is None where the name has none.
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
        stem=name.rpartition(".")[0],
        direction=Direction(found["half"]),
        started=found["started"] or found["dashed"],
        pid=int(found["pid"] or found["lone_pid"]),
        number=int(found["number"] or found["again"] or 0),
        ip=found["ip"],
    )
