"""A child of Dovecot's master knows itself, and speaks to Dovecot's log."""

from __future__ import annotations

import os

import pytest

from rawlog.taps.postlogin_child import is_child_of_master, say


def test_a_child_of_the_master_is_known_by_its_environment() -> None:
    assert is_child_of_master({"DOVECOT_CHILD_PROCESS": "1", "GENERATION": "9"})
    assert not is_child_of_master({"GENERATION": "1"})


@pytest.mark.parametrize("log", ["1", None])
def test_messages_have_a_level_where_dovecots_log_reads_them(
    log: str | None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LOG_SERVICE", raising=False)
    if log:
        monkeypatch.setenv("LOG_SERVICE", log)
    say("caf\u00e9 \udcff")
    beginning = f"\1\3{os.getpid()} " if log else ""
    assert capfd.readouterr().err == f"{beginning}caf\u00e9 \\udcff\n"
