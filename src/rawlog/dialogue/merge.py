"""Puts a conversation without time stamps in order: each command, then its answers.

Knows: in each protocol, where a command ends and where its answer does, as far as that takes (literals, dot blocks,
tags, reply codes). Must not know: files, formats, what commands mean. It is a reader's aid: where a conversation does
not keep to its protocol the order is a guess, but no byte is lost and each direction keeps its own order.

Recordings with stamps need none of this: there the stamps give the order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from rawlog.events import Chunk, Direction, Event, Recording
from rawlog.protocols.guess import guess_protocol

LINE_LIMIT = 64 * 1024
"""A longer line is taken in pieces; no server accepts a longer command."""

LOOK_AHEAD = 200
"""So many lines of the client are searched for a command that was answered out of turn: pipelines are shorter."""

_LITERAL = re.compile(rb"\{([0-9]{1,10})(\+?)\}\r?\n\Z")
_TAGGED = re.compile(rb"([^\s*+]+) (?:OK|NO|BAD)\b", re.IGNORECASE)
_GREETING = re.compile(rb"\* (?:OK|PREAUTH|BYE)\b", re.IGNORECASE)
_COMMAND = re.compile(rb"(\S+) (\S+)")
_STATUS = re.compile(rb"(?:OK|NO|BYE)\b", re.IGNORECASE)
_DOT = (b".\r\n", b".\n", b".")
_DOT_LINE = re.compile(rb"^\.\r?\n", re.MULTILINE)

Chunks = Iterator[Chunk]


def in_order(recording: Recording) -> Recording:
    """The recording with its chunks in the order of the dialogue, one for each line.

    A recording with times is given back as it is, and so is one of no known protocol. The events must be such as can
    be taken twice, or a list is made of them.
    """
    merge = _MERGES.get(recording.protocol or "")
    if recording.timed or merge is None:
        return recording
    events = list(recording.events) if isinstance(recording.events, Iterator) else recording.events
    return recording._replace(events=_Merged(events, merge))


@dataclass(frozen=True, slots=True)
class _Merged:
    """The events in order; they can be taken again and again."""

    events: Iterable[Event]
    merge: Callable[[_Side, _Side], Chunks]

    def __iter__(self) -> Chunks:
        sides = {direction: _Side(self.events, direction) for direction in Direction}
        heads = {direction: b"".join(islice(side.ahead(), 5)) for direction, side in sides.items()}
        _, client = guess_protocol(heads[Direction.IN], heads[Direction.OUT])
        yield from self.merge(sides[client], sides[client.other])
        for side in sides.values():
            yield from side.rest()


class _Side:
    """One direction, with a look ahead."""

    def __init__(self, events: Iterable[Event], direction: Direction) -> None:
        self._direction = direction
        self._pieces = (e.data for e in events if isinstance(e, Chunk) and e.direction is direction)
        self._buffer = b""
        self._at = 0  # what is before it has been taken

    def peek(self) -> bytes:
        """The next line with its ending; empty at the end."""
        return self._line(0)

    def ahead(self) -> Iterator[bytes]:
        """The next lines, without taking them."""
        offset = 0
        while line := self._line(offset):
            yield line
            offset += len(line)

    def line(self) -> Chunks:
        """Takes the next line."""
        if line := self._line(0):
            yield self._taken(len(line))

    def take(self, size: int) -> Chunks:
        """Takes so many bytes, or what there is."""
        while size > 0 and (self._at < len(self._buffer) or self._fill()):
            chunk = self._taken(min(size, len(self._buffer) - self._at))
            size -= len(chunk.data)
            yield chunk

    def until_dot(self) -> Chunks:
        """Takes the lines up to and including one with a single dot."""
        while line := self._line(0):
            found = _DOT_LINE.search(self._buffer, self._at)
            if found is None:
                # The last line may be a dot of which more is to come; all before it is none.
                last = self._buffer.rfind(b"\n") + 1
                yield self._taken(max(last - self._at, len(line)))
                if line in _DOT:
                    return
            else:
                yield self._taken(found.end() - self._at)
                return

    def rest(self) -> Chunks:
        """Takes everything."""
        while self._at < len(self._buffer) or self._fill():
            yield self._taken(len(self._buffer) - self._at)

    def _line(self, offset: int) -> bytes:
        """The line that begins so far behind what was taken, or ``LINE_LIMIT`` bytes of a longer one."""
        while True:
            start = self._at + offset
            end = self._buffer.find(b"\n", start, start + LINE_LIMIT) + 1 or start + LINE_LIMIT
            if end <= len(self._buffer) or not self._fill():
                return self._buffer[start:end]

    def _fill(self) -> bool:
        """Gets more bytes. False when there are none."""
        piece = next(self._pieces, b"")
        self._buffer = self._buffer[self._at :] + piece
        self._at = 0
        return bool(piece)

    def _taken(self, size: int) -> Chunk:
        data = self._buffer[self._at : self._at + size]
        self._at += size
        return Chunk(None, self._direction, data)


def _literals(side: _Side) -> Chunks:
    """Takes a line, and as long as it announces a literal, the literal and the line that goes on behind it."""
    while line := side.peek():
        yield from side.line()
        literal = _LITERAL.search(line)
        if not literal:
            return
        yield from side.take(int(literal[1]))


# -- IMAP: an answer has the tag of its command (RFC 9051 2.2) ---------------------------------------------------------


class _Imap:
    def __init__(self, client: _Side, server: _Side) -> None:
        self.client = client
        self.server = server
        self.unanswered: set[bytes] = set()

    def run(self) -> Chunks:
        yield from self.beginning()
        while self.client.peek():
            yield from self.command()
            yield from self.answers()

    def beginning(self) -> Chunks:
        """The greeting; or, in a recording that begins with it, the answer to a login."""
        if _GREETING.match(self.server.peek()):
            yield from self.server.line()
            return
        own = _COMMAND.match(self.client.peek())
        for number, line in enumerate(islice(self.server.ahead(), LOOK_AHEAD)):
            tagged = _TAGGED.match(line)
            if tagged and not (own and own[1] == tagged[1]):
                for _ in range(number + 1):
                    yield from self.server.line()
            if tagged:
                return

    def command(self) -> Chunks:
        """A command of the client, and what the server says in between: up to each ``+`` that it waits for."""
        command = _COMMAND.match(self.client.peek())
        tag, verb = (command[1], command[2].upper()) if command else (b"", b"")
        if tag:
            self.unanswered.add(tag)
        while line := self.client.peek():
            yield from self.client.line()
            literal = _LITERAL.search(line)
            waits = verb in (b"IDLE", b"AUTHENTICATE") or (literal and not literal[2])
            if waits and tag and not (yield from self.continuation(tag)):
                return
            if literal:
                yield from self.client.take(int(literal[1]))
            elif verb != b"AUTHENTICATE":
                if verb == b"IDLE":
                    yield from self.client.line()
                return

    def continuation(self, tag: bytes) -> Generator[Chunk, None, bool]:
        """The server's lines up to ``+``. False when the command was answered instead."""
        while line := self.server.peek():
            yield from _literals(self.server)
            if line[:1] == b"+":
                return True
            tagged = _TAGGED.match(line)
            self.unanswered.discard(tagged[1] if tagged else b"")
            if tag not in self.unanswered:
                return False
        return True

    def answers(self) -> Chunks:
        """The server's lines until every command has its answer, or one is answered that is yet to come."""
        while self.unanswered and (line := self.server.peek()):
            tagged = _TAGGED.match(line)
            if tagged and tagged[1] not in self.unanswered and self.is_ahead(tagged[1]):
                return
            yield from _literals(self.server)
            self.unanswered.discard(tagged[1] if tagged else b"")

    def is_ahead(self, tag: bytes) -> bool:
        return any(line.startswith(tag + b" ") for line in islice(self.client.ahead(), LOOK_AHEAD))


