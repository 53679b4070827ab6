"""The directory as the switch: found, or one sentence why not; and never somewhere else."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rawlog.recorder.directory import LINKS_LIMIT, NotRecorded, open_directory, resolve, shown
from rawlog.settings.variables import Template
from tests.support.places import NOBODY, STRANGER, acting_as, open_descriptors, shared_directory


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


@pytest.fixture
def place() -> Iterator[Path]:
    with shared_directory() as path:
        yield path


def lands_in(path: Path | str, *, follow_last: bool = True) -> Path:
    """The directory that was opened, by its own name."""
    fd = open_directory(str(path), follow_last=follow_last)
    assert isinstance(fd, int), fd
    try:
        assert not os.get_inheritable(fd)
        return Path(f"/proc/self/fd/{fd}").readlink()
    finally:
        os.close(fd)


def reason(path: Path | str, *, follow_last: bool = True) -> NotRecorded:
    answer = open_directory(str(path), follow_last=follow_last)
    assert isinstance(answer, NotRecorded)
    assert "\n" not in answer.reason
    assert str(answer) == answer.reason
    return answer


@pytest.mark.parametrize("follow_last", [True, False])
@pytest.mark.parametrize("form", ["{}", "{}/", "{}/.", "/{}", "{}/../raw"])
def test_a_directory(place: Path, follow_last: bool, form: str) -> None:
    raw = place / "raw"
    raw.mkdir()
    assert lands_in(form.format(raw), follow_last=follow_last) == raw


def test_the_root() -> None:
    assert lands_in("/") == Path("/")


def test_missing_is_expected(place: Path) -> None:
    answer = reason(place / "raw")
    assert answer == NotRecorded(f"{place}/raw: no such directory; make it (mkdir) to record", expected=True)
    assert reason(place / "a/b/c").expected


@pytest.mark.parametrize("path", ["", "raw", "~/rawlog", "./raw"])
def test_relative(path: str) -> None:
    assert reason(path).reason == f"{path}: not an absolute path; give one that begins with /"


def test_nul() -> None:
    assert "can't be opened" in reason("/raw\0").reason
    assert "\0" not in reason("/raw\0").reason


def test_too_long(place: Path) -> None:
    assert reason(place / ("x" * 300)).reason.endswith("File name too long")


def a_file(path: Path) -> None:
    path.write_text("")


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [a_file, a_fifo])
def test_not_a_directory(place: Path, make: Callable[[Path], None]) -> None:
    make(place / "raw")
    assert reason(place / "raw").reason == f"{place}/raw is not a directory; put a directory there"
    assert reason(place / "raw/below").reason == f"{place}/raw/below is not a directory; put a directory there"
    (place / "link").symlink_to("raw")
    assert reason(place / "link").reason == f"{place}/link is not a directory; put a directory there"


def test_links_of_root_and_of_this_user_are_followed(place: Path) -> None:
    raw = place / "disk2" / "raw"
    raw.mkdir(parents=True)
    (place / "absolute").symlink_to(place / "disk2")
    (place / "relative").symlink_to("disk2/../disk2/")
    (place / "chain").symlink_to("relative/raw")
    assert lands_in(place / "absolute/raw") == raw
    assert lands_in(place / "relative/raw") == raw
    assert lands_in(place / "chain") == raw
    assert lands_in(place / "absolute/raw", follow_last=False) == raw
    assert lands_in(place / "absolute/../absolute/raw", follow_last=False) == raw


def test_the_last_component_of_a_home(place: Path) -> None:
    (place / "raw").mkdir()
    (place / "homes").symlink_to(place)
    (place / "dovecot.rawlog").symlink_to("raw")
    for path in (place / "dovecot.rawlog", place / "homes/dovecot.rawlog", f"{place}/dovecot.rawlog/"):
        assert reason(path, follow_last=False).reason == f"{path} is a symbolic link; it must be a directory itself"
    (place / "raw/deep").mkdir()
    (place / "way").symlink_to("dovecot.rawlog")
    assert lands_in(place / "way/deep", follow_last=False) == place / "raw/deep"


def test_dangling_and_circular_links(place: Path) -> None:
    (place / "dangling").symlink_to("nowhere")
    (place / "circle").symlink_to("circle")
    assert reason(place / "dangling").expected
    assert "Too many levels" in reason(place / "circle").reason
    (place / "0").mkdir()
    for number in range(LINKS_LIMIT + 1):
        (place / str(number + 1)).symlink_to(str(number))
    assert lands_in(place / str(LINKS_LIMIT)) == place / "0"
    assert "Too many levels" in reason(place / str(LINKS_LIMIT + 1)).reason


def planted(link: Path, target: Path, uid: int) -> Path:
    """A link that somebody else made."""
    link.symlink_to(target)
    os.lchown(link, uid, uid)
    return link


def test_links_of_others_are_refused_wherever_they_stand(place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("making a link of another user takes root")
    (place / "target/raw").mkdir(parents=True)
    planted(place / "last", place / "target", STRANGER)
    planted(place / "middle", place / "target", STRANGER)
    (place / "behind").symlink_to("middle")
    for path in ("last", "middle/raw", "behind", "behind/raw"):
        assert f"a symbolic link in it belongs to uid {STRANGER}" in reason(place / path).reason
    with acting_as(STRANGER):
        assert lands_in(place / "last") == place / "target"
    with acting_as(NOBODY):
        assert str(STRANGER) in reason(place / "last").reason


def test_a_directory_that_cannot_be_reached(place: Path) -> None:
    (place / "closed/raw").mkdir(parents=True)
    (place / "closed").chmod(0o700)
    with acting_as(NOBODY):
        answer = reason(place / "closed/raw")
    assert answer == NotRecorded(
        f"{place}/closed/raw can't be reached by uid {NOBODY}; let this user search (x) the directories above it"
    )


def test_swapping_while_we_walk_never_leads_elsewhere(place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("making a link of another user takes root")
    secret, mine = place / "secret", place / "mine"
    secret.mkdir()
    mine.mkdir()
    link = planted(place / "link", secret, STRANGER)
    switch = place / "switch"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            mine.rename(switch)
            switch.rename(mine)
            link.rename(switch)
            switch.rename(link)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(1500):
            fd = open_directory(str(switch))
            if isinstance(fd, int):
                found = os.fstat(fd).st_ino
                os.close(fd)
                assert found != secret.stat().st_ino
    finally:
        stop.set()
        swapper.join()


def test_where_descriptors_of_paths_do_not_exist(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rawlog.recorder.directory._PATH_ONLY", None)
    (place / "raw").mkdir()
    (place / "link").symlink_to("raw")
    assert lands_in(place / "link") == place / "raw"
    assert lands_in(place / "raw", follow_last=False) == place / "raw"
    assert "not a directory" in reason(place / "link", follow_last=False).reason


def test_where_the_kernel_does_not_say_where_a_descriptor_is(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> str:
        raise FileNotFoundError("no /proc")

    monkeypatch.setattr("rawlog.recorder.directory.os.readlink", fail)
    found = open_directory(str(place))
    assert isinstance(found, int)
    assert os.path.samestat(os.fstat(found), place.stat())
    os.close(found)


def test_resolve() -> None:
    template = Template("%h/rawlog/%u")
    assert resolve(template, {"user": "a/b", "home": "/home/a"}) == "/home/a/rawlog/a=2Fb"
    no_home = resolve(template, {"user": "a"})
    assert isinstance(no_home, NotRecorded)
    assert no_home.expected
    assert "no home directory" in no_home.reason
    useless = resolve(template, {"user": "a", "home": "here"})
    assert isinstance(useless, NotRecorded)
    assert not useless.expected


def test_paths_in_messages_are_harmless() -> None:
    assert shown("/home/é") == "/home/é"
    assert shown("/raw/\x1b[2J\n\udcff") == "/raw/\\x1b[2J\\n\\udcff"
