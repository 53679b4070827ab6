"""What a plan asks of an observer: whether it must wait for the user."""

from __future__ import annotations

import pytest

from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder.flusher import Flusher
from rawlog.settings.variables import Template
from rawlog.taps.plan import Part, Plan
from rawlog.taps.target import Target


def target(directory: str) -> Target:
    flusher = Flusher(lambda seconds, callback: None)
    return Target(Template(directory), lambda: PairEncoder(stamps=True), flusher=flusher, report=print)


@pytest.mark.parametrize(
    ("directory", "part", "waits"),
    [
        ("/rec", Part.ALL, False),
        ("/rec/%r", Part.ALL, False),
        ("/rec/%u", Part.ALL, True),
        ("/rec/%Ld", Part.TO_LOGIN, True),
        ("%h/rawlog", Part.ALL, True),
        ("/rec", Part.TO_LOGIN, False),
        ("/rec", Part.FROM_LOGIN, True),
    ],
)
def test_it_waits_for_the_user_only_where_it_must(directory: str, part: Part, waits: bool) -> None:
    assert Plan(target(directory), part).needs_user is waits
