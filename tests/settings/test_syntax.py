"""Settings, sections, values from files, includes."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlog.errors import ConfigError
from rawlog.settings import syntax
from rawlog.settings.syntax import parse, read
from rawlog.settings.tree import Section, Setting


def setting(text: str) -> Setting:
    (item,) = parse(text).items
    assert isinstance(item, Setting)
    return item


def error_of(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        parse(text, "f")
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("a = b", "a", "b"),
        ("a=b", "a", "b"),
        ("a =", "a", ""),
        ("a = b = c { d", "a", "b = c { d"),
        ("a = {", "a", "{"),
        ("a => b", "a", "> b"),
        ('a = " b "', "a", " b "),
        ("a = 'b c'", "a", "b c"),
        (r'a = "b\"c\\d\ne"', "a", 'b"c\\dne'),
        (r"a = b\\c\"d", "a", r"b\\c\"d"),
        ('a = "b" c', "a", '"b" c'),
        ('a = "b" "c"', "a", 'b" "c'),
        ("a = it's", "a", "it's"),
        ('a = ""', "a", ""),
        ("a = <", "a", "<"),
    ],
)
def test_settings(text: str, key: str, value: str) -> None:
    item = setting(text)
    assert (item.key, item.value, item.file) == (key, value, None)


def test_a_file_as_value_is_found_from_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "x.conf").write_text('a = <certs/c.pem\nb = < /etc/k.pem\nc = <"/etc/a # b"\n')
    files = [item.file for item in read(str(tmp_path / "x.conf")).items if isinstance(item, Setting)]
    assert files == [str(tmp_path / "certs/c.pem"), "/etc/k.pem", "/etc/a # b"]


SECTION = [Section("service", "imap", [Setting("executable", "imap x")])]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("service imap {\n executable = imap x\n}\n", SECTION),
        ("service imap{\n executable = imap x\n} # end\n", SECTION),
        ('service "imap" {\n executable = imap x\n}\n', SECTION),
        ("service imap { executable = imap x }\n", SECTION),
        ("dict { }", [Section("dict")]),
        ("dict {}", [Section("dict")]),
        ("dict {\n}", [Section("dict")]),
        ("a b { c d { e = f } }", [Section("a", "b", [Section("c", "d", [Setting("e", "f")])])]),
        ("a b { e = f } # }", [Section("a", "b", [Setting("e", "f")])]),
        ('mailbox "Sent \\"M" {\n}\n', [Section("mailbox", 'Sent "M')]),
        ("protocol !imap {\n}\n", [Section("protocol", "!imap")]),
        ("local 10.0.0.0/8 {\n}\n", [Section("local", "10.0.0.0/8")]),
    ],
)
def test_sections(text: str, items: list[Section]) -> None:
    assert parse(text).items == items


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("word", "f:1: '=' is missing after 'word': write word = VALUE, or end the line with '{' to begin a section"),
        ("service imap\n{\n}", "f:1: '=' is missing after 'service'"),
        ("{\n}", "f:1: '{' stands alone: write it at the end of the line with the section's name"),
        ("}", "f:1: '}' closes nothing: remove it, or open the section above it with 'NAME {'"),
        ("a {\n}\n}", "f:3: '}' closes nothing"),
        ("a {\nb {\n}", "f:1: '}' is missing: the section 'a {' that starts here is never closed"),
        ("a {\n} b", "f:2: '} b': '}' must stand alone on its line"),
        ("a { b", "f:1: 'b' after '{': begin a new line after '{', or close the section with '}' here"),
        ("a { b }", "f:1: '=' is missing after 'b'"),
        ("a b c {", "f:1: 'a b c {': one name at most may stand before '{'"),
        ("a b = {", "f:1: 'a b = {': no '=' before '{': write NAME {"),
        ("= b", "f:1: '= b': the name before '=' is missing: write NAME = VALUE"),
        ('a = "b', 'f:1: a: the quote " is never closed: add " at the end of the value'),
        ("a = 'b\nc = d'", "f:1: a: the quote ' is never closed"),
        ("!includ x", "f:1: '!includ x': only '!include FILE' and '!include_try FILE' may begin with '!'"),
        ("!include", "f:1: '!include': only"),
        ("a {\n" * 21, "f:21: sections nest deeper than 20: is a '}' missing above?"),
    ],
)
def test_errors(text: str, message: str) -> None:
    assert error_of(text).startswith(message)


def test_one_line_sections_nest_to_the_limit() -> None:
    assert parse("a { " * 20 + "}" * 20).items
    assert "sections nest deeper" in error_of("a { " * 21 + "}" * 21)


def test_an_ambiguous_comment_is_a_warning() -> None:
    tree = parse("a = b#c\n", "f")
    assert tree.warnings == ["f:1: '#' begins a comment: put a blank before it, or quote the value"]


def write(folder: Path, **files: str) -> str:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".conf").write_text(text)
    return str(folder / "main.conf")


def keys(path: str) -> list[str]:
    return [item.key if isinstance(item, Setting) else item.title for item in read(path).items]


def test_includes_are_relative_to_the_file_they_stand_in(tmp_path: Path) -> None:
    main = write(
        tmp_path, main="a = 1\n!include conf.d/*.conf\nz = 1\n", conf__20="c = 1\n!include sub\n", conf__10="b = 1\n"
    )
    (tmp_path / "conf").rename(tmp_path / "conf.d")
    (tmp_path / "conf.d/sub").write_text("d = 1\n")
    (tmp_path / "conf.d/.hidden.conf").write_text("hidden = 1\n")
    assert keys(main) == ["a", "b", "c", "d", "z"]


def test_an_include_in_a_section_adds_to_it(tmp_path: Path) -> None:
    main = write(tmp_path, main="protocol imap {\n  !include inner.conf\n}\n", inner="a = 1\nb {\n}\n")
    (section,) = read(main).items
    assert isinstance(section, Section)
    assert section.items == [Setting("a", "1"), Section("b")]


def test_include_try_leaves_out_what_is_not_there(tmp_path: Path) -> None:
    main = write(tmp_path, main=f"!include_try no.conf\n!include_try no/*.conf\n!include_try {tmp_path}\na = 1\n")
    assert keys(main) == ["a"]


def test_the_same_file_may_be_included_twice(tmp_path: Path) -> None:
    assert keys(write(tmp_path, main="!include x.conf\n!include 'x.conf'\n", x="a = 1\n")) == ["a", "a"]


@pytest.mark.parametrize(
    ("main", "message"),
    [
        (
            "!include no.conf",
            "main.conf:1: !include {0}/no.conf: no such file: correct the name, or write !include_try",
        ),
        ("!include no/*.conf", "main.conf:1: !include no/*.conf: no file matches: correct the name, or write"),
        ("!include .", "main.conf:1: !include {0}: is not a file: give a file, or a pattern like {0}/*.conf"),
        (
            "!include main.conf",
            "main.conf:1: !include {0}/main.conf: the file includes itself: remove one of the includes",
        ),
        ("!include x.conf", "x.conf:2: !include {0}/main.conf: the file includes itself"),
        ("!include open.conf", "open.conf:2: '}}' is missing: the section 'a {{' that starts here is never closed"),
        ("b {{\n!include close.conf", "close.conf:1: '}}' closes nothing"),
        ("!include fifo", "main.conf:1: !include {0}/fifo: is not a file"),
    ],
)
def test_errors_of_includes(tmp_path: Path, main: str, message: str) -> None:
    path = write(tmp_path, main=main.format(), x="\n!include main.conf\n", open="\na {\n", close="}\n")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigError) as error:
        read(path)
    assert str(error.value).startswith(f"{tmp_path}/{message.format(tmp_path)}")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(syntax, "_content", refuse)
    main = write(tmp_path, main="!include x.conf\n", x="a = 1\n")
    with pytest.raises(ConfigError, match=r"main.conf:1: !include .*x.conf: Permission denied: make it readable"):
        read(main)
    tree = read(write(tmp_path, main="!include_try x.conf\nb = 1\n"))
    assert tree.items == [Setting("b", "1")]
    assert "main.conf:1: !include_try" in tree.warnings[0]
    assert "left out: Permission denied" in tree.warnings[0]


def test_includes_end_at_a_depth_and_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(25):
        (tmp_path / f"{n}.conf").write_text(f"!include {n + 1}.conf\n!include {n + 1}.conf\n")
    with pytest.raises(ConfigError, match="more than 20 files deep or 1000 in all: include less"):
        read(str(tmp_path / "0.conf"))
    monkeypatch.setattr(syntax, "MAX_FILES", 10)
    (tmp_path / "5.conf").write_text("")
    with pytest.raises(ConfigError, match="more than 20 files deep or 10 in all"):
        read(str(tmp_path / "0.conf"))


def test_the_main_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"no.conf: No such file or directory: give a configuration"):
        read(str(tmp_path / "no.conf"))
    with pytest.raises(ConfigError, match="Is a directory"):
        read(str(tmp_path))
    monkeypatch.setattr(syntax, "MAX_FILE_SIZE", 10)
    with pytest.raises(ConfigError, match=r"main.conf:1: the file is larger than 10 bytes"):
        read(write(tmp_path, main="# 345678901\n"))


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a = 1\nb\n")))
    with pytest.raises(ConfigError, match="<stdin>:2: '=' is missing"):
        read("-")


@pytest.mark.live
@pytest.mark.parametrize(
    "line",
    [
        "/x # comment",
        '"/x # y"',
        '"/x" # y',
        "'/x y'",
        '"/x" y',
        'a "b # c" d',
        r'"a\"b\\c\nd"',
        r"'a\'b\\c'",
        r"a\\b\"c",
        "a \\\n   b \\\n c",
        "a\\\n   b",
        "a \\ # foo\n b",
        "it's # c",
        '"" ',
        "{",
        "a {",
        "> x",
        '"a" "b"',
        "a#b",
        "  a   b  ",
    ],
)
def test_doveconf_reads_the_same_value(tmp_path: Path, line: str) -> None:
    if shutil.which("doveconf") is None:
        pytest.skip("doveconf is not installed")
    (tmp_path / "x.conf").write_text(f"ssl = no\nmail_home = {line}\n")
    command = ["doveconf", "-c", str(tmp_path / "x.conf"), "-h", "mail_home"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    if done.returncode:
        pytest.skip(f"doveconf failed: {done.stderr.strip()}")
    assert read(str(tmp_path / "x.conf")).items[1] == Setting("mail_home", done.stdout.removesuffix("\n"))


@given(st.text("ab \n={}\"'#\\<!$", max_size=40))
def test_any_text_gives_a_tree_or_one_line_of_error(text: str) -> None:
    try:
        parse(text)
    except ConfigError as error:
        assert str(error).isprintable()
