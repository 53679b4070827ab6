"""A recording with every name in it replaced by another of the same length, and its mail too.

Knows: how the fragments of a conversation are led through the rules for lines and messages. Must not know: those rules
(``pseudonyms_*.py``), files, where the key comes from.

It begins with sharing.py, so no secret is left. Then every byte stays where it was: sizes, offsets, times, literals and
the structure of messages are true. The same word becomes the same pseudonym through everything that is done with one
key. What stays to be seen: how long words are and which are equal, when what was done, and what LIMITS names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rawlog.dialogue.pseudonyms_imap import ImapSide
from rawlog.dialogue.pseudonyms_lines import PlainSide, SieveSide
from rawlog.dialogue.pseudonyms_names import Names
from rawlog.dialogue.pseudonyms_text import Text
from rawlog.dialogue.sharing import shareable
from rawlog.dialogue.whole import Whole, take_whole, with_streams
from rawlog.events import Direction, Event, Mark, Recording
from rawlog.protocols.fragments import Fragment, Kind

LIMITS = (
    "numbers in answers (sizes, UIDs, counts), dates and times",
    "a name that is also a word of the protocols (a user called 'search'), where only free text holds it",
    "boundaries and types of MIME parts, names of header fields, well-known flags and keywords",
    "what is neither letter nor digit, also in encodings that make text of it (ISO-2022-JP, UTF-7, uuencode)",
    "the name and version of the program, where a client says them in ID",
    "how long words are, and which words are equal: who knows a message can recognise it",
)
"""What pseudonyms do not hide, for the report."""

_SIDES: dict[str, type[ImapSide] | type[SieveSide]] = {"imap": ImapSide, "managesieve": SieveSide}
_FILE_NAME = re.compile(
    rb"(?P<own>.*?)(?P<kept>(?:(?:\A|-)[0-9]{8}-[0-9]{6}[-.][0-9]+(?:\.[0-9]+)?)?(?:\.(?:in|out|rawlog|tcp|log))?)"
)
_KEPT_DETAILS = frozenset(("bytes", "direction", "from", "missing", "protocol", "skipped", "version"))
_FREE_DETAILS = frozenset(("algorithm", "alpn", "cause", "cipher", "reason"))


@dataclass(frozen=True, slots=True)
class Hidden:
    """The copy, how many secrets of which kind were replaced, and what else."""

    recording: Recording
    secrets: Counter[str]
    replaced: Counter[str]


def pseudonymous(recording: Recording, names: Names) -> Hidden:
    """The recording without secrets and with pseudonyms. Raises RawlogError when its protocol is not known."""
    shared = shareable(recording)
    text = Text(names)
    whole = take_whole(shared.recording)
    events: list[Event] = list(shared.recording.events)
    if whole is not None:
        streams = {direction: _replaced(whole, direction, text) for direction in Direction}
        events = list(with_streams(whole.events, streams))
    events = [hidden_mark(event, text) if isinstance(event, Mark) else event for event in events]
    return Hidden(recording._replace(events=events), shared.secrets, +text.counts)


def hidden_mark(mark: Mark, text: Text) -> Mark:
    """The mark without the names in its details."""
    return Mark(mark.at, mark.name, hidden_details(mark.detail, text))


def hidden_details(details: Mapping[str, str], text: Text) -> dict[str, str]:
    """Details of a mark, or the header of a native recording, without the names in them."""
    return {name: _detail(name, value, text) for name, value in details.items()}


def _detail(name: str, value: str, text: Text) -> str:
    if name in _KEPT_DETAILS:
        return value
    data = value.encode("utf-8", "surrogateescape")
    made = text.free(data) if name in _FREE_DETAILS else text.content(data, "details of marks")
    return made.decode("utf-8", "surrogateescape")


def hidden_path(path: str, text: Text) -> str:
    """A path below a directory without the names in it: of users, and the address that a file's name may begin with."""
    *folders, name = path.encode("utf-8", "surrogateescape").split(b"/")
    found = _FILE_NAME.fullmatch(name)
    own, kept = (found["own"], found["kept"]) if found else (name, b"")
    hidden = [text.content(part, "parts of file names") for part in (*folders, own)]
    return (b"/".join(hidden) + kept).decode("utf-8", "surrogateescape")


def _replaced(whole: Whole, direction: Direction, text: Text) -> bytes:
    """The stream of one direction."""
    is_client = direction is whole.client
    side: ImapSide | PlainSide | SieveSide = _SIDES.get(whole.protocol, PlainSide)(text, client=is_client)
    stream, made = whole.streams[direction], []
    goes_on = False
    for fragment in whole.fragments[direction]:
        data = stream[fragment.start : fragment.end]
        made.append(_fragment(side, fragment, data, text, goes_on))
        goes_on = fragment.kind is Kind.LITERAL
    return b"".join(made)


def _fragment(
    side: ImapSide | PlainSide | SieveSide, fragment: Fragment, data: bytes, text: Text, goes_on: bool
) -> bytes:
    if fragment.kind is Kind.LITERAL:
        return side.literal(data)
    if fragment.kind is Kind.BLOCK and isinstance(side, PlainSide):
        return side.block(data)
    if fragment.kind is Kind.LINE or data.find(b"\n") == len(data) - 1:  # also a line over the limit
        return side.line(data, goes_on=goes_on)
    return text.content(data, "what could not be understood")
