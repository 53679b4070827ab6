from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from rawlog.engine.poller import READ, WRITE, Poller, SelectorPoller, make_poller


@pytest.fixture(params=[make_poller, SelectorPoller], ids=["best", "selectors"])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    made = request.param()
    yield made
    made.close()


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, two = socket.socketpair()
    yield one, two
    one.close()
    two.close()


Ends = tuple[socket.socket, socket.socket]


def test_tells_what_is_ready(poller: Poller, ends: Ends) -> None:
    one, two = ends
    poller.register(one.fileno(), READ)
    assert poller.poll(0, 16) == []
    two.send(b"x")
    assert poller.poll(1, 16) == [(one.fileno(), READ)]
    poller.modify(one.fileno(), READ | WRITE)
    assert poller.poll(1, 16) == [(one.fileno(), READ | WRITE)]


def test_an_empty_mask_waits_for_nothing_and_can_be_changed(poller: Poller, ends: Ends) -> None:
    one, two = ends
    two.send(b"x")
    poller.register(one.fileno(), 0)
    assert poller.poll(0, 16) == []
    poller.modify(one.fileno(), READ)
    assert poller.poll(1, 16) == [(one.fileno(), READ)]
    poller.modify(one.fileno(), 0)
    assert poller.poll(0, 16) == []
    poller.unregister(one.fileno())


def test_an_unregistered_descriptor_is_silent(poller: Poller, ends: Ends) -> None:
    one, two = ends
    poller.register(one.fileno(), READ)
    poller.unregister(one.fileno())
    two.send(b"x")
    assert poller.poll(0, 16) == []


def test_gives_no_more_than_asked(poller: Poller, ends: Ends) -> None:
    for end in ends:
        poller.register(end.fileno(), WRITE)
    assert len(poller.poll(1, 1)) == 1


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="this system has no epoll")
def test_epoll_is_used_where_there_is_one() -> None:
    poller = make_poller()
    assert isinstance(poller, select.epoll)
    poller.close()


def test_selectors_are_used_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll", raising=False)
    poller = make_poller()
    assert isinstance(poller, SelectorPoller)
    poller.close()
