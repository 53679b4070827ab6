"""One finding."""

from __future__ import annotations

import pytest

from rawlog.taps.doctor_finding import Finding, Mark, fail, ok, warn


@pytest.mark.parametrize(("make", "mark"), [(ok, Mark.OK), (warn, Mark.WARN), (fail, Mark.FAIL)])
def test_a_finding_says_what_it_is_about(make, mark: Mark) -> None:
    assert make("it is so").about("imap") == Finding(mark, "imap: it is so")
