"""The words of ``rawlog-service``, read and carried out.

Knows: its options, and what a configuration file adds. Must not know: how it serves. Wrong options must not refuse
every login: it then runs, and records nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from rawlog.errors import ConfigError
from rawlog.settings.options import parse_options
from rawlog.taps.postlogin import PostLoginOptions
from rawlog.taps.postlogin_child import say
from rawlog.taps.postlogin_service import serve_under_master


def run(words: Sequence[str]) -> None:
    """Serves as the words say."""
    serve_under_master(read(list(words)), say)


def read(words: list[str]) -> PostLoginOptions:
    """The options; when something is wrong with them, those that record nothing."""
    trusted = frozenset((0, os.geteuid()))
    options = PostLoginOptions(None, debug="DEBUG" in os.environ, trusted=trusted)
    try:
        relay = _take(words, "--relay") or "fast"
        file = _take(words, "-c")
        if relay not in ("fast", "unbreakable"):
            raise ConfigError(f"--relay {relay}: write fast or unbreakable")
        written, rest = parse_options(words)
        if rest:
            raise ConfigError(f"{rest[0]}: no such option")
        options = options._replace(unbreakable=relay == "unbreakable")
        if file is not None:
            options = _with_file(options, file)
        return options._replace(written=written)
    except ConfigError as error:
        say(f"nothing is recorded: {error}; correct it in service postlogin")
        return options


def _take(words: list[str], name: str) -> str | None:
    """The value behind ``name``, which is taken out of the words; None when it is not there. Raises ConfigError."""
    if name not in words:
        return None
    place = words.index(name)
    if place + 1 == len(words):
        raise ConfigError(f"{name}: a value is missing")
    value = words[place + 1]
    del words[place : place + 2]
    return value


def _with_file(options: PostLoginOptions, file: str) -> PostLoginOptions:
    from rawlog.settings.loader import load  # for those only who have a file: all that it takes, it keeps
    from rawlog.taps.postlogin_settings import with_settings

    return with_settings(options, load(file))
