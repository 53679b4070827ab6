"""Whatever was recorded, a terminal gets plain visible text, and it says exactly which bytes there were."""

from __future__ import annotations

import itertools
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.views.escape import neutral, neutral_text

BIDI_AND_INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
BIDI_AND_INVISIBLE += (
    "\u00ad\u061c\u034f\u115f\u1160\u3164\uffa0\u2800\u180e\ufe0f\U000e0001\U000e0041\u0301\u2028\u2029"
)


def is_safe(text: str) -> bool:
    return text.isprintable() and not any(
        unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me", "Zl", "Zp") for c in text
    )


def undone(text: str) -> bytes:
    """The bytes that a neutral text stands for."""

    def one(found: re.Match[str]) -> bytes:
        what = found[0]
        if what.startswith("\\x"):
            return bytes.fromhex(what[2:])
        if what.startswith("\\u"):
            return chr(int(what[3:-1], 16)).encode()
        short = {"\\n": b"\n", "\\r": b"\r", "\\t": b"\t", "\\\\": b"\\"}
        return short.get(what) or what.encode()

    tokens = re.finditer(r"\\x[0-9a-f]{2}|\\u\{[0-9a-f]+\}|\\[nrt\\]|.", text, re.DOTALL)
    return b"".join(map(one, tokens))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a2 NOOP", "a2 NOOP"),
        (b"\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        (b"\r\n\t\x00\x7f", "\\r\\n\\t\\x00\\x7f"),
        (b"\x9b31m", "\\x9b31m"),
        ("\x9b31m".encode(), "\\u{9b}31m"),
        ("Zoë Müller 日本".encode(), "Zoë Müller 日本"),
        ("a\u202eb\u00a0c".encode(), "a\\u{202e}b\\u{a0}c"),
        (b"(\\Seen \\*)", "(\\Seen \\*)"),
        (b"\\x1b \\n \\\\", "\\\\x1b \\\\n \\\\\\\\"),
        (b"end\\", "end\\\\"),
        (b"\\\x1b", "\\\\\\x1b"),
        (b"\\[+9 bytes]", "\\\\[+9 bytes]"),
        (b"\xed\xb2\x80", "\\xed\\xb2\\x80"),
        (b"", ""),
    ],
)
def test_bytes_are_shown_as(data: bytes, text: str) -> None:
    assert neutral(data) == text
    assert undone(text) == data


def test_all_bytes_and_all_pairs_are_safe_and_different() -> None:
    singles = {neutral(bytes([one])) for one in range(256)}
    pairs = {neutral(bytes(pair)) for pair in itertools.product(range(256), repeat=2)}
    assert len(singles) == 256
    assert len(pairs) == 65536
    assert all(map(is_safe, singles | pairs))
    assert len(singles | pairs) == 256 + 65536


@pytest.mark.parametrize("character", BIDI_AND_INVISIBLE, ids=lambda c: f"U+{ord(c):04X}")
def test_characters_that_deceive_the_eye_are_escaped(character: str) -> None:
    assert neutral(b"a" + character.encode() + b"b") == f"a\\u{{{ord(character):x}}}b"


@pytest.mark.parametrize("text", ["login", "caf\udcc3", "\ud800", "a\x1b]0;x\x07", "\u202e"])
def test_text_is_made_safe_as_bytes_are(text: str) -> None:
    assert is_safe(neutral_text(text))


tricky = st.sampled_from(["\\", "x", "1", "b", "u", "{", "n", "[", "\x1b", "\x9b", "\u202e", "ë", "\n"])
texts = st.one_of(
    st.binary(max_size=30), st.text(max_size=20).map(str.encode), st.lists(tricky).map("".join).map(str.encode)
)


@settings(max_examples=500, deadline=None)
@given(texts)
def test_any_text_is_safe_and_can_be_undone(data: bytes) -> None:
    text = neutral(data)
    assert is_safe(text)
    assert undone(text) == data
