"""Offers and greeting dialogues, for tests of the dialects."""

from __future__ import annotations

from collections.abc import Sequence

from rawlog.taps.dialects.base import Greeting, Offer, Step

PLAIN = Offer(starttls=True, tls=False, login=True, backend_tls=False)
"""A client on loopback, before TLS."""
STRANGER = Offer(starttls=True, tls=False, login=False, backend_tls=False)
"""A client from elsewhere, before TLS."""
IN_TLS = Offer(starttls=False, tls=True, login=True, backend_tls=False)
"""A client in TLS."""
NO_TLS = Offer(starttls=False, tls=False, login=True, backend_tls=False)
"""A gateway without a certificate."""


def lead(greeting: Greeting, lines: Sequence[bytes]) -> tuple[list[bytes | str], bytes]:
    """Run a greeting dialogue against a server that says ``lines``.

    Gives what was sent, with ``"TLS"`` where TLS began, and the greeting for the client. What the dialect raises comes
    through; that it wants more lines than there are is an error of the test.
    """
    said = iter(lines)
    sent: list[bytes | str] = []
    try:
        wish = next(greeting)
        while True:
            if isinstance(wish, bytes):
                sent.append(wish)
                wish = next(greeting)
            elif wish is Step.START_TLS:
                sent.append("TLS")
                wish = next(greeting)
            else:
                line = next(said, None)
                assert line is not None, f"waits for one more line after {sent}"
                wish = greeting.send(line)
    except StopIteration as done:
        assert next(said, None) is None, "the server said more than was read"
        return sent, done.value
