"""The keeper: small processes that make a user's files as that user, for a service that has no rights of its own.

Knows: ``dovecot.rawlog/`` in a home directory, or a directory that it is told. Must not know: mail, conversations, how
many keepers there are (``staff.py``). It is a process of its own because homes are private: to enter one takes root,
and the process that talks to the network must not have that. A file system can hang, and whoever waits for it waits in
the kernel, beyond every deadline; so there can be one keeper more, which goes on.

An order is one message on a SOCK_SEQPACKET socket, its fields with NUL between them. Its answer begins with a word:
``-`` no, and why; ``~`` there will be files, which is known long before a slow disk has made them; ``+`` here they are,
as descriptors (SCM_RIGHTS). All keepers read the same socket; who is free takes the next order. When the service ends,
they see the end of the socket and end too.
"""

from __future__ import annotations

import _socket  # the core of the module: all of it takes a megabyte
import contextlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from rawlog.errors import FormatError
from rawlog.events import Direction
from rawlog.recorder.descriptors import send
from rawlog.recorder.directory import NotRecorded, open_directory, shown
from rawlog.recorder.naming import WORDS, Opened, dashed_stems, open_pair
from rawlog.recorder.rights import act_as
from rawlog.recorder.staff import start

DIRECTORY = "dovecot.rawlog"
"""The directory in the home that is the switch, as for Dovecot's ``rawlog``."""
KEEPERS = 2
"""Processes at most: a file system that hangs leaves one for everybody else; more cost more memory than they save."""
MESSAGE_LIMIT = 16384
"""Bytes of one order or answer; paths are 4096 at most."""
SEALED = ".age"
"""What the names of sealed recordings end with."""
DIRECTIONS = {word: direction for direction, word in WORDS.items()}
"""What the words for directions in messages mean."""
_NO_USER = 2**32 - 1
"""(uid_t)-1 means "leave it as it is" to setresuid: nobody may act with our rights by asking for it."""
_BOTH = (Direction.IN, Direction.OUT)


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
    directions: Sequence[Direction] = _BOTH
    promise: bool = False
    behind: str = ""
    directory: str = ""

    @property
    def place(self) -> str:
        """What may be slow, for who waits: the same for the same directories."""
        home, directory = self.home, self.directory
        return f"{home} or {directory}" if home and directory else home or directory


NO, PROMISE, FILES, EXPECTED = b"-", b"~", b"+", b"?"
"""How answers begin: the word, NUL, and the number of the order. EXPECTED is NO where nobody wanted a recording."""


def encode_order(number: int, order: Order) -> bytes:
    """One message for a keeper; its answers carry the same ``number``."""
    home, uid, gid, pid, at, address, directions, promise, behind, directory = order
    words = "in out" if directions == _BOTH else " ".join([WORDS[direction] for direction in directions])
    numbers = f"{number}\0{promise:d}\0{uid}\0{gid}\0{pid}\0{at}"
    return f"{numbers}\0{words}\0{address}\0{behind}\0{directory}\0{home}".encode(errors="surrogateescape")


def decode_order(message: bytes) -> tuple[int, Order]:
    """The other way round. A NUL in the home directory stays in it. Raises FormatError for what is no order."""
    try:
        fields = message.decode(errors="surrogateescape").split("\0", 10)
        number, promise, uid, gid, pid, at, words, address, behind, directory, home = fields
        directions = [DIRECTIONS[word] for word in words.split()]
        if behind not in ("", SEALED):
            raise ValueError(behind)
        who = int(uid), int(gid), int(pid), int(at), address
        return int(number), Order(home, *who, directions, promise == "1", behind, directory)
    except (KeyError, ValueError):
        raise FormatError("keeper: an order that is none; restart the service") from None


# -- one process ------------------------------------------------------------------------------------------------------


def start_keepers(count: int = KEEPERS) -> _socket.socket:
    """Forks the keepers: one at first, ``count`` at most; returns the socket for orders.

    Do it before rights are given up and the loop runs, but after all that is needed is loaded: until one of them
    changes it, a process shares its memory with those that it has forked.
    """
    return start(serve, count)


