"""Commands paired with their answers, and how long they took.

Knows: what an exchange is, and which pairing belongs to which protocol. Must not know: how a protocol pairs (the files
``exchange_imap.py`` and so on), files, how exchanges are shown.

It takes a conversation as it comes, live or read, and gives each exchange when its answer is complete; what is never
answered comes at the end. Memory does not grow with the conversation. It works on every recording whose protocol is
known: without times the exchanges have none, and where one side is missing they lack that half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy

from rawlog.dialogue.exchange_imap import ImapPairing
from rawlog.dialogue.exchange_pairing import Pairing
from rawlog.dialogue.exchange_pieces import HEAD, Piece, Pieces, who_is_client
from rawlog.dialogue.exchange_pop3 import Pop3Pairing
from rawlog.dialogue.exchange_record import Exchange as Exchange
from rawlog.dialogue.exchange_sieve import ManageSievePairing
from rawlog.dialogue.exchange_smtp import SmtpPairing
from rawlog.dialogue.merge import in_order
from rawlog.dialogue.search_text import Scan
from rawlog.events import Direction, Event, Mark, Recording
from rawlog.protocols.framing import Framer
from rawlog.protocols.registry import FRAMERS, framer_for

_PAIRINGS: dict[str, type[Pairing]] = {
    "imap": ImapPairing,
    "pop3": Pop3Pairing,
    "smtp": SmtpPairing,
    "lmtp": SmtpPairing,
    "managesieve": ManageSievePairing,
}


class Pairer:
    """Pairs one conversation, event by event. ``client`` is the direction of the client's commands.

    ``framer`` is asked who logged in. ``scan`` looks for texts meanwhile. ``watch`` is told each piece before it is
    paired, with up to ``keep`` bytes of literals and messages. Raises ConfigError when nobody knows the protocol.
    """

    def __init__(
        self,
        protocol: str,
        client: Direction = Direction.IN,
        *,
        scan: Scan | None = None,
        keep: int = HEAD,
        watch: Callable[[Piece], None] | None = None,
    ) -> None:
        self.framer: Framer = framer_for(protocol, client=client, hold_limit=None)
        self._client = client
        self._pieces = Pieces(self.framer, scan=scan, keep=keep)
        self._watch = watch
        self._pairing = _PAIRINGS[self.framer.protocol](lmtp=self.framer.protocol == "lmtp")

    def feed(self, event: Event) -> list[Exchange]:
        """The exchanges that this event completes."""
        if isinstance(event, Mark):
            if event.name == "opened":
                self._pairing.opened(event.at)
            return []
        self._take(self._pieces.feed(event))
        return self._pairing.give()

    def end(self) -> list[Exchange]:
        """The exchanges that were not complete, now that nothing follows."""
        self._take(self._pieces.end())
        self._pairing.end()
        return self._pairing.give()

    def unfinished(self, watch: Callable[[Piece], None] | None = None) -> list[Exchange]:
        """The exchanges that are not complete, as they would be if it ended now; the conversation may go on.

        ``watch`` is told the pieces that are not complete.
        """
        known: dict[int, object] = {} if self._watch is None else {id(self._watch): None}
        copied = deepcopy(self, known)  # without who watches
        copied._watch = watch
        return copied.end()

    def _take(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            if self._watch is not None:
                self._watch(piece)
            self._pairing.take(piece, from_client=piece.fragment.direction is self._client)


def exchanges(recording: Recording, *, scan: Scan | None = None) -> Iterator[Exchange]:
    """The exchanges of a recording in the order of their completion; none where the protocol is not known."""
    paired = pairing_of(recording, scan=scan)
    if paired is None:
        return
    pairer, events = paired
    for event in events:
        yield from pairer.feed(event)
    yield from pairer.end()


def pairing_of(recording: Recording, *, scan: Scan | None = None) -> tuple[Pairer, Iterable[Event]] | None:
    """A pairer for a recording, and the events to feed it, in order; None where the protocol is not known."""
    if recording.protocol not in FRAMERS:
        return None
    client, events = who_is_client(in_order(recording).events)
    return Pairer(recording.protocol, client, scan=scan), events
