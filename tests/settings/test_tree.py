"""Places, settings, sections, and writing them down."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.errors import ConfigError
from rawlog.settings.syntax import parse
from rawlog.settings.tree import Item, Place, Section, Setting, printable, show

KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), max_size=30)
PLAIN = st.sampled_from(['"', "'", "\\", "#", "$x", "<f", "{", "}", " ", "=", "a", "\t", "yes", "\r"])
TRICKY = st.lists(PLAIN, max_size=8).map("".join)
SETTINGS = st.builds(Setting, KEYS, VALUES | TRICKY, quoted=st.just(True))
NAMES = st.just("") | KEYS | TRICKY.filter(bool) | st.text(st.characters(categories=["L", "Nd", "Zs"]), min_size=1)
TREES: st.SearchStrategy[list[Item]] = st.lists(
    SETTINGS
    | st.recursive(
        st.builds(Section, KEYS, NAMES, st.lists(SETTINGS, max_size=3)),
        lambda inner: st.builds(Section, KEYS, NAMES, st.lists(SETTINGS | inner, max_size=3)),
        max_leaves=5,
    ),
    max_size=5,
)


@settings(max_examples=100, deadline=None)
@given(TREES)
def test_what_is_shown_reads_back_equal(items: list[Item]) -> None:
    text = show(items)
    assert parse(text).items == items
    assert show(parse(text).items) == text


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("/x", "k = /x"),
        ("", "k ="),
        (" a ", 'k = " a "'),
        ("a # b", 'k = "a # b"'),
        ('say "hi"', r'k = "say \"hi\""'),
        ("it's", 'k = "it\'s"'),
        ("<file", 'k = "<file"'),
        ("$base_dir/x", 'k = "$base_dir/x"'),
        ("a$b", "k = a$b"),
        ("ends\\", r'k = "ends\\"'),
        ("a = b { c }", "k = a = b { c }"),
    ],
)
def test_quotes_where_they_are_needed(value: str, line: str) -> None:
    assert show([Setting("k", value, quoted=True)]) == line + "\n"


def test_a_reference_that_was_not_quoted_stays_one() -> None:
    assert show(parse("a = $b c\n").items) == "a = $b c\n"


def test_files_and_sections() -> None:
    items: list[Item] = [Section("service", "imap", [Setting("ssl_cert", "", file="/etc/c.pem"), Section("dict")])]
    assert show(items) == "service imap {\n  ssl_cert = </etc/c.pem\n  dict {\n  }\n}\n"


def test_a_line_break_has_no_written_form() -> None:
    with pytest.raises(ConfigError, match=r"f:3: key: a value can't hold a line break"):
        show([Setting("key", "a\nb", Place("f", 3))])


def test_settings_and_sections_of_a_section() -> None:
    inner, other = Section("unix_listener", "x"), Section("inet_listener", "y")
    section = Section("service", "imap", [Setting("a", "1"), inner, other])
    assert [item.key for item in section.settings()] == ["a"]
    assert list(section.sections()) == [inner, other]
    assert list(section.sections("inet_listener")) == [other]


@pytest.mark.parametrize(
    ("name", "title"), [("imap", "mailbox imap"), ("", "mailbox"), ("Sent Messages", 'mailbox "Sent Messages"')]
)
def test_title(name: str, title: str) -> None:
    assert Section("mailbox", name).title == title


def test_messages_are_one_printable_line() -> None:
    assert str(Place("a\nb.conf", 7).error("bad \x1b[31m\u2028")) == r"a\nb.conf:7: bad \x1b[31m\u2028"
    assert printable("ü") == "ü"
