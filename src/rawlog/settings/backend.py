"""Where the real server is, and where we listen: addresses written as one word.

Knows: the forms ``imaps://host:port``, ``imap+starttls://host``, ``unix:/path`` of a backend, and ``127.0.0.1:1143``,
``tls:[::1]:1993``, ``unix:/path`` of a listener; the default ports.
Must not know: sockets and names resolution (an address is checked as text only), or which file it was written in;
whoever reads a file puts ``FILE:LINE:`` before the message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from rawlog.errors import ConfigError

Tls = Literal["none", "starttls", "implicit"]

#: Scheme of a URL -> (protocol, TLS, default port). Ports: RFC 9051, 1939, 8314, 6409, 5321, 2033 (24 by IANA), 5804.
SCHEMES: Mapping[str, tuple[str, Tls, int]] = {
    "imap": ("imap", "none", 143),
    "imap+starttls": ("imap", "starttls", 143),
    "imaps": ("imap", "implicit", 993),
    "pop3": ("pop3", "none", 110),
    "pop3+starttls": ("pop3", "starttls", 110),
    "pop3s": ("pop3", "implicit", 995),
    "lmtp": ("lmtp", "none", 24),
    "lmtp+starttls": ("lmtp", "starttls", 24),
    "lmtps": ("lmtp", "implicit", 24),
    "smtp": ("smtp", "none", 25),
    "smtp+starttls": ("smtp", "starttls", 25),
    "smtps": ("smtp", "implicit", 465),
    "submission": ("smtp", "none", 587),
    "submission+starttls": ("smtp", "starttls", 587),
    "submissions": ("smtp", "implicit", 465),
    "sieve": ("managesieve", "none", 4190),
    "sieve+starttls": ("managesieve", "starttls", 4190),
    "sieves": ("managesieve", "implicit", 4190),
}

#: Longest path the kernel takes for a unix socket: 108 bytes with the closing NUL (unix(7)).
MAX_UNIX_PATH = 107

_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)


@dataclass(frozen=True, slots=True)
class Backend:
    """The real server: ``host`` and ``port``, or ``unix_path``.

    ``protocol`` is ``imap``, ``pop3``, ``lmtp``, ``smtp`` (submission included) or ``managesieve``: the grammar
    spoken there. ``host`` is a name or an address without brackets.
    """

    protocol: str
    host: str | None = None
    port: int | None = None
    unix_path: str | None = None
    tls: Tls = "none"

    def __str__(self) -> str:
        """The word that :func:`parse_backend` reads back."""
        if self.unix_path is not None:
            return f"{_plain_scheme(self.protocol)}+unix:{self.unix_path}"
        scheme = next(s for s, (p, t, port) in _best_first(self.port) if (p, t) == (self.protocol, self.tls))
        return f"{scheme}://{_bracketed(self.host or '')}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where connections are taken: ``host`` (an address or a name) and ``port``, or ``unix_path``.

    ``port`` 0 lets the kernel choose. ``tls`` means TLS from the first byte.
    """

    host: str | None = None
    port: int | None = None
    unix_path: str | None = None
    tls: bool = False

    def __str__(self) -> str:
        """The word that :func:`parse_listen` reads back."""
        place = f"unix:{self.unix_path}" if self.unix_path is not None else f"{_bracketed(self.host or '')}:{self.port}"
        return f"tls:{place}" if self.tls else place


def parse_backend(text: str, protocol: str | None = None) -> Backend:
    """Read a backend: ``SCHEME://HOST[:PORT]``, ``PROTOCOL+unix:/PATH``, or ``unix:/PATH`` with ``protocol`` given.

    ``protocol`` (as in :class:`Backend`) is what the backend must speak, None when anything goes.
    Raises ConfigError, without a place, when the text is none of these.
    """
    word = text.strip()
    if word.startswith("unix:"):
        if protocol is None:
            raise ConfigError(f"backend '{word}': the protocol is missing: write for instance lmtp+{word}")
        return Backend(protocol, unix_path=_unix_path(word.removeprefix("unix:"), word))
    scheme, separator, rest = word.partition("+unix:")
    if separator:
        return Backend(_checked(scheme, word, protocol)[0], unix_path=_unix_path(rest, word))
    scheme, separator, rest = word.partition("://")
    if not separator:
        raise ConfigError(f"backend '{word}': a scheme is missing: write for instance imaps://{word or 'HOST'}")
    spoken, tls, default_port = _checked(scheme, word, protocol)
    place = rest.removesuffix("/")
    if not place or re.search(r"[/?#@\s]", place):
        raise ConfigError(
            f"backend '{word}': only a host and a port may follow '{scheme}://', as in {scheme}://HOST:PORT"
        )
    host, port = host_and_port(place, f"backend '{word}'")
    if port == 0:
        raise ConfigError(f"backend '{word}': port 0 can't be connected to: give the port of the server")
    return Backend(spoken, host, default_port if port is None else port, tls=tls)


