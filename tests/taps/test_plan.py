"""Which recordings must wait until it is known who logged in."""

from __future__ import annotations

import pytest

from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder.flusher import Flusher
from rawlog.settings.variables import Template
from rawlog.taps.plan import Part, Plan
from rawlog.taps.target import Target
from tests.support.recording import Timers


@pytest.mark.parametrize(
    ("directory", "part", "waits"),
    [
        ("/raw", Part.ALL, False),
        ("/raw", Part.TO_LOGIN, False),
        ("/raw", Part.FROM_LOGIN, True),
        ("/raw/%u", Part.ALL, True),
        ("/raw/%s/%r", Part.ALL, False),
        ("%h/rawlog", Part.FROM_LOGIN, True),
    ],
)
def test_a_plan_waits_for_the_user_when_it_needs_the_user(directory: str, part: Part, waits: bool) -> None:
    flusher = Flusher(Timers().call_later)
    target = Target(Template(directory), lambda: PairEncoder(stamps=True), flusher=flusher, report=print)
    assert Plan(target, part).needs_user is waits
