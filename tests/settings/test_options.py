"""The options of Dovecot's rawlog program."""

from __future__ import annotations

import pytest

from rawlog.errors import ConfigError
from rawlog.events import Direction
from rawlog.settings.options import RawlogOptions, parse_options


@pytest.mark.parametrize(
    ("line", "options", "rest"),
    [
        ("", RawlogOptions(), []),
        ("-b", RawlogOptions(boundaries=True), []),
        ("-t -I", RawlogOptions(stamps=True, address=True), []),
        ("-bt", RawlogOptions(boundaries=True, stamps=True), []),
        ("-f in", RawlogOptions(only=Direction.IN), []),
        ("-fout", RawlogOptions(only=Direction.OUT), []),
        ("-tfout x", RawlogOptions(stamps=True, only=Direction.OUT), ["x"]),
        ("-f in -f in", RawlogOptions(only=Direction.IN), []),
        ("-t /usr/lib/dovecot/imap -x", RawlogOptions(stamps=True), ["/usr/lib/dovecot/imap", "-x"]),
        ("-t -- -x", RawlogOptions(stamps=True), ["-x"]),
        ("- x", RawlogOptions(), ["-", "x"]),
    ],
)
def test_options(line: str, options: RawlogOptions, rest: list[str]) -> None:
    assert parse_options(line.split()) == (options, rest)
    assert parse_options([*options.words(), "--", *rest]) == (options, rest)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-x", "option -x is unknown: rawlog takes -b, -t, -I, -f in and -f out"),
        ("-btx", "option -x is unknown"),
        ("--help", "option -- is unknown"),
        ("-f both", "option -f both: write -f in or -f out; leave -f away for both"),
        ("-f", "option -f : write -f in or -f out"),
        ("-f in -f out", "options -f in -f out: together they leave nothing to record"),
    ],
)
def test_wrong_options(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_options(line.split())
    assert str(error.value).startswith(message)
