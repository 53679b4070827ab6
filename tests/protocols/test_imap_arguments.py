"""The secrets in the arguments of IMAP, line by line."""

from __future__ import annotations

import pytest

from rawlog.protocols.imap_arguments import Login, before_literal, has_secret_literal, may_hold_secret, secrets_in


def masked(text: bytes, spans: list[tuple[int, int]], start: int = 0) -> bytes:
    data = bytearray(text)
    for a, b in spans:
        assert 0 <= a - start < b - start <= len(text)
        data[a - start : b - start] = b"X" * (b - a)
    return bytes(data)


@pytest.mark.parametrize(
    ("text", "expected", "user"),
    [
        (b"alice secret", b"alice XXXXXX", b"alice"),
        (b"  alice \t secret ", b"  alice \t XXXXXX ", b"alice"),
        (b'"al\\"i\\\\ce" "se cret"', b'"al\\"i\\\\ce" XXXXXXXXX', b'al"i\\ce'),
        (b'"" ""', b'"" XX', b""),
        (b"alice a b", b"XXXXXXXXX", None),
        (b'alice "secret', b"XXXXXXXXXXXXX", None),
        (b'alice"secret"', b"XXXXXXXXXXXXX", None),
        (b"alice se{cret", b"XXXXXXXXXXXXX", None),
        (b'"ali"ce secret', b"XXXXXXXXXXXXXX", None),
        (b"alice se\0cret", b"XXXXXXXXXXXXX", None),
    ],
)
def test_login_in_one_line(text: bytes, expected: bytes, user: bytes | None) -> None:
    login = Login()
    assert masked(text, login.line(text, 0, 100), 100) == expected
    assert login.user == user
    assert not login.name_follows


@pytest.mark.parametrize("text", [b"", b"  "])
def test_login_without_arguments(text: bytes) -> None:
    login = Login()
    assert login.line(text, 0, 0) == []
    assert login.end() == []
    assert login.user is None


def test_login_with_one_argument_is_decided_at_the_end() -> None:
    login = Login()
    assert login.line(b"a LOGIN secret", 8, 100) == []
    assert login.end() == [(108, 114)]
    assert login.user is None


def test_login_with_the_name_as_a_literal() -> None:
    login = Login()
    assert login.line(b"{5}", 0, 0) == []
    assert login.name_follows
    login.literal(5, b"alice")
    assert login.line(b" secret", 0, 10) == [(11, 17)]
    assert not login.name_follows
    assert login.end() == []
    assert login.user == b"alice"


def test_login_with_a_literal_alone() -> None:
    login = Login()
    login.line(b"{6+}", 0, 0)
    login.literal(6, b"secret")
    assert login.line(b"", 0, 12) == []
    assert login.end() == [(6, 12)]


@pytest.mark.parametrize("name", [b"a\r\nb", b"b LOGIN alice secret", b"b authenticate plain x"])
def test_what_is_no_name_is_secret(name: bytes) -> None:
    login = Login()
    login.line(b"{9+}", 0, 0)
    login.literal(6, name)
    assert login.line(b" {6}", 0, 50) == [(6, 6 + len(name)), (51, 51)]
    assert login.user is None
    assert (6, 6 + len(name)) in login.end()


def test_a_name_that_is_too_long() -> None:
    login = Login()
    login.line(b"{9999}", 0, 0)
    login.literal(8, None)
    assert login.line(b" secret", 0, 100)[-1] == (101, 107)
    assert login.user is None


def test_a_user_may_be_called_login() -> None:
    login = Login()
    login.line(b"login secret", 0, 0)
    assert login.user == b"login"


def test_before_literal() -> None:
    assert before_literal(b"a b {5}") == 4
    assert before_literal(b"a b ~{5+}") == 4
    assert before_literal(b"a b {5} ") == 8
    assert before_literal(b"") == 0


@pytest.mark.parametrize(
    ("verb", "text", "secret"),
    [
        (b"APPEND", b"b APPEND x {5}", False),
        (b"APPEND", b"b APPEND x CATENATE (URL {5}", True),
        (b"APPEND", b" url ~{5+}", True),
        (b"APPEND", b"b APPEND x CATENATE (TEXT {5}", False),
        (b"URLFETCH", b"b URLFETCH {5}", True),
        (b"GENURLAUTH", b"* GENURLAUTH {5}", True),
        (b"SETMETADATA", b'b SETMETADATA "" (/private/x {5}', True),
        (b"METADATA", b'* METADATA "" (/private/x {5}', True),
        (b"ID", b'a ID ("token" {5}', True),
        (b"SEARCH", b"b SEARCH TEXT {5}", False),
        (b"", b"* 1 FETCH (BODY[] {5}", False),
    ],
)
def test_secret_literals(verb: bytes, text: bytes, secret: bool) -> None:
    assert has_secret_literal(verb, text) is secret


