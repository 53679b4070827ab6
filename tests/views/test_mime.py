"""Messages as their headers and structure."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.views.mime import HEADERS_LIMIT, PARTS_LIMIT, decoded, is_message, outline

MAIL = b"""From: =?utf-8?q?J=C3=B6rg?= <j@example.org>
Subject: =?utf-8?b?w7Y=?= and
\tmore
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

hello
--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/html

<b>
--c--
--b
Content-Type: application/pdf; name="r\x1b.pdf"
Content-Disposition: attachment; filename*=utf-8''r%C3%A9sum%C3%A9.pdf
Content-Transfer-Encoding: base64

AAAA
--b--
""".replace(b"\n", b"\r\n")


def test_headers_are_decoded_and_parts_are_named() -> None:
    assert list(outline(MAIL)) == [
        "From: Jörg <j@example.org>",
        "Subject: ö and more",
        "MIME-Version: 1.0",
        "Content-Type: multipart/mixed; boundary=b",
        "[multipart/mixed]",
        "  [text/plain, utf-8, quoted-printable, 5 bytes]",
        "  [multipart/alternative]",
        "    [text/html, 3 bytes]",
        '  [application/pdf, base64, "résumé.pdf", 4 bytes]',
    ]


def test_headers_alone_have_no_structure() -> None:
    assert list(outline(b"Subject: x\r\nTo: y\r\n\r\n")) == ["Subject: x", "To: y"]


def test_a_dot_block_is_a_message_too() -> None:
    assert list(outline(b"Subject: x\r\n\r\n..\r\n.\r\n", dotted=True)) == ["Subject: x", "[text/plain, 3 bytes]"]


@pytest.mark.parametrize("data", [b"", b"1 120\r\n2 200\r\n.\r\n", b"hello", b"keep;\r\n", b": x", b"\xff: x"])
def test_what_is_no_message_has_no_outline(data: bytes) -> None:
    assert not is_message(data)
    assert list(outline(data)) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [("=?nonsense?q?x?=", "=?nonsense?q?x?="), ("=?utf-8?b?x?=", "=?utf-8?b?x?="), ("a\r\n b", "a b")],
)
def test_what_can_not_be_decoded_stays(value: str, text: str) -> None:
    assert decoded(value) == text


def test_a_hostile_message_can_not_act_on_the_terminal_nor_fill_it() -> None:
    lines = list(outline(b"Subject: \x1b[31m \xe2\x80\xae =?utf-8?q?=1B[2J?=\r\n" + b"X: y\r\n" * 1000 + b"\r\nx"))
    assert not set("".join(lines)) & {"\x1b", "\u202e", "\r", "\n"}
    assert len(lines) == HEADERS_LIMIT + 1
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3000))
    assert 0 < len(list(outline(b"Subject: x\r\n" + deep))) <= HEADERS_LIMIT + PARTS_LIMIT


pieces = st.lists(
    st.sampled_from([*MAIL.split(b"\r\n"), b"\xff\x00", b"Content-Type: multipart/mixed", b"=?utf-8?q?=FF?=", b"X:"]),
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(pieces.map(b"\r\n".join))
def test_whatever_it_is_nothing_raises(data: bytes) -> None:
    for line in outline(b"Subject: x\r\n" + data):
        assert "\x1b" not in line
