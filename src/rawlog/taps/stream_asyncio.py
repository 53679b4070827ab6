"""The streams of asyncio, recorded.

Knows: which methods of StreamReader and StreamWriter move bytes. Must not know: protocols, files. What is recorded is
what the program reads and writes; with TLS, also after ``start_tls``, that is decrypted.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Iterable
from typing import Any

from rawlog.taps.streams import StreamTap, may_record


def record_streams(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    directory: str | os.PathLike[str],
    *,
    protocol: str,
    server: bool = False,
    secrets: str = "redact",
    native: bool = False,
) -> tuple[RecordedReader | asyncio.StreamReader, RecordedWriter | asyncio.StreamWriter]:
    """Record what goes through a connection from now on. The options are those of StreamTap.

    Gives the streams to use in their place; these are the same ones where the directory does not exist.
    """
    if not may_record(directory):
        return reader, writer
    tap = StreamTap(directory, protocol=protocol, server=server, secrets=secrets, native=native)
    return RecordedReader(reader, tap), RecordedWriter(writer, tap)


class RecordedReader:
    """Wraps a StreamReader. What has no method here is the wrapped one's own."""

    def __init__(self, reader: asyncio.StreamReader, tap: StreamTap) -> None:
        self._reader = reader
        self._tap = tap

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    async def read(self, n: int = -1) -> bytes:
        """As of StreamReader."""
        return await self._seen(self._reader.read(n))

    async def readline(self) -> bytes:
        """As of StreamReader."""
        return await self._seen(self._reader.readline())

    async def readexactly(self, n: int) -> bytes:
        """As of StreamReader."""
        return await self._seen(self._reader.readexactly(n))

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        """As of StreamReader."""
        return await self._seen(self._reader.readuntil(separator))

    def __aiter__(self) -> RecordedReader:
        return self

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    async def _seen(self, reading: Awaitable[bytes]) -> bytes:
        try:
            data = await reading
        except asyncio.IncompleteReadError as error:
            self._tap.received(error.partial)
            raise
        self._tap.received(data)
        return data


class RecordedWriter:
    """Wraps a StreamWriter. What has no method here is the wrapped one's own."""

    def __init__(self, writer: asyncio.StreamWriter, tap: StreamTap) -> None:
        self._writer = writer
        self._tap = tap
        self._mark_tls()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """As of StreamWriter."""
        self._writer.write(data)
        self._tap.sent(bytes(data))

    def writelines(self, data: Iterable[bytes | bytearray | memoryview]) -> None:
        """As of StreamWriter."""
        self.write(b"".join(data))

    async def start_tls(self, *arguments: Any, **options: Any) -> None:
        """As of StreamWriter; the recording goes on inside."""
        await self._writer.start_tls(*arguments, **options)
        self._mark_tls()

    def close(self) -> None:
        """As of StreamWriter."""
        self._writer.close()
        self._tap.close("closed")

    def _mark_tls(self) -> None:
        tls = self._writer.get_extra_info("ssl_object")
        if tls is not None:
            cipher = tls.cipher()
            self._tap.mark("tls", {"version": tls.version() or "", "cipher": cipher[0] if cipher else ""})
