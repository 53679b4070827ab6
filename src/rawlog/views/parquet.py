"""Recordings as two tables in Parquet files, for DuckDB and everything else that reads these.

Knows: the tables that docs/analysis.md describes, and that DuckDB (the extra ``[analyze]``) writes them. Must not know:
SQL beyond that. Rows go through files of JSON lines next to the result, so that memory does not grow with them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from rawlog.dialogue.exchange import Exchange, pairing_of
from rawlog.dialogue.exchange_summary import Summarizer, Summary
from rawlog.errors import RawlogError
from rawlog.events import Recording
from rawlog.views.exchanges import exchange_fields

RECORDINGS = {
    "recording": "VARCHAR",
    "protocol": "VARCHAR",
    "user": "VARCHAR",
    "client": "VARCHAR",
    "software": "VARCHAR",
    "started": "BIGINT",
    "ended": "BIGINT",
    "duration": "BIGINT",
    "commands": "BIGINT",
    "errors": "BIGINT",
    "slowest": "BIGINT",
    "in_bytes": "BIGINT",
    "out_bytes": "BIGINT",
    "ending": "VARCHAR",
}
"""The columns of ``recordings.parquet``; ``started`` and ``ended`` become timestamps (UTC)."""

EXCHANGES = {
    "recording": "VARCHAR",
    "number": "BIGINT",
    "began": "BIGINT",
    "verb": "VARCHAR",
    "tag": "VARCHAR",
    "command": "VARCHAR",
    "status": "VARCHAR",
    "answer": "VARCHAR",
    "replies": "VARCHAR[]",
    "failed": "BOOLEAN",
    "latency": "BIGINT",
    "first_latency": "BIGINT",
    "talking": "BIGINT",
    "sent": "BIGINT",
    "received": "BIGINT",
}
"""The columns of ``exchanges.parquet``; ``began`` becomes a timestamp (UTC). No name is a word of SQL."""

_TIMES = ("started", "ended", "began")


def write_parquet(recordings: Iterable[Recording], directory: Path, fail: Callable[[RawlogError], None]) -> None:
    """Writes ``recordings.parquet`` and ``exchanges.parquet``. ``fail`` is told of recordings that can't be read.

    Raises RawlogError when DuckDB is not installed, or a file is there already.
    """
    duckdb = _duckdb()
    for name in ("recordings.parquet", "exchanges.parquet"):
        if (directory / name).exists():
            raise RawlogError(f"{directory / name}: is there already; choose another directory or remove it")
    with tempfile.TemporaryDirectory(dir=directory) as place, ExitStack() as stack:
        rows = {name: Path(place, f"{name}.jsonl") for name in ("recordings", "exchanges")}
        files = {name: stack.enter_context(open(path, "w", encoding="ascii")) for name, path in rows.items()}
        for recording in recordings:
            try:
                _write(recording, files)
            except RawlogError as error:
                fail(error)
        for file in files.values():
            file.close()
        with duckdb.connect() as database:
            for name, columns in (("recordings", RECORDINGS), ("exchanges", EXCHANGES)):
                database.execute(_copy(columns), [str(rows[name])]).fetchall()
                database.execute(
                    f"COPY rows TO '{_quoted(directory / name)}.parquet' (FORMAT parquet, COMPRESSION zstd)"
                )
                (directory / f"{name}.parquet").chmod(0o600)


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise RawlogError("DuckDB is not installed; install it with: pip install 'rawlog[analyze]'") from None
    return duckdb


def _write(recording: Recording, files: Mapping[str, TextIO]) -> None:
    """The rows of one recording."""
    summarizer = Summarizer(recording.protocol)
    paired = pairing_of(recording)
    pairer, events = paired or (None, recording.events)

    def note(exchanges: Iterable[Exchange]) -> None:
        for exchange in exchanges:
            summarizer.exchange(exchange)
            fields = exchange_fields(exchange)
            _put(files["exchanges"], EXCHANGES, {"recording": recording.name, "began": fields["at"], **fields})

    for event in events:
        summarizer.event(event)
        note(pairer.feed(event) if pairer else ())
    note(pairer.end() if pairer else ())
    summary = summarizer.finish(pairer.framer.user if pairer else None)
    _put(files["recordings"], RECORDINGS, _fields(recording.name, summary))


def _fields(name: str, summary: Summary) -> dict[str, object]:
    known = {"recording": name, "duration": summary.duration, "ending": summary.end, **asdict(summary)}
    return {column: None if value == "" else value for column, value in known.items()}


def _put(file: TextIO, columns: Mapping[str, str], fields: Mapping[str, object]) -> None:
    file.write(json.dumps({column: _clean(fields[column]) for column in columns}) + "\n")


def _clean(value: object) -> object:
    """Text as every reader takes it: a byte that is no UTF-8 (in names of files and users) is written ``\\udcff``."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _copy(columns: Mapping[str, str]) -> str:
    kinds = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    chosen = ", ".join(f'make_timestamp("{name}") AS "{name}"' if name in _TIMES else f'"{name}"' for name in columns)
    return (
        f"CREATE OR REPLACE TEMP TABLE rows AS SELECT {chosen} "
        f"FROM read_json(?, format = 'newline_delimited', columns = {{{kinds}}}, maximum_object_size = 16777216)"
    )


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
