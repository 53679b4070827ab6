"""However the reads cut a client's commands, the same bytes reach the server."""

from __future__ import annotations

import itertools

from tests.support.table import Table

GREETING = b"* OK [CAPABILITY IMAP4rev1] ready\r\n"


def test_every_pair_of_cuts_gives_the_same() -> None:
    whole = b"a NOOP\r\nb LOGIN {1}\r\n"
    for first, second in itertools.combinations(range(len(whole)), 2):
        here = Table()
        here.server_says(GREETING)
        for piece in (whole[:first], whole[first:second], whole[second:]):
            if piece:
                here.client_says(piece)
        assert here.took("server") == whole, (first, second)
