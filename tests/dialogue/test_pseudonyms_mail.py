"""Messages: words go, structure stays."""

from __future__ import annotations

import base64
import email
import email.policy
import quopri

from rawlog.dialogue.pseudonyms_mail import Message
from rawlog.dialogue.pseudonyms_names import Names
from rawlog.dialogue.pseudonyms_text import Text

WORDS = [b"Alice", b"alice", b"example", b"secretplan", b"notes", b"geheim", b"lighthouse", b"kingfisher"]
BINARY = base64.b64encode(b"alice@example.com kingfisher " * 3)
MAIL = (
    b"Return-Path: <alice@example.com>\r\n"
    b"Received: from lighthouse (alice-pc [192.0.2.7])\r\n\tby mx.example.com with ESMTPS id k1;\r\n"
    b"\tSun, 22 Nov 2026 22:06:57 +0000 (UTC)\r\n"
    b"Date: Sun, 22 Nov 2026 22:06:57 +0000\r\n"
    b"From: Alice Lighthouse <alice@example.com>\r\n"
    b"Subject: secretplan\r\n =?utf-8?Q?geheim=C3=A4r?=\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed;\r\n boundary="=_b"\r\n'
    b"\r\nkingfisher\r\n"
    b"--=_b\r\n"
    b'Content-Type: text/plain; charset=utf-8; name="notes.txt"\r\n'
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Dear M=C3=BCller, secret=\r\nplan. alice@example.com\r\n"
    b"--=_b\r\n"
    b"Content-Type: application/octet-stream\r\n"
    b"Content-Disposition: attachment;\r\n filename*=utf-8''notes.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n" + BINARY + b"\r\n"
    b"--=_b--\r\nkingfisher\r\n"
)


def text() -> Text:
    return Text(Names(b"k" * 32))


def replaced(data: bytes, *, headers: bool = True) -> bytes:
    return Message(text(), headers=headers).feed(data)


def test_no_word_is_left() -> None:
    made = replaced(MAIL)
    assert [word for word in WORDS if word in made] == []
    assert BINARY[:20] not in made
    assert b"192.0.2.7" not in made


def test_the_structure_stays() -> None:
    made = replaced(MAIL)
    assert len(made) == len(MAIL)
    old, new = (email.message_from_bytes(data, policy=email.policy.default) for data in (MAIL, made))
    assert [part.get_content_type() for part in new.walk()] == [part.get_content_type() for part in old.walk()]
    assert new.keys() == old.keys()
    assert new["Date"] == old["Date"]
    assert not any(part.defects for part in new.walk())
    first, second = new.iter_parts()
    assert "Müller" not in first.get_content() and "ü" not in first.get_content()
    assert len(second.get_content()) == len(base64.b64decode(BINARY))
    assert new["From"].addresses[0].domain.count(".") == 1


def test_quoted_printable_stays_valid() -> None:
    body = quopri.encodestring("Grüße, secretplan = alles, was zählt\n".encode() * 3)
    made = replaced(b"Content-Transfer-Encoding: quoted-printable\n\n" + body).partition(b"\n\n")[2]
    assert quopri.decodestring(made).decode().count("\n") == 3
    assert b"=3D" in made and b"secretplan" not in made


def test_the_same_address_in_header_and_body() -> None:
    made = replaced(b"From: alice@example.com\r\n\r\nalice@example.com\r\n")
    assert made.split(b"\r\n")[0][6:] == made.split(b"\r\n")[2]


def test_a_body_alone_shows_its_parts_by_their_headers() -> None:
    made = replaced(b"--xyz\r\nContent-Type: text/plain\r\n\r\nhello\r\n--xyz--\r\n", headers=False)
    assert made.startswith(b"--xyz\r\nContent-Type: text/plain\r\n\r\n")
    assert made.endswith(b"\r\n--xyz--\r\n") and b"hello" not in made


def test_a_line_that_only_looks_like_a_boundary_is_text() -> None:
    assert b"Alice" not in replaced(b"-- \r\n--Alice\r\nbye\r\n", headers=False)


def test_dots_stay() -> None:
    assert replaced(b"\r\n..alice\r\n.\r\n")[:4] == b"\r\n.."
    assert replaced(b"\r\na\0b\r\n.\r\n").endswith(b"\r\n.\r\n")


def test_text_with_nul_bytes_is_noise() -> None:
    utf16 = "kingfisher kingfisher".encode("utf-16-le")
    made = replaced(b"\r\n" + utf16 + b"\r\n")
    assert len(made) == len(utf16) + 4
    assert not any(c in made for c in b"kingfisher")


def test_pieces_go_on() -> None:
    message = Message(text(), headers=True)
    made = message.feed(MAIL[:300]) + message.feed(MAIL[300:])
    assert len(made) == len(MAIL) and [word for word in WORDS if word in made] == []


def test_a_word_before_a_colon_is_not_always_the_name_of_a_header() -> None:
    made = replaced(b"Kingfisher: hello\r\nSubject: x\r\nX-Own: y\r\n")
    assert b"Kingfisher" not in made
    assert b"\r\nSubject: " in made and b"\r\nX-Own: " in made
