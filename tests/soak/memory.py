"""What a gateway's memory grows to: ``python -m tests.soak.memory [--idle 1000] [--gib 1]``, for promise P17.

Knows: how to keep many connections, and what makes a careless reader grow. Must not know: where memory goes. TLS on
both legs. Figures are resident MiB of all processes of ``rawlog serve`` together.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator

from tests.soak.world import family_of, size_of
from tests.support.certificates import certificates
from tests.support.fakeserving import fake_serving
from tests.support.peer import Peer
from tests.support.serving import Serving

MIB = 1 << 20
QUIET = """
rawlog_workers = 1
disable_plaintext_auth = no
rawlog_max_session_size = 1 M
"""


def server(peer: Peer) -> None:
    """A mail server that answers a login, and takes whatever follows without keeping it."""
    peer.send(b"* OK ready\r\n")
    while (line := peer.line()) and b" LOGIN " not in line:
        peer.send(line.split()[0] + b" OK done\r\n")
    peer.send(b"a OK in\r\n")
    while peer.sock.recv(1 << 16):
        pass


def resident(gateway: Serving) -> float:
    """MiB of all processes, when what was said has been worked off."""
    time.sleep(1)
    return size_of(family_of(gateway.process.pid))[1] / 1024


@contextlib.contextmanager
def client(gateway: Serving, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """Somebody who is logged in, by TLS."""
    sock = socket.create_connection(("127.0.0.1", gateway.ports["imaps"]), 60)
    with context.wrap_socket(sock, server_hostname="localhost") as peer:
        peer.recv(1000)
        peer.sendall(b"a LOGIN bob x\r\n")
        peer.recv(1000)
        yield peer


ATTACKS: dict[str, Callable[[int], Iterator[bytes]]] = {
    "a line of {gib} GiB": lambda size: (b"x" * MIB for _ in range(size // MIB)),
    "a literal {{4294967295+}}": lambda size: iter(
        [b"b APPEND x {4294967295+}\r\n", *[b"y" * MIB] * (size // MIB // 4)]
    ),
    "1,000,000 parentheses": lambda _: iter([b"b FETCH ", b"(" * 1_000_000, b"\r\n"]),
    "1,000,000 commands ahead": lambda _: iter([b"b NOOP\r\n" * 1000] * 1000),
}


def main() -> int:
    """Measures; 1 when a figure is above its limit."""
    parser = argparse.ArgumentParser(description="Measure the memory of a gateway.")
    parser.add_argument("--idle", type=int, default=1000, help="conversations, TLS on both legs (%(default)s)")
    parser.add_argument("--gib", type=float, default=1, help="of a line without end (%(default)s)")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * options.idle + 1000), hard))
    threading.stack_size(256 * 1024)
    context, too_much = certificates().client(), 0
    with fake_serving(QUIET, script=server, tls=certificates().server()) as gateway:
        print(f"{'nobody there':36} {resident(gateway):7.1f} MiB")
        with client(gateway, context) as peer:  # what any conversation brings along once
            peer.sendall((b"b NOOP\r\n" + b"x" * 100_000 + b"\r\n") * 100)
            resident(gateway)
        for name, make in ATTACKS.items():
            before = resident(gateway)
            with client(gateway, context) as peer:
                for piece in make(int(options.gib * (1 << 30))):
                    peer.sendall(piece)
                grown = resident(gateway) - before
            print(f"{name.format(gib=options.gib):36} {grown:+7.1f} MiB", flush=True)
            too_much += grown > 2
        before = resident(gateway)
        with contextlib.ExitStack() as stack:
            for _ in range(options.idle):
                stack.enter_context(client(gateway, context))
            total = resident(gateway)
            print(
                f"{options.idle} idle conversations".ljust(36),
                f"{total:7.1f} MiB, {(total - before) * 1024 / options.idle:.0f} KiB each",
            )
        too_much += total > 150
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main())
