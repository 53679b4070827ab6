"""A collector that accepts, refuses, resets, never reads, goes and comes back: nothing waits for it, and what it gets
is whole lines in order. The bytes of these tests are numbered lines, so that a missing or doubled one shows."""

from __future__ import annotations

import errno
import re
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from rawlog.events import Direction
from rawlog.formats.combined import CombinedDecoder, CombinedEncoder
from rawlog.recorder import tcp
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.tcp import LIMIT, LONG_LINE
from tests.support.places import open_descriptors
from tests.support.tcp_stage import SECONDS, Stage, lines

IN, OUT = Direction.IN, Direction.OUT


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(tcp, "FIRST_RETRY", 0.02)
    made = Stage()
    yield made
    for connection in made.collector.connections:
        connection.close()
    made.collector.sock.close()
    made.loop.close()


@pytest.fixture
def connected(stage: Stage) -> Stage:
    stage.collector.listen()
    stage.until(lambda: stage.collector.connections and stage.sink._sock)
    return stage


# -- a collector that is there ----------------------------------------------------------------------------------------


def test_everything_arrives_and_the_end_of_the_conversation_ends_the_connection(stage: Stage) -> None:
    stage.collector.listen()
    stage.sink.write(lines(0, 10))
    stage.until(lambda: stage.collector.got)
    stage.sink.write(lines(10, 20), lines(20, 30))
    assert stage.sink.written == 30 * 80
    stage.end()
    stage.until(lambda: stage.collector.ended == [True])
    assert stage.collector.got == [lines(0, 30)]
    assert (stage.reports, stage.closed, stage.sink.missed) == ([], 1, 0)


def test_what_has_arrived_is_not_kept(connected: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "LOOK", 0.01)
    connected.collector.reading = False
    connected.sink.write(lines(0, 700))
    connected.pause(0.05)
    assert connected.sink._data
    connected.collector.reading = True
    connected.until(lambda: not connected.sink._data)
    connected.end()
    assert connected.collector.got == [lines(0, 700)]


