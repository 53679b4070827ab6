"""All listeners of the demo server in the test's own loop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rawlog.demo.certificate import server_context, write_certificates
from rawlog.demo.listeners import HOST, listen

GREETINGS = {"imap": b"* OK", "sieve": b'"IMPLEMENTATION"', "pop3": b"+OK", "submission": b"220 ", "lmtp": b"220 "}


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
def test_every_port_is_served_in_the_clear_or_in_tls(tmp_path: Path) -> None:
    write_certificates(tmp_path)

    async def greeting(port: int) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, port)
        line = await reader.readline()
        writer.close()
        return line

    async def run() -> None:
        ports = await listen(server_context(tmp_path), {"a@example.com": "one"})
        assert set(ports) == {*GREETINGS, "imaps", "pop3s", "submissions"}
        assert len(set(ports.values())) == len(ports)
        for name, start in GREETINGS.items():
            assert (await greeting(ports[name])).startswith(start)
        for name in ("imaps", "pop3s", "submissions"):
            reader, writer = await asyncio.open_connection(HOST, ports[name])
            writer.write(b"no TLS\r\n")
            assert (await reader.read(1)) in (b"\x15", b"")  # a TLS alert, or nothing at all: never a greeting
            writer.close()

    asyncio.run(asyncio.wait_for(run(), 20))
