"""What mail processes ask, as observed on Dovecot 2.3.19, and what is no such request."""

from __future__ import annotations

import pytest

from rawlog.errors import FormatError
from rawlog.taps.postlogin_request import DROPIN, SCRIPT_LOGIN, is_complete, parse_request, speaker, unescape

VERSION = b"VERSION\tscript-login\t1\t0\n"
LINE = (
    b"127.0.0.1\t192.0.2.7\talice@example.com\tuid=5000\tgid=5001\thome=/lab/home/alice@example.com"
    b"\tauth_mech=PLAIN\tauth_token=0123456789abcdef\tflag\tweird=a\x01tb=\x01n\n"
)


def test_a_request_has_its_fields_and_its_answer_is_what_came() -> None:
    request = parse_request(VERSION + LINE)
    assert (request.local, request.remote, request.user) == ("127.0.0.1", "192.0.2.7", "alice@example.com")
    assert request.home == "/lab/home/alice@example.com"
    assert (request.number("uid"), request.number("gid"), request.number("home")) == (5000, 5001, None)
    assert request.fields["weird"] == "a\tb=\n"
    assert "flag" not in request.fields
    assert request.answer == LINE.partition(b"192.0.2.7\t")[2]


@pytest.mark.parametrize(
    ("fields", "home"),
    [
        ("home=/h\tchroot=/c", "/c/h"),
        ("home=/c/./h", "/c/./h"),
        ("chroot=/c", ""),
        ("home=", ""),
        ("", ""),
    ],
)
def test_a_home_behind_a_chroot_is_a_whole_path(fields: str, home: str) -> None:
    assert parse_request(VERSION + f"\t\tu\t{fields}\n".encode()).home == home


@pytest.mark.parametrize(
    ("word", "means"),
    [
        (b"plain", "plain"),
        (b"\x010\x011\x01t\x01r\x01n", "\0\x01\t\r\n"),
        (b"\x01x\x01\xff", "x\udcff"),
        (b"end\x01", "end\x01"),
        (b"\xc3\xa4\xff", "ä\udcff"),
    ],
)
def test_escapes(word: bytes, means: str) -> None:
    assert unescape(word) == means


@pytest.mark.parametrize("value", ["", "x", "-1", "+5", " 5", "5.0", "\u0665"])
def test_what_is_no_number_is_none(value: str) -> None:
    request = parse_request(VERSION + f"\t\tu\tuid={value}\n".encode())
    assert request.number("uid") is None


@pytest.mark.parametrize(
    ("data", "complete"), [(b"", False), (VERSION, False), (VERSION + LINE, True), (b"\n\n", True)]
)
def test_two_lines_are_complete(data: bytes, complete: bool) -> None:
    assert is_complete(data) is complete


def test_who_speaks() -> None:
    assert speaker(VERSION + LINE) == SCRIPT_LOGIN
    assert speaker(b"VERSION\tscript-login\t1\t99\n\n") == SCRIPT_LOGIN  # a minor version is compatible
    assert speaker(b"VERSION\trawlog-dropin\t1\t0\nx\n") == DROPIN


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET / HTTP/1.1",
        b"VERSION\tscript-login\t2\t0",
        b"VERSION\tauth\t1\t0",
        b"VERSION\tscript-login",
        b"\xff\0",
    ],
)
def test_somebody_else_is_refused(line: bytes) -> None:
    with pytest.raises(FormatError, match="post-login socket: ") as refused:
        speaker(line + b"\n\n")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("line", [b"", b"127.0.0.1", b"127.0.0.1\t127.0.0.1", b"127.0.0.1\t127.0.0.1\t\tuid=1"])
def test_a_request_without_a_user_is_none(line: bytes) -> None:
    with pytest.raises(FormatError, match="without a user"):
        parse_request(VERSION + line + b"\n")