# -- POP3: answers come in the order of the commands (RFC 1939 3) ------------------------------------------------------


def _pop3(client: _Side, server: _Side) -> Chunks:
    yield from server.line()  # the greeting, or the answer to a login that is not recorded
    while line := client.peek():
        yield from client.line()
        while (answer := server.peek()).startswith(b"+ "):  # a challenge of AUTH (RFC 5034)
            yield from server.line()
            yield from client.line()
        yield from server.line()
        words = line.split()
        many = words and (
            words[0].upper() in (b"RETR", b"TOP", b"CAPA") or (len(words) == 1 and words[0].upper() in _POP3_LISTS)
        )
        if many and answer.startswith(b"+OK"):
            yield from server.until_dot()


_POP3_LISTS = (b"LIST", b"UIDL", b"AUTH")


# -- SMTP and LMTP: three digits (RFC 5321 4.2, RFC 2033 4.2) ----------------------------------------------------------


class _Smtp:
    def __init__(self, client: _Side, server: _Side, *, lmtp: bool = False) -> None:
        self.client = client
        self.server = server
        self.lmtp = lmtp
        self.recipients = 0

    def run(self) -> Chunks:
        if not self.server.peek().startswith(b"250"):  # else it answers the EHLO behind a STARTTLS of another recording
            yield from self.reply()
        while line := self.client.peek():
            yield from self.client.line()
            yield from self.answers(line.upper().split() or [b""])

    def reply(self) -> Generator[Chunk, None, bytes]:
        """One reply. Gives its code."""
        while line := self.server.peek():
            yield from self.server.line()
            if line[3:4] != b"-":
                return line[:3]
        return b""

    def answers(self, words: list[bytes]) -> Chunks:
        """The replies to a command, and what the client sends in between."""
        if words[0] == b"BDAT" and len(words) > 1 and words[1].isdigit():
            yield from self.client.take(int(words[1][:10]))
            yield from self.replies(last=words[-1] == b"LAST")
            return
        code = yield from self.reply()
        while words[0] == b"AUTH" and code == b"334":
            yield from self.client.line()
            code = yield from self.reply()
        if words[0] == b"DATA" and code == b"354":
            yield from self.client.until_dot()
            yield from self.replies(last=True)
        elif words[0] == b"RCPT":
            self.recipients += code[:1] == b"2"
        elif words[0] in (b"MAIL", b"RSET", b"EHLO", b"LHLO", b"HELO"):
            self.recipients = 0

    def replies(self, *, last: bool) -> Chunks:
        """After the last of a message, LMTP answers for each recipient."""
        for _ in range(self.recipients if self.lmtp and last else 1):
            yield from self.reply()


