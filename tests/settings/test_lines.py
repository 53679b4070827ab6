"""Comments, continuation lines, quotes and limits; what is asked of Dovecot 2.3 gives the same there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlog.errors import ConfigError
from rawlog.settings.lines import MAX_STATEMENT, statements


def texts(data: bytes) -> list[str]:
    return [statement.text for statement in statements(data, "f")]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n \n\t\n", []),
        (b"a = b", ["a = b"]),
        (b"\xef\xbb\xbfa = b\n", ["a = b"]),
        (b"a = b\r\nc = d\r\n", ["a = b", "c = d"]),
        (b"\ta\t=\tb\t\n", ["a\t=\tb"]),
        (b"# c\na = b # c\n", ["a = b"]),
        (b'a = "b # c"\n', ['a = "b # c"']),
        (b'a = "b" # "c"\n', ['a = "b"']),
        (rb'a = "b\" # c" # d', [r'a = "b\" # c"']),
        (b"a = 'b \" # c' # d", ["a = 'b \" # c'"]),
        (b"a = it's # c\n", ["a = it's # c"]),
        (b"a = b \\\n   c \\\n d\n", ["a = b c d"]),
        (b"a = b\\\n   c\n", ["a = b c"]),
        (b"a = b \\ # why\n c\n", ["a = b c"]),
        (b"# a \\\nb = c\n", ["b = c"]),
        (b"a = b \\\n# c\nd = e\n", ["a = b", "d = e"]),
        (b"\\\n\\\na = b\n", ["a = b"]),
        (b'a = "b \\\n # c" # d\n', ['a = "b # c"']),
        ("a = ü\n".encode(), ["a = ü"]),
    ],
)
def test_statements(data: bytes, lines: list[str]) -> None:
    assert texts(data) == lines


def test_places_name_the_first_line() -> None:
    found = list(statements(b"\na = \\\n b\n\nc = d\n", "x.conf"))
    assert [str(statement.place) for statement in found] == ["x.conf:2", "x.conf:5"]


def test_a_comment_glued_to_a_word_is_one_and_is_marked() -> None:
    glued, apart, whole = statements(b"a = b#c\nd = e #f\n#g\nh = i\n", "f")
    assert (glued.text, glued.ambiguous) == ("a = b", True)
    assert (apart.ambiguous, whole.ambiguous) == (False, False)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a = b\nc = \0d\n", "f:2: a NUL byte: this is no text file; is it the right one?"),
        (b"a = \xff\n", "f:1: byte 0xff at column 5 is not UTF-8: save the file as UTF-8"),
        (
            b"a = " + b"x" * MAX_STATEMENT,
            "f:1: the line is longer than 65536 characters: split the setting or shorten it",
        ),
        (b"a = \\\n" + b"x \\\n" * MAX_STATEMENT, "f:21845: the line is longer than 65536 characters: split the"),
        (b"a = b \\", "f:1: the file ends in a line that goes on: remove its '\\' or add the missing line"),
        (b"a = b \\\n", "f:1: the file ends in a line that goes on: remove its '\\' or add the missing line"),
    ],
)
def test_errors(data: bytes, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        texts(data)
    assert str(error.value).startswith(message)


@given(st.binary(max_size=200) | st.text("a =\"'\\#\n", max_size=60).map(str.encode))
def test_any_bytes_give_statements_or_one_line_of_error(data: bytes) -> None:
    try:
        for statement in statements(data, "f"):
            assert statement.text == statement.text.strip() != ""
    except ConfigError as error:
        assert "\n" not in str(error)