def parse_listen(text: str) -> Listen:
    """Read a listener's address: ``HOST:PORT``, ``[IPV6]:PORT``, ``*:PORT`` or ``unix:/PATH``; with TLS ``tls:`` first.

    Raises ConfigError, without a place, when the text is none of these.
    """
    word = text.strip()
    place = word.removeprefix("tls:")
    tls = place != word
    if place.startswith("unix:"):
        return Listen(unix_path=_unix_path(place.removeprefix("unix:"), word), tls=tls)
    host, port = host_and_port(f"0.0.0.0{place[1:]}" if place.startswith("*:") else place, f"listener '{word}'")
    if port is None:
        raise ConfigError(f"listener '{word}': the port is missing: write for instance {_bracketed(host)}:1143")
    return Listen(host, port, tls=tls)


def _checked(scheme: str, word: str, protocol: str | None) -> tuple[str, Tls, int]:
    """What the scheme says, once it is known and speaks the wanted protocol."""
    name = scheme.lower()
    if name not in SCHEMES:
        from difflib import get_close_matches  # only for the message

        near = get_close_matches(name, SCHEMES, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(SCHEMES)}"
        raise ConfigError(f"backend '{word}': unknown scheme '{scheme}': {hint}")
    found = SCHEMES[name]
    if protocol is not None and found[0] != protocol:
        wanted = ", ".join(s for s, (p, _, _) in SCHEMES.items() if p == protocol)
        raise ConfigError(f"backend '{word}': speaks {found[0]}, but {protocol} is wanted here: use one of {wanted}")
    return found


def host_and_port(place: str, who: str) -> tuple[str, int | None]:
    """Split ``HOST[:PORT]``, ``[IPV6][:PORT]``; ``who`` opens the message of the ConfigError when it is neither."""
    if place.startswith("["):
        host, bracket, rest = place[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ConfigError(f"{who}: ']' expected after the IPv6 address: write [::1]:PORT")
        _check_address(host, who)
        return host, _port(rest[1:], who) if rest else None
    if place.count(":") > 1:
        raise ConfigError(f"{who}: put an IPv6 address in brackets: [::1]:PORT")
    host, colon, port = place.partition(":")
    if not host:
        raise ConfigError(f"{who}: the host is missing: write HOST:PORT")
    check_host(host, who)
    return host, _port(port, who) if colon else None


def check_host(host: str, who: str) -> None:
    """Raise ConfigError, opened by ``who``, when this is no host name, no IPv4 and no (bare) IPv6 address."""
    if ":" in host:
        _check_address(host, who)
    elif re.fullmatch(r"[0-9.]+", host):
        try:
            IPv4Address(host)
        except ValueError:
            raise ConfigError(f"{who}: '{host}' is not an IPv4 address: four numbers from 0 to 255") from None
    elif not _HOST_NAME.fullmatch(host):
        raise ConfigError(f"{who}: '{host}' is not a host name: letters, digits, '-' and '.' are allowed")


def _check_address(host: str, who: str) -> None:
    try:
        IPv6Address(host)
    except ValueError:
        raise ConfigError(f"{who}: '{host}' is not an IPv6 address: brackets are for IPv6 only") from None


def _port(text: str, who: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise ConfigError(f"{who}: '{text}' is not a port: give a number up to 65535")
    return int(text)


def _unix_path(path: str, word: str) -> str:
    if not path.startswith("/"):
        raise ConfigError(f"'{word}': the path of a unix socket must be absolute: write unix:/PATH")
    if len(path.encode("utf-8", "surrogateescape")) > MAX_UNIX_PATH:
        raise ConfigError(f"'{word}': the path of a unix socket may have {MAX_UNIX_PATH} bytes: choose a shorter one")
    return path


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _plain_scheme(protocol: str) -> str:
    return "sieve" if protocol == "managesieve" else protocol


def _best_first(port: int | None) -> list[tuple[str, tuple[str, Tls, int]]]:
    """Schemes, those with this default port first: port 587 is written ``submission``, not ``smtp``."""
    return sorted(SCHEMES.items(), key=lambda item: item[1][2] != port)
