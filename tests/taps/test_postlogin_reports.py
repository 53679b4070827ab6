"""Reports are not repeated with every login."""

from __future__ import annotations

import pytest

from rawlog.taps import postlogin_reports
from rawlog.taps.postlogin_reports import Reports
from tests.support.looping import turning


def test_a_cause_is_told_once_and_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    with turning() as made:
        reports = Reports(made.loop, made.told.append)
        reports.tell("alice: full", cause="full")
        reports.tell("bob: full", cause="full")
        reports.tell("bob: full")
        assert made.told == ["alice: full", "bob: full"]
        monkeypatch.setattr(postlogin_reports, "AGAIN", 0.0)
        made.a_while(0.01)
        reports.tell("carol: full", cause="full")
        assert made.told[2:] == ["carol: full"]


def test_causes_are_not_remembered_without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postlogin_reports, "CAUSES_LIMIT", 2)
    with turning() as made:
        reports = Reports(made.loop, made.told.append)
        for cause in ("a", "b", "b", "c", "a"):
            reports.tell(cause)
        assert made.told == ["a", "b", "c", "a"]
