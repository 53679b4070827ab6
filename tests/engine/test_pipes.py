"""Pipes: copying without taking, and a pool that never gives one to two."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rawlog.engine.pipes import Pipe, Pool, open_pipe, tee, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"no pipes to relay with: {why_not()}")


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe(0, *open_pipe())
    yield made
    os.close(made.reader)
    os.close(made.writer)


def test_a_look_takes_nothing(pipe: Pipe) -> None:
    os.write(pipe.writer, b"hello " * 20000)
    assert pipe.look() == pipe.look() == b"hello " * 20000
    assert pipe.waiting() == 120000
    pipe.empty()
    assert pipe.waiting() == 0
    assert pipe.look() == b""


def test_tee_copies_into_another_pipe(pipe: Pipe) -> None:
    reader, writer = open_pipe()
    os.write(pipe.writer, b"abc")
    assert tee(pipe.reader, writer, 10) == 3
    assert os.read(reader, 10) == os.read(pipe.reader, 10) == b"abc"
    with pytest.raises(BlockingIOError):
        tee(pipe.reader, writer, 10)
    os.close(reader)
    os.close(writer)


def test_the_pool_publishes_new_pipes_and_calls_who_waits() -> None:
    published: list[Pipe] = []
    pool = Pool([], published.extend)
    pool.count(7)
    assert pool.grow()
    assert [pipe.index for pipe in published] == [7, 8, 9, 10]
    taken = [pool.free.pop() for _ in range(4)]
    called: list[str] = []
    pool.wait(lambda: called.append("first"))
    pool.wait(lambda: called.append("second"))
    pool.give(taken[0])
    assert called == ["first"]
    for pipe in published:
        os.close(pipe.reader)
        os.close(pipe.writer)
