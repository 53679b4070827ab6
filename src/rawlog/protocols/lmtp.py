"""LMTP: SMTP with LHLO, and one reply for each accepted recipient at the end of a message (RFC 2033, 3030 2).

Knows: how many recipients of the message were accepted. Must not know: who they are. Everything else is SMTP's.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rawlog.protocols.smtp import SmtpFramer


class LmtpFramer(SmtpFramer):
    """Cuts LMTP. See SmtpFramer."""

    protocol: ClassVar[str] = "lmtp"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._accepted = 0  # recipients of the message in progress

    def on_answer(self, what: str, code: int) -> None:
        if what == "mail" and code < 400:
            self._accepted = 0
        elif what == "rcpt" and code < 400:
            self._accepted += 1
        super().on_answer(what, code)

    def replies(self) -> int:
        return max(1, self._accepted)
