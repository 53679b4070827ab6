from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlog.engine.outbox import Outbox


class Kernel:
    """Takes what it was told to take; EAGAIN when that is nothing."""

    def __init__(self, *room: int) -> None:
        self.room = list(room)
        self.taken = b""

    def send(self, data: bytes | memoryview) -> int:
        room = self.room.pop(0) if self.room else len(data)
        if room < 0:
            raise OSError(-room, "failed")
        if not room:
            raise BlockingIOError
        self.taken += bytes(data[:room])
        return min(room, len(data))


def test_holds_nothing_while_all_goes() -> None:
    kernel = Kernel()
    out = Outbox(kernel.send)
    assert out.send(b"hello", 5)
    assert (out.queued, out.undelivered, kernel.taken) == (0, 0, b"hello")


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10), st.lists(st.integers(0, 20), max_size=40))
def test_all_bytes_go_in_order_however_the_kernel_takes_them(writes: list[bytes], room: list[int]) -> None:
    kernel = Kernel(*room)
    out = Outbox(kernel.send)
    for data in writes:
        assert out.send(data, len(data)) == (out.queued == 0)
        assert out.undelivered == out.queued
    for _ in range(len(room) + 2):
        if out.queued:
            out.flush()
    assert out.queued == out.undelivered == 0
    assert kernel.taken == b"".join(writes)


def test_the_rest_is_not_copied() -> None:
    big = bytes(100_000)
    out = Outbox(Kernel(10).send)
    out.send(big, len(big))
    assert out._rest.obj is big


def test_an_error_is_kept_and_counts_what_did_not_go() -> None:
    out = Outbox(Kernel(3, -errno.EPIPE).send)
    assert not out.send(b"hello", 5)
    assert out.flush() == 0
    assert out.error is not None
    assert out.error.errno == errno.EPIPE
    assert not out.send(b"more", 4)
    assert (out.queued, out.undelivered) == (0, 6)


def test_an_error_at_once_counts_all() -> None:
    out = Outbox(Kernel(-errno.ECONNRESET).send)
    assert not out.send(b"hello", 5)
    assert (out.queued, out.undelivered) == (0, 5)


def test_dropping_and_losing_are_counted_and_after_close_nothing() -> None:
    out = Outbox(Kernel(1).send)
    out.send(b"hello", 5)
    out.drop()
    out.lose(10)
    out.close()
    assert out.send(b"later", 5)
    assert (out.queued, out.undelivered) == (0, 14)


@pytest.mark.parametrize(
    ("went", "undelivered"),
    [
        (0, 40_000),
        (16_405, 40_000),  # the first record lacks one byte
        (16_406, 40_000 - 16_384),
        (2 * 16_406 - 1, 40_000 - 16_384),
        (2 * 16_406, 40_000 - 2 * 16_384),
        (40_000 + 3 * 22 - 1, 40_000 - 2 * 16_384),
        (40_000 + 3 * 22, 0),
    ],
)
def test_of_tls_whole_records_are_missing(went: int, undelivered: int) -> None:
    raw = bytes(40_000 + 3 * 22)
    out = Outbox(Kernel(went).send)
    out.send(raw, 40_000)
    assert out.undelivered == undelivered


def test_records_behind_a_rest_are_missing_whole() -> None:
    out = Outbox(Kernel(100).send)
    out.send(bytes(122), 100)
    out.send(bytes(24), 0)  # the TLS layer's own
    out.send(bytes(72), 50)
    assert out.undelivered == 150
