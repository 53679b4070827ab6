"""From the tree of a file to a configuration: what each word means, and what is wrong with it.

Knows: sections and their rules, references, and which value wins. The rules:

* In ``protocol X { }`` a setting holds for X; at the top level for every protocol that has none of its own; in
  ``protocol !X { }`` for every protocol but X, where the protocol has none of its own. The most specific wins,
  wherever it stands; of two of the same kind the later one.
* ``local``, ``remote`` and ``local_name`` blocks are read and checked, but have no effect: a warning says so.
* A name that is neither ours nor Dovecot's is an error; a setting of Dovecot that means nothing here is kept aside.

Must not know: sockets, users, or how the syntax is written.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Any

from rawlog.errors import ConfigError
from rawlog.settings import names, syntax
from rawlog.settings.backend import parse_backend
from rawlog.settings.checks import warnings_of
from rawlog.settings.configuration import Configuration
from rawlog.settings.drafts import ServiceDrafts, UserdbDrafts
from rawlog.settings.model import DEFAULTS, PROTOCOLS, SPECS, Settings, shown
from rawlog.settings.tree import Item, Place, Section, Setting, shortened
from rawlog.settings.values import Kind, parse_network

#: The file that is read where none is given.
DEFAULT_FILE = "/etc/rawlog/rawlog.conf"

#: What references to Dovecot's settings stand for where the file does not set them.
DOVECOT_DEFAULTS = {
    "default_internal_user": "dovecot",
    "default_internal_group": "dovecot",
    "default_login_user": "dovenull",
}

#: Largest file that may be named as ``<file`` for a value that is text.
MAX_VALUE = 64 * 1024


def load(path: str) -> Configuration:
    """Load a configuration file, ``-`` for standard input. Raises ConfigError ``FILE:LINE: what and what to do``."""
    return _Loader(path).load(syntax.read(path))


def loads(text: str, name: str = "<text>") -> Configuration:
    """The same for a text that is in no file."""
    return _Loader(name).load(syntax.parse(text, name))


class _Loader:
    """Values and places by scope: ``""`` for the top level, ``imap``, ``!imap``."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._values: dict[str, dict[str, Any]] = {}
        self._texts: dict[str, dict[str, str]] = {}
        self._places: dict[tuple[str, str], Place] = {}
        self._warnings: list[str] = []
        self._ignored: list[tuple[str, Setting]] = []
        self._services = ServiceDrafts(lambda item: self._text(item, ""))
        self._userdbs = UserdbDrafts()

    def load(self, tree: syntax.Tree) -> Configuration:
        self._warnings += tree.warnings
        self._items(tree.items, "")
        everywhere = replace(DEFAULTS, **self._values.get("", {}))
        protocols = {protocol: self._of_protocol(protocol) for protocol in PROTOCOLS}
        services, more = self._services.finished()
        userdbs, even_more = self._userdbs.finished()
        configuration = Configuration(
            self._file, everywhere, protocols, services, userdbs, (), (*self._ignored, *self._services.ignored)
        )
        found = warnings_of(configuration, self._places)
        return replace(configuration, warnings=(*self._warnings, *more, *even_more, *found))

    def _of_protocol(self, protocol: str) -> Settings:
        values: dict[str, Any] = {}
        for scope in ("", *(f"!{other}" for other in PROTOCOLS if other != protocol), protocol):
            values |= self._values.get(scope, {})
        return replace(DEFAULTS, **values)

    def _items(self, items: list[Item], scope: str) -> None:
        for item in items:
            if isinstance(item, Setting):
                self._setting(item, scope)
            elif item.kind == "protocol":
                self._protocol(item, scope)
            elif item.kind in names.FILTERS:
                self._filter(item, scope)
            else:
                self._section(item, scope)

    def _section(self, section: Section, scope: str) -> None:
        """A section that is no filter: services and userdbs are ours, the rest is checked and kept aside."""
        if not names.is_section("", section.kind):
            raise section.place.error(f"unknown section '{section.kind}': {_hint(section.kind, '')}")
        self._check_names(section, section.kind)
        if section.kind not in ("service", "userdb"):
            self._set_aside(section)
        elif scope:
            raise section.place.error(f"{section.title} in protocol {scope}: move it out of that section")
        elif section.kind == "service":
            self._services.add(section)
        else:
            self._userdbs.add(section)

    def _setting(self, item: Setting, scope: str) -> None:
        if not names.is_setting("", item.key):
            raise item.place.error(_unknown(item, ""))
        if item.key not in SPECS:
            self._ignored.append((f"protocol {scope}" if scope else "", item))
            self._texts.setdefault(scope, {})[item.key] = item.value
            return
        text = self._text(item, scope)
        value = _value(item, text, scope)
        self._places[scope, item.key] = item.place
        if self._has_effect(item, scope):
            self._values.setdefault(scope, {})[item.key] = value
            self._texts.setdefault(scope, {})[item.key] = text

    def _has_effect(self, item: Setting, scope: str) -> bool:
        """Whether the setting means something in this scope; says so when it does not."""
        protocols = SPECS[item.key].protocols
        if not scope or scope in protocols or (scope.startswith("!") and protocols):
            return True
        if not protocols:
            where = "it has one value for the whole service: move it to the top level"
        elif scope == "lmtp" and item.key == "rawlog_dir":
            where = "LMTP is recorded by lmtp_rawlog_dir: write lmtp_rawlog_dir"
        else:
            where = f"it means something for {' and '.join(protocols)} only: remove it"
        self._warnings.append(f"{item.place}: {item.key} has no effect in protocol {scope}: {where}")
        return False

    def _text(self, item: Setting, scope: str) -> str:
        """The value as text: files read, references replaced."""
        if item.file is not None:
            return item.file if item.key in SPECS and SPECS[item.key].kind.file else _content(item)
        if item.quoted or "$" not in item.value:
            return item.value
        return re.sub(r"(?:(?<=\s)|^)\$(\S+)", lambda found: self._reference(found[1], item, scope), item.value)

    def _reference(self, name: str, item: Setting, scope: str) -> str:
        """What ``$name`` stands for: the value so far, in this scope or at the top level, else the default."""
        if name.startswith("ENV:"):
            return os.environ.get(name[4:], "")
        for texts in (self._texts.get(scope, {}), self._texts.get("", {})):
            if name in texts:
                return texts[name]
        if name in SPECS:
            return shown(DEFAULTS, name)
        if name in DOVECOT_DEFAULTS:
            return DOVECOT_DEFAULTS[name]
        if names.is_setting("", name):
            raise item.place.error(f"{item.key}: ${name} is not set in this file: write its value instead")
        raise item.place.error(f"{item.key}: ${name} is no setting: write $NAME and a blank, or '...' around a $")

    def _protocol(self, section: Section, scope: str) -> None:
        if scope:
            raise section.place.error(f"{section.title} in protocol {scope}: close that section before it with '}}'")
        name = section.name.removeprefix("!")
        known = {*PROTOCOLS, *names.OTHER_PROTOCOLS}
        if name in PROTOCOLS:
            self._items(section.items, section.name)
        elif name in names.OTHER_PROTOCOLS or name in names.dovecot_services():
            self._check_names(section, "")
            self._set_aside(section)
        elif not name:
            raise section.place.error("the protocol is missing: write protocol imap {")
        else:
            other = {"smtp": "submission", "managesieve": "sieve", "imaps": "imap", "pop3s": "pop3"}.get(name)
            hint = f"write protocol {other}" if other else names.nearest(name, known)
            raise section.place.error(f"unknown protocol '{name}': {hint}")

    def _filter(self, section: Section, scope: str) -> None:
        """``local``, ``remote``, ``local_name``: checked, without effect."""
        if scope:
            raise section.place.error(
                f"{section.title} in protocol {scope}: write {section.title} {{ protocol {scope} {{"
            )
        if not section.name:
            raise section.place.error(f"{section.kind} what? write {section.kind} ADDRESS {{")
        if section.kind != "local_name" and re.fullmatch(r"[0-9.]+(/.*)?|.*:.*", section.name):
            try:
                parse_network(section.name)
            except ValueError as error:
                raise section.place.error(f"{section.title}: {error}") from None
        self._check_names(section, "")
        self._set_aside(section)
        ours = next((item for item in _settings_below(section) if item.key in SPECS), None)
        if ours is not None:
            self._warnings.append(
                f"{ours.place}: {ours.key} has no effect in {section.title}: such blocks are not supported: "
                f"write it at the top level or in protocol X {{"
            )

    def _check_names(self, section: Section, path: str) -> None:
        """Every name below a section must be known."""
        for item in section.items:
            if isinstance(item, Setting):
                if not names.is_setting(path, item.key):
                    raise item.place.error(_unknown(item, path))
            elif path.split("/")[0] not in names.FREE:
                if not names.is_section(path, item.kind):
                    raise item.place.error(
                        f"unknown section '{item.kind}' in {section.title}: {_hint(item.kind, path)}"
                    )
                inner = "" if item.kind in names.FILTERS else f"{path}/{item.kind}".lstrip("/")
                self._check_names(item, inner)

    def _set_aside(self, section: Section) -> None:
        self._ignored += ((section.title, item) for item in _settings_below(section))