# -- ManageSieve: a response ends with OK, NO or BYE (RFC 5804 1.2) ----------------------------------------------------


def _managesieve(client: _Side, server: _Side) -> Chunks:
    yield from _sieve_response(server)  # the capabilities, or the answer to a login that is not recorded
    while line := client.peek():
        words = line.upper().split() or [b""]
        yield from _literals(client)
        while words[0] == b"AUTHENTICATE" and server.peek() and not _STATUS.match(server.peek()):
            yield from _literals(server)
            yield from _literals(client)
        status = yield from _sieve_response(server)
        if words[0] == b"STARTTLS" and status[:2].upper() == b"OK" and not _STATUS.match(server.peek()):
            yield from _sieve_response(server)  # the capabilities again, unasked


def _sieve_response(server: _Side) -> Generator[Chunk, None, bytes]:
    """A response. Gives its status line."""
    while line := server.peek():
        yield from _literals(server)
        if _STATUS.match(line):
            return line
    return b""


_MERGES: dict[str, Callable[[_Side, _Side], Chunks]] = {
    "imap": lambda client, server: _Imap(client, server).run(),
    "pop3": _pop3,
    "smtp": lambda client, server: _Smtp(client, server).run(),
    "lmtp": lambda client, server: _Smtp(client, server, lmtp=True).run(),
    "managesieve": _managesieve,
}
