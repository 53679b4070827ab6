"""The streams of asyncio, recorded: every way to read and to write, and TLS in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rawlog.taps.stream_asyncio import record_streams
from tests.support.certificates import certificates
from tests.support.gateway import Record, records

GREETING = b"* OK ready\r\n"


def converse(directory: Path, client: Callable[[Any, Any], Awaitable[None]], *, tls: bool = False) -> Record:
    """Runs ``client`` on recorded streams against a server that greets, and repeats one line after STARTTLS."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        if tls:
            await reader.readline()
            writer.write(b"1 OK go\r\n")
            await writer.start_tls(certificates().server())
            writer.write(await reader.readline())
        await reader.read()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            streams = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
            reader, writer = record_streams(*streams, directory, protocol="imap")
            await client(reader, writer)
            writer.close()
            await writer.wait_closed()

    asyncio.run(asyncio.wait_for(run(), 20))
    (record,) = records(directory)
    return record


async def _next(reader: Any) -> bytes:
    async for line in reader:
        return bytes(line)
    return b""


READS: list[Callable[[Any], Awaitable[bytes]]] = [
    lambda reader: reader.readline(),
    lambda reader: reader.read(100),
    lambda reader: reader.readexactly(len(GREETING)),
    lambda reader: reader.readuntil(b"\r\n"),
    _next,
]


@pytest.mark.parametrize("read", READS)
def test_every_way_to_read(tmp_path: Path, read: Callable[[Any], Awaitable[bytes]]) -> None:
    async def client(reader: Any, writer: Any) -> None:
        assert await read(reader) == GREETING
        assert not reader.at_eof()
        writer.write(b"1 NOOP\r\n")

    record = converse(tmp_path, client)
    assert record.in_ == GREETING
    assert record.out == b"1 NOOP\r\n"


def test_what_came_before_the_end_is_recorded(tmp_path: Path) -> None:
    async def client(reader: Any, writer: Any) -> None:
        writer.writelines([b"1 LOG", b"OUT\r\n"])
        writer.write_eof()
        with pytest.raises(asyncio.IncompleteReadError):
            await reader.readexactly(100)

    record = converse(tmp_path, client)
    assert record.in_ == GREETING
    assert record.out == b"1 LOGOUT\r\n"


def test_starttls(tmp_path: Path) -> None:
    async def client(reader: Any, writer: Any) -> None:
        await reader.readline()
        writer.write(b"1 STARTTLS\r\n")
        assert await reader.readline() == b"1 OK go\r\n"
        await writer.start_tls(certificates().client(), server_hostname="localhost")
        writer.write(b"2 NOOP\r\n")
        assert await reader.readline() == b"2 NOOP\r\n"

    record = converse(tmp_path, client, tls=True)
    assert record.in_ == GREETING + b"1 OK go\r\n2 NOOP\r\n"
    assert record.out == b"1 STARTTLS\r\n2 NOOP\r\n"


def test_where_the_directory_is_missing_they_are_the_streams_themselves(tmp_path: Path) -> None:
    async def run() -> None:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
            found = record_streams(reader, writer, tmp_path / "gone", protocol="imap")
            assert found == (reader, writer)
            writer.close()

    asyncio.run(asyncio.wait_for(run(), 20))
