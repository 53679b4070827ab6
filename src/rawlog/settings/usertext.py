"""Text with a user's name in it, as userdb sections hold it: ``home=/home/%d/%n uid=vmail``.

Knows: which of Dovecot's variables mean something while a user is looked up, and that a name put into a path must not
leave it.
Must not know: where the text is used. ``%h`` is empty there, as in Dovecot: the home is what is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rawlog.errors import ConfigError
from rawlog.settings.variables import SHORT_NAMES, Template, safe_component

_REFERENCE = re.compile(r"%(?:%|[^a-z{%]*(?:\{[^{}]*\}|[a-z]))")
_SIMPLE = re.compile(r"%([LU]*)(?:\{([a-z]+)\}|([a-z]))")
_KNOWN = ("user", "username", "domain", "home")


class UserText:
    """A text with variables, understood. Raises ConfigError, without a place, when it can't be."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts = [part for part in re.split(f"({_REFERENCE.pattern})", text) if part]
        for part in self.parts:
            if "%" in part and part != "%%":
                _check(part, text)

    @property
    def fixed(self) -> bool:
        """Whether there is no variable in it."""
        return not any(part.startswith("%") and part != "%%" for part in self.parts)

    def expand(self, user: str, *, plain: bool = False) -> str:
        """The text for a user. ``plain``: it becomes no path, so the name stays whatever it holds."""
        return "".join(_expanded(part, user, plain) if part[0] == "%" else part for part in self.parts)


class Fields:
    """``name=value ...`` with variables in the values; a word without ``=`` has an empty value."""

    def __init__(self, text: str) -> None:
        pairs = (word.partition("=") for word in text.split())
        self._values = {name: UserText(value) for name, _, value in pairs}

    def expand(self, user: str) -> dict[str, str]:
        """The fields for a user, in their order."""
        return {name: value.expand(user) for name, value in self._values.items()}

    def pop(self, name: str) -> str | None:
        """Take a field out; its text, or None when there is none."""
        value = self._values.pop(name, None)
        return None if value is None else value.text


def user_values(user: str) -> Mapping[str, str]:
    """What the variables stand for: ``user``, ``username`` before the ``@``, ``domain`` behind it, no ``home``."""
    name, _, domain = user.partition("@")
    return {"user": user, "username": name, "domain": domain, "home": ""}


def _check(reference: str, text: str) -> None:
    if not _REFERENCE.fullmatch(reference):
        raise ConfigError(f"'{text}': no variable after the %; write %% for a percent sign")
    try:
        names = Template("/" + reference).names
    except ConfigError as error:
        raise ConfigError(f"'{text}': {str(error).partition(': ')[2]}") from None
    unknown = names - set(_KNOWN)
    if unknown:
        raise ConfigError(f"'{text}': {reference} is not known while a user is looked up; there are %u, %n and %d")


def _expanded(part: str, user: str, plain: bool) -> str:
    if part == "%%":
        return "%"
    values = user_values(user)
    simple = _SIMPLE.fullmatch(part)
    if simple is None:
        return _by_template(part, values)
    value = values[simple[2] or SHORT_NAMES[simple[3]]]
    for letter in simple[1]:
        value = value.lower() if letter == "L" else value.upper()
    return value if plain or _harmless(value) else safe_component(value.encode("utf-8", "surrogateescape"))


def _by_template(part: str, values: Mapping[str, Any]) -> str:
    """A reference with a width or a hash, such as ``%2.256Nu``; what is empty stays empty."""
    template = Template("/" + part)
    return template.expand(values)[1:] if any(values[name] for name in template.names) else ""


def _harmless(value: str) -> bool:
    """Whether the value stays within the component of a path it is put into."""
    return not (value.startswith(".") or "/" in value or "\0" in value)
