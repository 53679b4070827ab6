"""What is to be recorded of a leg: which part of the conversation, and where it goes.

Knows: the parts that Dovecot's settings record. Must not know: bytes, sockets. It is the seam between what the operator
asked for (settings) and what happens on a leg (observer.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rawlog.taps.target import Target


class Part(Enum):
    """Which part of a conversation a recording covers."""

    ALL = "all"  # from the greeting to the end: lmtp_rawlog_dir, the proxies' settings, rawlog tap
    FROM_LOGIN = "from login"  # rawlog_dir, dovecot.rawlog/ in the home
    TO_LOGIN = "to login"  # imap-login -R


@dataclass(frozen=True, slots=True)
class Plan:
    """One recording of a leg.

    ``split_at_tls``: a new recording begins after STARTTLS, as Dovecot does in LMTP and towards remote servers.
    ``userdb_field``: the field of a user that takes the place of the target's directory; empty switches off.
    ``home``: ``mail_home``, the template of the home directory where userdb returns none.
    """

    target: Target
    part: Part = Part.ALL
    split_at_tls: bool = False
    userdb_field: str | None = None
    home: str = ""

    @property
    def needs_user(self) -> bool:
        """Whether it can begin only when it is known who logged in."""
        return self.part is Part.FROM_LOGIN or self.target.needs_user