def _settings_below(section: Section) -> list[Setting]:
    found = list(section.settings())
    for inner in section.sections():
        found += _settings_below(inner)
    return found


def _value(item: Setting, text: str, scope: str) -> Any:
    """The typed value. Raises ConfigError with the place."""
    kind = SPECS[item.key].kind
    try:
        if item.key == "rawlog_backend":
            return _backend(text, scope)
        return _parsed(kind, item, text)
    except ConfigError as error:
        raise item.place.error(f"{item.key}: {error}") from None
    except ValueError as error:
        raise item.place.error(f"{item.key} = {shortened(text)}: {error}") from None


def _parsed(kind: Kind, item: Setting, text: str) -> Any:
    return text if kind.file and item.file is not None else kind.parse(text)


def _backend(text: str, scope: str) -> Any:
    if scope not in PROTOCOLS:
        raise ConfigError("a backend belongs to one protocol: write it in protocol imap { } or another")
    return parse_backend(text, PROTOCOLS[scope]) if text else None


def _content(item: Setting) -> str:
    path = item.file or ""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_VALUE + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no text in UTF-8"
        raise item.place.error(f"{item.key} = <{path}: {reason}: name a file that can be read") from None
    if len(text) > MAX_VALUE:
        raise item.place.error(f"{item.key} = <{path}: larger than {MAX_VALUE} bytes: is it the right file?")
    return text.removesuffix("\n")


def _unknown(item: Setting, path: str) -> str:
    if item.key == "dovecot_config_version":
        return (
            "dovecot_config_version: this is a file for Dovecot 2.4, whose names differ: "
            "write a file with the names of Dovecot 2.3 for Rawlog"
        )
    where = f" in {path.replace('/', ' { ')}" if path else ""
    if names.is_section(path, item.key):
        return f"'{item.key}'{where} is a section, no setting: write {item.key} NAME {{"
    return f"unknown setting '{item.key}'{where}: {names.nearest(item.key, names.settings_in(path))}"


def _hint(kind: str, path: str) -> str:
    if kind in names.settings_in(path):
        return f"it is a setting: write {kind} = VALUE"
    inside = names.sections_in(path)
    return names.nearest(kind, inside) if inside else "no section may stand here: close the one above with '}'"
