"""Each protocol's own words for what the gateway itself says: TLS, capabilities, refusals."""

from __future__ import annotations

from rawlog.taps.dialects.base import Dialect


def dialect_for(protocol: str) -> Dialect:
    """The dialect of ``imap``, ``pop3``, ``smtp``, ``lmtp`` or ``managesieve``; KeyError for another word."""
    from rawlog.taps.dialects.imap import Imap
    from rawlog.taps.dialects.managesieve import ManageSieve
    from rawlog.taps.dialects.pop3 import Pop3
    from rawlog.taps.dialects.smtp import Lmtp, Smtp

    dialects: dict[str, type[Dialect]] = {
        "imap": Imap,
        "pop3": Pop3,
        "smtp": Smtp,
        "lmtp": Lmtp,
        "managesieve": ManageSieve,
    }
    return dialects[protocol]()
