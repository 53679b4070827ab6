"""Names for names: of equal length and kind, repeatable, and different under another key."""

from __future__ import annotations

import base64
import binascii
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.dialogue.pseudonyms_names import KNOWN_LIMIT, Names

NAMES = Names(b"k" * 32)
OTHER = Names(b"l" * 32)


def classes(word: bytes) -> list[str]:
    return ["a" if c.islower() else "A" if c.isupper() else "0" if c.isdigit() else c for c in word.decode()]


@pytest.mark.parametrize("word", [b"alice", b"Alice", b"ALICE", b"x", b"abc123", b"a-b.c_d+e", b"7", b""])
def test_a_word_becomes_another_of_its_kind(word: bytes) -> None:
    made = NAMES.word(word)
    assert classes(made) == classes(word)
    assert made == NAMES.word(word)
    assert (made != word) == any(chr(c).isalnum() for c in word)


def test_letter_case_does_not_matter() -> None:
    assert NAMES.word(b"ALICE") == NAMES.word(b"alice").upper()


def test_another_key_gives_other_names() -> None:
    words = [b"alice", b"example", b"projectx", b"hello"]
    assert not {NAMES.word(word) for word in words} & {OTHER.word(word) for word in words}


@pytest.mark.parametrize("word", ["Müller", "日本語", "😀x", "naïve"])
def test_characters_keep_their_number_of_bytes(word: str) -> None:
    made = NAMES.word(word.encode())
    assert [len(c.encode()) for c in made.decode()] == [len(c.encode()) for c in word]
    assert made != word.encode()


@given(st.binary(max_size=60))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_any_bytes_keep_their_length_and_what_is_no_word(data: bytes) -> None:
    for made in (NAMES.word(data), NAMES.base64(data), NAMES.noise(data)):
        assert len(made) == len(data)
    for old, new in zip(data, NAMES.word(data), strict=True):
        assert old == new or (chr(old).isalnum() or old >= 0x80)
        assert not (old >= 0x80) or new >= 0x80


@pytest.mark.parametrize("address", [b"192.0.2.1", b"10.0.0.255", b"255.255.255.255", b"1.22.133.4"])
def test_ip4(address: bytes) -> None:
    made = NAMES.ip4(address)
    ip_address(made.decode())
    assert [len(n) for n in made.split(b".")] == [len(n) for n in address.split(b".")]
    assert made == NAMES.ip4(address) != OTHER.ip4(address)


@pytest.mark.parametrize("address", [b"2001:db8::1", b"2001:DB8:0:1:2:3:4:5", b"fe80::"])
def test_ip6(address: bytes) -> None:
    made = NAMES.ip6(address)
    ip_address(made.decode())
    assert len(made) == len(address)
    assert NAMES.ip6(address.upper()) == made


@pytest.mark.parametrize("size", range(12))
def test_base64_stays_base64(size: int) -> None:
    text = base64.b64encode(bytes(range(size)))
    made = NAMES.base64(text)
    assert base64.b64encode(base64.b64decode(made, validate=True)) == made
    assert len(made) == len(text)
    assert made != text or not text


@pytest.mark.parametrize("text", ["ä", "日本語", "Entwürfe", "台北"])
def test_utf7_stays_utf7(text: str) -> None:
    coded = base64.b64encode(text.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
    made = NAMES.utf7(b"&" + coded + b"-")
    inner = made[1:-1].replace(b",", b"/")
    found = binascii.a2b_base64(inner + b"=" * (-len(inner) % 4)).decode("utf-16-be")
    assert len(made) == len(coded) + 2
    assert len(found) == len(text) and found != text


def test_what_only_looks_like_utf7() -> None:
    assert len(NAMES.utf7(b"&a-")) == 3
    assert NAMES.utf7(b"&abcde-") != b"&abcde-"


def test_a_pseudonym_is_no_word_of_the_protocols(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Names(b"k" * 32).word(b"alice")
    monkeypatch.setattr("rawlog.dialogue.pseudonyms_names.VOCABULARY", frozenset((plain,)))
    assert Names(b"k" * 32).word(b"alice") not in (plain, b"alice")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KNOWN_LIMIT >= 1000
    monkeypatch.setattr("rawlog.dialogue.pseudonyms_names.KNOWN_LIMIT", 3)
    names = Names(b"k" * 32)
    first = [names.word(b"word%d" % n) for n in range(10)]
    assert len(names._known) <= 3
    assert [names.word(b"word%d" % n) for n in range(10)] == first