def test_verbs_without_secrets() -> None:
    assert not may_hold_secret(b"FETCH")
    assert may_hold_secret(b"APPEND")
    assert secrets_in(b"FETCH", b"x;urlauth=a:b:c", 0, 0) == []


@pytest.mark.parametrize(
    ("verb", "text", "expected"),
    [
        (b"URLFETCH", b'"imap://x;urlauth=a:internal:abc"', b'"imap://x;urlauth=a:internal:XXX"'),
        (b"URLFETCH", b"imap://x;URLAUTH=user+b:internal:abc:d y", b"imap://x;URLAUTH=user+b:internal:XXXXX y"),
        (b"URLFETCH", b'"x;urlauth=a:b:c" "y;urlauth=d:e:f"', b'"x;urlauth=a:b:X" "y;urlauth=d:e:X"'),
        (b"GENURLAUTH", b'"imap://x;urlauth=anonymous" INTERNAL', b'"imap://x;urlauth=anonymous" INTERNAL'),
        (b"GENURLAUTH", b'"imap://x;urlauth=anonymous:internal:"', b'"imap://x;urlauth=anonymous:internal:"'),
        (b"ID", b'("name" "x" "password" "y")', b'("name" "x" "password" "X")'),
        (b"ID", b'("password" NIL "X-Secret" "a\\"b")', b'("password" NIL "X-Secret" "XXXX")'),
        (b"ID", b"NIL", b"NIL"),
        (b"ID", b"()", b"()"),
        (b"ID", b'("name" x)', b"XXXXXXXXXX"),
        (b"ID", b'("name" "x', b"XXXXXXXXXX"),
        (b"ID", b'("name" {3}', b'("name" {3}'),
        (b"ID", b'("name" x {3}', b"XXXXXXXXXX{3}"),
        (b"SETMETADATA", b'"box" (/private/x "y")', b'"box" (/private/x "X")'),
        (b"SETMETADATA", b'"box" ("/private/x" "y" "/private/z" "a b" "/p" NIL)',
         b'"box" ("/private/x" "X" "/private/z" "XXX" "/p" NIL)'),
        (b"SETMETADATA", b'"box" (/private/x "unbalanced', b'"box" (/private/x "XXXXXXXXXX'),
        (b"METADATA", b'"box" /private/x', b'"box" /private/x'),
    ],
)  # fmt: skip
def test_secrets_in_a_first_line(verb: bytes, text: bytes, expected: bytes) -> None:
    assert masked(text, secrets_in(verb, text, 0, 7), 7) == expected


@pytest.mark.parametrize(
    ("verb", "text", "expected"),
    [
        (b"ID", b' "name" "x")', b" XXXXXXXXXXX"),
        (b"ID", b"", b""),
        (b"METADATA", b' "/private/x" "y")', b' "/private/x" "X")'),
        (b"METADATA", b'"y")', b'"X")'),
        (b"URLFETCH", b' "x;urlauth=a:b:c"', b' "x;urlauth=a:b:X"'),
    ],
)
def test_secrets_behind_a_literal(verb: bytes, text: bytes, expected: bytes) -> None:
    assert masked(text, secrets_in(verb, text, None, 7), 7) == expected


@pytest.mark.parametrize(
    ("verb", "part"),
    [
        (b"URLFETCH", b";urlauth="),
        (b"URLFETCH", b";urlauth=:"),
        (b"ID", b'("'),
        (b"ID", b'"" '),
        (b"ID", b"NIL"),
        (b"METADATA", b'("'),
        (b"METADATA", b'"\\'),
    ],
)
def test_lines_full_of_beginnings(verb: bytes, part: bytes) -> None:
    """Each of these takes minutes when a pattern is tried anew from every beginning."""
    for text in (part * 20_000, b"(" + part * 20_000, b"(" + part * 20_000 + b"x"):
        secrets_in(verb, text, 0, 0)
        Login().line(text, 0, 0)
