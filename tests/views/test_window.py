"""What lies between two moments."""

from __future__ import annotations

import pytest

from rawlog.errors import RawlogError
from rawlog.events import Recording
from rawlog.views.when import When
from rawlog.views.window import EVERYTHING, Window

SECOND = 1_000_000
TIMED = Recording("a", [])


def test_both_ends_belong_to_it() -> None:
    fits = Window(When("+1"), When("+3")).fits(TIMED)
    fits.begin(10 * SECOND)
    fits.begin(50 * SECOND)
    assert [fits.has(at * SECOND) for at in (10, 11, 13, 14)] == [False, True, True, False]
    assert fits.has(None)


def test_the_first_moment_is_the_start() -> None:
    fits = Window(since=When("+1")).fits(TIMED)
    assert not fits.has(10 * SECOND)
    assert fits.has(11 * SECOND)


def test_without_limits_everything_fits_even_without_times() -> None:
    assert EVERYTHING.fits(Recording("a", [], timed=False)).has(5)


def test_without_times_there_is_nothing_to_compare() -> None:
    with pytest.raises(RawlogError, match="a: has no times"):
        Window(until=When("+1")).fits(Recording("a", [], timed=False))


def test_which_recordings_overlap_it() -> None:
    window = Window(When("1970-01-01T00:00:10+00:00"), When("1970-01-01T00:00:20+00:00"))
    spans = [(0, 9), (0, 10), (12, 15), (20, 30), (21, 30)]
    assert [window.overlaps(a * SECOND, b * SECOND) for a, b in spans] == [False, True, True, True, False]
    assert window.overlaps(12 * SECOND, None)
    assert not window.overlaps(None, None)
    assert EVERYTHING.overlaps(None, None)
