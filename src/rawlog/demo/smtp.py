"""Submission and LMTP: two ways into the demo users' mailboxes, both spoken by aiosmtpd.

Knows: aiosmtpd's handlers. Must not know: sockets, IMAP, POP3.
"""

from __future__ import annotations

import asyncio
import ssl

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from rawlog.demo.mailstore import MailStore

HOSTNAME = "localhost"
IDENT = "Rawlog demo"


class Delivery:
    """What aiosmtpd asks about recipients and messages. Mail goes to the demo's own users, nowhere else."""

    def __init__(self, store: MailStore) -> None:
        self.store = store

    async def handle_RCPT(  # noqa: N802 (the name is aiosmtpd's)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept the recipient when it is a user of the demo."""
        if not self.store.has(address):
            return f"550 5.1.1 <{address}> is no user of the demo server"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Deliver the message; SMTP answers once."""
        await self.deliver(envelope)
        return "250 2.0.0 delivered"

    async def deliver(self, envelope: Envelope) -> None:
        """Put the message of ``envelope`` into each recipient's INBOX, once."""
        assert isinstance(envelope.content, bytes)
        for address in dict.fromkeys(envelope.rcpt_tos):
            await self.store.deliver(address, envelope.content)


class LmtpDelivery(Delivery):
    """The same with one answer per recipient after the message, as RFC 2033 section 4.2 asks."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Deliver the message, and answer for each recipient in the order of the RCPT commands."""
        await self.deliver(envelope)
        return "\r\n".join(f"250 2.0.0 <{address}> delivered" for address in envelope.rcpt_tos)


def submission_protocol(store: MailStore, starttls: ssl.SSLContext | None) -> asyncio.Protocol:
    """One submission connection; with ``starttls`` that is required first, without it TLS is there already."""

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        assert isinstance(data, LoginPassword)
        user, password = data.login.decode(errors="replace"), data.password.decode(errors="replace")
        return AuthResult(success=store.check(user, password), handled=False, auth_data=user)  # aiosmtpd answers

    return SMTP(
        Delivery(store),
        hostname=HOSTNAME,
        ident=IDENT,
        tls_context=starttls,
        require_starttls=starttls is not None,
        auth_required=True,
        auth_require_tls=starttls is not None,
        authenticator=authenticate,
        enable_SMTPUTF8=True,
    )


def lmtp_protocol(store: MailStore, starttls: ssl.SSLContext) -> asyncio.Protocol:
    """One LMTP connection; STARTTLS is offered."""
    return LMTP(LmtpDelivery(store), hostname=HOSTNAME, ident=IDENT, tls_context=starttls, enable_SMTPUTF8=True)
