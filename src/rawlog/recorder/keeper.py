"""The keeper: small processes that make a user's files as that user, for a service that has no rights of its own.

Knows: ``dovecot.rawlog/`` in a home directory, or a directory that it is told, and how to act as a user while its files
are made. Must not know: mail, conversations. It is a process of its own because homes are private: to enter one takes
root, and the process that talks to the network must not have that. It is several processes, because a file system can
hang, and whoever waits for it waits in the kernel, beyond every deadline; the others go on.

An order is one message on a SOCK_SEQPACKET socket, its fields with NUL between them. Its answer begins with a word:
``-`` no, and why; ``~`` there will be files, which is known long before a slow disk has made them; ``+`` here they are,
as descriptors (SCM_RIGHTS). All keepers read the same socket; who is free takes the next order. When the service ends,
they see the end of the socket and end too.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rawlog.errors import FormatError
from rawlog.events import Direction
from rawlog.recorder.descriptors import keep_only
from rawlog.recorder.directory import NotRecorded, open_directory, shown
from rawlog.recorder.naming import Opened, dashed_stems, open_pair

DIRECTORY = "dovecot.rawlog"
"""The directory in the home that is the switch, as for Dovecot's ``rawlog``."""
KEEPERS = 2
"""Processes: a home on a file system that hangs leaves one for everybody else; more cost more memory than they save."""
MESSAGE_LIMIT = 16384
"""Bytes of one order or answer; paths are 4096 at most."""
SEALED = ".age"
"""What the names of sealed recordings end with."""
REBIRTH = 0.1
"""Seconds until a keeper that died is replaced, so that one that can't live costs no CPU."""
_NO_USER = 2**32 - 1
"""(uid_t)-1 means "leave it as it is" to setresuid: nobody may act with our rights by asking for it."""


class Order(NamedTuple):
    """Whose recording is to be made, and what it is called.

    ``home`` is absolute (behind a chroot: with it in front); ``pid`` is that of the mail process, ``at`` the beginning
    in microseconds since the epoch, ``address`` is for ``-I``, else empty. ``promise``: say it before they are made.
    ``behind`` is what the names end with. ``directory``: an absolute path that is tried when there is nothing in the
    home, and links in it may be followed as in any ``rawlog_dir``; either may be empty.
    """

    home: str
    uid: int
    gid: int
    pid: int
    at: int
    address: str = ""
    directions: Sequence[Direction] = (Direction.IN, Direction.OUT)
    promise: bool = False
    behind: str = ""
    directory: str = ""

    @property
    def place(self) -> str:
        """What may be slow, for who waits: the same for the same directories."""
        return " or ".join(place for place in (self.home, self.directory) if place)


NO, PROMISE, FILES, EXPECTED = b"-", b"~", b"+", b"?"
"""How answers begin: the word, NUL, and the number of the order. EXPECTED is NO where nobody wanted a recording."""


def encode_order(number: int, order: Order) -> bytes:
    """One message for a keeper; its answers carry the same ``number``."""
    numbers = b"%d\0%d\0%d\0%d\0%d\0%d\0" % (number, order.promise, order.uid, order.gid, order.pid, order.at)
    directions = " ".join(direction.value for direction in order.directions)
    texts = (directions, order.address, order.behind, order.directory, order.home)
    return numbers + "\0".join(texts).encode(errors="surrogateescape")


def decode_order(message: bytes) -> tuple[int, Order]:
    """The other way round. A NUL in the home directory stays in it. Raises FormatError for what is no order."""
    try:
        number, promise, uid, gid, pid, at, *texts = message.split(b"\0", 10)
        directions, address, behind, directory, home = (text.decode(errors="surrogateescape") for text in texts)
        wanted = [Direction(value) for value in directions.split()]
        if behind not in ("", SEALED):
            raise ValueError(behind)
        who = int(uid), int(gid), int(pid), int(at), address
        return int(number), Order(home, *who, wanted, promise == b"1", behind, directory)
    except ValueError:
        raise FormatError("keeper: an order that is none; restart the service") from None


# -- the processes ----------------------------------------------------------------------------------------------------


def start_keepers(count: int = KEEPERS) -> socket.socket:
    """Forks the keepers; returns the socket for orders. Do it before rights are given up and the loop runs, and before
    much is loaded, for what is loaded they carry along."""
    gc.freeze()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        try:
            _become_quiet(theirs)
            _tend(theirs, count)
        finally:
            os._exit(0)
    theirs.close()
    return ours


