"""Dovecot's variables in the setting of a directory: ``/var/lib/rawlog/%u``, ``%h/rawlog``.

Knows: the names and modifiers Dovecot 2.3 takes in ``rawlog_dir``, and how a value becomes a safe part of a path.
Must not know: who the user is, or whether a directory exists. A template is checked when it is loaded, so that a typo
is an error of the configuration; in Dovecot it is noticed at the login, and refuses every user.

A value is data. It is put in once, never expanded again, and encoded: ``..``, ``/``, NUL or ten thousand characters
can't leave the directory, and two values never become one name. Only the home directory, which userdb gives and not
the client, stands for itself (where no modifier changes it).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from rawlog.errors import ConfigError
from rawlog.settings.tree import printable

SHORT_NAMES = {
    "u": "user",
    "n": "username",
    "d": "domain",
    "h": "home",
    "s": "service",
    "p": "pid",
    "i": "uid",
    "l": "lip",
    "r": "rip",
}
"""Names of one letter, and the long name of the same variable."""

LONG_NAMES = frozenset(SHORT_NAMES.values()) | {
    "gid",
    "session",
    "hostname",
    "auth_user",
    "auth_username",
    "auth_domain",
}
"""What may stand in ``%{…}``; besides, ``env:NAME`` and hashes such as ``sha1:user`` and ``md5;truncate=8:user``."""

COMPONENT_LIMIT = 200
"""Bytes of one encoded value. File systems take 255 in a name; the rest is for what stands around the value."""

_HASHES: Mapping[str, str] = {
    "md5": "md5",
    "sha1": "sha1",
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
    "sha3-256": "sha3_256",
    "sha3-512": "sha3_512",
}
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@+-.")
_REFERENCE = re.compile(
    r"%(?:(?P<percent>%)"
    r"|(?:(?P<offset>-?[0-9]{0,6})\.|-?)(?P<zero>0?)(?P<width>-?[0-9]{0,6})(?P<modifiers>[A-Z]*)"
    r"(?:\{(?P<long>[^{}]*)\}|(?P<short>[a-z])))"
)


def safe_component(value: bytes) -> str:
    """A value as one component of a path, or a part of one. Different values give different text.

    ``A-Z a-z 0-9 _ @ + -`` stay, and ``.`` when not first; other bytes become ``=XX``; nothing becomes ``=``; what is
    longer than 200 bytes then becomes its first 160, ``=~`` and 16 hex digits of the SHA-256 of the whole value.

    >>> safe_component(b"alice@example.com"), safe_component(b"../a=b")
    ('alice@example.com', '=2E.=2Fa=3Db')
    """
    text = "".join(chr(byte) if byte in _SAFE else f"={byte:02X}" for byte in value) or "="
    if text.startswith("."):
        text = "=2E" + text[1:]
    if len(text) > COMPONENT_LIMIT:
        text = f"{text[:160]}=~{hashlib.sha256(value).hexdigest()[:16]}"
    return text


def check(template: str) -> None:
    """Raises ConfigError when this is not a usable directory template; the message says what to write instead."""
    Template(template)


class Template:
    """The text of a directory setting, understood. Raises ConfigError when it can't be.

    The path is absolute, or begins with the home directory: ``/…``, ``%h/…``. ``names``: the long names of the
    variables in it, so that a recorder knows what it must learn first.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = _parse(text)
        first = self._parts[0] if self._parts else ""
        if not (first.startswith("/") if isinstance(first, str) else first.is_home):
            raise ConfigError(
                f"{text!r}: not an absolute path; begin it with / or with %h/ (the user's home directory)"
            )
        if "\0" in text:
            raise ConfigError(f"{text!r}: a path can't hold a NUL byte; take it out")
        self.names = frozenset(part.name for part in self._parts if not isinstance(part, str))

    def expand(self, values: Mapping[str, str | bytes]) -> str:
        """The path for these values, by long name. Bytes that are no UTF-8 come as surrogates (``surrogateescape``).

        What is not given is empty, as in Dovecot, except: ``username`` and ``domain`` follow from ``user``,
        ``auth_user`` is ``user``, ``pid`` and ``hostname`` are those of this process. Raises ConfigError when the home
        directory is needed and there is none.
        """
        return "".join(part if isinstance(part, str) else part.expand(values) for part in self._parts)


@dataclass(frozen=True, slots=True)
class _Variable:
    """One reference: ``%[offset.][0][width][modifiers]name``."""

    name: str
    offset: int
    width: int
    zeros: bool
    changes: tuple[Callable[[_Variable, bytes], bytes], ...]

    @property
    def is_home(self) -> bool:
        """True for the home directory as userdb gave it."""
        return self.name == "home" and not (self.changes or self.offset or self.width)

    def expand(self, values: Mapping[str, str | bytes]) -> str:
        value = _value(self.name, values)
        if self.name == "home":
            _check_home(value)
        if self.is_home:
            return value.decode("utf-8", "surrogateescape")
        for change in self.changes:
            value = change(self, value)
        numeric = any(change in (_hash, _new_hash) for change in self.changes)
        return safe_component(value if numeric else self._cut(value))

    def _cut(self, value: bytes) -> bytes:
        """Offset and width. An offset below zero counts from the end; a width below zero leaves that many bytes out."""
        value = value[self.offset :]
        if self.zeros:
            return value.rjust(self.width, b"0")
        if self.width < 0:
            return value[: self.width] if len(value) >= -self.width else value
        return value[: self.width] if self.width else value


def _parse(text: str) -> list[str | _Variable]:
    """Literal text and variables, in order."""
    parts: list[str | _Variable] = []
    position = 0
    while (percent := text.find("%", position)) >= 0:
        if percent > position:
            parts.append(text[position:percent])
        found = _REFERENCE.match(text, percent)
        if found is None:
            raise ConfigError(
                f"{text!r}: no variable after the % at character {percent + 1}; write %% for a percent sign"
            )
        parts.append("%" if found["percent"] else _variable(text, found))
        position = found.end()
    if position < len(text):
        parts.append(text[position:])
    return parts


def _variable(text: str, found: re.Match[str]) -> _Variable:
    changes: list[Callable[[_Variable, bytes], bytes]] = []
    name = found["long"]
    if name is None:
        if found["short"] not in SHORT_NAMES:
            raise ConfigError(_unknown(text, f"%{found['short']}"))
        name = SHORT_NAMES[found["short"]]
    elif ":" in name and not name.startswith("env:"):
        digest, name = name.split(":", 1)
        changes.append(_digest(text, digest))
    if name not in LONG_NAMES and not name.startswith("env:"):
        raise ConfigError(_unknown(text, f"%{{{name}}}"))
    for letter in found["modifiers"]:
        if letter not in _MODIFIERS:
            raise ConfigError(f"{text!r}: unknown modifier {letter}; there are {' '.join(_MODIFIERS)}")
        changes.append(_MODIFIERS[letter])
    width = found["width"]
    return _Variable(
        name,
        int(found["offset"] or 0) if found["offset"] not in ("-", "") else 0,
        int(width) if width not in ("", "-") else 0,
        bool(found["zero"]) and not width.startswith("-"),
        tuple(changes),
    )


def _unknown(text: str, name: str) -> str:
    """The sentence for a variable that is not known, with the nearest one that is."""
    import difflib  # only for the message: a correct configuration never loads it

    word = name[2:-1].split("|")[0].strip()  # in Dovecot 2.4 filters follow the name
    name = printable(name)
    near = difflib.get_close_matches(word, sorted(LONG_NAMES), 1)
    if near:
        return f"{text!r}: unknown variable {name}; did you mean %{{{near[0]}}}?"
    known = " ".join(f"%{short}" for short in SHORT_NAMES)
    return f"{text!r}: unknown variable {name}; there are {known} and %{{…}} with {' '.join(sorted(LONG_NAMES))}"


def _value(name: str, values: Mapping[str, str | bytes]) -> bytes:
    value = values.get(name)
    if value is None:
        value = _default(name, values)
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def _default(name: str, values: Mapping[str, str | bytes]) -> str | bytes:
    """What follows from other values, or from this process; else nothing."""
    if name.startswith("env:"):
        return os.environ.get(name[4:], "")
    if name in ("username", "auth_username"):
        return _value(name.replace("username", "user"), values).partition(b"@")[0]
    if name in ("domain", "auth_domain"):
        return _value(name.replace("domain", "user") if "_" in name else "user", values).partition(b"@")[2]
    if name == "auth_user":
        return _value("user", values)
    if name == "pid":
        return str(os.getpid())
    return os.uname().nodename if name == "hostname" else ""


def _check_home(home: bytes) -> None:
    if not home:
        raise ConfigError("the user has no home directory; let userdb return home=/path for this user")
    if not home.startswith(b"/") or b"\0" in home:
        raise ConfigError(f"the user's home directory {home!r} is not an absolute path; let userdb return one")


def _hash(variable: _Variable, value: bytes) -> bytes:
    """``%H``: the hash of ELF object files (System V ABI, "Hash Table") in hex. Width is a modulus, offset a number of
    digits."""
    result = 0
    for byte in value:
        result = (result << 4) + byte
        high = result & 0xF0000000
        result = (result ^ high ^ (high >> 24)) & 0xFFFFFFFF
    return _hex(variable, result)


def _new_hash(variable: _Variable, value: bytes) -> bytes:
    """``%N``: the same from the first eight bytes of MD5."""
    return _hex(variable, int.from_bytes(hashlib.md5(value, usedforsecurity=False).digest()[:8], "big"))


def _hex(variable: _Variable, number: int) -> bytes:
    if variable.width > 0:
        number %= variable.width
    return b"%x" % (number & 0xFFFFFFFF) if variable.offset <= 0 else b"%0*x" % (variable.offset, number & 0xFFFFFFFF)


def _md5(_: _Variable, value: bytes) -> bytes:
    return hashlib.md5(value, usedforsecurity=False).hexdigest().encode()


_MODIFIERS: Mapping[str, Callable[[_Variable, bytes], bytes]] = {
    "L": lambda _, value: value.lower(),
    "U": lambda _, value: value.upper(),
    "R": lambda _, value: value[::-1],
    "M": _md5,
    "H": _hash,
    "N": _new_hash,
}


def _digest(text: str, description: str) -> Callable[[_Variable, bytes], bytes]:
    """The change that ``md5;truncate=8`` describes."""
    name, *options = description.split(";")
    if name not in _HASHES:
        raise ConfigError(f"{text!r}: unknown hash or prefix {name!r}; there are {' '.join(_HASHES)} and env")
    bits = 0
    for option in options:
        found = re.fullmatch(r"truncate=([1-9][0-9]{0,3})", option)
        if found is None:
            raise ConfigError(f"{text!r}: unknown option {option!r} of a hash; there is truncate=BITS")
        bits = int(found[1])
    return partial(_hashed, _HASHES[name], bits)


def _hashed(algorithm: str, bits: int, _: _Variable, value: bytes) -> bytes:
    """The hash in hex; ``bits`` above 0: that many leading bits, filled up with zeros on the left to whole bytes."""
    result = hashlib.new(algorithm, value, usedforsecurity=False).digest()
    if 0 < bits < len(result) * 8:
        number = int.from_bytes(result, "big") >> (len(result) * 8 - bits)
        result = number.to_bytes((bits + 7) // 8, "big")
    return result.hex().encode()
