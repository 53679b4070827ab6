"""What a configuration file means for the post-login door."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rawlog.errors import ConfigError
from rawlog.events import Direction
from rawlog.recorder.sinks import FileSink
from rawlog.settings.loader import loads
from rawlog.settings.options import RawlogOptions
from rawlog.taps.postlogin import PostLoginOptions
from rawlog.taps.postlogin_settings import with_settings

OPTIONS = PostLoginOptions(RawlogOptions(stamps=True), trusted=frozenset((7,)))


def test_what_the_file_does_not_say_is_as_its_defaults_are() -> None:
    options = with_settings(OPTIONS, loads(""))
    assert (options.written, options.trusted) == (OPTIONS.written, OPTIONS.trusted)
    assert options.keep_secrets  # as Dovecot
    assert not options.debug
    assert not options.unbreakable


def test_the_directory_comes_from_the_file() -> None:
    options = with_settings(OPTIONS, loads("rawlog_dir = /var/log/rawlog/%u\n"))
    assert options.directory is not None
    assert options.directory.text == "/var/log/rawlog/%u"
    assert with_settings(OPTIONS, loads("protocol imap {\n  rawlog_dir = /x/%u\n}\n")).directory is None
    assert with_settings(OPTIONS, loads("rawlog_dir = tcp:localhost:1234\n")).directory is None


def test_a_variable_that_is_not_known_there_is_an_error_at_the_start() -> None:
    with pytest.raises(ConfigError, match="rawlog_dir = /x/%s: a post-login socket does not know %s; take it out"):
        with_settings(OPTIONS, loads("rawlog_dir = /x/%s\n"))


def test_secrets_debugging_and_the_relay_come_from_the_file() -> None:
    text = "rawlog_secrets = redact\nimport_environment = DEBUG=1\nrawlog_relay = unbreakable\n"
    options = with_settings(OPTIONS, loads(text))
    assert (options.keep_secrets, options.debug, options.unbreakable) == (False, True, True)


@pytest.mark.parametrize("open_file", [True, False])
def test_limits_come_from_the_file(tmp_path: Path, open_file: bool) -> None:
    text = "rawlog_max_session_size = 1k\nrawlog_min_free_space = 0\n"
    fd = os.open(tmp_path / "x.in", os.O_WRONLY | os.O_CREAT)
    sink = FileSink(fd, "x.in")
    if not open_file:
        sink.close()
    limit = with_settings(OPTIONS, loads(text)).limit({Direction.IN: sink})
    assert limit is not None
    assert limit.reached(1000, 24) == ""
    assert "limit of 1024 bytes reached" in limit.reached(1000, 25)
    sink.close()


def test_room_is_asked_for_where_the_files_are(tmp_path: Path) -> None:
    text = "rawlog_max_session_size = unlimited\nrawlog_min_free_space = 100%\n"
    sink = FileSink(os.open(tmp_path / "x.in", os.O_WRONLY | os.O_CREAT), "x.in")
    limit = with_settings(OPTIONS, loads(text)).limit({Direction.IN: sink})
    assert limit is not None
    assert "bytes free on the file system" in limit.reached(0, 1)
    sink.close()


def test_without_a_file_there_is_no_limit() -> None:
    assert OPTIONS.limit({}) is None
