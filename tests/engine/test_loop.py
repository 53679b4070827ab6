from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from rawlog.engine.loop import READ, WRITE, Loop
from rawlog.engine.poller import SelectorPoller, make_poller


@pytest.fixture(params=[make_poller, SelectorPoller], ids=["best", "selectors"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    made = Loop(request.param())
    made.call_later(10, made.stop)
    yield made
    made.close()


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    with contextlib.ExitStack() as stack:
        made = [socket.socketpair() for _ in range(2)]
        for pair in made:
            for end in pair:
                stack.callback(end.close)
        yield made


Pairs = list[tuple[socket.socket, socket.socket]]


def test_calls_the_handler_with_the_events(loop: Loop, pairs: Pairs) -> None:
    one, two = pairs[0]
    got: list[int] = []

    def ready(events: int) -> None:
        got.append(events)
        if events & WRITE:
            loop.modify(one.fileno(), READ)
            two.send(b"x")
        else:
            loop.stop()

    loop.register(one.fileno(), ready, READ | WRITE)
    loop.run()
    assert got == [WRITE, READ]


def test_time_is_read_once_per_wake_up(loop: Loop) -> None:
    seen: list[tuple[int, float]] = []

    def look() -> None:
        before = loop.now(), loop.monotonic()
        time.sleep(0.002)
        seen.extend([before, (loop.now(), loop.monotonic())])
        if len(seen) == 4:
            loop.stop()
        else:
            loop.call_soon(look)

    loop.call_soon(look)
    loop.run()
    assert seen[0] == seen[1]
    assert seen[2] == seen[3]
    assert seen[2][0] - seen[0][0] >= 1000
    assert seen[2][1] > seen[0][1]
    assert abs(loop.now() - time.time() * 1e6) < 5e6


def test_timers_run_in_their_order_once(loop: Loop) -> None:
    ran: list[str] = []
    loop.call_later(0.02, loop.stop)
    loop.call_later(0.01, lambda: ran.append("second"))
    loop.call_later(0.0, lambda: ran.append("first"))
    loop.run()
    assert ran == ["first", "second"]


def test_a_cancelled_timer_is_not_called(loop: Loop) -> None:
    ran: list[str] = []
    timer = loop.call_later(0.001, lambda: ran.append("cancelled"))
    late = loop.call_later(0.01, loop.stop)
    timer.cancel()
    timer.cancel()
    loop.run()
    late.cancel()
    assert ran == []


def test_a_timer_can_be_run_before_its_time_once(loop: Loop) -> None:
    ran: list[str] = []
    early = loop.call_later(0.001, lambda: ran.append("early"))
    cancelled = loop.call_later(0.001, lambda: ran.append("cancelled"))
    cancelled.cancel()
    late = loop.call_later(0.0, lambda: ran.append("late"))
    for timer in (early, early, cancelled):
        timer.run()
    assert ran == ["early"]
    loop.call_later(0.01, loop.stop)
    loop.run()
    late.run()
    assert ran == ["early", "late"]


def test_a_timer_may_cancel_another_that_is_due(loop: Loop) -> None:
    ran: list[str] = []
    loop.call_later(0.0, lambda: second.cancel())
    second = loop.call_later(0.0, lambda: ran.append("second"))
    loop.call_later(0.005, loop.stop)
    loop.run()
    assert ran == []


def test_many_cancelled_timers_do_not_pile_up(loop: Loop) -> None:
    ran: list[int] = []
    kept = [loop.call_later(0.001 * n, lambda n=n: ran.append(n)) for n in range(5)]
    for _ in range(1000):
        loop.call_later(3600, loop.stop).cancel()
    assert len(loop._timers) < 200
    loop.call_later(0.02, loop.stop)
    loop.run()
    assert ran == [0, 1, 2, 3, 4]
    assert all(timer.callback is None for timer in kept)


def test_soon_is_after_the_handlers_of_this_wake_up(loop: Loop, pairs: Pairs) -> None:
    order: list[str] = []

    def ready(sock: socket.socket) -> None:
        sock.recv(1)
        order.append("handler")
        loop.call_soon(lambda: order.append("soon"))
        if len(order) >= 2:
            loop.call_soon(loop.stop)

    for one, two in pairs:
        two.send(b"x")
        loop.register(one.fileno(), lambda events, one=one: ready(one), READ)
    loop.run()
    assert order == ["handler", "handler", "soon", "soon"]


def test_a_failing_handler_is_reported_once_and_the_others_go_on(loop: Loop, pairs: Pairs) -> None:
    errors: list[BaseException] = []
    loop.on_error = errors.append
    calls: list[str] = []

    def bad(events: int) -> None:
        calls.append("bad")
        raise ValueError("bad handler")

    def good(events: int) -> None:
        calls.append("good")
        if calls.count("good") == 3:
            loop.stop()

    for (one, two), handler in zip(pairs, (bad, good), strict=True):
        two.send(b"x")
        loop.register(one.fileno(), handler, READ)
    loop.run()
    assert calls.count("bad") == 1
    assert [str(error) for error in errors] == ["bad handler"]


def test_a_handler_that_took_itself_off_and_failed_leaves_its_successor(loop: Loop, pairs: Pairs) -> None:
    loop.on_error = lambda error: None
    one, two = pairs[0]

    def bad(events: int) -> None:
        loop.unregister(one.fileno())
        loop.register(one.fileno(), lambda events: loop.stop(), READ)
        raise ValueError

    ended = loop.call_later(5, lambda: pytest.fail("the second handler was taken off"))
    two.send(b"x")
    loop.register(one.fileno(), bad, READ)
    loop.run()
    ended.cancel()


def test_failing_callbacks_and_a_failing_report_end_nothing(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError("callback")

    def report(error: BaseException) -> None:
        raise RuntimeError("report")

    loop.call_soon(fail)
    loop.call_later(0, fail)
    loop.call_later(0.01, loop.stop)
    loop.on_error = report
    with caplog.at_level(logging.ERROR):
        loop.run()
    assert caplog.text.count("RuntimeError: report") == 2


def test_errors_are_logged_by_default(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    loop.call_soon(lambda: [][0])  # type: ignore[arg-type]
    loop.call_soon(loop.stop)
    loop.run()
    assert "IndexError" in caplog.text


def test_no_event_reaches_a_handler_that_another_took_off(loop: Loop, pairs: Pairs) -> None:
    """Both are ready in one wake-up; the first closes the second and reuses its number."""
    called: list[str] = []
    fds = [one.fileno() for one, _ in pairs]

    def handler(name: str, other: int) -> None:
        called.append(name)
        loop.unregister(other)
        loop.register(other, lambda events: called.append("stale") or loop.stop(), READ)
        loop.modify(other, 0)
        loop.unregister(fds[1 - fds.index(other)])
        loop.call_later(0.01, loop.stop)

    for (one, two), other in zip(pairs, reversed(fds), strict=True):
        two.send(b"x")
        loop.register(one.fileno(), lambda events, other=other: handler(str(other), other), READ)
    loop.run()
    assert len(called) == 1


def test_unregistering_twice_is_nothing(loop: Loop, pairs: Pairs) -> None:
    fd = pairs[0][0].fileno()
    loop.register(fd, lambda events: None, READ)
    loop.unregister(fd)
    loop.unregister(fd)
    loop.register(fd, lambda events: None, READ)


def test_signals_arrive_in_the_loop(loop: Loop) -> None:
    got: list[str] = []
    old = signal.getsignal(signal.SIGUSR1)
    loop.add_signal(signal.SIGUSR1, lambda: got.append("usr1"))
    loop.add_signal(signal.SIGUSR2, lambda: got.append("usr2") or loop.stop())
    loop.call_soon(lambda: os.kill(os.getpid(), signal.SIGUSR1))
    loop.call_later(0.01, lambda: os.kill(os.getpid(), signal.SIGUSR2))
    loop.run()
    assert got == ["usr1", "usr2"]
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) == old
    loop._poller = make_poller()  # the fixture closes it again


def test_stop_before_run_does_not_count_and_run_can_be_repeated(loop: Loop) -> None:
    ran: list[int] = []
    loop.stop()
    for n in range(2):
        loop.call_soon(lambda n=n: ran.append(n) or loop.stop())
        loop.run()
    assert ran == [0, 1]
