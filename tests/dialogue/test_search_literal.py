"""What an expression can't do without."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.dialogue.search_literal import literal_in


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (rb"^Message-ID: <.*@example\.com>", b"Message-ID: <"),
        (rb"a.*bcd", b"bcd"),
        (rb"ab*cd", b"cd"),
        (rb"ab+cd", b"ab"),
        (rb"abc?d", b"ab"),
        (rb"abc{2,3}", b"ab"),
        (rb"x(abc)?yz", b"yz"),
        (rb"x(a|b)yz", b"yz"),
        (rb"(?:abc)de", b"de"),
        (rb"(?!abcdef)gh", b"gh"),
        (rb"(?P<name>abcdef)gh", b"gh"),
        (rb"[abc]de", b"de"),
        (rb"[]abc]de", b"de"),
        (rb"[^\]abc]de", b"de"),
        (rb"\d\d\dab\bcde", b"cde"),
        (rb"\$\(\[x", b"$([x"),
        (rb"abc|def", b""),
        (rb"(?i)abc", b""),
        (rb"(?i:abc)d", b""),
        (rb"(?#abc)d", b""),
        (rb"", b""),
        (rb".*", b""),
        (b"ab\ncde", b"cde"),
    ],
)
def test_the_longest_certain_text(pattern: bytes, literal: bytes) -> None:
    re.compile(pattern)
    assert literal_in(pattern) == literal


parts = st.sampled_from(
    rb"a|b|ab|c|.|\.|\d|\w|[ab]|[^a]|[]a]|(a)|(?:b)|(a|b)|(ab)?|(?=a)|(?!b)|*|+|?|{2}|{0,1}|*?|^|$|\b|-|\-".split(b"|")
)


@settings(max_examples=400, deadline=None)
@given(st.lists(parts, max_size=6).map(b"".join), st.text(alphabet="abc.-1", max_size=8))
def test_whatever_matches_holds_it(pattern: bytes, text: str) -> None:
    try:
        compiled = re.compile(pattern)
    except re.error:
        return
    if compiled.search(text.encode()):
        assert literal_in(pattern) in text.encode()
