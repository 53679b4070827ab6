"""The keepers: files in homes, made as their users; and what is refused."""

from __future__ import annotations

import _socket
import gc
import os
import resource
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rawlog.engine.confine import NETWORK_VERSION, landlock_version
from rawlog.errors import FormatError
from rawlog.events import Direction
from rawlog.recorder import keeper, staff
from rawlog.recorder.descriptors import receive
from rawlog.recorder.directory import NotRecorded
from rawlog.recorder.keeper import Order, carry_out, decode_order, encode_order, start_keepers
from rawlog.recorder.naming import Opened
from tests.support import hanging
from tests.support.hanging import HANGING
from tests.support.places import NOBODY, STRANGER, ids_given_back, shared_directory
from tests.support.probes import CLOSED, EVERYTHING, Stage, in_a_process, needs_landlock, own_state, state_of
from tests.support.staff import Staff

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
    with ids_given_back():
        opened = carry_out(order(home, promise=True, **more), lambda: promised.append(1))
    assert isinstance(opened, Opened), opened
    assert promised == [1]
    for sink in opened.sinks.values():
        sink.close()
    return opened


def refused(home: Path | str, **more: object) -> NotRecorded:
    promised: list[int] = []
    with ids_given_back():
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


@needs_root
def test_it_stays_the_user_until_the_next_order_and_only_effectively(home: Path) -> None:
    with ids_given_back():
        carry_out(order("/nowhere"), lambda: None)
        assert (os.getresuid(), os.getresgid()) == ((0, NOBODY, 0), (0, NOBODY, 0))
        carry_out(order(home, uid=0), lambda: None)  # refused: nothing changes
        assert os.getresuid() == (0, NOBODY, 0)
        answer = carry_out(order(home, uid=STRANGER, gid=STRANGER), lambda: None)
        assert isinstance(answer, NotRecorded)
        assert f"can't be reached by uid {STRANGER}" in answer.reason


