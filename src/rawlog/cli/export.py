"""``rawlog export``: recordings for other programs.

Knows: its options. Must not know: formats.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import chain

from rawlog.cli import shared
from rawlog.errors import RawlogError
from rawlog.events import Recording
from rawlog.reading.opener import open_paths
from rawlog.views import copies
from rawlog.views.html import html_page
from rawlog.views.jsonl import json_lines
from rawlog.views.output import new_directory, write_all
from rawlog.views.parquet import write_parquet
from rawlog.views.pcap_export import pcapng

DESCRIPTION = """\
Hands recordings over to other programs. --jsonl, --pcapng and --html make one file OUT (- is standard output); the
others make files in the directory OUT. Nothing is overwritten; what is made can be read by its owner alone.

  --jsonl     one event a line, loss-free
  --pcapng    packets for Wireshark and tshark: both directions, times, addresses, the protocol's port (lmtp: 24, which
              Wireshark takes for SMTP after "Decode as")
  --html      one page with everything in it, without scripts
  --eml       each message that was transferred: APPEND, FETCH BODY[], RETR, DATA, BDAT
  --parquet   recordings.parquet and exchanges.parquet, for DuckDB; needs pip install 'rawlog[analyze]'
  --dovecot, --combined, --native   the formats of recordings: Dovecot's pair, its one stream, our own
"""
EXAMPLES = """\
  rawlog export --pcapng talk.pcapng recordings/20261122-104500.77.1.in
  rawlog export --html report.html recordings
  rawlog export --eml messages recordings
  rawlog export --jsonl - recordings | jq -r 'select(.dir == "in") | .text'
  rawlog export --parquet analysis /var/log/rawlog
"""

FILES = ("jsonl", "pcapng", "html")
DIRECTORIES = ("eml", "parquet", "dovecot", "combined", "native")

_COPIES: dict[str, copies.Copy] = {
    "eml": copies.as_messages,
    "dovecot": copies.as_dovecot,
    "combined": copies.as_combined,
    "native": copies.as_native,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog export``."""
    kinds = parser.add_mutually_exclusive_group(required=True)
    for kind in (*FILES, *DIRECTORIES):
        what = "write this file" if kind in FILES else "write files in this directory"
        kinds.add_argument(f"--{kind}", metavar="OUT", help=what)
    shared.add_paths(parser)


def run(options: argparse.Namespace) -> int:
    """Export the recordings; 1 when one of them could not be read."""
    kind = next(kind for kind in (*FILES, *DIRECTORIES) if getattr(options, kind) is not None)
    out = getattr(options, kind)
    failures: list[RawlogError] = []
    recordings = open_paths(options.paths, protocol=options.protocol, on_error=failures.append)
    first = next(recordings, None)
    if first is None and not failures:
        raise shared.nothing_in(options.paths)
    if first is not None:
        _export(kind, out, chain([first], recordings), failures)
    return shared.told(failures)


def _export(kind: str, out: str, recordings: Iterator[Recording], failures: list[RawlogError]) -> None:
    if kind == "parquet":
        write_parquet(recordings, new_directory(out), failures.append)
    elif kind in _COPIES:
        directory = new_directory(out)
        for recording in recordings:
            try:
                _COPIES[kind](recording, directory)
            except RawlogError as error:
                failures.append(error)
    elif kind == "pcapng":
        write_all(out, pcapng(recordings))
    elif kind == "html":
        write_all(out, (text.encode() for text in html_page(recordings)))
    else:
        write_all(out, _json(recordings))


def _json(recordings: Iterable[Recording]) -> Iterator[bytes]:
    for recording in recordings:
        yield from (f"{line}\n".encode("ascii") for line in json_lines(recording))
