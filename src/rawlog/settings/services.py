"""Services: what is listened on, and which programs are named there.

Knows: Dovecot's services that mean something here, their listeners and defaults (Dovecot 2.3.19), and how an
``executable`` says: after the login ask this socket; this is a post-login rawlog; record before the login.
Must not know: the settings of protocols, or how sections are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rawlog.settings.options import RawlogOptions, parse_options
from rawlog.settings.tree import NOWHERE, Place


@dataclass(frozen=True, slots=True)
class InetListener:
    """``inet_listener NAME { }``. ``address`` empty: those of ``listen``. ``port`` 0: no listener."""

    name: str
    address: tuple[str, ...] = ()
    port: int = 0
    ssl: bool = False
    haproxy: bool = False
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class UnixListener:
    """``unix_listener PATH { }``. A relative ``path`` is below ``base_dir``; ``mode`` 0: no listener."""

    path: str
    mode: int = 0o600
    user: str = ""
    group: str = ""
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Service:
    """``service NAME { }``, with what means something here."""

    name: str
    executable: str
    inet: tuple[InetListener, ...] = ()
    unix: tuple[UnixListener, ...] = ()
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def postlogin_socket(self) -> str | None:
        """The socket that ``executable = imap postlogin`` asks after the login; None without one."""
        words = self.executable.split()
        return words[-1] if self.name in POSTLOGIN_USERS and len(words) > 1 and words[-1][0] != "-" else None

    @property
    def prelogin_directory(self) -> str | None:
        """DIR of ``executable = imap-login -R DIR``; None without it."""
        words = self.executable.split()
        if self.name not in GATEWAYS or "-R" not in words[:-1]:
            return None
        return words[words.index("-R") + 1]


#: Services that take clients -> the protocol they speak, in Dovecot's words.
GATEWAYS: Mapping[str, str] = {
    "imap-login": "imap",
    "lmtp": "lmtp",
    "managesieve-login": "sieve",
    "pop3-login": "pop3",
    "submission-login": "submission",
}
#: Services whose executable may name a post-login socket.
POSTLOGIN_USERS = ("imap", "managesieve", "pop3", "submission")

#: Dovecot's defaults. Its lmtp has a unix listener of its own; ours listens only where it is told to, because the
#: default's place is taken where a Dovecot runs.
DEFAULTS: Mapping[str, Service] = {
    "imap": Service("imap", "imap"),
    "imap-login": Service(
        "imap-login", "imap-login", (InetListener("imap", port=143), InetListener("imaps", port=993, ssl=True))
    ),
    "lmtp": Service("lmtp", "lmtp"),
    "managesieve": Service("managesieve", "managesieve"),
    "managesieve-login": Service("managesieve-login", "managesieve-login", (InetListener("sieve", port=4190),)),
    "pop3": Service("pop3", "pop3"),
    "pop3-login": Service(
        "pop3-login", "pop3-login", (InetListener("pop3", port=110), InetListener("pop3s", port=995, ssl=True))
    ),
    "submission": Service("submission", "submission"),
    "submission-login": Service("submission-login", "submission-login", (InetListener("submission", port=587),)),
}

#: Options of rawlog-service that have a value, and that no rawlog of Dovecot has.
OWN_OPTIONS = ("-c", "--relay")

#: The mode of ``service lmtp { unix_listener lmtp { } }``: any program of the machine may deliver mail.
LMTP_MODE = 0o666


def rawlog_command(executable: str) -> tuple[RawlogOptions, list[str]] | None:
    """The options of ``script-login -d rawlog -t`` or ``…/rawlog-service -t``, and the words after them.

    None when the executable is no rawlog. Raises ConfigError when its options are wrong.
    """
    words = executable.split()
    if words and _program(words[0]) == "script-login":
        words.pop(0)
        while words and words[0].startswith("-"):
            words.pop(0)
    if not words or _program(words[0]) not in ("rawlog", "rawlog-service"):
        return None
    if _program(words[0]) == "rawlog-service":
        for name in OWN_OPTIONS:
            if name in words[:-1]:
                place = words.index(name)
                del words[place : place + 2]
    return parse_options(words[1:])


def _program(path: str) -> str:
    return path.rpartition("/")[2]