@needs_root
def test_rights_that_can_not_be_had_are_told_and_cost_no_other_user(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(groups: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setgroups", refuse)
    with ids_given_back():
        answer = carry_out(order(home), lambda: None)
        assert isinstance(answer, NotRecorded)
        assert f"{home}: nobody may act as its user: [Errno 1] Operation not permitted; start the" in answer.reason
        assert os.getresuid() == (0, 0, 0)
    monkeypatch.undo()
    made(home)


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
    with ids_given_back():
        opened = carry_out(order(home), lambda: promised.append(1))
    assert isinstance(opened, Opened)
    for sink in opened.sinks.values():
        sink.close()
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
def keepers() -> Iterator[Staff]:
    keepers = Staff(start_keepers)
    yield keepers
    keepers.close()


def ask(orders: _socket.socket, number: int, wanted: Order) -> tuple[list[bytes], list[int]]:
    """The words of the last answer, and its descriptors."""
    orders.send(encode_order(number, wanted))
    while True:
        message, fds, _ = receive(orders, keeper.MESSAGE_LIMIT, 2)
        words = message.split(b"\0")
        assert words[1] == b"%d" % number
        if words[0] != keeper.PROMISE:
            return words, fds


def test_descriptors_come_with_the_answer(keepers: Staff, home: Path) -> None:
    orders = keepers.work
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


def worked(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except PermissionError:
        return False
    return True


def answered(keepers: Staff, number: int, wanted: Order) -> Path:
    """The first file of a recording that is made."""
    words, fds = ask(keepers.work, number, wanted)
    assert words[0] == keeper.FILES, words
    for fd in fds:
        os.close(fd)
    return Path(words[3].decode().partition(" ")[2])


def test_while_one_keeper_hangs_another_that_is_called_takes_the_orders(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "carry_out", hanging.carry_out)
    keepers = Staff(start_keepers)
    keepers.work.send(encode_order(1, order(HANGING)))
    keepers.ring()
    answered(keepers, 2, order(home))
    keepers.wait_for(2)
    keepers.close()  # the parent does not wait for who hangs


@needs_root
def test_one_keeper_serves_users_in_turn(keepers: Staff, home: Path) -> None:
    other = home.parent / "other"
    (other / "dovecot.rawlog").mkdir(parents=True)
    other.chmod(0o700)
    for path in (other, other / "dovecot.rawlog"):
        os.chown(path, STRANGER, STRANGER)
    theirs = order(other, uid=STRANGER, gid=STRANGER)
    for number, (wanted, uid) in enumerate([(order(home), NOBODY), (theirs, STRANGER), (order(home), NOBODY)]):
        info = answered(keepers, number, wanted).stat()
        assert (info.st_uid, info.st_gid) == (uid, uid)
        assert ask(keepers.work, 9, order(home, uid=0))[0][0] == keeper.NO  # an order refused changes nothing
        (pid,) = keepers.pids()
        assert state_of(pid)["Uid"].split() == ["0", str(uid), "0", str(uid)]
        assert state_of(pid)["Groups"].split() == [str(uid)]
    assert ask(keepers.work, 9, order(other))[0][0] == keeper.NO  # another's home stays closed


@needs_root
def test_the_user_whose_rights_a_keeper_has_can_do_nothing_to_it(keepers: Staff, home: Path) -> None:
    answered(keepers, 1, order(home))
    (pid,) = keepers.pids()
    attempts: dict[str, Callable[[], object]] = {
        "stop it": lambda: os.kill(pid, signal.SIGTERM),
        "inspect it": lambda: list(Path(f"/proc/{pid}/fd").iterdir()),
        "limit it": lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 3)),
        "make it wait": lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
        "make it slow": lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
    }

    def as_the_user() -> list[str]:
        os.setgroups([NOBODY])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return [name for name, attempt in attempts.items() if worked(attempt)]

    assert in_a_process(as_the_user) == "[]"
    assert state_of(pid)["Uid"].split()[1] == str(NOBODY)


@needs_landlock
def test_a_home_where_keepers_make_no_files_is_not_said_to_be_closed_to_its_user(keepers: Staff) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as top:
        place = Path(top, "dovecot.rawlog")
        place.mkdir()
        for path in (place, place.parent):
            os.chown(path, order("").uid, order("").gid)
        words, _ = ask(keepers.work, 1, order(top))
        uid = order("").uid
        assert words[2].decode() == (
            f"{place} is writable by uid {uid}, but keepers make no files below /dev; "
            "move it, or record elsewhere (rawlog_dir)"
        )
        place.chmod(0o500)
        assert f"not writable by uid {uid}" in ask(keepers.work, 2, order(top))[0][2].decode()


def test_keepers_collect_no_garbage_because_they_make_none(home: Path) -> None:
    messages = [b"x", *(encode_order(1, order(place, promise=True)) for place in (home, "/nowhere", "relative"))]
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    for message in messages:
        ours.send(message)
    ours.shutdown(_socket.SHUT_WR)
    gc.collect()
    gc.disable()
    try:
        with ids_given_back():
            keeper.serve(theirs)
        assert gc.collect() == 0
    finally:
        gc.enable()
        ours.close()
        theirs.close()


@pytest.mark.parametrize("message", [b"x", b"1\x002\x003\x004\x005\0in", b"1\x002\x003\x004\x00x\0in\0\0/", b"\0" * 7])
def test_what_is_no_order_is_refused_and_ends_no_keeper(message: bytes, home: Path) -> None:
    with pytest.raises(FormatError, match="an order that is none"):
        decode_order(message)
    keepers = Staff(start_keepers)
    keepers.work.send(message)
    answered(keepers, 1, order(home))
    keepers.close()


def test_a_keeper_can_only_do_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the work it tries what it need not."""
    stage = Stage(tmp_path)
    making = {"overwrite a file", "truncate a file", "make a file elsewhere"}  # a home can be anywhere

    def mad(serve: object, orders: _socket.socket, calls: int, count: int) -> None:
        worked = stage.tried(EVERYTHING) if landlock_version() >= NETWORK_VERSION else []
        orders.send(repr([sorted(set(worked) - making), own_state()]).encode())

    monkeypatch.setattr(staff, "_tend", mad)
    orders = start_keepers()
    bell = staff.take_bell(orders)
    assert bell is not None
    os.close(bell)
    assert orders.recv(4096).decode() == repr([[], CLOSED])
    orders.close()
    os.wait()
