"""``rawlog redact``: copies of recordings that can be shown to others.

Knows: its options, where the copies go, and the report. Must not know: what is secret (dialogue/), formats.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from rawlog.dialogue.sharing import shareable
from rawlog.errors import RawlogError
from rawlog.events import Recording
from rawlog.reading.opener import open_paths
from rawlog.recorder.copies import form_of, write_copy

DESCRIPTION = """\
Writes copies of recordings with every secret replaced by a token of fixed length, in the format of the originals; the
sizes of literals are corrected, so that the copies can be read and replayed as before. A path that names one half of a
pair means the pair; a directory means all recordings in it. The copies are new files with mode 0600 and the names of
the originals; nothing is ever written over. Mail and names stay: look at a copy before you give it away.
"""
EXAMPLES = """\
  rawlog redact recordings/20261122-104500.77.1.in --out safe
  rawlog redact recordings --out safe && tar -czf safe.tar.gz safe
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog redact``."""
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a recording, or a directory of recordings")
    parser.add_argument("--out", metavar="DIR", required=True, help="where the copies go; made when it is missing")
    parser.add_argument("--protocol", metavar="NAME", help="imap, pop3, smtp, lmtp or managesieve, where it isn't seen")


def run(options: argparse.Namespace) -> int:
    """Write the copies and the report; 1 when one of the recordings could not be copied."""
    failures: list[RawlogError] = []
    replaced: Counter[str] = Counter()
    copied = 0
    _make_directory(options.out)
    for recording in open_paths(options.paths, protocol=options.protocol, on_error=failures.append):
        try:
            replaced += _copy(recording, options)
            copied += 1
        except RawlogError as error:
            failures.append(error)
    if not copied and not failures:
        raise RawlogError(f"{options.paths[0]}: no recording in it; give a directory with .in, .out or .rawlog files")
    print(f"{copied} recordings copied to {options.out}")
    print(f"{replaced.total()} secrets replaced")
    for kind, count in sorted(replaced.items()):
        print(f"  {count:7} {kind}")
    for failure in failures:
        print(f"rawlog: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _copy(recording: Recording, options: argparse.Namespace) -> Counter[str]:
    shared = shareable(recording)
    place = Path(options.out, _below(recording.name, options.paths))
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_copy(shared.recording, form_of(recording), str(place.parent), place.name)
    return shared.secrets


def _below(name: str, paths: list[str]) -> Path:
    """Where a copy goes below the output directory: as the original lies below the directory that was named."""
    for path in paths:
        if Path(path).is_dir() and Path(name).is_relative_to(path):
            return Path(name).relative_to(path)
    return Path(Path(name).name)


def _make_directory(directory: str) -> None:
    try:
        Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RawlogError(f"{directory}: can't be made a directory: {error.strerror}; choose another") from None