def test_a_piece_larger_than_all_there_is_goes_when_the_collector_takes_it(connected: Stage) -> None:
    data = lines(0, 2 * LIMIT // 80)
    rest, deadline = data, time.monotonic() + SECONDS
    while rest and time.monotonic() < deadline:
        before = connected.sink.written
        try:
            connected.sink.write(rest)
        except BlockingIOError:
            connected.pause(0.005)
        rest = rest[connected.sink.written - before :]
    connected.end()
    assert connected.collector.got == [data]


def test_what_a_collector_says_is_not_heard(connected: Stage) -> None:
    connected.collector.connections[0].sendall(b"220 hello\r\n" * 500)
    connected.sink.write(lines(0, 5))
    connected.end()
    connected.until(lambda: connected.collector.ended == [True])
    assert connected.collector.got == [lines(0, 5)]  # a close with unread bytes would have been a reset
    assert not connected.reports


def test_a_collector_that_closes_the_direction_it_does_not_use(connected: Stage) -> None:
    connected.collector.connections[0].shutdown(socket.SHUT_WR)
    connected.until(lambda: connected.sink._ended)
    connected.sink.write(lines(0, 5))
    connected.until(lambda: connected.collector.got == [lines(0, 5)])
    connected.sink.write(lines(5, 9))
    connected.end()
    assert connected.collector.got == [lines(0, 9)]
    assert not connected.reports


# -- a collector that is away -----------------------------------------------------------------------------------------


def test_a_collector_that_refuses_is_told_of_once_and_gets_everything_when_it_is_there(stage: Stage) -> None:
    stage.sink.write(lines(0, 10))
    stage.until(lambda: stage.sink._delay > 0.1)  # after several tries
    (report,) = stage.reports
    assert report.startswith(f"tcp:localhost:{stage.collector.port}: collector 127.0.0.1:{stage.collector.port}: ")
    assert "connection refused" in report and "tried again" in report
    stage.sink.write(lines(10, 20))
    stage.collector.listen()
    stage.until(lambda: stage.collector.got == [lines(0, 20)])
    assert "takes recordings again" in stage.reports[1]
    assert stage.sink._delay == tcp.FIRST_RETRY
    stage.end()
    assert len(stage.reports) == 2


def test_the_tries_become_rare(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def call_later(seconds: float, callback: Callable[[], None]) -> object:
        waits.append(seconds)
        return stage.loop.call_later(0, callback)

    class Ahead:
        def __getattr__(self, name: str) -> object:
            return call_later if name == "call_later" else getattr(stage.loop, name)

    monkeypatch.setattr(tcp, "FIRST_RETRY", 0.5)
    monkeypatch.setattr(stage.sink, "_loop", Ahead())
    monkeypatch.setattr(stage.sink, "_delay", 0.5)
    stage.until(lambda: sum(seconds >= 0.5 for seconds in waits if seconds <= 30 and seconds != 10) >= 9)
    tries = [seconds for seconds in waits if seconds != 10.0]
    assert tries[:9] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_no_more_than_the_limit_is_kept(stage: Stage) -> None:
    taken = stage.fill()
    assert taken == len(stage.sink._data) == LIMIT // 80 * 80  # whole lines
    with pytest.raises(BlockingIOError, match="does not keep up"):
        stage.sink.write(lines(0, 1))
    stage.until(lambda: stage.reports)
    with pytest.raises(BlockingIOError, match="no connection to the collector"):
        stage.sink.write(lines(0, 1))
    assert stage.sink.written == taken


@pytest.mark.parametrize("kernel", [4096, 1 << 20])
def test_a_collector_that_never_reads_stops_nothing(connected: Stage, kernel: int) -> None:
    assert connected.sink._sock is not None
    connected.sink._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kernel)
    connected.collector.reading = False
    taken = connected.fill()
    assert taken > LIMIT  # what the kernels of both sides hold comes on top
    assert len(connected.sink._data) <= LIMIT
    connected.pause(0.05)
    connected.collector.reading = True
    connected.end()
    got = connected.collector.all
    assert got == lines(0, taken // 80 + 1)[: len(got)] and len(got) == taken
    assert not connected.reports


# -- a connection that is lost ----------------------------------------------------------------------------------------


def test_a_connection_that_was_reset_is_gone_on_with_at_the_last_line(connected: Stage) -> None:
    collector = connected.collector
    connected.sink.write(lines(0, 10) + lines(10, 11)[:30])
    connected.until(lambda: len(collector.got[0]) == 830)
    collector.reset()
    connected.until_connected(2)
    connected.sink.write(lines(10, 11)[30:] + lines(11, 20))
    connected.end()
    assert collector.got == [lines(0, 10) + lines(10, 11)[:30], lines(10, 20)]
    assert "reset the connection" in connected.reports[0]
    assert "takes recordings again" in connected.reports[1]
    assert connected.sink.missed == 0


def test_a_collector_that_hung_up_unnoticed_misses_nothing(connected: Stage) -> None:
    collector = connected.collector
    connected.sink.write(lines(0, 10))
    connected.until(lambda: collector.got == [lines(0, 10)])
    collector.hang_up()
    connected.until(lambda: connected.sink._ended)
    connected.sink.write(lines(10, 20))  # the kernel takes it, nobody gets it
    connected.until_connected(2)
    connected.end()
    assert collector.got == [lines(0, 10), lines(10, 20)]


def test_what_had_not_arrived_is_sent_again(connected: Stage) -> None:
    collector = connected.collector
    collector.reading = False
    taken = connected.fill()
    collector.reset()
    collector.reading = True
    connected.until_connected(2)
    connected.end()
    got = collector.got[1]
    assert len(got) > LIMIT - 80  # all but what the first collector's machine had
    assert got == lines(0, taken // 80 + 1)[taken - len(got) : taken]
    assert (taken - len(got)) % 80 == 0  # it begins with a line


def test_a_collector_that_resets_at_once_is_left_alone_for_longer_each_time(stage: Stage) -> None:
    stage.collector.listen()
    stage.collector.reading = False
    stage.sink.write(lines(0, 3))
    for count in range(1, 4):
        stage.until_connected(count)
        stage.collector.reset()
    stage.collector.reading = True
    stage.until_connected(4)
    stage.end()
    assert stage.collector.ended[-1]


def test_it_comes_back_after_hours(connected: Stage) -> None:
    collector = connected.collector
    connected.sink.write(lines(0, 10))
    connected.until(lambda: collector.got == [lines(0, 10)])
    collector.stop_listening()
    collector.reset()
    connected.until(lambda: connected.sink._delay > 0.1)
    connected.sink.write(lines(10, 20))
    collector.listen()
    connected.until(lambda: len(collector.got) == 2)
    connected.end()
    assert collector.got[1] == lines(10, 20)
    assert len(connected.reports) == 2


def test_the_rest_of_a_long_line_is_not_sent_as_if_it_were_one(connected: Stage) -> None:
    collector, long = connected.collector, b"x" * (LONG_LINE + 100)
    connected.sink.write(lines(0, 2) + long)
    connected.until(lambda: len(collector.got[0]) == 160 + len(long))
    connected.sink.write(b"y")
    connected.until(lambda: collector.got[0].endswith(b"y"))
    assert len(connected.sink._data) < 100
    collector.reset()
    connected.until_connected(2)
    connected.sink.write(b"zzz")
    connected.sink.write(b"zz\r\n" + lines(2, 4))
    connected.end()
    assert collector.got == [lines(0, 2) + long + b"y", lines(2, 4)]
    assert connected.sink.missed == 7
    assert "7 bytes of the recording did not arrive" in connected.reports[-1]


# -- the end ----------------------------------------------------------------------------------------------------------


def test_what_is_left_at_the_end_is_sent_when_the_collector_comes_back(stage: Stage) -> None:
    stage.sink.write(lines(0, 10))
    stage.sink.close()
    stage.until(lambda: stage.reports)
    assert not stage.closed
    stage.collector.listen()
    stage.until(lambda: stage.closed)
    stage.until(lambda: stage.collector.ended == [True])
    assert stage.collector.got == [lines(0, 10)]


def test_the_end_is_waited_for_no_longer_than_the_limit(connected: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "CLOSE_LIMIT", 0.1)
    connected.collector.reading = False
    taken = connected.fill()
    connected.end()
    missed = connected.sink.missed
    assert 0 < missed <= LIMIT
    assert connected.reports == [
        f"tcp:localhost:{connected.collector.port}: {missed} bytes of the recording did not arrive: it does not read"
    ]
    connected.collector.reading = True
    connected.until(lambda: connected.collector.ended == [True])
    assert taken - missed <= len(connected.collector.all)  # the kernel may still have delivered some


def test_a_collector_that_was_never_there(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "CLOSE_LIMIT", 0.1)
    stage.sink.write(lines(0, 10))
    stage.end()
    assert stage.sink.missed == 800
    assert "800 bytes of the recording did not arrive: collector" in stage.reports[-1]
    assert stage.closed == 1


def test_it_is_closed_once_and_takes_nothing_then(connected: Stage) -> None:
    connected.end()
    connected.sink.close()
    with pytest.raises(OSError) as caught:
        connected.sink.write(b"late\r\n")
    assert caught.value.errno == errno.EBADF
    assert (connected.closed, connected.sink.written) == (1, 0)


def test_no_descriptor_is_left(stage: Stage) -> None:
    before = open_descriptors()
    stage.collector.listen()
    other = stage.make()
    stage.until_connected(2)
    other.close()
    stage.sink.close()
    stage.until(lambda: stage.closed == 2)
    for connection in stage.collector.connections:
        connection.close()
    assert open_descriptors() == before


# -- with a recorder --------------------------------------------------------------------------------------------------


class Talk:
    """A recorded conversation whose recording goes to the collector."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.given = {IN: b"", OUT: b""}
        flusher = Flusher(stage.loop.call_later, interval=0.01)
        sinks = {IN: stage.sink, OUT: stage.sink}
        self.recorder = Recorder(CombinedEncoder(), sinks, name="s1", report=stage.reports.append, flusher=flusher)

    def say(self, direction: Direction, data: bytes) -> None:
        self.given[direction] += data
        self.recorder.chunk(1795385217000000 + len(self.given[direction]), direction, data)

    def end(self) -> dict[Direction, bytes]:
        """What a reader of the collector's bytes sees in each direction."""
        self.recorder.close(1795385219000000, "end")
        self.stage.until(lambda: self.stage.closed)
        self.stage.collector.step()
        seen = {IN: b"", OUT: b""}
        for got in self.stage.collector.got:
            decoder = CombinedDecoder(strict=True)
            for chunk in [*decoder.feed(got), *decoder.end()]:
                seen[chunk.direction] += chunk.data
        return seen


def test_a_recording_can_be_read_at_the_collector(stage: Stage) -> None:
    stage.collector.listen()
    talk = Talk(stage)
    talk.say(OUT, b"* OK ready\r\n")
    talk.say(IN, b"a LOGIN alice XXXXXX\r\nb SEL")
    talk.say(OUT, b"a OK\r\n")
    talk.say(IN, b"ECT INBOX\r\n")
    talk.say(OUT, lines(0, 2000))
    assert talk.end() == talk.given
    assert not stage.reports


def test_a_lost_connection_costs_the_recording_nothing(connected: Stage) -> None:
    talk = Talk(connected)
    for number in range(30):
        talk.say(IN, b"%d NOOP\r\n" % number)
        talk.say(OUT, b"%d OK\r\n" % number)
        if number in (10, 20):
            talk.recorder.flush()
            connected.until_got(connected.sink.written)
            connected.collector.reset()
    assert talk.end() == talk.given
    assert len(connected.collector.got) == 3


def test_what_a_slow_collector_misses_is_counted_and_said_in_the_recording(connected: Stage) -> None:
    connected.collector.reading = False
    talk = Talk(connected)
    for number in range(0, 60000, 500):
        talk.say(OUT, lines(number, number + 500))
        talk.say(IN, b"%d NOOP\r\n" % number)
    connected.pause(0.1)
    assert not talk.recorder.healthy
    connected.collector.reading = True
    connected.until(lambda: not talk.recorder.flush() and talk.recorder.healthy)
    talk.say(OUT, b"the last line\r\n")
    seen = talk.end()
    stats = talk.recorder.stats
    assert seen[OUT].endswith(b"the last line\r\n")
    assert stats.gaps and stats.lost[OUT]
    said = {
        direction: re.findall(rb"\[rawlog: (\d+) bytes not recorded [^\]]*\]\r\n", seen[direction])
        for direction in seen
    }
    for direction, text in seen.items():
        assert sum(map(int, said[direction])) == stats.lost[direction]
        kept = re.sub(rb"\[rawlog: [^\]]*\]\r\n", b"", text)
        assert len(kept) + stats.lost[direction] == len(talk.given[direction])
    assert any("the collector does not keep up; see that it runs and reads" in report for report in connected.reports)
