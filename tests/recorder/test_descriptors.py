"""A forked process keeps the descriptors it is told to keep, and no others."""

from __future__ import annotations

import os
import socket

from rawlog.recorder.descriptors import keep_only, receive, send
from tests.support.places import open_descriptors


def test_all_others_are_closed() -> None:
    tell, told = socket.socketpair()
    extra = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
    pid = os.fork()
    if pid == 0:
        keep_only({tell.fileno(), extra[1]})
        held = []
        for fd in range(max(tell.fileno(), *extra) + 64):
            try:
                os.fstat(fd)
                held.append(fd)
            except OSError:
                continue
        tell.sendall(repr(held).encode())
        os._exit(0)
    told.settimeout(10)
    assert told.recv(1000).decode() == repr(sorted([tell.fileno(), extra[1]]))
    os.waitpid(pid, 0)
    for fd in extra:
        os.close(fd)
    tell.close()
    told.close()


def test_what_comes_with_a_message_does_not_survive_an_exec_and_is_never_too_much() -> None:
    sender, receiver = socket.socketpair()
    sent = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
    for count, expected in ((1, 1), (2, 2), (3, 3), (4, 3)):
        before = open_descriptors()
        socket.send_fds(sender, [b"x"], sent)
        data, fds, cut = receive(receiver, 10, count)
        assert (data, len(fds), cut) == (b"x", expected, count < 3)
        assert not any(map(os.get_inheritable, fds))
        for fd in fds:
            os.close(fd)
        assert open_descriptors() == before
    sender.send(b"y")
    assert receive(receiver, 10, 4) == (b"y", [], False)
    for fd in sent:
        os.close(fd)
    sender.close()
    receiver.close()


def test_what_is_sent_arrives_in_its_order() -> None:
    sender, receiver = socket.socketpair()
    sent = [os.open(path, os.O_RDONLY) for path in (os.devnull, "/")]
    assert send(sender, b"abc", sent) == 3
    data, fds, lost = receive(receiver, 10, 2)
    assert (data, lost) == (b"abc", False)
    assert [os.fstat(fd).st_ino for fd in fds] == [os.fstat(fd).st_ino for fd in sent]
    for fd in (*sent, *fds):
        os.close(fd)
    sender.close()
    receiver.close()