def serve(orders: _socket.socket) -> None:
    """One keeper: carries out orders until the service is gone. Between two orders it stays who it was."""
    with contextlib.suppress(ConnectionError):
        while message := orders.recv(MESSAGE_LIMIT):
            try:
                number, order = decode_order(message)
            except FormatError:  # of a service that is not itself any more; nobody waits for an answer
                continue
            made = carry_out(order, partial(orders.send, b"%b\0%d" % (PROMISE, number)))
            _answer(orders, number, made)


def _answer(orders: _socket.socket, number: int, made: Opened | NotRecorded) -> None:
    if isinstance(made, NotRecorded):
        orders.send(_message(EXPECTED if made.expected else NO, number, made.reason))
        return
    sinks = made.sinks.values()
    names = [f"{WORDS[direction]} {sink.name}" for direction, sink in made.sinks.items()]
    try:
        send(orders, _message(FILES, number, made.path, *names), [sink.fd for sink in sinks])
    finally:
        for sink in sinks:
            sink.close()


def _message(word: bytes, number: int, *texts: str) -> bytes:
    return b"%b\0%d\0" % (word, number) + "\0".join(texts).encode(errors="surrogateescape")


# -- one order --------------------------------------------------------------------------------------------------------


def carry_out(order: Order, promise: Callable[[], object]) -> Opened | NotRecorded:
    """Makes the files in the home of the order's user or in its directory, as that user, or says why not.

    ``promise()`` is called when nothing is known to be in the way, before they are made. Afterwards this process still
    acts as the user.
    """
    home = f"{order.home.rstrip('/')}/{DIRECTORY}" if order.home else ""
    refused = _refusal(order, home or order.directory)
    if refused:
        return refused
    try:
        act_as(order.uid, order.gid)
    except OSError as error:
        what = f"{shown(order.place)}: nobody may act as its user: {error}"
        return NotRecorded(f"{what}; start the service as root, or as that user (root needs CAP_SETUID and CAP_SETGID)")
    made = _make(order, home, promise, follow_last=False) if home else None
    if made is None or (order.directory and isinstance(made, NotRecorded) and made.expected):
        made = _make(order, order.directory, promise)
    return made


def _refusal(order: Order, path: str) -> NotRecorded | None:
    if "\0" in order.home + order.directory:
        return NotRecorded(f"{shown(path)}: no path; let the userdb return a home directory")
    if not 0 < order.uid < _NO_USER or not 0 <= order.gid < _NO_USER:
        return NotRecorded(f"{shown(path)}: uid {order.uid} and gid {order.gid} are no mail user's")
    return None


def _make(order: Order, path: str, promise: Callable[[], object], *, follow_last: bool = True) -> Opened | NotRecorded:
    place = open_directory(path, follow_last=follow_last)
    if isinstance(place, NotRecorded):
        return place
    try:
        if order.promise and _is_writable(place):
            promise()
        stems = dashed_stems(order.at, order.address, order.pid)
        made = open_pair(place, stems, order.directions, shown_as=path, behind=order.behind)
        if isinstance(made, NotRecorded) and made.denied and _is_writable(place):
            return _forbidden(path)
        return made
    finally:
        os.close(place)


def _is_writable(place: int) -> bool:
    """Whether the modes let this user make files in the directory; what else keeps a process from it does not count."""
    return os.access(".", os.W_OK | os.X_OK, dir_fd=place, effective_ids=True)


def _forbidden(path: str) -> NotRecorded:
    """Why a keeper may not make files in a directory where its user may."""
    from rawlog.engine.roles import NO_HOMES

    top = os.path.realpath(path).split("/")[1]
    what = f"{shown(path)} is writable by uid {os.geteuid()}, but"
    if top in NO_HOMES:
        return NotRecorded(f"{what} keepers make no files below /{top}; move it, or record elsewhere (rawlog_dir)")
    return NotRecorded(
        f"{what} the system lets no keeper make files there; restart the service if /{shown(top)} is new, "
        "else look at SELinux or AppArmor"
    )
