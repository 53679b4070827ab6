"""Floods: how good clients fare while bad ones do what they can.

    python benchmarks/floods.py [--clients 2000] [--logins 100]

`rawlog serve` with two workers stands before a small IMAP server. Bad clients come from 200 addresses of 127.0.1.0/24;
good ones from addresses of their own, and from 127.0.0.1, which rawlog_unlimited_networks names. A login is a TLS
connection, the greeting, LOGIN and LOGOUT. Everything shares the machine, the bad clients too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import Event
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.support import machine, table

from tests.support.certificates import certificates
from tests.support.fakeserving import fake_serving
from tests.support.peer import Peer

SETTINGS = "rawlog_unlimited_networks = 127.0.0.1\n"
ADDRESSES = 200
PATIENCE = 20.0
WARM_UP = 10.0
"""Seconds of a flood before good clients are measured."""

Flood = Callable[[int, int, Event], None]  # port, clients, until when


def bad(number: int) -> str:
    """The address of a bad client."""
    return f"127.0.1.{number % ADDRESSES + 1}"


def connected(port: int, source: str) -> socket.socket:
    """A connection. Raises OSError."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE, source_address=(source, 0))


def silent(port: int, clients: int, over: Event) -> None:
    """Many connections that never begin their handshake; who is closed comes again."""
    held: list[socket.socket] = []
    number = 0
    while not over.is_set():
        number += 1
        with suppress(OSError):
            held.append(connected(port, bad(number)))
        if len(held) >= clients:
            held.pop(0).close()
            time.sleep(0.001)


def beginning(port: int, clients: int, over: Event) -> None:
    """The same, but each says three bytes first, and so takes a place for a handshake."""
    held: list[socket.socket] = []
    number = 0
    while not over.is_set():
        number += 1
        with suppress(OSError):
            held.append(connected(port, bad(number)))
            held[-1].send(b"\x16\x03\x01")
        if len(held) >= clients:
            held.pop(0).close()
            time.sleep(0.001)


def shaking(port: int, clients: int, over: Event) -> None:
    """One handshake after the other, from all addresses."""
    context = certificates().client()
    number = 0
    while not over.is_set():
        number += 1
        with suppress(OSError), connected(port, bad(number)) as sock:
            context.wrap_socket(sock, server_hostname="localhost").close()


def coming(port: int, clients: int, over: Event) -> None:
    """One address that connects and connects."""
    held: list[socket.socket] = []
    while not over.is_set():
        with suppress(OSError):
            held.append(connected(port, bad(0)))
        if len(held) >= clients:
            held.pop(0).close()


FLOODS: dict[str, Flood | None] = {
    "nobody": None,
    "silent connections": silent,
    "begun handshakes": beginning,
    "handshakes": shaking,
    "one address": coming,
}


def login(port: int, source: str, context: ssl.SSLContext) -> float:
    """Seconds that a good client takes. Raises OSError or AssertionError."""
    begin = time.perf_counter()
    peer = Peer(connected(port, source))
    with peer:
        peer.start_tls(context)
        assert peer.line().startswith(b"* OK")
        assert peer.command(b"a LOGIN bob secret").startswith(b"a OK")
        peer.command(b"b LOGOUT")
    return time.perf_counter() - begin


def logins(port: int, count: int, listed: bool) -> tuple[list[float], int]:
    """The times of good clients, sorted, and how many failed."""
    context, times, failed = certificates().client(), [], 0
    for number in range(count):
        try:
            times.append(login(port, "127.0.0.1" if listed else f"127.0.9.{number % 250 + 1}", context))
        except (OSError, AssertionError):
            failed += 1
    return sorted(times) or [float("nan")], failed


@contextmanager
def flooded(flood: Flood | None, port: int, clients: int) -> Iterator[None]:
    """The block runs in the flood."""
    over = multiprocessing.Event()
    process = multiprocessing.Process(target=flood or _nothing, args=(port, clients, over), daemon=True)
    process.start()
    time.sleep(WARM_UP if flood else 0.5)
    try:
        yield
    finally:
        over.set()
        process.join(PATIENCE)


def _nothing(port: int, clients: int, over: Event) -> None:
    over.wait()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--logins", type=int, default=100)
    options = parser.parse_args()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    rows = []
    with fake_serving(SETTINGS) as gateway:
        port = gateway.ports["imaps"]
        for name, flood in FLOODS.items():
            with flooded(flood, port, options.clients):
                for listed in (True, False):
                    times, failed = logins(port, options.logins, listed)
                    p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
                    kind = "listed" if listed else "other"
                    rows.append([name, kind, f"{p50 * 1e3:.0f}", f"{p99 * 1e3:.0f}", f"{failed} of {options.logins}"])
        refused = [line for line in gateway.log().splitlines() if "refused" in line]
    print(machine())
    print(table([["flood", "good clients", "p50 ms", "p99 ms", "failed"], *rows]))
    print(f"{len(refused)} lines about refusals in the log")


if __name__ == "__main__":
    main()
