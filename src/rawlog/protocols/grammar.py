"""What a grammar tells the framer: one class per protocol implements this, on top of Framer.

Knows: nothing of its own. Must not know: any protocol; how a stream is cut. What is not implemented here has a default
that is right for most grammars, and safe for the others.
"""

from __future__ import annotations

from rawlog.protocols.fragments import Lane, Span


class Grammar:
    """The questions of a framer. ``client`` and ``server`` are the two directions."""

    def __init__(self, client: Lane, server: Lane) -> None:
        self.client = client
        self.server = server

    def on_client_line(self, line: bytes, start: int) -> list[Span]:
        """A complete line of the client; gives its secret spans, and those in what is pinned before it."""
        raise NotImplementedError

    def on_server_line(self, line: bytes, start: int) -> list[Span]:
        """A complete line of the server; gives its secret spans."""
        raise NotImplementedError

    def may_be_repeated(self, line: bytes) -> bool:
        """Whether a server may repeat the secrets of the client's line, which it takes for something else."""
        return True

    def leads_answer(self, line: bytes) -> bool:
        """Whether a server's line belongs to the answer that follows it, as IMAP's CAPABILITY at login does."""
        return False

    def on_literal(self, lane: Lane, data: bytes | None) -> None:
        """A literal is complete; ``data`` when it was to be kept."""

    def on_block_bytes(self, lane: Lane, data: bytes, start: int) -> int | None:
        """The next bytes of a dot block, at offset ``start``; gives the offset from which on the rest is secret.

        Of a literal too where ``doubts_literal``.
        """
        return None

    def doubts_literal(self, lane: Lane) -> bool:
        """Whether the literal in progress may be none for the server, which would read commands in it."""
        return False

    def on_block(self, lane: Lane) -> None:
        """A dot block is complete."""

    def in_dialogue(self) -> bool:
        """Whether the client's next line goes on with what it began before: a command with literals, SASL."""
        return False

    def unanswered(self) -> int:
        """How many commands of the client have no answer yet."""
        return 0

    def has_recipients(self) -> bool:
        """Whether the server has accepted a recipient, so that a message may follow (SMTP, LMTP)."""
        return False

    def on_server_silent(self) -> None:
        """No answer will come any more while the client is held: decide what the rest of the client's bytes is."""

    def long_line_is_secret(self, lane: Lane, head: bytes) -> bool:
        """Whether a line over the limit is secret, from its first ``LINE_LIMIT`` bytes."""
        return lane is self.client

    def is_harmless(self, lane: Lane, head: bytes) -> bool:
        """Whether an unfinished line that begins with ``head`` can't hold a secret, whatever follows."""
        return False
