"""Where recordings go: directories, files, names that a stranger chose, and what is said when nothing is recorded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rawlog.engine.tally import Tally
from rawlog.events import Direction
from rawlog.formats.base import Encoder
from rawlog.formats.dovecot import PairEncoder
from rawlog.formats.native import NativeEncoder
from rawlog.recorder.directory import NotRecorded
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.keeper import Order
from rawlog.recorder.naming import Opened, open_pair, stamped_stems
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.room import Rooms, Totals
from rawlog.recorder.sinks import FileSink
from rawlog.settings.options import parse_options
from rawlog.settings.values import Space
from rawlog.settings.variables import Template
from rawlog.taps.target import OF_A_USER, HomeTarget, Target
from tests.support.places import acting_as, shared_directory
from tests.support.recording import Timers

AT = 1795385217427810

HOSTILE = [
    b"..",
    b".",
    b"../../etc/passwd",
    b"/etc/passwd",
    b"a/b",
    b"a\0b",
    b'"quoted"',
    b"\\",
    b"%u%h%{env:HOME}",
    b"tcp:127.0.0.1:9",
    b"\xff\xfe",
    "ü@exämple.com".encode(),
    b"=2E",
    b"=",
    b"",
    b"~root",
    b"\x1b[2J",
    b"\r\n",
    b"con.in",
    b"Bob",
    b"bob",
    b"x" * 255,
    b"x" * 256,
    b"x" * 10_000,
    b"x" * 9_999 + b"y",
    b"../" * 4000,
]


def opened_by(
    target: Target, values: dict[str, str | bytes], instead: Template | None = None
) -> tuple[Recorder, str] | None:
    """What the target answers, None for a reason not to record."""
    answers: list[tuple[Recorder, str] | NotRecorded] = []
    target.open(values, AT, "1-1", answers.append, instead=instead)
    (answer,) = answers
    return None if isinstance(answer, NotRecorded) else answer


class Place:
    """A target below a directory, and what it reported."""

    def __init__(self, directory: Path, template: str = "", **words: object) -> None:
        self.directory = directory
        self.told: list[str] = []
        encoder = words.pop("encoder", lambda: PairEncoder(stamps=False))
        self.target = Target(
            Template(f"{directory}/{template}".rstrip("/")),
            encoder,  # type: ignore[arg-type]
            flusher=Flusher(Timers().call_later),
            report=self.told.append,
            **({"create": True} | words),  # type: ignore[arg-type]
        )

    def record(self, user: bytes | str = "bob", text: bytes = b"hello\r\n", **values: str) -> str:
        """Record one chunk; gives the path of the files, empty when nothing is recorded."""
        opened = opened_by(self.target, {"user": user, **values})
        if opened is None:
            return ""
        recorder, path = opened
        recorder.chunk(AT, Direction.IN, text)
        recorder.close(AT, "done")
        return path

    def made(self) -> list[Path]:
        return sorted(path for path in self.directory.rglob("*") if path.is_file())


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_a_pair_of_files(tmp_path: Path) -> None:
    place = Place(tmp_path)
    path = place.record()
    assert place.made() == [Path(f"{path}.in"), Path(f"{path}.out")]
    assert Path(f"{path}.in").read_bytes() == b"hello\r\n"
    assert place.told == []


def test_one_file_where_the_format_has_one(tmp_path: Path) -> None:
    def native() -> Encoder:
        return NativeEncoder({})

    place = Place(tmp_path, encoder=native)
    path = place.record()
    assert place.made() == [Path(f"{path}.rawlog")]


class Keeper:
    """Stands for the keepers: takes orders, answers when it is told to."""

    def __init__(self) -> None:
        self.orders: list[tuple[Order, Callable[[Opened | NotRecorded], None]]] = []

    def ask(self, order: Order, answer: Callable[[Opened | NotRecorded], None]) -> None:
        self.orders.append((order, answer))


def home_target(keeper: Keeper, told: list[str], *words: str) -> HomeTarget:
    options, _ = parse_options(words)
    flusher = Flusher(Timers().call_later)
    return HomeTarget(keeper, options, flusher=flusher, report=told.append, debug=True)  # type: ignore[arg-type]


def test_homes_are_opened_by_the_keepers(tmp_path: Path) -> None:
    keeper, told, answers = Keeper(), list[str](), list[object]()
    target = home_target(keeper, told, "-I", "-f", "in")
    target.open({"user": "bob", "home": "/h", "uid": "7", "gid": "8", "rip": "192.0.2.7"}, AT, "1-1", answers.append)
    ((order, answer),) = keeper.orders
    assert order == Order("/h", 7, 8, os.getpid(), AT, "192.0.2.7", (Direction.IN,))
    assert answers == []
    opened = open_pair(str(tmp_path), stamped_stems(AT), [Direction.IN])
    assert isinstance(opened, Opened)
    answer(opened)
    assert isinstance(answers[0], tuple)
    assert answers[0][1] == opened.path
    answers[0][0].close(AT, "done")
    answer(NotRecorded("no such home", expected=True))
    assert answers[1] == NotRecorded("no such home", expected=True)
    assert told == ["not recorded: no such home"]


@pytest.mark.parametrize(
    ("values", "word"),
    [({"uid": "7", "gid": "8"}, "home"), ({"home": "/h"}, "uid"), ({"home": "/h", "uid": "x"}, "uid")],
)
def test_who_has_no_home_or_uid_is_told(values: dict[str, str], word: str) -> None:
    keeper, told, answers = Keeper(), list[str](), list[object]()
    home_target(keeper, told).open({"user": "bob", **values}, AT, "1-1", answers.append)
    assert keeper.orders == []
    assert [type(answer) for answer in answers] == [NotRecorded]
    assert "user bob" in told[0]
    assert word in told[0]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_only_the_recorder_may_read_them(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        path = Path(Place(tmp_path, "deep/%d/%n").record("bob@example.com") + ".in")
    assert path.stat().st_mode & 0o7777 == 0o600
    for directory in (path.parent, path.parent.parent, path.parent.parent.parent):
        assert directory.stat().st_mode & 0o7777 == 0o700
    assert path.parent == tmp_path / "deep" / "example.com" / "bob"


@pytest.mark.parametrize("template", ["%u", "%d/%n", "all/%n-%d", "%Lu", "%u/"])
@pytest.mark.parametrize("user", HOSTILE, ids=lambda user: ascii(user[:12]) + str(len(user)))
def test_no_name_leads_out_of_the_directory(tmp_path: Path, template: str, user: bytes) -> None:
    inside = tmp_path / "inside"
    path = Place(inside, template).record(user)
    assert path
    assert Path(path).resolve().is_relative_to(inside)
    assert {place.name for place in tmp_path.iterdir()} == {"inside"}


def test_no_two_names_share_a_directory(tmp_path: Path) -> None:
    place = Place(tmp_path, "%u")
    parents = {Path(place.record(user)).parent for user in HOSTILE}
    assert len(parents) == len(HOSTILE)


def test_without_create_the_directory_is_the_switch(tmp_path: Path) -> None:
    place = Place(tmp_path, "%u", create=False)
    assert place.record() == ""
    assert place.record() == ""
    (told,) = place.told
    assert told.startswith(f"not recorded: {tmp_path}/bob: no such directory; make it")
    (tmp_path / "bob").mkdir()
    assert place.record()
    (tmp_path / "bob").rename(tmp_path / "gone")
    assert place.record() == ""


def test_nobody_is_told_about_what_nobody_asked_for(tmp_path: Path) -> None:
    place = Place(tmp_path, "%u", create=False, debug=False)
    assert place.record() == ""
    assert place.told == []


@pytest.mark.parametrize("create", [True, False])
def test_a_file_in_the_way_is_told_once(tmp_path: Path, create: bool) -> None:
    (tmp_path / "bob").write_text("")
    place = Place(tmp_path, "%u", create=create, debug=False)
    assert place.record() == ""
    assert place.record() == ""
    (told,) = place.told
    assert f"{tmp_path}/bob" in told


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "bob").symlink_to(tmp_path / "nowhere")
    place = Place(tmp_path, "%u")
    assert place.record() == ""
    assert len(place.told) == 1


@pytest.mark.parametrize("template", ["closed", "closed/%u", "closed/a/b/%u"])
def test_a_closed_directory_is_told(template: str) -> None:
    with shared_directory() as shared, acting_as(65534):
        with acting_as_root():
            (shared / "closed").mkdir(mode=0o700)
        place = Place(shared, template)
        assert place.record() == ""
        (told,) = place.told
        assert "closed" in told


@contextmanager
def acting_as_root() -> Iterator[None]:
    me = os.geteuid()
    os.seteuid(0)
    try:
        yield
    finally:
        os.seteuid(me)


def test_a_path_that_is_too_long_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path, "x" * 300 + "/%u")
    assert place.record() == ""
    assert len(place.told) == 1


def test_a_user_without_home_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    flusher = Flusher(Timers().call_later)
    target = Target(Template("%h/rawlog"), lambda: PairEncoder(stamps=False), flusher=flusher, report=told.append)
    assert opened_by(target, {"user": "bob"}) is None
    assert opened_by(target, {"user": "bob", "home": str(tmp_path)}) is None
    (tmp_path / "rawlog").mkdir()
    opened = opened_by(target, {"user": "bob", "home": str(tmp_path)})
    assert opened is not None
    opened[0].close(AT, "done")
    assert ["home" in told[0], "no such directory" in told[1], len(told)] == [True, True, 2]


def test_another_directory_may_take_its_place(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    place = Place(tmp_path, "usual")
    opened = opened_by(place.target, {"user": "bob"}, Template(f"{tmp_path}/other"))
    assert opened is not None
    opened[0].close(AT, "done")
    assert Path(opened[1]).parent == tmp_path / "other"


def test_it_is_known_which_variables_take_a_login() -> None:
    flusher = Flusher(Timers().call_later)
    for text, waits in [("/r/%u", True), ("/r/%{auth_domain}", True), ("%h", True), ("/r/%s/%p/%l", False)]:
        assert Target(Template(text), PairEncoder, flusher=flusher, report=print).needs_user is waits  # type: ignore[arg-type]
    assert {"user", "home"} <= OF_A_USER


def test_what_seals_a_file_is_what_says_how_long_it_is(tmp_path: Path) -> None:
    """Room is counted by the sinks that write: a seal writes past those that were opened."""

    class Sealing:
        def over(self, sinks: dict[Direction, FileSink]) -> dict[Direction, FileSink]:
            return {direction: FileSink(os.dup(sink.fd), "sealed") for direction, sink in sinks.items()}

    counted = Tally(1, exact=False).take()
    assert counted is not None
    rooms = Rooms(100_000, Space(), counted, Totals(), lambda: None)
    target = Target(
        Template(f"{tmp_path}/%u"),
        lambda: PairEncoder(stamps=False),
        create=True,
        flusher=Flusher(Timers().call_later),
        report=print,
        rooms=rooms,
        seal=Sealing(),  # type: ignore[arg-type]
    )
    answers: list[object] = []
    target.open({"user": "bob"}, AT, "1", answers.append)
    assert isinstance(answers[0], tuple)
    recorder = answers[0][0]
    for _ in range(12):
        recorder.chunk(AT, Direction.IN, b"x" * 10_000)
        recorder.flush()
    assert not recorder.healthy
    assert 70_000 <= recorder.stats.recorded[Direction.IN] <= 100_000
