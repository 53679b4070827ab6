"""Which Framer cuts which protocol.

Knows: the names of the protocols, also those that listeners and backends use (``imaps``, ``submission``, ``sieve``).
Must not know: the grammars' insides, ports, files.
"""

from __future__ import annotations

from typing import Any

from rawlog.errors import ConfigError
from rawlog.protocols.framing import Framer
from rawlog.protocols.guess import guess_protocol
from rawlog.protocols.imap import ImapFramer
from rawlog.protocols.lmtp import LmtpFramer
from rawlog.protocols.managesieve import ManageSieveFramer
from rawlog.protocols.pop3 import Pop3Framer
from rawlog.protocols.smtp import SmtpFramer

FRAMERS: dict[str, type[Framer]] = {
    framer.protocol: framer for framer in (ImapFramer, Pop3Framer, SmtpFramer, LmtpFramer, ManageSieveFramer)
}
_OTHER_NAMES = {
    "imaps": "imap",
    "pop3s": "pop3",
    "smtps": "smtp",
    "submission": "smtp",
    "submissions": "smtp",
    "lmtps": "lmtp",
    "sieve": "managesieve",
}


def framer_for(protocol: str, **options: Any) -> Framer:
    """A new framer for a protocol by name; ``options`` are those of Framer.

    Raises ConfigError when nobody knows the protocol.
    """
    name = _OTHER_NAMES.get(protocol.lower(), protocol.lower())
    if name not in FRAMERS:
        raise ConfigError(f"protocol {protocol!r} is not known: use one of {', '.join(FRAMERS)}")
    return FRAMERS[name](**options)


def guess(first_server_line: bytes) -> str | None:
    """The protocol by the server's first line, None when it says nothing. LMTP and SMTP greet alike: see guess.py."""
    return guess_protocol(b"", first_server_line)[0]
