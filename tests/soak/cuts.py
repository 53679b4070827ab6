"""Every pair of cuts: ``python -m tests.soak.cuts --pairs 1000000``, for promises P1 and P15.

Knows: the conversations of the tests. Must not know: what is secret in them; their own tests do. Each conversation is
cut in two places, at all pairs of places as far as the number goes; then what is recorded, and who is said to be logged
in, must be what it is without cuts. Conversations longer than 400 bytes are left to the tests.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator
from functools import partial

from rawlog.dialogue.redact import Masker
from rawlog.events import Chunk, Direction
from rawlog.protocols.registry import framer_for
from tests.fuzz.corpus import PROTOCOLS
from tests.support.conversation import Conversation, Piece, conversations, split

LONGEST = 400


def recorded(protocol: str, talk: Conversation, pieces: list[Piece]) -> dict[Direction, bytes]:
    """What would be written of each direction, and the user's name under IN's last byte."""
    masker = Masker(framer_for(protocol, client=talk.client))
    events = [event for direction, data in pieces for event in masker.chunk(0, direction, data)]
    events += [event for direction in (talk.client, talk.client.other) for event in masker.end(direction)]
    made = dict.fromkeys(Direction, b"")
    for event in events:
        assert isinstance(event, Chunk)
        made[event.direction] += event.data
    made[talk.client] += repr(masker.framer.user).encode()
    return made


def cuts() -> Iterator[tuple[str, Conversation, tuple[int, int]]]:
    """All pairs, of one conversation after the other in turns, so that any number of them is a fair sample."""
    ways = []
    for protocol in PROTOCOLS:
        for talk in conversations(protocol):
            size = sum(len(data) for _, data in talk.pieces)
            if size <= LONGEST:
                pairs = itertools.combinations(range(1, size), 2)
                ways.append(map(partial(lambda p, t, pair: (p, t, pair), protocol, talk), pairs))
    while ways:
        for way in list(ways):
            found = next(way, None)
            if found is None:
                ways.remove(way)
            else:
                yield found


def main() -> int:
    """Tries the pairs; 1 when one of them makes a difference."""
    parser = argparse.ArgumentParser(description="Cut conversations at every pair of places.")
    parser.add_argument("--pairs", type=int, default=100_000, help="how many (%(default)s)")
    options = parser.parse_args()
    os.nice(10)
    expected: dict[int, dict[Direction, bytes]] = {}
    different, count, begun = 0, 0, time.monotonic()
    for protocol, talk, pair in itertools.islice(cuts(), options.pairs):
        if id(talk) not in expected:
            expected[id(talk)] = recorded(protocol, talk, talk.pieces)
        count += 1
        if recorded(protocol, talk, split(talk.pieces, pair)) != expected[id(talk)]:
            different += 1
            print(f"DIFFERENT {protocol} {talk} cut at {pair}", flush=True)
    print(f"{count} pairs of cuts in {len(expected)} conversations, {different} make a difference")
    print(f"{time.monotonic() - begun:.0f} s")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
