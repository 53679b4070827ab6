"""LMTP: SMTP with LHLO, and one reply for each accepted recipient at the end of a message (RFC 2033, 3030 2).

Knows: that each accepted recipient has a reply. Must not know: who they are. Everything else is SMTP's.
"""

from __future__ import annotations

from typing import ClassVar

from rawlog.protocols.smtp import SmtpFramer


class LmtpFramer(SmtpFramer):
    """Cuts LMTP. See SmtpFramer."""

    protocol: ClassVar[str] = "lmtp"

    def replies(self) -> int:
        return max(1, self._accepted)
