"""The drop-in: its options, where it records and where not, and what the program behind it finds."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.errors import ConfigError
from rawlog.settings.options import parse_options
from rawlog.taps import dropin
from tests.support.dropin import NAME, House, Login, python_path, start
from tests.support.postlogin import PATIENCE, wait_until


@pytest.fixture(scope="module")
def shared_house() -> Iterator[House]:
    house = House()
    yield house
    house.remove()


@pytest.fixture
def house(shared_house: House) -> Iterator[House]:
    """One without recordings."""
    yield shared_house
    if shared_house.place.is_symlink() or not shared_house.place.is_dir():
        shared_house.place.unlink(missing_ok=True)
        shared_house.place.mkdir()
        home = shared_house.home.stat()
        os.chown(shared_house.place, home.st_uid, home.st_gid)
    shared_house.empty()


# -- options ----------------------------------------------------------------------------------------------------------

WORDS = ("-b", "-t", "-I", "-f", "in", "-fout", "-bt", "-tIfin", "-x", "--", "-fboth", "/bin/x")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_options_are_read_as_everywhere_in_the_house(count: int) -> None:
    for words in itertools.product(WORDS, repeat=count):
        ours = dropin.parse([*words, "/bin/program", "-t"])
        both_filters = not ours.directions
        try:
            theirs, rest = parse_options([*words, "/bin/program", "-t"])
        except ConfigError:
            assert ours.wrong or both_filters, words
            continue
        assert not ours.wrong, words
        assert ours.program == rest
        assert (ours.boundaries, ours.stamps, ours.address) == (theirs.boundaries, theirs.stamps, theirs.address)
        assert ours.directions == ([theirs.only.value] if theirs.only else ["in", "out"])


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["-x", "/p"], "-x: no such option"),
        (["-f", "both", "/p"], "-f both: use -f in or -f out"),
        (["-f", "\n", "/p"], "-f \\n: use -f in or -f out"),
    ],
)
def test_what_is_wrong_is_named_and_the_program_is_still_found(words: list[str], wrong: str) -> None:
    options = dropin.parse(words)
    assert (options.wrong, options.program) == (wrong, ["/p"])


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("-t /usr/lib/dovecot/script-login", True),
        ("-f in -t ./x", True),
        ("-x /usr/lib/dovecot/script-login", True),
        ("show /tmp/x.in", False),
        ("-f in show /tmp/x", False),
        ("tap imaps://host --listen 1", False),
        ("--version", False),
        ("", False),
    ],
)
def test_the_command_line_of_the_drop_in_is_known_by_its_program(line: str, answer: bool) -> None:
    assert dropin.is_dropin(line.split()) is answer


# -- what the program finds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stub", [False, True], ids=["python", "stub"])
def test_the_program_finds_what_script_login_left(house: House, stub: bool) -> None:
    login = Login(house, "-t", stub=stub)
    assert login.told is not None
    assert login.told["environment"] == house.environment()
    assert login.told["arguments"] == ["argument with blank"]
    assert login.told["pid"] == login.process.pid
    assert login.told["blocking"] == [True, True]
    assert login.told["fds"] == [0, 1, 2, 3, 4]  # 4 is the program's own, reading this
    login.end()
    assert login.errors() == ""


def test_signals_that_python_ignores_are_not_ignored_by_the_program(house: House) -> None:
    login = Login(house, "-t", program=["/bin/grep", "SigIgn", "/proc/self/status"])
    ignored = int(login.client.recv(100).split()[1], 16)
    assert ignored & (1 << 12 | 1 << 24) == 0  # SIGPIPE, SIGXFSZ
    login.end()


def test_the_mail_process_sees_the_end_of_the_program_at_once(house: House) -> None:
    login = Login(house, "-t")
    assert login.mail_process.recv(1) == b""  # descriptor 3: nobody holds it any more
    login.say(b"a2 NOOP\r\n")
    login.end()


def test_until_it_records_nothing_is_imported_that_costs_time(house: House) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from rawlog.taps import dropin\n"
        "def show(program):\n"
        "    print(' '.join(sorted(sys.modules)), file=sys.stderr)\n"
        "    return 0\n"
        "dropin.execute = show\n"
        "sys.exit(dropin.main(['-t', '/bin/true']))\n"
    )
    client, inner = socket.socketpair()
    mail_process, comm = socket.socketpair()
    words = [house.python, "-I", "-S", "-E", "-c", code, str(house.stub.parents[2])]
    asked = start(words, house, inner, comm, house.environment())
    for one in (client, inner, mail_process, comm):
        one.close()
    _, said = asked.communicate(timeout=PATIENCE)
    loaded = set(said.decode().split())
    assert list(house.place.glob("*.in"))  # it did record
    costly = (
        "socket ssl select selectors signal argparse re enum typing dataclasses logging contextlib collections site"
    )
    assert not loaded & set(costly.split())
    assert {name for name in loaded if name.startswith("rawlog")} == {
        "rawlog",
        "rawlog.taps",
        "rawlog.taps.dropin",
        "rawlog.taps.dropin_handover",
    }


# -- where ------------------------------------------------------------------------------------------------------------


def test_names_and_modes_are_dovecots(house: House) -> None:
    login = Login(house, "-I")
    login.say(b"x")
    login.end()
    paths = sorted(house.place.iterdir())
    assert len(paths) == 2
    for path in paths:
        assert NAME.fullmatch(path.name)
        assert path.name.startswith("192.0.2.7-2")
        assert path.stem.endswith(f"-{login.process.pid}")
        assert path.stat().st_mode & 0o777 == 0o600


def test_an_address_can_not_lead_out_of_the_directory(house: House) -> None:
    login = Login(house, "-I", environment=house.environment() | {"IP": "../../x:1"})
    login.end()
    assert {path.name[:7] for path in house.place.iterdir()} == {"....:1-"}


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    place = os.open(tmp_path, os.O_RDONLY)
    for expected in ("stem", "stem.2", "stem.3"):
        files = dropin.open_files(place, str(tmp_path), "stem", ["in", "out"])
        assert [path for _, _, path in files] == [f"{tmp_path}/{expected}.in", f"{tmp_path}/{expected}.out"]
        for _, fd, _ in files:
            os.close(fd)
    (tmp_path / "half.out").symlink_to(tmp_path / "elsewhere")
    files = dropin.open_files(place, str(tmp_path), "half", ["in", "out"])
    assert [path for _, _, path in files] == [f"{tmp_path}/half.2.in", f"{tmp_path}/half.2.out"]
    assert not (tmp_path / "half.in").exists()
    assert not (tmp_path / "elsewhere").exists()
    for fd in (place, *(fd for _, fd, _ in files)):
        os.close(fd)


@pytest.mark.parametrize(("options", "endings"), [("-fin", ["in"]), ("-f out", ["out"]), ("-f in -f out", [])])
def test_filters_leave_files_away(house: House, options: str, endings: list[str]) -> None:
    login = Login(house, *options.split())
    login.say(b"a")
    login.answer(b"b")
    login.end()
    assert [path.suffix[1:] for path in house.place.iterdir()] == endings


# -- why not ----------------------------------------------------------------------------------------------------------


def why_not(house: House, *options: str, **more: str) -> str:
    """What is said when the login works and nothing is recorded."""
    environment = {name: value for name, value in (house.environment() | more).items() if value}
    login = Login(house, *(options or ("-t",)), environment=environment)
    assert login.told is not None
    assert login.told["environment"] == environment
    assert login.told["blocking"] == [False, False]  # the client itself, as it was
    login.end()
    assert not house.place.is_dir() or list(house.place.glob("*.in")) == []
    return login.errors()


def test_a_missing_directory_is_told_with_debug_only(house: House) -> None:
    house.place.rmdir()
    assert why_not(house) == ""
    assert why_not(house, DEBUG="1") == (
        f"rawlog(alice@example.com): not recorded: {house.place} doesn't exist; make it (mkdir) to record\n"
    )
    house.place.touch()


@pytest.mark.parametrize("kind", ["file", "link", "dangling"])
def test_what_is_no_directory_is_told_with_debug_only(house: House, kind: str) -> None:
    house.place.rmdir()
    if kind == "file":
        house.place.touch()
    else:
        house.place.symlink_to(house.home if kind == "link" else "nowhere")
    assert why_not(house) == ""
    assert f"{house.place} is not a directory" in why_not(house, DEBUG="1")


def test_without_home_nothing_is_recorded_not_even_here(house: House) -> None:
    here = house.directory / "dovecot.rawlog"
    here.mkdir(exist_ok=True)
    here.chmod(0o777)
    assert "not recorded: no home directory in the environment" in why_not(house, HOME="")
    assert list(here.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="a directory that its user can't write takes root")
def test_a_directory_that_can_not_be_written_or_looked_at_is_always_told(house: House) -> None:
    os.chown(house.place, 0, 0)
    assert f"no file can be made in {house.place}: Permission denied" in why_not(house)
    os.chown(house.place, house.home.stat().st_uid, house.home.stat().st_gid)
    house.home.chmod(0o000)
    os.chown(house.home, 0, 0)
    try:
        assert f"{house.place} can't be looked at: Permission denied" in why_not(house)
    finally:
        os.chown(house.home, house.place.stat().st_uid, house.place.stat().st_gid)
        house.home.chmod(0o755)


def test_behind_a_chroot_the_whole_path_counts(house: House) -> None:
    outer, inner = str(house.home.parent), "/home/"
    login = Login(house, "-t", environment=house.environment() | {"RESTRICT_CHROOT": outer, "HOME": inner})
    login.say(b"x")
    login.end()
    assert len(list(house.place.glob("*.in"))) == 1


def test_wrong_options_are_reported_and_cost_no_login(house: House) -> None:
    assert "not recorded: -f both: use -f in or -f out; correct it in service postlogin" in why_not(house, "-f", "both")


def test_the_command_rawlog_is_the_drop_in_when_its_first_word_is_a_path() -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "rawlog", "-t", "/bin/echo", "mail"],
        capture_output=True,
        env={"PYTHONPATH": python_path()},
        timeout=20,
    )
    assert asked.stdout == b"mail\n"
    assert asked.stderr.startswith(b"rawlog: not recorded: ")


def test_without_a_program_the_usage_is_shown() -> None:
    asked = subprocess.run(
        [sys.executable, "-c", "import sys; from rawlog.taps.dropin import main; sys.exit(main(sys.argv[1:]))", "-t"],
        capture_output=True,
        env={"PYTHONPATH": python_path()},
        timeout=20,
    )
    assert asked.returncode == 2
    assert asked.stderr == f"rawlog: no program to run; {dropin.USAGE}\n".encode()


def test_a_program_that_can_not_be_run_is_named(house: House) -> None:
    login = Login(house, "-t", program=["/nowhere/script-login"])
    assert login.client.recv(1) == b""  # the relay passes on that nobody is there
    login.end()
    assert "/nowhere/script-login can't be run: No such file or directory" in login.errors()
    assert login.process.returncode == 127


def test_standard_input_must_be_the_clients_socket(tmp_path: Path) -> None:
    (tmp_path / "dovecot.rawlog").mkdir()
    code = "import os, sys; os.geteuid = lambda: 1; from rawlog.taps.dropin import main; sys.exit(main(sys.argv[1:]))"
    asked = subprocess.run(
        [sys.executable, "-c", code, "-t", "/bin/cat"],
        input=b"through\n",
        capture_output=True,
        env={"PYTHONPATH": python_path(), "HOME": str(tmp_path)},
        timeout=20,
    )
    assert asked.stdout == b"through\n"
    assert b"standard input and output are not one socket" in asked.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be root")
def test_root_is_not_recorded(tmp_path: Path) -> None:
    (tmp_path / "dovecot.rawlog").mkdir()
    code = "import sys; from rawlog.taps.dropin import main; sys.exit(main(sys.argv[1:]))"
    asked = subprocess.run(
        [sys.executable, "-c", code, "-t", "/bin/cat"],
        input=b"",
        capture_output=True,
        env={"PYTHONPATH": python_path(), "HOME": str(tmp_path)},
        timeout=20,
    )
    assert b"use script-login -d" in asked.stderr
    assert list((tmp_path / "dovecot.rawlog").iterdir()) == []


def test_recordings_are_complete_soon_after_the_end(house: House) -> None:
    login = Login(house, "-t")
    login.say(b"a2 NOOP\r\n")
    login.end()
    wait_until(lambda: login.recording("in").endswith(b" a2 NOOP\r\n"))
