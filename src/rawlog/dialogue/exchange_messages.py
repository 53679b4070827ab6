"""The messages that a conversation carries, each as the bytes of a file.

Knows: where each protocol puts a whole message: APPEND and FETCH of IMAP, RETR of POP3, DATA and BDAT of SMTP and LMTP.
Must not know: what is in a message, where it goes. Parts of messages (``BODY[1]``, ``BODY[]<0>``, TOP) are none.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from rawlog.dialogue.exchange import Exchange, Pairer
from rawlog.dialogue.exchange_pieces import Piece, who_is_client
from rawlog.dialogue.merge import in_order
from rawlog.events import Direction, Recording
from rawlog.protocols.fragments import Kind
from rawlog.protocols.imap_arguments import LITERAL
from rawlog.protocols.registry import FRAMERS

MESSAGE_LIMIT = 256 * 1024 * 1024
"""A larger message is given without its data. It must be held in memory; hardly a server takes larger ones."""

_FETCHED = re.compile(rb"(?:BODY\[\]|RFC822|BINARY\[\])[ ]~?\{\d+\+?\}\Z", re.IGNORECASE)
_APPEND = re.compile(rb"\S+[ \t]+APPEND[ \t](?!.*\bCATENATE[ \t]*\()", re.IGNORECASE)
_CHUNK = re.compile(rb"BDAT[ \t]+(\d+)(?:[ \t]+(LAST)\b)?", re.IGNORECASE)
_DOT = re.compile(rb"(?:\A|\n)\.\r\n\Z")
_DOTS = re.compile(rb"(?m)^\.")


@dataclass(frozen=True, slots=True)
class Transferred:
    """One message. ``at`` is the time of its first byte, ``verb`` the command that carried it; ``number`` counts from
    1. ``data`` are its bytes as they were before they were put on the wire; None when it was larger than the limit.
    ``complete`` is False when the recording ends in it.
    """

    number: int
    at: int | None
    verb: str
    data: bytes | None
    complete: bool = True


def undotted(data: bytes) -> bytes:
    """The text of a dot block: without the dot that ends it and those that were put in (RFC 5321 4.5.2)."""
    return _DOTS.sub(b"", data.removesuffix(b".\r\n"))


def messages(recording: Recording, *, limit: int = MESSAGE_LIMIT) -> Iterator[Transferred]:
    """The messages of a recording in the order of their ends; none where the protocol is not known."""
    if recording.protocol not in FRAMERS:
        return
    client, events = who_is_client(in_order(recording).events)
    collector = _Collector(recording.protocol, client, limit)
    pairer = Pairer(recording.protocol, client, keep=limit + 1, watch=collector.piece)
    for event in events:
        collector.exchanges(pairer.feed(event))
        yield from collector.take()
    collector.exchanges(pairer.end())
    yield from collector.take()


class _Collector:
    """Finds messages among the pieces of a conversation."""

    def __init__(self, protocol: str, client: Direction, limit: int) -> None:
        self._see = {"imap": self._imap, "pop3": self._pop3}.get(protocol, self._smtp)
        self._client = client
        self._limit = limit
        self._line = dict.fromkeys(Direction, b"")  # the last line of each side
        self._append = False  # the client's command is an APPEND
        self._blocks: deque[Piece] = deque()  # of POP3: it is not known yet which command they answer
        self._chunks: list[bytes] = []
        self._chunks_at: int | None = None
        self._count = 0
        self._found: list[Transferred] = []

    def take(self) -> list[Transferred]:
        """What was found since the last time."""
        found, self._found = self._found, []
        return found

    def piece(self, piece: Piece) -> None:
        """The next piece of either side."""
        self._see(piece, piece.fragment.direction is self._client)
        if piece.fragment.kind is Kind.LINE:
            self._line[piece.fragment.direction] = piece.text

    def exchanges(self, exchanges: list[Exchange]) -> None:
        """Exchanges that are complete: of POP3, they tell what the blocks were."""
        for exchange in exchanges:
            while self._blocks and exchange.heard and self._blocks[0].fragment.end <= exchange.heard[-1][1]:
                block = self._blocks.popleft()
                if exchange.verb == "RETR":
                    self._add_block("RETR", block)

    def _imap(self, piece: Piece, from_client: bool) -> None:
        before = self._line[piece.fragment.direction]
        if piece.fragment.kind is Kind.LINE:
            if from_client and not LITERAL.search(before):
                self._append = _APPEND.match(piece.text) is not None
        elif piece.fragment.kind is Kind.LITERAL and (self._append if from_client else _FETCHED.search(before)):
            announced = LITERAL.search(before)
            complete = announced is None or _size(piece) == int(announced[1])
            self._add("APPEND" if from_client else "FETCH", piece.began, piece.data, complete)

    def _pop3(self, piece: Piece, from_client: bool) -> None:
        if piece.fragment.kind is Kind.BLOCK:
            self._blocks.append(piece)

    def _smtp(self, piece: Piece, from_client: bool) -> None:
        if not from_client:
            return
        if piece.fragment.kind is Kind.BLOCK:
            self._add_block("DATA", piece)
        elif piece.fragment.kind is Kind.LITERAL:
            if not self._chunks:
                self._chunks_at = piece.began
            if sum(map(len, self._chunks)) <= self._limit:
                self._chunks.append(piece.data)
            self._chunk_ends(self._line[self._client], _size(piece))
        elif piece.text[:4].upper() in (b"MAIL", b"RSET"):
            self._chunks.clear()
        elif self._chunks:
            self._chunk_ends(piece.text, 0)  # the last chunk may be empty

    def _chunk_ends(self, command: bytes, size: int) -> None:
        """So much of the chunk that ``command`` announced is there; of the last one that ends the message."""
        chunk = _CHUNK.match(command)
        complete = chunk is not None and int(chunk[1]) == size
        if chunk and (not complete or chunk[2]) and (size or complete):
            data = b"".join(self._chunks)
            self._chunks.clear()
            self._add("BDAT", self._chunks_at, data, complete)

    def _add_block(self, verb: str, block: Piece) -> None:
        complete = block.fragment.end - block.fragment.start > len(block.data) or _DOT.search(block.data) is not None
        self._add(verb, block.began, block.data if len(block.data) > self._limit else undotted(block.data), complete)

    def _add(self, verb: str, at: int | None, data: bytes, complete: bool) -> None:
        self._count += 1
        self._found.append(Transferred(self._count, at, verb, data if len(data) <= self._limit else None, complete))


def _size(piece: Piece) -> int:
    return piece.fragment.end - piece.fragment.start
