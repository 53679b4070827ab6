"""Reads tests/conversations (the syntax is in the README there) and runs a conversation in every way it can be cut.

Every run checks the same promises: fragments lose nothing and lie end to end, they are the same for every chunking and
when the whole client's side comes first, exactly the marked bytes are masked, and the user is found.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rawlog.dialogue.redact import Masker
from rawlog.events import Chunk, Direction
from rawlog.protocols.framing import Fragment, Framer, Kind

FOLDER = Path(__file__).parent.parent / "conversations"
PAIRS = 100  # about so many pairs of split points are tried per conversation, spread evenly
_SIGNS = {"␍": b"\r", "␊": b"\n", "␀": b"\0", "␉": b"\t", "␠": b" "}
_TOKEN = re.compile(r"«|»|[␍␊␀␉␠]|‹[0-9a-fA-F ]*›|[^«»␍␊␀␉␠‹]+")
_LINE = re.compile(r"([CS])([:~|>])(?: (.*))?$")
_EXPECTATION = re.compile(r"([a-z]+): (.*)$")

Piece = tuple[Direction, bytes]
Found = tuple[int, int, bool]  # start, end, is a line


@dataclass
class Conversation:
    """One conversation with what is expected of it."""

    title: str
    user: str | None = None
    login: bool | None = None
    tls: bool = False
    client: Direction = Direction.IN
    extra: bool = False
    alone: str = "both"
    pieces: list[Piece] = field(default_factory=list)
    masked: dict[Direction, bytearray] = field(default_factory=lambda: {d: bytearray() for d in Direction})
    found: dict[Direction, list[Found]] = field(default_factory=lambda: {d: [] for d in Direction})

    def __str__(self) -> str:
        return self.title

    def side(self, direction: Direction) -> bytes:
        """Everything that went in one direction."""
        return b"".join(data for where, data in self.pieces if where is direction)

    def sides(self) -> list[Piece]:
        """The whole client's side, then the whole server's side, as a pair without time stamps is read."""
        return [(where, self.side(where)) for where in (self.client, self.client.other)]


@dataclass
class Outcome:
    """What came of one run."""

    framer: Framer
    fragments: dict[Direction, list[Fragment]]
    masked: dict[Direction, bytes]


def conversations(protocol: str) -> list[Conversation]:
    """All conversations of a protocol's folder."""
    found = [talk for path in sorted((FOLDER / protocol).glob("*.txt")) for talk in _read(path)]
    assert found, f"no conversations in {FOLDER / protocol}"
    return found


def converse(text: str) -> Conversation:
    """One conversation from text, for tests that write it where they need it."""
    (talk,) = _parse(text.splitlines(), "text")
    return talk


def check(talk: Conversation, make: Callable[..., Framer]) -> None:
    """Run ``talk`` in every way; ``make(client=...)`` gives a new framer."""
    expected = run(talk, talk.pieces, make)
    _check_expectations(talk, expected)
    for pieces in ways(talk):
        outcome = run(talk, pieces, make)
        assert outcome.fragments == expected.fragments, pieces
        assert outcome.masked == expected.masked, f"\n{outcome.masked}\nwanted\n{expected.masked}\n{pieces}"
        assert outcome.framer.user == expected.framer.user, pieces
        assert outcome.framer.authenticated == expected.framer.authenticated, pieces
    for side, direction in (("client", talk.client), ("server", talk.client.other)):
        if talk.alone in (side, "both"):
            _check_alone(talk, direction, make)


def run(talk: Conversation, pieces: Iterable[Piece], make: Callable[..., Framer]) -> Outcome:
    """Feed ``pieces`` to a masker, watch what its framer cuts, and end both directions."""
    framer = make(client=talk.client)
    masker = Masker(framer)
    fragments: dict[Direction, list[Fragment]] = {d: [] for d in Direction}
    _watch(framer, fragments)
    events: list[object] = []
    for direction, data in pieces:
        events += masker.chunk(0, direction, data)
    for direction in (talk.client, talk.client.other):
        events += masker.end(direction)
    masked = dict.fromkeys(Direction, b"")
    for event in events:
        assert isinstance(event, Chunk), event
        masked[event.direction] += event.data
    assert framer.failure is None, framer.failure
    return Outcome(framer, fragments, masked)


def _watch(framer: Framer, fragments: dict[Direction, list[Fragment]]) -> None:
    """Note every fragment that the framer gives."""

    def watched(method: Callable[..., list[Fragment]]) -> Callable[..., list[Fragment]]:
        def noting(*arguments: object) -> list[Fragment]:
            made = method(*arguments)
            for fragment in made:
                fragments[fragment.direction].append(fragment)
            return made

        return noting

    for name in ("feed", "end", "resume"):
        setattr(framer, name, watched(getattr(framer, name)))