def _become_quiet(orders: socket.socket) -> None:
    """Leaves nothing of the service in this process."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    keep_only({0, 1, 2, orders.fileno()})
    os.chdir("/")
    from rawlog.engine.confine import close_to_others, confine  # here, so that the service does not carry it along
    from rawlog.engine.roles import keeping

    close_to_others()
    with contextlib.suppress(OSError):  # a keeper that is not kept to its work does it all the same
        confine(keeping())


def _tend(orders: socket.socket, count: int) -> None:
    """The parent of the keepers: replaces those that die, until one says that the service is gone."""
    children: set[int] = set()
    while True:
        while len(children) < count:
            children.add(_fork_keeper(orders))
        pid, status = os.wait()
        children.discard(pid)
        if status == 0:
            return
        time.sleep(REBIRTH)


def _fork_keeper(orders: socket.socket) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        serve(orders)
        code = 0
    finally:
        os._exit(code)


def serve(orders: socket.socket) -> None:
    """One keeper: carries out orders until the service is gone."""
    with contextlib.suppress(ConnectionError):
        while message := orders.recv(MESSAGE_LIMIT):
            try:
                number, order = decode_order(message)
            except FormatError:  # of a service that is not itself any more; nobody waits for an answer
                continue
            made = carry_out(order, lambda number=number: orders.send(b"%b\0%d" % (PROMISE, number)))  # type: ignore[misc]
            _answer(orders, number, made)


def _answer(orders: socket.socket, number: int, made: Opened | NotRecorded) -> None:
    if isinstance(made, NotRecorded):
        orders.send(_message(EXPECTED if made.expected else NO, number, made.reason))
        return
    names = [f"{direction.value} {sink.name}" for direction, sink in made.sinks.items()]
    try:
        socket.send_fds(orders, [_message(FILES, number, made.path, *names)], [s.fd for s in made.sinks.values()])
    finally:
        for sink in made.sinks.values():
            sink.close()


def _message(word: bytes, number: int, *texts: str) -> bytes:
    return b"%b\0%d\0" % (word, number) + "\0".join(texts).encode(errors="surrogateescape")


# -- one order --------------------------------------------------------------------------------------------------------


def carry_out(order: Order, promise: Callable[[], object]) -> Opened | NotRecorded:
    """Makes the files in the home of the order's user or in its directory, as that user, or says why not.

    ``promise()`` is called when nothing is known to be in the way, before they are made.
    """
    home = f"{order.home.rstrip('/')}/{DIRECTORY}" if order.home else ""
    refused = _refusal(order, home or order.directory)
    if refused:
        return refused
    try:
        with acting_as(order.uid, order.gid):
            made = _make(order, home, promise, follow_last=False) if home else None
            if made is None or (order.directory and isinstance(made, NotRecorded) and made.expected):
                made = _make(order, order.directory, promise)
            return made
    except PermissionError as error:
        where = shown(order.place)
        return NotRecorded(f"{where}: nobody may act as its user: {error}; the service needs all rights of root")


def _make(order: Order, path: str, promise: Callable[[], object], *, follow_last: bool = True) -> Opened | NotRecorded:
    place = open_directory(path, follow_last=follow_last)
    if isinstance(place, NotRecorded):
        return place
    try:
        if order.promise and os.access(".", os.W_OK | os.X_OK, dir_fd=place, effective_ids=True):
            promise()
        return open_pair(place, _stems(order), order.directions, shown_as=path, behind=order.behind)
    finally:
        os.close(place)


def _refusal(order: Order, path: str) -> NotRecorded | None:
    if "\0" in order.home + order.directory:
        return NotRecorded(f"{shown(path)}: no path; let the userdb return a home directory")
    if not 0 < order.uid < _NO_USER or not 0 <= order.gid < _NO_USER:
        return NotRecorded(f"{shown(path)}: uid {order.uid} and gid {order.gid} are no mail user's")
    mine = os.geteuid()
    if mine not in (0, order.uid):
        return NotRecorded(
            f"{shown(path)}: uid {mine} can't make files of uid {order.uid}; start the service as root, or as that user"
        )
    return None


def _stems(order: Order) -> Iterator[str]:
    """``[IP-]yyyymmdd-HHMMSS-pid``, with the pid that the mail process has in its log too; then ``….2`` and so on."""
    begin = next(dashed_stems(order.at, order.address)).removesuffix(str(os.getpid()))
    yield f"{begin}{order.pid}"
    for number in itertools.count(2):
        yield f"{begin}{order.pid}.{number}"


@contextlib.contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Runs the block with the rights of a user. Only for a process with one thread.

    As root the effective ids and the groups change, and nothing else, so that the user can neither stop nor inspect
    this process. Raises PermissionError when the change did not happen.
    """
    if os.geteuid() != 0:
        yield
        return
    groups, own_gid = os.getgroups(), os.getegid()
    try:
        os.setgroups([gid])
        os.setresgid(-1, gid, -1)
        os.setresuid(-1, uid, -1)
        if (os.geteuid(), os.getegid()) != (uid, gid):
            raise PermissionError(f"uid {uid} and gid {gid} can't be taken on")
        yield
    finally:
        os.setresuid(-1, 0, -1)
        os.setresgid(-1, own_gid, -1)
        os.setgroups(groups)
