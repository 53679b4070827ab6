"""What each kind of process may still do: its own work, and none of the rest."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rawlog.engine.confine import CREATE, EXECUTE, READ, WRITE_FILE, confine
from rawlog.engine.roles import NO_HOMES, homes, keeping, master, reading, reborn, relaying, runtime, viewing
from tests.support.probes import CHANGES, EVERYTHING, NETWORK, PROGRAMS, READS, Stage, in_a_process, needs_network_rules


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def tried(stage: Stage, role: object) -> list[str]:
    said = in_a_process(lambda: [confine(role), stage.tried(EVERYTHING)][1])  # type: ignore[arg-type, func-returns-value]
    found = ast.literal_eval(said)
    assert isinstance(found, list)
    return found


@needs_network_rules
def test_who_relays_has_no_files_and_no_network(stage: Stage) -> None:
    assert tried(stage, relaying()) == []


@needs_network_rules
def test_a_keeper_makes_files_and_reads_none(stage: Stage) -> None:
    allowed = {"overwrite a file", "truncate a file", "make a file elsewhere"}  # a home can be anywhere
    assert set(tried(stage, keeping())) <= allowed


@needs_network_rules
def test_who_shows_recordings_changes_nothing(stage: Stage) -> None:
    assert set(tried(stage, reading())) == set(READS)


@needs_network_rules
def test_a_viewer_changes_its_notes_alone(stage: Stage) -> None:
    assert set(tried(stage, viewing(str(stage.empty)))) == set(READS)
    notes = stage.empty / "notes"

    def life() -> list[object]:
        confine(viewing(str(stage.empty)))
        notes.write_text("x")
        notes.unlink()
        return [notes.exists(), *stage.tried(CHANGES)]

    assert ast.literal_eval(in_a_process(life)) == [False]


@needs_network_rules
def test_who_starts_the_others_executes_nothing(stage: Stage) -> None:
    worked = tried(stage, master())
    assert not {*PROGRAMS, "make a device", "make a pipe", "make a link"} & set(worked)
    assert {*READS, *NETWORK} < set(worked)


@needs_network_rules
def test_who_may_become_new_executes_python_and_nothing_else(stage: Stage) -> None:
    def life() -> list[object]:
        confine(reborn(relaying()))
        done = subprocess.run([sys.executable, "-c", "import json; print(1)"], capture_output=True)
        return [done.stdout, *stage.tried([*READS, *CHANGES, *NETWORK])]

    pid_fd_free = in_a_process(life)
    assert pid_fd_free == "[b'1\\n']"


@needs_network_rules
def test_python_can_still_load_what_it_needs_late() -> None:
    def life() -> list[object]:
        confine(relaying())
        import sqlite3  # noqa: F401
        import wave  # noqa: F401

        time.tzset()
        return [Path("/").exists(), "x".encode("idna"), time.localtime(0).tm_year]

    assert in_a_process(life).startswith("[True, b'x', 19")


def test_homes_are_not_where_programs_are() -> None:
    assert not {path.removeprefix("/") for path in homes()} & NO_HOMES
    assert all(Path(path).is_dir() for path in homes())
    assert {rights for path, rights in keeping().files if rights & WRITE_FILE} == {CREATE}


def test_nothing_that_is_loaded_late_can_be_changed_or_run() -> None:
    assert {rights for _, rights in runtime()} == {READ}
    assert "/" not in dict(runtime())
    assert all(not rights & EXECUTE for role in (relaying(), keeping(), reading()) for _, rights in role.files)
