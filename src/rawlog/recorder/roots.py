"""The directories in which a configuration lets recordings be made.

Knows: the settings that name directories, and that a variable in one stands for any name. Must not know: recordings.

Nobody can list all users of every userdb. A home directory stands for what ``mail_home`` says, what a static userdb
says, and the homes of the system's users; homes that only a file or a database knows must be named on the command line.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from rawlog.errors import ConfigError
from rawlog.settings.configuration import Configuration
from rawlog.settings.userdb_drivers import Static
from rawlog.settings.variables import Template

SETTINGS = (
    "rawlog_dir",
    "lmtp_rawlog_dir",
    "lmtp_proxy_rawlog_dir",
    "submission_relay_rawlog_dir",
    "login_proxy_rawlog_dir",
)
"""Those whose value is a directory of recordings."""

_VARIABLE = re.compile(r"%(?:(%)|[-0-9.]*[A-Z]*(?:\{[^{}]*\}|[a-z]))")
_HOME = re.compile(r"\A%(?:h|\{home\})")
_OWN = (frozenset(("user",)), frozenset(("home",)), frozenset(("auth_user",)), frozenset(("username", "domain")))


def templates(configuration: Configuration) -> list[Template]:
    """The directories as they are set, each once. A collector (``tcp:``) is none."""
    texts = {
        getattr(settings, name): None
        for settings in (configuration.settings, *configuration.protocols.values())
        for name in SETTINGS
    }
    return [Template(text) for text in texts if text and not text.startswith("tcp:")]


def roots(configuration: Configuration) -> Iterator[tuple[str, bool]]:
    """The directories that there are, and whether each is one user's."""
    seen: set[str] = set()
    for template in templates(configuration):
        for pattern in _patterns(template, configuration):
            for path in _matching(pattern):
                if path not in seen:
                    seen.add(path)
                    yield path, is_own(template)


def own_directories(configuration: Configuration, values: Mapping[str, str]) -> Iterator[str]:
    """The directories in which only recordings of one user lie: ``values`` are that user's variables by long name."""
    for template in templates(configuration):
        if is_own(template) and template.names <= values.keys() | {"username", "domain", "auth_user", "hostname"}:
            try:
                yield template.expand(values)
            except ConfigError:  # a user without a home directory has none in it
                continue


def is_own(template: Template) -> bool:
    """Whether each user has a directory of their own."""
    return any(own <= template.names for own in _OWN)


def _patterns(template: Template, configuration: Configuration) -> Iterator[str]:
    """The template as patterns of file names (``*`` for any variable), one for each way to a home directory."""
    text = template.text
    if not _HOME.match(text):
        yield _as_pattern(text)
        return
    rest = _as_pattern(_HOME.sub("", text))
    homes = {settings.mail_home for settings in configuration.protocols.values()} - {""}
    for section in configuration.userdbs:
        if section.driver == "static":
            homes |= {(Static(section.args)(user) or {}).get("home", "") for user in ("*", "*@*")} - {""}
        elif section.driver == "passwd":
            homes |= {_literal(entry.pw_dir) for entry in pwd.getpwall()}
    yield from (_as_pattern(home) + rest for home in sorted(homes))


def _as_pattern(text: str) -> str:
    return _VARIABLE.sub(lambda found: "%" if found[1] else "*", text)


def _literal(path: str) -> str:
    """A path in which nothing is a pattern or a variable."""
    return re.sub(r"([*?\[])", r"[\1]", path).replace("%", "%%")


def _matching(pattern: str) -> Iterator[str]:
    """The directories that match; what a pattern matches is never a link."""
    found = ["/"]
    for part in Path(pattern).parts[1:]:
        if re.search(r"[*?\[]", part):
            found = [str(Path(path, name)) for path in found for name in _names(path) if fnmatchcase(name, part)]
        else:
            found = [str(Path(path, part)) for path in found]
    yield from (path for path in found if Path(path).is_dir())


def _names(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []
