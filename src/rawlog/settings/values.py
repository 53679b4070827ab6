"""The kinds of values: yes or no, times, sizes, networks, directories … and how each is written.

Knows: the words Dovecot takes for each kind, and that showing a value and parsing it again gives the same.
Must not know: which setting has which kind, and where a value was written: a ValueError or ConfigError says what is
wrong and what to write, and the loader puts ``FILE:LINE: name = value:`` before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from rawlog.settings import age_keys, variables
from rawlog.settings.backend import Backend, check_host, host_and_port, parse_backend
from rawlog.settings.usertext import UserText

Network = IPv4Network | IPv6Network

#: Units as Dovecot shows them, largest first, in seconds.
_TIMES = (("weeks", 604800), ("days", 86400), ("hours", 3600), ("mins", 60), ("secs", 1))
_TIME_WORDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("w", "week", "weeks"), 604800),
}
_SIZES = (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("k", 1 << 10), ("B", 1))


@dataclass(frozen=True, slots=True)
class Kind:
    """How text becomes a value and a value text. ``file``: the value is a file of which only the path is wanted."""

    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str
    file: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """A share of the file system, a number of bytes, or both; then the stricter one holds.

    ``None`` for what is not given; both None: no limit.
    """

    percent: int | None = None
    size: int | None = None

    def most(self, total: int) -> int | None:
        """Bytes that may be used on a file system of ``total`` bytes: the smaller of the two. None: any number."""
        return min(self._both(total), default=None)

    def least(self, total: int) -> int:
        """Bytes that must stay free on a file system of ``total`` bytes: the larger of the two."""
        return max(self._both(total), default=0)

    def _both(self, total: int) -> list[int]:
        share = None if self.percent is None else total * self.percent // 100
        return [n for n in (share, self.size) if n is not None]


def parse_bool(text: str) -> bool:
    """``yes`` or ``no``, as Dovecot reads them: also y, 1, n, 0 in any case."""
    word = text.lower()
    if word in ("yes", "y", "1"):
        return True
    if word in ("no", "n", "0"):
        return False
    raise ValueError("give yes or no")


def parse_time(text: str) -> int:
    """A time in seconds: ``7 days``, ``30s``; only 0 needs no unit."""
    found = re.fullmatch(r"([0-9]{1,12})\s*([a-zA-Z]*)", text)
    if found is None or (found[2] and found[2].lower() not in _TIME_WORDS):
        raise ValueError("give a number and a unit: secs, mins, hours, days or weeks, as in 7 days")
    number = int(found[1])
    if not found[2] and number:
        raise ValueError(f"the unit is missing: write {number} secs, {number} mins, {number} hours or {number} days")
    return number * _TIME_WORDS.get(found[2].lower(), 1)


def show_time(seconds: int) -> str:
    """``7 days`` as Dovecot shows it: ``1 weeks``."""
    if not seconds:
        return "0"
    unit, length = next((u, s) for u, s in _TIMES if seconds % s == 0)
    return f"{seconds // length} {unit}"


def parse_size(text: str) -> int:
    """A size in bytes: ``64 M``, ``64MiB``, ``500``; units are powers of 1024."""
    found = re.fullmatch(r"([0-9]{1,15})\s*(?:b|([kmgt])(?:i?b)?)?", text, re.IGNORECASE)
    if found is None:
        raise ValueError("give a number and a unit: B, k, M, G or T, as in 64 M")
    return int(found[1]) * {unit.lower(): size for unit, size in _SIZES}[(found[2] or "b").lower()]


def show_size(size: int) -> str:
    """``64 M`` as Dovecot shows it."""
    if not size:
        return "0"
    unit, factor = next((u, s) for u, s in _SIZES if size % s == 0)
    return f"{size // factor} {unit}"


def parse_space(text: str) -> Space:
    """``10%``, ``4 G``, ``10% 4 G`` or ``unlimited``."""
    if text.lower() == "unlimited":
        return Space()
    found = re.fullmatch(r"(?:([0-9]{1,3})\s*%)?\s*,?\s*(.*)", text)
    if found is None or not text or (found[1] and int(found[1]) > 100):
        raise ValueError("give a share of the file system, a size, or both, as in 10% 4 G; or unlimited")
    return Space(int(found[1]) if found[1] else None, parse_size(found[2]) if found[2] else None)


def show_space(space: Space) -> str:
    """The text that :func:`parse_space` reads back."""
    parts = ([] if space.percent is None else [f"{space.percent}%"]) + (
        [] if space.size is None else [show_size(space.size)]
    )
    return " ".join(parts) or "unlimited"


def parse_recipients(text: str) -> tuple[str, ...]:
    """Public keys of age, as they are written; each is one. Empty: nobody."""
    for word in words(text):
        age_keys.recipient(word)
    return words(text)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, separated by blanks or commas: ``127.0.0.1, 10.0.0.0/8 2001:db8::/32``."""
    return tuple(parse_network(word) for word in words(text))


def parse_network(text: str) -> Network:
    """One address or network; bits after the mask are cut off."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"'{text}' is no address and no network: write 10.0.0.1 or 10.0.0.0/8") from None


def words(text: str) -> tuple[str, ...]:
    """Words separated by blanks or commas."""
    return tuple(text.replace(",", " ").split())


def parse_addresses(text: str) -> tuple[str, ...]:
    """Addresses to listen on: ``*`` (all of IPv4), ``::`` (all of IPv6), addresses, host names."""
    for word in words(text):
        if word != "*":
            check_host(word, "an address")
    return words(text)


def parse_directory(text: str) -> str:
    """Where recordings go: empty (nowhere), ``/path/%u``, ``%h/path`` or ``tcp:HOST:PORT``."""
    if text.startswith("tcp:"):
        host, port = host_and_port(text.removeprefix("tcp:"), "a collector")
        if not port:
            raise ValueError("the port of the collector is missing: write tcp:HOST:PORT")
        return f"tcp:{f'[{host}]' if ':' in host else host}:{port}"
    if text:
        variables.check(text)
    return text


def parse_absolute(text: str) -> str:
    """A path that does not depend on where a program was started."""
    if not text.startswith("/"):
        raise ValueError("give an absolute path, beginning with '/'")
    return text if text == "/" else text.rstrip("/")


def parse_log(text: str) -> str:
    """``syslog``, or the absolute path of a file; empty is standard error."""
    if text in ("", "syslog"):
        return text or "/dev/stderr"
    return parse_absolute(text)


def parse_file(text: str) -> str:
    """The loader calls this only for a value that was not written ``<path``."""
    if text:
        raise ValueError(f"'<' is missing before the file's name: write <{text}" if text[0] == "/" else "write </PATH")
    return ""


def parse_plain_path(text: str) -> str:
    """An absolute path or nothing."""
    return parse_absolute(text) if text else ""


def parse_workers(text: str) -> int:
    """``auto`` (0: one for each core), or a number."""
    if text == "auto":
        return 0
    if not re.fullmatch(r"[1-9][0-9]{0,2}", text):
        raise ValueError("give auto, or a number from 1 to 999")
    return int(text)


def parse_count(text: str) -> int:
    """How many at most; 0: any number."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError("give a number, or unlimited")
    return int(text)


def parse_port(text: str) -> int:
    """A port; 0 means: no listener."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise ValueError("give a port: a number up to 65535, 0 for no listener")
    return int(text)


def parse_mode(text: str) -> int:
    """The mode of a socket, in octal as Dovecot writes it: ``0660``."""
    if not re.fullmatch(r"0?[0-7]{1,4}", text):
        raise ValueError("give an octal mode, as in 0660")
    return int(text, 8)


def parse_user_name(text: str) -> str:
    """The name of a system user or group; whether there is one is seen at the start."""
    if not re.fullmatch(r"([A-Za-z0-9_][A-Za-z0-9_.-]*\$?)?", text):
        raise ValueError("give the name of a user of this system")
    return text


def choice(*allowed: str) -> Kind:
    """One of a few words, in any case."""

    def parse(text: str) -> str:
        found = next((word for word in allowed if word.lower() == text.lower()), None)
        if found is None:
            raise ValueError(f"give {', '.join(allowed[:-1])} or {allowed[-1]}")
        return found

    return Kind(parse)


def or_unlimited(parse: Callable[[str], int], show: Callable[[int], str]) -> Kind:
    """A number, or None for ``unlimited`` and 0."""
    return Kind(
        lambda text: None if text.lower() == "unlimited" else parse(text) or None,
        lambda value: "unlimited" if value is None else show(value),
    )


def _show_words(value: tuple[object, ...]) -> str:
    return " ".join(map(str, value))


def _show_backend(value: Backend | None) -> str:
    return "" if value is None else str(value)


def parse_user_text(text: str) -> str:
    """A text with %u, %n and %d."""
    UserText(text)
    return text


def parse_home(text: str) -> str:
    """A home directory with %u, %n and %d; may be empty."""
    return parse_user_text(parse_absolute(text)) if text else text


BOOL = Kind(parse_bool, lambda value: "yes" if value else "no")
TEXT = Kind(str)
RECIPIENTS = Kind(parse_recipients, _show_words)
WORDS = Kind(words, _show_words)
ADDRESSES = Kind(parse_addresses, _show_words)
TIME = Kind(parse_time, show_time)
TIME_OR_UNLIMITED = or_unlimited(parse_time, show_time)
SIZE_OR_UNLIMITED = or_unlimited(parse_size, show_size)
COUNT_OR_UNLIMITED = or_unlimited(parse_count, str)
SPACE = Kind(parse_space, show_space)
NETWORKS = Kind(parse_networks, _show_words)
USER_TEXT = Kind(parse_user_text)
HOME = Kind(parse_home)
DIRECTORY = Kind(parse_directory)
ABSOLUTE = Kind(parse_absolute)
PATH = Kind(parse_plain_path)
LOG = Kind(parse_log)
FILE = Kind(parse_file, file=True)
WORKERS = Kind(parse_workers, lambda value: str(value) if value else "auto")
PORT = Kind(parse_port)
MODE = Kind(parse_mode, lambda value: f"{value:04o}")
USER = Kind(parse_user_name)
BACKEND = Kind(lambda text: parse_backend(text) if text else None, _show_backend)