def ways(talk: Conversation) -> Iterator[list[Piece]]:
    """The same bytes in other pieces: byte by byte, client first, split at every point and at pairs of points."""
    yield list(byte_by_byte(talk.pieces))
    yield talk.sides()
    yield list(byte_by_byte(talk.sides()))
    points = list(range(1, sum(len(data) for _, data in talk.pieces)))
    for point in points:
        yield split(talk.pieces, [point])
    pairs = len(points) * (len(points) - 1) // 2
    for pair in itertools.islice(itertools.combinations(points, 2), 0, None, max(1, pairs // PAIRS)):
        yield split(talk.pieces, pair)


def byte_by_byte(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Each byte as a piece of its own."""
    return ((direction, data[i : i + 1]) for direction, data in pieces for i in range(len(data)))


def split(pieces: Iterable[Piece], points: Iterable[int]) -> list[Piece]:
    """``pieces`` with cuts at ``points``, counted over all bytes of both directions."""
    made: list[Piece] = []
    begin = 0
    for direction, data in pieces:
        cuts = sorted({0, len(data)} | {p - begin for p in points if begin < p < begin + len(data)})
        made += [(direction, data[a:b]) for a, b in itertools.pairwise(cuts)]
        begin += len(data)
    return made


def contiguous(fragments: list[Fragment], data: bytes) -> None:
    """Fragments of one direction lie end to end, cover ``data``, and a line carries its bytes."""
    at = 0
    for fragment in fragments:
        assert fragment.start == at, fragments
        at = fragment.end
        if fragment.kind is Kind.LINE:
            assert fragment.data == data[fragment.start : fragment.end]
        for start, end in fragment.secrets:
            assert fragment.start <= start < end <= fragment.end, fragment
    assert at == len(data), fragments


def _check_expectations(talk: Conversation, outcome: Outcome) -> None:
    for direction in Direction:
        data, masked = talk.side(direction), outcome.masked[direction]
        contiguous(outcome.fragments[direction], data)
        found = [(f.start, f.end, f.kind is Kind.LINE) for f in outcome.fragments[direction] if f.end > f.start]
        assert found == talk.found[direction], f"\n{found}\nwanted\n{talk.found[direction]}"
        expected = bytes(talk.masked[direction])
        if talk.extra:
            _check_masked(data, expected, masked)
        else:
            assert masked == expected, f"\n{masked!r}\nwanted\n{expected!r}"
        spans = [span for fragment in outcome.fragments[direction] for span in fragment.secrets]
        assert _mask(data, spans) == masked, "the fragments' secrets are not what was masked"
    assert outcome.framer.user == talk.user
    assert outcome.framer.authenticated == (talk.user is not None if talk.login is None else talk.login)
    assert outcome.framer.tls_started == talk.tls


def _check_alone(talk: Conversation, direction: Direction, make: Callable[..., Framer]) -> None:
    data = talk.side(direction)
    for pieces in ([(direction, data)], list(byte_by_byte([(direction, data)]))):
        outcome = run(talk, pieces, make)
        contiguous(outcome.fragments[direction], data)
        _check_masked(data, bytes(talk.masked[direction]), outcome.masked[direction])


def _check_masked(data: bytes, expected: bytes, masked: bytes) -> None:
    """What is masked in ``expected`` is masked, at equal length."""
    assert len(masked) == len(data)
    for i, (plain, wanted, got) in enumerate(zip(data, expected, masked, strict=True)):
        assert got == wanted or (wanted == plain and got == ord("X")), f"offset {i}: {masked!r}"


def _mask(data: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    masked = bytearray(data)
    for start, end in spans:
        masked[start:end] = _x(data[start:end])
    return bytes(masked)


def _x(data: bytes) -> bytes:
    return re.sub(rb"[^\r\n]", b"X", data)


def _read(path: Path) -> list[Conversation]:
    return list(_parse(path.read_text("utf-8").split("\n"), path.name))


def _parse(lines: Iterable[str], where: str) -> Iterator[Conversation]:
    talk: Conversation | None = None
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if line.startswith("== "):
            if talk:
                yield talk
            talk = Conversation(f"{where}: {line[3:]}")
        elif line and not line.startswith("#"):
            assert talk, f"{where}:{number}: begin with '== title'"
            if match := _LINE.match(line):
                _add(talk, match[1], match[2], match[3] or "")
            elif match := _EXPECTATION.match(line):
                _expect(talk, match[1], match[2])
            else:
                raise AssertionError(f"{where}:{number}: not a line of a conversation: {line}")
    if talk:
        yield talk


def _expect(talk: Conversation, name: str, value: str) -> None:
    if name == "client":
        talk.client = Direction(value)
    elif name in ("login", "tls", "extra"):
        setattr(talk, name, {"yes": True, "no": False}[value])
    else:
        assert name == "user" or value in ("both", "client", "server", "none"), value
        assert name in ("user", "alone"), name
        setattr(talk, name, value)


def _add(talk: Conversation, side: str, sign: str, text: str) -> None:
    direction = talk.client if side == "C" else talk.client.other
    data, masked = _bytes(text)
    if sign in ":|":
        data, masked = data + b"\r\n", masked + b"\r\n"
    if talk.pieces and talk.pieces[-1][0] is direction:
        talk.pieces[-1] = (direction, talk.pieces[-1][1] + data)
    else:
        talk.pieces.append((direction, data))
    start, found = len(talk.masked[direction]), talk.found[direction]
    talk.masked[direction] += masked
    if not data:
        return
    if found and sign in "|>" and not found[-1][2]:
        start = found.pop()[0]
    found.append((start, len(talk.masked[direction]), sign in ":~"))


def _bytes(text: str) -> tuple[bytes, bytes]:
    """The bytes a text stands for, and the same masked."""
    data, masked, secret = b"", b"", False
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match, f"not understood: {text[at:]}"
        at, token = match.end(), match[0]
        if token in "«»":
            assert secret == (token == "»"), f"« and » do not pair: {text}"
            secret = not secret
            continue
        part = _SIGNS.get(token) or (bytes.fromhex(token[1:-1]) if token[0] == "‹" else token.encode())
        data, masked = data + part, masked + (_x(part) if secret else part)
    assert not secret, f"« without »: {text}"
    return data, masked
