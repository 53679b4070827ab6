"""What a dialect is: the words in which the gateway speaks for itself, before and beside the real server.

Knows: the questions that the upgrade machine asks of every protocol. Must not know: sockets, TLS objects, recordings.
A dialect is asked about single lines and gives bytes; what is done with them is upgrade.py's.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar


class Then(Enum):
    """What follows the gateway's own answer to a client's line."""

    GO_ON = "go on"
    START_TLS = "start TLS"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Answer:
    """The gateway's own answer to a line that the backend never sees; ``why`` it closes, for the log."""

    text: bytes
    then: Then = Then.GO_ON
    why: str = "the client sent a password without TLS; refused"


@dataclass(frozen=True, slots=True)
class Offer:
    """What the client's leg can do now.

    ``starttls``: TLS can be started here. ``tls``: it is on. ``login``: a password may be sent (on TLS, or from
    loopback, or where the operator allows it). ``backend_tls``: the server's own leg is encrypted. ``message``: the
    server has accepted a recipient (SMTP, LMTP).
    """

    starttls: bool
    tls: bool
    login: bool
    backend_tls: bool
    message: bool = False


class Step(Enum):
    """What a greeting dialogue with the backend asks for, beside sending bytes."""

    READ_LINE = "read a line"
    START_TLS = "start TLS"


class BackendError(Exception):
    """The backend can't be used; the text is a sentence for the operator's log."""


# Yields bytes to send or a Step; is sent lines; returns the greeting for the client.
Greeting = Generator["bytes | Step", bytes, bytes]


class Dialect(ABC):
    """One protocol's words. A dialect belongs to one conversation and may remember what it has seen."""

    protocol: ClassVar[str]
    until_login: ClassVar[bool] = True  # after login the gateway has nothing to say any more

    @abstractmethod
    def answer(self, line: bytes, offer: Offer) -> Answer | None:
        """The gateway's own answer to a client's command; None: it goes to the backend."""

    def forwarded(self, line: bytes) -> bytes:
        """What the backend gets of a client's command that is not answered here: not what a stranger may not claim."""
        return line

    def alone(self, line: bytes) -> bool:
        """Whether the command must be answered by itself: none may be under way before it, none is sent behind it."""
        return False

    @abstractmethod
    def rewrite(self, line: bytes, offer: Offer) -> bytes:
        """A line or dot block of the server with its capabilities put right; b"" holds it back until a later one."""

    @abstractmethod
    def starttls(self) -> Greeting:
        """The dialogue with a backend that is reached by STARTTLS, up to the greeting for the client."""

    @abstractmethod
    def refusal(self, reason: str) -> bytes:
        """What a client is told instead of a greeting when there is no backend."""

    def injected(self) -> bytes:
        """What a client is told that sent something behind STARTTLS before TLS was on (CVE-2011-0411's class)."""
        return self.refusal("Nothing may follow STARTTLS before TLS is on")

    def bare(self, before: bytes, block: bytes) -> bytes | None:
        """The refusal of a piece of a message that ends lines otherwise than by CRLF; None: it is as it should be.

        ``before`` is the byte before the piece.
        """
        return None

    def after_tls(self) -> bytes:
        """What is asked of the backend on the client's behalf once its TLS is on (ManageSieve)."""
        return b""


# SASL mechanisms whose exchange is of no use to who reads it. Any other may show a password or a bearer token.
_HARMLESS = re.compile(rb"SCRAM-.+|CRAM-MD5|DIGEST-MD5|NTLM|GSSAPI|GSS-SPNEGO|EXTERNAL|ANONYMOUS", re.IGNORECASE)


def exposed(mechanism: bytes) -> bool:
    """Whether a login by this SASL mechanism must not be tried without TLS (RFC 8314)."""
    return _HARMLESS.fullmatch(mechanism) is None


def without_exposed(mechanisms: list[bytes]) -> list[bytes]:
    """SASL mechanisms that may be tried without TLS."""
    return [m for m in mechanisms if not exposed(m)]


def offered(mechanisms: list[bytes], offer: Offer) -> list[bytes]:
    """SASL mechanisms that the client can use now."""
    usable = without_plus(mechanisms)
    return usable if offer.login else without_exposed(usable)


def shown(line: bytes) -> str:
    """A server's line as it may stand in a log: short, printable."""
    text = line.rstrip(b"\r\n")[:200].decode("ascii", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def without_plus(mechanisms: list[bytes]) -> list[bytes]:
    """SASL mechanisms but for channel binding ones (``-PLUS``): a binding can't pass through two TLS connections."""
    return [m for m in mechanisms if not m.upper().endswith(b"-PLUS")]
