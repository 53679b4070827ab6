"""A recording made fit to be shown to others: every secret replaced by a token of fixed length.

Knows: which fragments hold secrets (the framer says so), where the size of a literal or of a BDAT chunk is announced.
Must not know: files and formats, addresses and mail (pseudonyms.py).

While recording, a secret is masked at equal length, for nothing may wait and offsets must stay true; that shows how
long it is. What is shared must not show it: here the token has always the same length, and the sizes announced before
it are corrected, so that the conversation still parses. Recordings that are masked already are made safe likewise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from rawlog.dialogue.whole import Edit, Whole, take_whole, with_edits
from rawlog.events import Direction, Recording
from rawlog.protocols.fragments import Fragment, Kind, Span

TOKEN = b"XXXXXXXX"
"""What stands for a secret: valid as an atom, in quotes, and as base64."""

_ANNOUNCED = re.compile(rb"~?\{(\d+)\+?\}[\r\n]*\Z|\A[ \t]*BDAT[ \t]+(\d+)", re.IGNORECASE)
_PADDING = re.compile(rb'={1,2}(?=[\s"]|\Z)')
_LOGINS = re.compile(
    rb"(?:\S+[ \t]+)?(LOGIN|AUTHENTICATE|AUTH|PASS|APOP|USER|XCLIENT|RCPT|ID|GENURLAUTH|BURL|SETMETADATA)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Shared:
    """The safe copy, and how many secrets of which kind were replaced."""

    recording: Recording
    secrets: Counter[str]


def shareable(recording: Recording) -> Shared:
    """The recording with its secrets replaced. Raises RawlogError when its protocol is not known.

    One half of a pair alone is taken for what it is; where that leaves a doubt, more is replaced.
    """
    whole = take_whole(recording)
    if whole is None:
        return Shared(recording._replace(events=list(recording.events)), Counter())
    secrets: Counter[str] = Counter()
    edits = {direction: list(_edits(whole, direction, secrets)) for direction in Direction}
    return Shared(recording._replace(events=list(with_edits(whole.events, edits))), secrets)


def _edits(whole: Whole, direction: Direction, secrets: Counter[str]) -> Iterator[Edit]:
    """What is to be changed in one direction, in order."""
    stream, fragments = whole.streams[direction], whole.fragments[direction]
    for number, fragment in enumerate(fragments):
        text = stream[fragment.start : fragment.end]
        spans = _spans(fragment, text)
        follower = fragments[number + 1] if number + 1 < len(fragments) else None
        resized: list[Edit] = []
        if follower is not None and follower.kind is Kind.LITERAL and (found := _ANNOUNCED.search(text)):
            stop = fragment.start + len(text[: found.start()].rstrip(b" \t"))
            spans = [(a, min(b, stop)) for a, b in spans if a < stop or found[2]]
            resized = _resized(fragment, found, follower, stream)
        elif direction is whole.client and (found := _ANNOUNCED.search(text)) and _is_refused(found, text):
            resized = [(fragment.start + found.start(1), fragment.start + found.end(1), b"%d" % len(TOKEN))]
        if spans:
            secrets[_kind(fragment, text, from_client=direction is whole.client)] += len(spans)
        yield from sorted([*((a, b, TOKEN) for a, b in spans), *resized])


def _spans(fragment: Fragment, text: bytes) -> list[Span]:
    """The secrets of a fragment as one token each will replace them."""
    spans: list[Span] = []
    for a, b in fragment.secrets:
        if fragment.kind is not Kind.LITERAL:
            secret = text[a - fragment.start : b - fragment.start]
            a += len(secret) - len(secret.lstrip(b"\r\n"))
            b -= len(secret) - len(secret.rstrip(b" \t\r\n"))
            if padding := _PADDING.match(text, b - fragment.start):
                b = fragment.start + padding.end()
        if a >= b:
            continue
        if spans and a <= spans[-1][1]:
            a = spans.pop()[0]
        spans.append((a, b))
    return spans


def _is_refused(found: re.Match[bytes], text: bytes) -> bool:
    """Whether a login announced a literal that did not come: its size is that of a secret. An empty one has come."""
    return found[1] is not None and int(found[1]) > 0 and _LOGINS.match(text) is not None


def _resized(fragment: Fragment, found: re.Match[bytes], literal: Fragment, stream: bytes) -> list[Edit]:
    """The size that ``fragment`` announces, corrected when that of the literal changes."""
    spans = _spans(literal, stream[literal.start : literal.end])
    if not spans:
        return []
    group = 1 if found[1] else 2
    is_cut_short = int(found[group]) > literal.end - literal.start
    # What is cut short stays so, but nobody needs to know how much of the secret is missing.
    size = literal.end - literal.start + sum(len(TOKEN) - (b - a) for a, b in spans) + is_cut_short
    return [(fragment.start + found.start(group), fragment.start + found.end(group), b"%d" % size)]


def _kind(fragment: Fragment, text: bytes, *, from_client: bool) -> str:
    """What a person calls the place where the secret stood."""
    if fragment.kind in (Kind.OPAQUE, Kind.BLOCK):
        return "what could not be understood"
    if not from_client:
        return "challenges and answers of the server"
    if fragment.kind is Kind.LITERAL:
        return "literals"
    if found := _LOGINS.match(text):
        return found[1].upper().decode()
    return "SASL responses" if len(text.split()) < 2 else "commands that were not understood"
