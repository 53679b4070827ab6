"""``rawlog redact``: copies of recordings that can be shown to others.

Knows: its options, where the copies go, and the report. Must not know: what is secret (dialogue/), formats.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from rawlog.cli import shared
from rawlog.dialogue.pseudonyms import LIMITS, hidden_details, hidden_path, pseudonymous
from rawlog.dialogue.pseudonyms_names import Names
from rawlog.dialogue.pseudonyms_text import Text
from rawlog.dialogue.sharing import shareable
from rawlog.errors import ConfigError, RawlogError
from rawlog.events import Recording
from rawlog.reading.opener import open_paths
from rawlog.recorder.copies import form_of, with_header, write_copy
from rawlog.recorder.pseudonym_key import key_from, new_key

DESCRIPTION = """\
Writes copies of recordings with every secret replaced by a token of fixed length, in the format of the originals; the
sizes of literals are corrected, so that the copies can be read and replayed as before. A path that names one half of a
pair means the pair; a directory means all recordings in it. The copies are new files with mode 0600 and the names of
the originals; nothing is ever written over. Mail and names stay: look at a copy before you give it away.

With --pseudonyms addresses, names, hosts, subjects and the text of messages are replaced too, at equal length and each
word by the same pseudonym everywhere in the set. The report says what that does not hide.
"""
EXAMPLES = """\
  rawlog redact recordings/20261122-104500.77.1.in --out safe
  rawlog redact recordings --out safe && tar -czf safe.tar.gz safe
  rawlog redact recordings --out safe --pseudonyms --key ~/.rawlog-key
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog redact``."""
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a recording, or a directory of recordings")
    shared.add_identity(parser)
    parser.add_argument("--out", metavar="DIR", required=True, help="where the copies go; made when it is missing")
    parser.add_argument("--pseudonyms", action="store_true", help="replace names and mail too, not only secrets")
    parser.add_argument(
        "--key", metavar="FILE", help="keep the pseudonyms' key here, for the same ones next time; made when missing"
    )
    parser.add_argument("--protocol", metavar="NAME", help="imap, pop3, smtp, lmtp or managesieve, where it isn't seen")


def run(options: argparse.Namespace) -> int:
    """Write the copies and the report; 1 when one of the recordings could not be copied."""
    if options.key and not options.pseudonyms:
        raise ConfigError("--key is the key of the pseudonyms; give --pseudonyms too")
    if options.key and Path(options.key).resolve().is_relative_to(Path(options.out).resolve()):
        raise ConfigError(f"{options.key}: the key must not be among the copies; keep it outside {options.out}")
    failures: list[RawlogError] = []
    work = _Work(options)
    _make_directory(options.out)
    for recording in open_paths(options.paths, protocol=options.protocol, on_error=failures.append):
        try:
            work.copy(recording)
        except RawlogError as error:
            failures.append(error)
    if not work.copied and not failures:
        raise RawlogError(f"{options.paths[0]}: no recording in it; give a directory with .in, .out or .rawlog files")
    work.report()
    for failure in failures:
        print(f"rawlog: {failure}", file=sys.stderr)
    return 1 if failures else 0


class _Work:
    """The copies that are made, and what was replaced in them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._text: Text | None = None
        if options.pseudonyms:
            self._text = Text(Names(key_from(options.key) if options.key else new_key()))
        self.copied = 0
        self._secrets: Counter[str] = Counter()
        self._replaced: Counter[str] = Counter()

    def copy(self, recording: Recording) -> None:
        """Write one copy."""
        form, below = form_of(recording), _below(recording.name, self._options.paths)
        if self._text is None:
            shared = shareable(recording)
            made, secrets = shared.recording, shared.secrets
        else:
            hidden = pseudonymous(recording, self._text.names)
            made, secrets = hidden.recording, hidden.secrets
            self._replaced += hidden.replaced
            form = with_header(form, hidden_details(form.header, self._text))
            below = hidden_path(below, self._text)
        place = Path(self._options.out, below)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_copy(made, form, str(place.parent), place.name.removesuffix(".age"))
        self._secrets += secrets
        self.copied += 1

    def report(self) -> None:
        """Print what was done, and what it does not hide."""
        print(f"{self.copied} recordings copied to {self._options.out}")
        _print_counts("secrets replaced", self._secrets)
        if self._text is None:
            print("Names, addresses and mail are still in them: see --pseudonyms.")
            return
        _print_counts("things replaced by pseudonyms", self._replaced)
        print("Not hidden:")
        for limit in LIMITS:
            print(f"  {limit}")


def _print_counts(what: str, counts: Counter[str]) -> None:
    print(f"{counts.total()} {what}")
    for kind, count in sorted(counts.items()):
        print(f"  {count:7} {kind}")


def _below(name: str, paths: list[str]) -> str:
    """Where a copy goes below the output directory: as the original lies below the directory that was named."""
    for path in paths:
        if Path(path).is_dir() and Path(name).is_relative_to(path):
            return str(Path(name).relative_to(path))
    return Path(name).name


def _make_directory(directory: str) -> None:
    try:
        Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RawlogError(f"{directory}: can't be made a directory: {error.strerror}; choose another") from None
