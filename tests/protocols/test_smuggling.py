"""The end of a message where servers differ: what is found, and that chunks do not matter."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.protocols.smuggling import EndWatch

ENDINGS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\n.\r",
    b"\r.\r",
    b"\r.\n",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\rx",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n\0.\0\r\n",
    b"\n\0\0\0.\n",
]
CERTAIN = [b"\r\n.\r\n", b"\r\n..\r\n", b"\n. \n", b"\r\nx.\r\n", b"\n.x\n", b".\n", b"\r\n.\r", b"\0.\n", b"\n..\n"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_uncertain(ending: bytes) -> None:
    watch = EndWatch()
    assert watch.feed(b"text" + ending, 0) is None
    assert watch.uncertain


@pytest.mark.parametrize("ending", CERTAIN)
def test_certain(ending: bytes) -> None:
    watch = EndWatch()
    assert watch.feed(b"text" + ending, 0) is None
    assert not watch.uncertain


@pytest.mark.parametrize("first", [b".\n", b".\r\r", b"\0.\r\n", b".\0\n"])
def test_the_first_line(first: bytes) -> None:
    watch = EndWatch()
    watch.feed(first, 0)
    assert watch.uncertain


@pytest.mark.parametrize("auth", [b"AUTH ", b"auth\t", b" \tAuth ", b"\0AUTH\0"])
def test_a_login_behind_it(auth: bytes) -> None:
    data = b"AUTH before\r\n.\nan AUTH \r\nAUTHOR\r\n" + auth
    assert EndWatch().feed(data + b"PLAIN secret", 1000) == 1000 + len(data)


def test_a_login_before_it() -> None:
    assert EndWatch().feed(b"AUTH PLAIN secret\r\n.\ntext", 0) is None


def test_a_block_that_is_uncertain_from_the_start() -> None:
    assert EndWatch(uncertain=True).feed(b"AUTH PLAIN secret", 7) == 12


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([*ENDINGS, *CERTAIN, b"AUTH ", b"\nAUTH ", b"y" * 30, b"\r", b"\n", b".", b"\0"])),
    st.lists(st.integers(1, 40), min_size=1),
)
def test_chunks_do_not_matter(parts: list[bytes], sizes: list[int]) -> None:
    data = b"".join(parts)
    whole, chunked = EndWatch(), EndWatch()
    expected = whole.feed(data, 100)
    found = []
    at = 0
    while at < len(data):
        size = sizes[at % len(sizes)]
        found.append(chunked.feed(data[at : at + size], 100 + at))
        at += size
    assert [offset for offset in found if offset is not None] == ([] if expected is None else [expected])
    assert chunked.uncertain == whole.uncertain
