"""The keeper: small processes that make a user's files as that user, for a service that has no rights of its own.

Knows: ``dovecot.rawlog/`` in a home directory, and how to act as a user while its files are made. Must not know: mail,
conversations. It is a process of its own because homes are private: to enter one takes root, and the process that
talks to the network must not have that. It is several processes, because a file system can hang, and whoever waits for
it waits in the kernel, beyond every deadline; the others go on.

An order and its answer are one JSON message each on a SOCK_SEQPACKET socket; the descriptors of the files come with
the answer (SCM_RIGHTS). All keepers read the same socket; who is free takes the next order. When the service ends, they
see the end of the socket and end too.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rawlog.events import Direction
from rawlog.recorder.descriptors import keep_only
from rawlog.recorder.directory import NotRecorded, shown
from rawlog.recorder.naming import Opened, dashed_stems, open_pair

DIRECTORY = "dovecot.rawlog"
"""The directory in the home that is the switch, as for Dovecot's ``rawlog``."""
KEEPERS = 3
"""Processes: two homes on file systems that hang leave one for everybody else."""
MESSAGE_LIMIT = 16384
"""Bytes of one order or answer; paths are 4096 at most."""
REBIRTH = 0.1
"""Seconds until a keeper that died is replaced, so that one that can't live costs no CPU."""
_NO_USER = 2**32 - 1
"""(uid_t)-1 means "leave it as it is" to setresuid: nobody may act with our rights by asking for it."""


@dataclass(frozen=True, slots=True)
class Order:
    """Whose recording is to be made, and what it is called.

    ``home`` is absolute (behind a chroot: with it in front); ``pid`` is that of the mail process, ``at`` the beginning
    in microseconds since the epoch, ``address`` is for ``-I``, else empty.
    """

    home: str
    uid: int
    gid: int
    pid: int
    at: int
    address: str = ""
    directions: Sequence[Direction] = (Direction.IN, Direction.OUT)


def encode_order(number: int, order: Order) -> bytes:
    """One message for a keeper; its answer carries the same ``number``."""
    directions = [direction.value for direction in order.directions]
    fields = [number, order.home, order.uid, order.gid, order.pid, order.at, order.address, directions]
    return json.dumps(fields).encode()


def decode_order(message: bytes) -> tuple[int, Order]:
    """The other way round."""
    number, home, uid, gid, pid, at, address, directions = json.loads(message)
    return number, Order(home, uid, gid, pid, at, address, [Direction(value) for value in directions])


# -- the processes ----------------------------------------------------------------------------------------------------


def start_keepers(count: int = KEEPERS) -> socket.socket:
    """Forks the keepers; returns the socket for orders. Do it before rights are given up and the loop runs."""
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
    while message := orders.recv(MESSAGE_LIMIT):
        number, order = decode_order(message)
        made = carry_out(order)
        try:
            _answer(orders, number, made)
        except ConnectionError:  # the service ended meanwhile
            return
        finally:
            if isinstance(made, Opened):
                for sink in made.sinks.values():
                    sink.close()


def _answer(orders: socket.socket, number: int, made: Opened | NotRecorded) -> None:
    if isinstance(made, NotRecorded):
        orders.send(json.dumps([number, made.reason, made.expected]).encode())
        return
    files = [(direction.value, sink.name) for direction, sink in made.sinks.items()]
    message = json.dumps([number, made.path, files]).encode()
    if made.sinks:
        socket.send_fds(orders, [message], [sink.fd for sink in made.sinks.values()])
    else:
        orders.send(message)


# -- one order --------------------------------------------------------------------------------------------------------


def carry_out(order: Order) -> Opened | NotRecorded:
    """Makes the files in the home of the order's user, as that user, or says why not."""
    if "\0" in order.home:
        return NotRecorded(f"{shown(order.home)}: no path; let the userdb return a home directory")
    path = f"{order.home.rstrip('/')}/{DIRECTORY}"
    refused = _refusal(order, path)
    if refused:
        return refused
    try:
        with acting_as(order.uid, order.gid):
            return open_pair(path, _stems(order), order.directions, follow_last=False)
    except PermissionError as error:
        return NotRecorded(f"{shown(path)}: nobody may act as its user: {error}; the service needs all rights of root")


def _refusal(order: Order, path: str) -> NotRecorded | None:
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
