"""Text: what is replaced as content, what stays as the protocols' own."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.dialogue.pseudonyms_names import Names
from rawlog.dialogue.pseudonyms_text import DATE, Text

NAMES = Names(b"k" * 32)
PLAIN = st.binary(max_size=80) | st.lists(
    st.sampled_from([b"a@b", b"=C3", b"=", b"192.0.2.1", b"::1", b"=?utf-8?B?", b"?=", b"&AOQ-", b"\\Seen", b" ", b"x"])
).map(b"".join)


def text() -> Text:
    return Text(NAMES)


@pytest.mark.parametrize(
    "free",
    [
        b"a OK [READ-WRITE] Select completed (0.001 + 0.000 secs).\r\n",
        b"* FLAGS (\\Answered \\Flagged $Forwarded)\r\n",
        b"250-SIZE 10240000\r\n",
        b"250 2.1.0 Ok\r\n",
        b"1:*,3 22-Nov-2026 10:00:00 +0000",
        b"XXXXXXXX",
    ],
)
def test_what_stays_in_free_text(free: bytes) -> None:
    assert text().free(free) == free


def test_the_same_word_is_the_same_everywhere() -> None:
    made = text()
    alice, example = NAMES.word(b"alice"), NAMES.word(b"example")
    assert made.content(b"alice", "x") == alice
    assert made.free(b"550 no alice here") == b"550 no " + alice + b" here"
    assert made.free(b"<alice@example.net>").startswith(b"<" + alice + b"@" + example + b".")
    assert made.encoded(b"dear =41lice") == made.encoded(b"dear ") + b"=%02X" % (alice[0] - 32) + alice[1:]


def test_even_protocol_words_are_replaced_in_an_address() -> None:
    assert b"search" not in text().free(b"for search@fetch.example")


@pytest.mark.parametrize("data", [b"from 192.0.2.77 port 25", b"[192.0.2.77]", b"2001:db8::77"])
def test_ip_addresses(data: bytes) -> None:
    made = text()
    assert b"77" not in made.free(data)
    assert made.free(data) in (made.content(data, "x"), made.free(data))
    assert made.counts["IP addresses"] >= 1


def test_a_time_is_no_ip_address() -> None:
    assert text().free(b"at 12:34:56 now") == b"at 12:34:56 now"


def test_encoded_words_stay_encoded_words() -> None:
    b64 = base64.b64encode(b"geheimer Plan")
    made = text().content(b"=?utf-8?B?" + b64 + b"?= =?iso-8859-1?q?geheim=E4r?=", "x")
    assert made.startswith(b"=?utf-8?B?") and b"?= =?iso-8859-1?q?" in made and made.endswith(b"?=")
    assert b64 not in made and b"geheim" not in made
    base64.b64decode(made[10:].partition(b"?=")[0], validate=True)


def test_quoted_printable_stays() -> None:
    made = text().encoded(b"M=C3=BCller =3D secret=\r\n")
    assert made.endswith(b"=\r\n") and b" =3D " in made and made[1:7].count(b"=") == 2
    assert b"secret" not in made and b"=C3=BC" not in made[:7]


def test_what_is_counted() -> None:
    made = text()
    made.content(b"a@b.example c@d.example", "headers")
    made.free(b"OK unheardof")
    assert made.counts == {"headers": 1, "addresses": 2, "words in commands and answers": 1}


@pytest.mark.parametrize(
    "date",
    [b"Sun, 22 Nov 2026 22:06:57 +0000", b" 2-Nov-2026 22:06:57 +0000", b"22-Nov-2026", b"Sun, 2 Nov 26 22:06 GMT"],
)
def test_dates(date: bytes) -> None:
    assert DATE.fullmatch(date)


@pytest.mark.parametrize("other", [b"Sunday with Alice", b"22 alice", b"", b"1 May 2026 with Bob"])
def test_what_is_no_date(other: bytes) -> None:
    assert not DATE.fullmatch(other)


@given(PLAIN)
@settings(max_examples=300, derandomize=True, deadline=None)
def test_lengths_lines_and_punctuation_stay(data: bytes) -> None:
    made = text()
    for new in (made.content(data, "x"), made.free(data), made.encoded(data)):
        assert len(new) == len(data)
        for old, now in zip(data, new, strict=True):
            if chr(old) in '\r\n "(){}<>[]*%\\':
                assert now == old


def test_a_host_in_free_text_keeps_no_digit() -> None:
    made = text().free(b"220 host-192-0-2-77.mail.example ready")
    assert b"77" not in made and b"mail" not in made and made.endswith(b" ready")
    assert (
        text().free(b"BODY.PEEK FLAGS.SILENT TLSv1.3 0.001 1.2.840") == b"BODY.PEEK FLAGS.SILENT TLSv1.3 0.001 1.2.840"
    )


def test_an_ip_address_behind_its_kind() -> None:
    assert b"2001" not in text().free(b"[IPv6:2001:db8::77]")


@pytest.mark.parametrize("word", [b"\\kingfisher", b"$kingfisher"])
def test_a_flag_that_nobody_knows_is_a_word(word: bytes) -> None:
    assert b"kingfisher" not in text().free(word)


@pytest.mark.parametrize("unit", [b"a", b"-", b"_", b".", b"a@", b"&", b"=?", b"a:", b"a."])
def test_a_long_line_takes_no_more_than_linear_time(unit: bytes) -> None:
    data = unit * (1 << 17)  # with a second try from each byte it would take minutes
    text = Text(NAMES)
    assert len(text.content(data, "x")) == len(text.free(data)) == len(text.encoded(data)) == len(data)
