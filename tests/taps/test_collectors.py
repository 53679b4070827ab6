"""Recordings that go to a collector: each its own stream, nobody waits, and a process that ends sends what it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rawlog.engine.sentences import LegError
from rawlog.events import Direction
from rawlog.settings.variables import Template
from rawlog.taps.collectors import CollectorTarget, Outstanding, collector_of
from rawlog.taps.plan import Part, Plan
from tests.support.backends import FakeServer, ImapScript
from tests.support.collector import Collector, side
from tests.support.dovecot import free_ports
from tests.support.fakeserving import fake_serving, login, talk
from tests.support.gateway import RunningGateway, eventually

IN, OUT = Direction.IN, Direction.OUT


def running(tmp_path: Path, fake: FakeServer, port: int, **more: Any) -> tuple[RunningGateway, Outstanding]:
    """A gateway that records at the collector, from the login on."""
    outstanding = Outstanding()
    gateway: list[RunningGateway] = []

    def change(words: dict[str, Any]) -> None:
        (plan,) = words["client_plans"]
        words["client_plans"] = [Plan(Late(plan.target), Part.FROM_LOGIN)]

    class Late:
        """The target, made when the loop is known."""

        def __init__(self, files: Any) -> None:
            self.files = files
            self.target: CollectorTarget | None = None

        needs_user = False

        def open(self, *words: Any, **options: Any) -> None:
            here = gateway[0]
            if self.target is None:
                ends = collector_of(f"tcp:127.0.0.1:{port}")
                assert ends is not None
                self.target = CollectorTarget(
                    here.loop,
                    ends,
                    f"tcp:127.0.0.1:{port}",
                    files=self.files,
                    outstanding=outstanding,
                    flusher=self.files._flusher,
                    report=here.lines.append,
                    **more,
                )
            self.target.open(*words, **options)

    gateway.append(RunningGateway(f"imap://localhost:{fake.port}", tmp_path, change=change))
    return gateway[0], outstanding


def test_each_conversation_is_a_stream(tmp_path: Path) -> None:
    with Collector() as collector, FakeServer(ImapScript()) as fake:
        gateway, outstanding = running(tmp_path, fake, collector.port)
        with gateway:
            for number in range(3):
                with gateway.dial() as peer:
                    peer.line()
                    peer.command(b"a LOGIN bob secret")
                    peer.command(b"b%d ECHO 20000" % number)
                    peer.command(b"c LOGOUT")
            streams = collector.finished(3)
            assert all(f"files=tcp:127.0.0.1:{collector.port}" in line for line in gateway.idle().ends())
    for number, stream in enumerate(streams):
        assert side(stream, IN) == b"b%d ECHO 20000\r\nc LOGOUT\r\n" % number
        assert len(side(stream, OUT)) > 20000
        assert b" O: a OK [CAPABILITY IMAP4rev1 IDLE] in\r\n" in stream
    waited: list[bool] = []
    outstanding.wait(lambda: waited.append(True))
    assert waited == [True]
    assert list(tmp_path.iterdir()) == []


def test_a_collector_that_does_not_read_stops_nobody(tmp_path: Path) -> None:
    with Collector(reading=False) as collector, FakeServer(ImapScript()) as fake:
        gateway, _ = running(tmp_path, fake, collector.port)
        with gateway, gateway.dial() as peer:
            peer.line()
            peer.command(b"a LOGIN bob secret")
            for number in range(20):
                assert peer.command(b"b%d ECHO 400000" % number).endswith(b"OK done\r\n")
            peer.command(b"c LOGOUT")
            peer.close()
            gateway.idle()
            assert any("the collector does not keep up" in line for line in gateway.lines)


def test_no_collector_stops_nobody_and_it_may_come_later(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with FakeServer(ImapScript()) as fake:
        gateway, _ = running(tmp_path, fake, port)
        with gateway, gateway.dial() as peer:
            peer.line()
            peer.command(b"a LOGIN bob secret")
            eventually(lambda: any("connection refused" in line for line in gateway.lines))
            with Collector(port=port) as collector:
                peer.command(b"b NOOP")
                peer.command(b"c LOGOUT")
                peer.close()
                (stream,) = collector.finished(1)
    assert side(stream, IN) == b"b NOOP\r\nc LOGOUT\r\n"


def test_there_may_be_a_limit(tmp_path: Path) -> None:
    with Collector() as collector, FakeServer(ImapScript()) as fake:
        gateway, _ = running(tmp_path, fake, collector.port, session_bytes=1000)
        with gateway:
            with gateway.dial() as peer:
                peer.line()
                peer.command(b"a LOGIN bob secret")
                peer.command(b"b ECHO 20000")
                peer.command(b"c LOGOUT")
            (stream,) = collector.finished(1)
    assert b"[rawlog: not recorded from here on: limit of 1000 bytes reached]" in stream


def test_a_user_s_own_directory_is_a_directory(tmp_path: Path) -> None:
    asked: list[Template | None] = []

    class Files:
        def open(self, *words: Any, instead: Template | None) -> None:
            asked.append(instead)

    target = CollectorTarget(
        None,
        (),
        "tcp:h:1",
        files=Files(),
        outstanding=Outstanding(),
        flusher=None,
        report=print,  # type: ignore[arg-type]
    )
    assert not target.needs_user
    target.open({}, 0, "1", print, instead=Template("/own"))
    assert asked[0] is not None
    assert asked[0].text == "/own"


def test_what_is_a_collector() -> None:
    assert collector_of("/var/lib/rawlog/%u") is None
    assert collector_of("") is None
    (end,) = collector_of("tcp:127.0.0.1:29000") or ()
    assert end.address == ("127.0.0.1", 29000)
    (end,) = collector_of("tcp:[::1]:29000") or ()
    assert end.text == "[::1]:29000"
    with pytest.raises(LegError, match=r"no-such-host\.invalid: "):
        collector_of("tcp:no-such-host.invalid:1")


def test_outstanding_recordings_are_waited_for() -> None:
    outstanding, told = Outstanding(), list[str]()
    outstanding.begin()
    outstanding.begin()
    outstanding.wait(lambda: told.append("none"))
    outstanding.done()
    assert told == []
    outstanding.done()
    assert told == ["none"]
    outstanding.begin()
    outstanding.done()
    assert told == ["none"]


def test_a_worker_that_ends_sends_what_it_has() -> None:
    with Collector() as collector, fake_serving(f"rawlog_dir = tcp:127.0.0.1:{collector.port}\n") as gateway:
        with login(gateway) as peer:
            peer.command(b"b ECHO 10000")
            gateway.process.terminate()
            peer.command(b"c LOGOUT")
        assert gateway.process.wait(10) == 0
        (stream,) = collector.finished(1)
    assert side(stream, IN) == b"b ECHO 10000\r\nc LOGOUT\r\n"
    assert side(stream, OUT).endswith(b"c OK bye\r\n")


def test_a_worker_does_not_wait_for_ever() -> None:
    with Collector(reading=False) as collector:
        more = f"rawlog_dir = tcp:127.0.0.1:{collector.port}\nrawlog_workers = 1\n"
        with fake_serving(more) as gateway:
            with login(gateway) as peer:
                for number in range(20):
                    peer.command(b"b%d ECHO 400000" % number)
                peer.command(b"c LOGOUT")
            talk(gateway)
            gateway.process.terminate()
            assert gateway.process.wait(12) == 0
            assert "bytes of the recording did not arrive" in gateway.log()
