"""The keepers: files in homes, made as their users; and what is refused."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.engine.confine import NETWORK_VERSION, landlock_version
from rawlog.errors import FormatError
from rawlog.events import Direction
from rawlog.recorder import keeper
from rawlog.recorder.directory import NotRecorded
from rawlog.recorder.keeper import Order, acting_as, carry_out, decode_order, encode_order, start_keepers
from rawlog.recorder.naming import Opened
from tests.support.places import NOBODY, STRANGER, shared_directory
from tests.support.probes import CLOSED, EVERYTHING, Stage, own_state

AT = 1795385217_427810
ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="acting as another user takes root")


@pytest.fixture
def home() -> Iterator[Path]:
    """A private home with the directory in it."""
    with shared_directory() as place:
        home = place / "home"
        (home / "dovecot.rawlog").mkdir(parents=True)
        home.chmod(0o700)
        if ROOT:
            os.chown(home, NOBODY, NOBODY)
            os.chown(home / "dovecot.rawlog", NOBODY, NOBODY)
        yield home


def order(home: Path | str, **more: object) -> Order:
    uid, gid = (NOBODY, NOBODY) if ROOT else (os.geteuid(), os.getegid())
    words: dict[str, object] = {"home": str(home), "uid": uid, "gid": gid, "pid": 4711, "at": AT, **more}
    return Order(**words)  # type: ignore[arg-type]


def made(home: Path | str, **more: object) -> Opened:
    promised: list[int] = []
    opened = carry_out(order(home, promise=True, **more), lambda: promised.append(1))
    assert isinstance(opened, Opened), opened
    assert promised == [1]
    for sink in opened.sinks.values():
        sink.close()
    return opened


def refused(home: Path | str, **more: object) -> NotRecorded:
    promised: list[int] = []
    answer = carry_out(order(home, promise=True, **more), lambda: promised.append(1))
    assert isinstance(answer, NotRecorded)
    assert promised == []
    return answer


def test_files_are_made_as_the_user_with_the_mail_process_in_their_name(home: Path) -> None:
    opened = made(home)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(AT // 1_000_000))
    assert opened.path == f"{home}/dovecot.rawlog/{stamp}-4711"
    assert opened.sinks.keys() == {Direction.IN, Direction.OUT}
    for path in (home / "dovecot.rawlog").iterdir():
        info = path.stat()
        assert stat.S_IMODE(info.st_mode) == 0o600
        assert (info.st_uid, info.st_gid) == (order(home).uid, order(home).gid)
    assert os.geteuid() == (0 if ROOT else os.getuid())


def test_a_name_that_is_taken_gets_a_number_and_the_address_stands_in_front(home: Path) -> None:
    first, second = made(home, address="::1"), made(home, address="::1")
    assert Path(first.path).name.startswith("::1-2")
    assert second.path == f"{first.path}.2"


def test_a_directory_is_tried_when_there_is_nothing_in_the_home(home: Path) -> None:
    place = home / "elsewhere"
    place.mkdir()
    if ROOT:
        os.chown(place, NOBODY, NOBODY)
    assert made(home, directory=str(place)).path.startswith(f"{home}/dovecot.rawlog/")
    assert made("", directory=str(place)).path.startswith(f"{place}/2")
    for path in (home / "dovecot.rawlog").iterdir():
        path.unlink()
    (home / "dovecot.rawlog").rmdir()
    assert made(home, directory=str(place)).path.startswith(f"{place}/2")


def test_a_directory_alone_that_is_missing_is_expected(home: Path) -> None:
    answer = refused("", directory=f"{home}/gone")
    assert answer.expected
    assert answer.reason.startswith(f"{home}/gone: no such directory")


def test_a_home_that_can_not_be_used_is_told_and_the_directory_does_not_hide_it(home: Path) -> None:
    (home / "dovecot.rawlog").rename(home / "elsewhere")
    (home / "dovecot.rawlog").touch()
    answer = refused(home, directory=f"{home}/elsewhere")
    assert not answer.expected
    assert answer.reason.startswith(f"{home}/dovecot.rawlog is not a directory")


def test_one_direction_is_one_file(home: Path) -> None:
    assert made(home, directions=(Direction.OUT,)).sinks.keys() == {Direction.OUT}
    assert [path.suffix for path in (home / "dovecot.rawlog").iterdir()] == [".out"]


def test_no_directory_is_expected_and_anything_else_is_not(home: Path) -> None:
    place = home / "dovecot.rawlog"
    place.rmdir()
    assert refused(home).expected
    place.touch()
    assert not refused(home).expected
    place.unlink()
    place.symlink_to(home)
    assert "must be a directory itself" in refused(home).reason
    assert not refused("relative").expected
    assert "no path" in refused(f"{home}\0/x").reason


def test_who_does_not_wait_is_promised_nothing(home: Path) -> None:
    promised: list[int] = []
    assert isinstance(carry_out(order(home), lambda: promised.append(1)), Opened)
    assert promised == []


@needs_root
def test_a_directory_that_the_user_can_not_write_is_not_promised(home: Path) -> None:
    os.chown(home / "dovecot.rawlog", 0, 0)
    assert f"not writable by uid {NOBODY}" in refused(home).reason


@needs_root
def test_a_private_home_of_somebody_else_stays_closed(home: Path) -> None:
    assert f"can't be reached by uid {STRANGER}" in refused(home, uid=STRANGER, gid=STRANGER).reason
    assert list((home / "dovecot.rawlog").iterdir()) == []


@pytest.mark.parametrize("uid", [0, 2**32 - 1, 2**32, -1])
def test_nobody_gets_the_rights_of_root(home: Path, uid: int) -> None:
    assert "no mail user's" in refused(home, uid=uid).reason
    assert list((home / "dovecot.rawlog").iterdir()) == []


@pytest.mark.parametrize("gid", [2**32 - 1, -1])
def test_nobody_keeps_the_group_of_root(home: Path, gid: int) -> None:
    assert "no mail user's" in refused(home, gid=gid).reason


@pytest.mark.skipif(ROOT, reason="root may act as anybody")
def test_an_ordinary_user_serves_only_itself(home: Path) -> None:
    assert "start the service as root, or as that user" in refused(home, uid=os.geteuid() + 1).reason


@needs_root
def test_acting_as_a_user_leaves_nothing_of_root_and_comes_back() -> None:
    groups = os.getgroups()
    with acting_as(NOBODY, NOBODY):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (NOBODY, NOBODY, [NOBODY])
        status = Path("/proc/self/status").read_text()
        assert "CapEff:\t0000000000000000" in status
    assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, 0, groups)


@pytest.mark.parametrize(
    "sample",
    [
        Order("/h", 1, 2, 3, 4),
        Order("/h\udcff \t\n", 1, 2, 3, 4, "::1", [Direction.IN]),
        Order("", 0, 0, 0, 0, "x", [Direction.OUT]),
        Order("/a\0b", 1, 2, 3, 4),
        Order("/h", 1, 2, 3, 4, promise=True),
        Order("/h", 1, 2, 3, 4, behind=".age", directory="/d\udcff e"),
    ],
)
def test_an_order_arrives_as_it_was_given(sample: Order) -> None:
    number, got = decode_order(encode_order(17, sample))
    assert number == 17
    assert got == sample._replace(directions=list(sample.directions))


# -- the processes ----------------------------------------------------------------------------------------------------


@pytest.fixture
def orders() -> Iterator[socket.socket]:
    sock = start_keepers(2)
    sock.settimeout(10)
    yield sock
    sock.close()


def ask(orders: socket.socket, number: int, wanted: Order) -> tuple[list[bytes], list[int]]:
    """The words of the last answer, and its descriptors."""
    orders.send(encode_order(number, wanted))
    while True:
        message, fds, _, _ = socket.recv_fds(orders, keeper.MESSAGE_LIMIT, 2)
        words = message.split(b"\0")
        assert words[1] == b"%d" % number
        if words[0] != keeper.PROMISE:
            return words, fds


def children_of(pid: int) -> list[int]:
    asked = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(word) for word in asked.stdout.split()]


def test_descriptors_come_with_the_answer(orders: socket.socket, home: Path) -> None:
    words, fds = ask(orders, 5, order(home))
    assert words[0] == keeper.FILES
    path = words[2].decode()
    assert [word.decode() for word in words[3:]] == [f"in {path}.in", f"out {path}.out"]
    os.write(fds[1], b"answer")
    assert Path(f"{path}.out").read_bytes() == b"answer"
    for fd in fds:
        os.close(fd)
    assert ask(orders, 6, order(home.parent / "nobody"))[0][0] == keeper.EXPECTED
    assert ask(orders, 7, order("relative"))[0][0] == keeper.NO


def test_a_keeper_that_dies_is_replaced(home: Path) -> None:
    before = set(children_of(os.getpid()))
    orders = start_keepers(2)
    orders.settimeout(10)
    (parent,) = set(children_of(os.getpid())) - before
    deadline = time.monotonic() + 10
    while len(children_of(parent)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed = children_of(parent)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    while len(set(children_of(parent)) - set(killed)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    words, fds = ask(orders, 1, order(home))
    assert words[0] == keeper.FILES
    for fd in fds:
        os.close(fd)
    keepers = children_of(parent)
    orders.close()  # the service ends, and so does everybody
    assert os.waitpid(parent, 0)[1] == 0
    while any(Path(f"/proc/{pid}").exists() for pid in keepers):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("message", [b"x", b"1\x002\x003\x004\x005\0in", b"1\x002\x003\x004\x00x\0in\0\0/", b"\0" * 7])
def test_what_is_no_order_is_refused_and_ends_no_keeper(message: bytes, home: Path) -> None:
    with pytest.raises(FormatError, match="an order that is none"):
        decode_order(message)
    before = set(children_of(os.getpid()))
    orders = start_keepers(1)
    (parent,) = set(children_of(os.getpid())) - before
    orders.settimeout(10)
    orders.send(message)
    words, fds = ask(orders, 1, order(home))
    assert words[0] == keeper.FILES
    for fd in fds:
        os.close(fd)
    orders.close()
    os.waitpid(parent, 0)


def test_a_keeper_holds_nothing_of_the_service(home: Path) -> None:
    held = os.open(home, os.O_RDONLY)
    os.set_inheritable(held, True)
    before = set(children_of(os.getpid()))
    orders = start_keepers(1)
    (parent,) = set(children_of(os.getpid())) - before
    deadline = time.monotonic() + 10
    while not (keepers := children_of(parent)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    names = [str(entry.readlink()) for entry in Path(f"/proc/{keepers[0]}/fd").iterdir() if int(entry.name) > 2]
    assert str(home) not in names
    assert sum(name.startswith("socket:") for name in names) == 1
    os.close(held)
    orders.close()
    os.waitpid(parent, 0)


def test_a_keeper_can_only_do_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the work it tries what it need not."""
    stage = Stage(tmp_path)
    making = {"overwrite a file", "truncate a file", "make a file elsewhere"}  # a home can be anywhere

    def mad(orders: socket.socket, count: int) -> None:
        worked = stage.tried(EVERYTHING) if landlock_version() >= NETWORK_VERSION else []
        orders.send(repr([sorted(set(worked) - making), own_state()]).encode())

    monkeypatch.setattr(keeper, "_tend", mad)
    orders = start_keepers()
    assert orders.recv(4096).decode() == repr([[], CLOSED])
    orders.close()
    os.wait()
