"""What is left to the processes of ``rawlog serve``, by the settings; and that the rest is really gone."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from rawlog.engine.confine import CREATE, MAKE_DIR, MAKE_REG, READ, READ_DIR, REMOVE_FILE, Rules, confine
from rawlog.engine.roles import homes
from rawlog.recorder.confinement import housekeeping, serving, tapping
from rawlog.settings.loader import loads
from rawlog.settings.variables import Template
from tests.support.probes import EVERYTHING, STEM, Stage, in_a_process, needs_network_rules

USERS = "userdb {{\n  driver = {}\n  args = {}\n}}\n"


def made_in(rules: Rules) -> list[str]:
    """Where files can be made."""
    return [path for path, rights in rules.files if rights & MAKE_REG]


@pytest.mark.parametrize(
    ("directory", "place"),
    [
        ("@/raw/%u", "@/raw"),
        ("@/raw/%d/%n", "@/raw"),
        ("@/raw/x-%u", "@/raw"),
        ("@/raw", "@"),  # it comes and goes: it is the switch
        ("@/raw/", "@"),
        ("@/not/there/%u", "@"),
        ("@/100%%/%u", "@/100%"),
        ("/not-there", "/not-there"),
        ("tcp:127.0.0.1:9", None),
    ],
)
def test_where_recordings_can_be_made(directory: str, place: str | None, tmp_path: Path) -> None:
    for name in ("raw", "100%"):
        (tmp_path / name).mkdir()
    rules = serving(loads("rawlog_dir = " + directory.replace("@", str(tmp_path))), [], [143])
    assert made_in(rules) == ([] if place is None else [place.replace("@", str(tmp_path))])
    assert {rights for path, rights in rules.files if rights & MAKE_REG} <= {CREATE | READ_DIR}
    assert (rules.connect, rules.bind) == ([143], False)


@pytest.mark.parametrize(
    "text",
    [
        "rawlog_dir = %h/rawlog\nmail_home = /home/%u\n",
        "rawlog_dir = %{home}/rawlog\nmail_home = /home/%u\n",
        USERS.format("static", "uid=1 gid=1 rawlog_dir=/x"),
        USERS.format("passwd-file", "/etc/users"),
    ],
)
def test_where_users_decide_files_can_be_made_where_homes_can_be(text: str) -> None:
    assert made_in(serving(loads(text), [], [])) == homes()


def test_a_directory_for_before_the_login(tmp_path: Path) -> None:
    assert made_in(serving(loads(""), [f"{tmp_path}/login/dir"], [])) == [str(tmp_path)]


def test_where_users_are_looked_up_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    text = USERS.format("passwd-file", f"username_format=%n {tmp_path}/d/users")
    assert (f"{tmp_path}/d", READ) in serving(loads(text), [], []).files
    text = USERS.format("passwd-file", f"{tmp_path}/d/%d/users")
    assert (f"{tmp_path}/d", READ) in serving(loads(text), [], []).files


def test_a_database_of_users_may_be_anywhere() -> None:
    rules = serving(loads(USERS.format("sql", "/etc/sql.conf")), [], [143])
    assert ("/", READ) in rules.files
    assert rules.connect is None


def test_authorities_of_their_own(tmp_path: Path) -> None:
    assert (str(tmp_path), READ) in serving(loads(f"ssl_client_ca_dir = {tmp_path}\n"), [], []).files


# -- and really -------------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def tried(stage: Stage, rules: Rules) -> list[str]:
    said = in_a_process(lambda: [confine(rules), stage.tried(EVERYTHING)][1])  # type: ignore[func-returns-value]
    found = ast.literal_eval(said)
    assert isinstance(found, list)
    return found


@needs_network_rules
def test_a_worker_makes_recordings_and_nothing_else(stage: Stage) -> None:
    configuration = loads(f"rawlog_dir = {stage.raw}/%u\n")
    assert tried(stage, serving(configuration, [], [])) == []
    assert tried(stage, serving(configuration, [], [stage.port])) == ["connect"]

    def life() -> object:
        confine(serving(configuration, [], []))
        os.close(os.open(stage.raw / "empty" / f"{STEM}.out", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return os.listdir(stage.raw / "empty")  # noqa: PTH208

    assert in_a_process(life) == f"['{STEM}.out']"


@needs_network_rules
def test_the_housekeeper_removes_recordings_and_nothing_else(stage: Stage) -> None:
    rules = housekeeping(loads(f"rawlog_dir = {stage.raw}/%u\n"))
    assert tried(stage, rules) == ["read a recording", "remove a recording"]
    assert {rights for path, rights in rules.files if path == str(stage.raw)} == {READ | REMOVE_FILE}


def test_a_tap_makes_directories_too(tmp_path: Path) -> None:
    rules = tapping(Template(f"{tmp_path}/a/b/%u"), [143], ["/run/x/imap"])
    assert (str(tmp_path), CREATE | READ_DIR | MAKE_DIR) in rules.files
    assert ("/run/x", REMOVE_FILE) in rules.files
    assert (rules.connect, rules.bind) == ([143], False)
    assert made_in(tapping(Template("%h/raw"), [], [])) == homes()
