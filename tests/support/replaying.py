"""Plays the client of a golden case again: the same bytes in the same pieces, against whatever serves them now.

Knows: transcripts, and when a client of one had its answer. Must not know: what is compared then.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.support.golden import FOLDER
from tests.support.peer import Peer, dial

PAUSE = 0.05
"""Seconds between two pieces that the client sent without an answer in between, so that they are two reads."""


@dataclass(frozen=True)
class Step:
    """One line of a transcript: what a client sent (``C``) or received (``S``), or what happened to it (``note``)."""

    client: str
    kind: str
    data: bytes


def steps(case: str, clients: Iterable[str] = ()) -> list[Step]:
    """The transcript of a case, of some of its clients or all."""
    transcript = json.loads((FOLDER / case / "transcript.json").read_text("utf-8"))
    found = [Step(client, kind, text.encode("latin-1")) for _, client, kind, text in transcript]
    return [step for step in found if not clients or step.client in clients]


def replay(
    found: list[Step],
    ports: Mapping[str, int],
    context: ssl.SSLContext | None = None,
    *,
    change: Mapping[bytes, bytes] | None = None,
) -> None:
    """Do what the clients did. ``ports`` by client; a ``TLS handshake`` note starts TLS with ``context``.

    ``change``: what takes the place of names and passwords in what is sent.
    """
    peers: dict[str, Peer] = {}
    sent = ""
    for step in found:
        if step.client not in peers:
            peers[step.client] = dial(ports[step.client])
        peer = peers[step.client]
        if step.kind == "C":
            if sent == step.client:
                time.sleep(PAUSE)
            data = step.data
            for old, new in (change or {}).items():
                data = data.replace(old, new)
            peer.send(data)
        elif step.kind == "S":
            _await(peer, step.data)
        elif step.data.startswith(b"TLS handshake"):
            assert context is not None
            peer.start_tls(context)
        elif step.data == b"client close":
            peer.close()
        sent = step.client if step.kind == "C" else ""
    for peer in peers.values():
        peer.close()


def _await(peer: Peer, said: bytes) -> None:
    """Read as many lines like the last one as the server had said then."""
    mark = _mark(said.splitlines()[-1])
    count = sum(_mark(line) == mark for line in said.splitlines())
    while count:
        line = peer.line()
        assert line, f"the server ended before {mark!r}: {peer.received[-400:]!r}"
        count -= _mark(line.rstrip(b"\r\n")) == mark


def _mark(line: bytes) -> bytes:
    """What an answer is known by: its tag, its code, or for untagged IMAP data its last word."""
    words = line.split()
    if line.startswith(b"* ") and words[1] != b"BYE":
        return words[-1]
    return words[0] if words else b""
