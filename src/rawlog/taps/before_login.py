"""What a conversation may be before its login: the policy of its legs, what it offers, how long a line may get.

Knows: TLS contexts, a framer's state. Must not know: who leads the conversation (upgrade.py), sockets.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from rawlog.events import Direction
from rawlog.protocols.framing import LINE_LIMIT, Framer
from rawlog.taps.dialects.base import Offer

STRANGERS_LIMIT = 16 * 1024
"""Bytes of a line or literal before the login. Dovecot takes half of that; RFC 4954 section 4 asks for 12288 bytes of
AUTH, and a token can be as long."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the two legs are to be.

    ``client_tls``: to offer STARTTLS with, None: not offered. ``client_implicit``: the client's TLS begins with its
    first byte, so that it counts as on while the handshake lasts. ``plaintext_login``: a password is accepted without.
    ``refuse_bare_lf``: a message with line endings other than CRLF is refused (CVE-2023-51764, SMTP smuggling).
    ``backend_tls``: ``none``, ``starttls`` or ``implicit`` (then TLS is on already). ``backend_context`` and
    ``backend_name``: how the backend's certificate is verified after STARTTLS.
    """

    client_tls: ssl.SSLContext | None
    plaintext_login: bool
    backend_tls: str
    refuse_bare_lf: bool = True
    backend_context: ssl.SSLContext | None = None
    backend_name: str | None = None
    client_implicit: bool = False


def offer_of(policy: Policy, framer: Framer, *, tls: bool, until_login: bool) -> Offer:
    """What the client's leg can do now; ``tls``: it is encrypted."""
    done = until_login and framer.authenticated
    return Offer(
        starttls=policy.client_tls is not None and not tls and not done,
        tls=tls,
        login=tls or policy.plaintext_login or done,
        backend_tls=policy.backend_tls != "none",
        message=framer.has_recipients(),
    )


def line_limit(framer: Framer) -> int:
    """Bytes that a line of the client may have now."""
    return LINE_LIMIT if framer.authenticated else STRANGERS_LIMIT


def too_long(framer: Framer, *, until_login: bool) -> str:
    """What is too long of the client's that the framer has seen; empty when nothing is.

    ``until_login``: the protocol has a login that everything else waits for. In the others a client without one may
    send a message, and BDAT counts bytes of it.
    """
    if framer.authenticated or framer.is_lost(Direction.IN):
        return ""
    if until_login and framer.expects_bytes() > STRANGERS_LIMIT:
        return f"a literal of {framer.expects_bytes()} bytes"
    if not framer.expects_block() and framer.client.tape.size > STRANGERS_LIMIT:
        return f"a line of more than {STRANGERS_LIMIT} bytes"
    return ""
