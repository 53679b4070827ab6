"""What the bare relay costs, without a recorder: CPU per gigabyte, CPU per command, memory per conversation.

Knows: the engine, loopback sockets, a certificate made on the spot (trustme, of the extra ``dev``). The relay runs in a
child process, so that its CPU time and memory are its own; load and relay share the machine, so wall-clock figures say
little and CPU figures more. Run it twice and believe what both runs say.

    python benchmarks/relay_bench.py [--gigabytes 1] [--commands 20000] [--conversations 200]
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable

import trustme

from rawlog.engine.bounds import Limits
from rawlog.engine.leg import Leg
from rawlog.engine.loop import Loop
from rawlog.engine.relay import Relay

KINDS = ("plain", "tls client", "tls both")


class Contexts:
    """One certificate, and the contexts of both sides."""

    def __init__(self) -> None:
        authority = trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.num_tickets = 0
        authority.issue_cert("localhost").configure_cert(self.server)
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(self.client)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        two = server.accept()[0]
    for sock in (one, two):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one, two


class Bench:
    """A child process with ``count`` relays, and the peers' ends of them here."""

    def __init__(self, contexts: Contexts, kind: str, count: int) -> None:
        self.contexts = contexts
        self.kind = kind
        pairs = [(tcp_pair(), tcp_pair()) for _ in range(count)]
        ours = [(client[1], server[1]) for client, server in pairs]
        theirs = [(client[0], server[0]) for client, server in pairs]
        self.report, report = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            for client, server in theirs:
                client.close()
                server.close()
            self._child(ours, report)
            os._exit(0)
        os.close(report)
        for client, server in ours:
            client.close()
            server.close()
        self.peers = [self._secure(client, server) for client, server in theirs]

    def _child(self, ours: list[tuple[socket.socket, socket.socket]], report: int) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()
        loop = Loop()
        left = len(ours)

        def ended(reason: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                loop.stop()

        base = memory()
        for one, two in ours:
            client, server = Leg(loop, one, "client"), Leg(loop, two, "server")
            client.tap = lambda at, direction, data: None
            relay = Relay(loop, client, server, on_end=ended, limits=Limits())
            if self.kind != "plain":
                client.start_tls(self.contexts.server, server_side=True, server_hostname=None, on_done=print_error)
            if self.kind == "tls both":
                server.start_tls(
                    self.contexts.client, server_side=False, server_hostname="localhost", on_done=print_error
                )
            relay.start()
        loop.add_signal(signal.SIGUSR1, lambda: os.write(report, b"%d\n" % (memory() - base)) and None)
        loop.run()

    def _secure(self, client: socket.socket, server: socket.socket) -> tuple[socket.socket, socket.socket]:
        if self.kind == "plain":
            return client, server
        backs: list[socket.socket] = [server]
        if self.kind == "tls both":

            def accept() -> None:
                backs[0] = self.contexts.server.wrap_socket(server, server_side=True)

            thread = threading.Thread(target=accept)
            thread.start()
        front = self.contexts.client.wrap_socket(client, server_hostname="localhost")
        if self.kind == "tls both":
            thread.join()
        return front, backs[0]

    def memory(self) -> int:
        """Bytes the relays have added to the child, as of now."""
        time.sleep(0.2)
        os.kill(self.pid, signal.SIGUSR1)
        return int(os.read(self.report, 100))

    def end(self) -> float:
        """Close all; the child's CPU seconds."""
        for client, server in self.peers:
            client.close()
            server.close()
        _, status, usage = os.wait4(self.pid, 0)
        os.close(self.report)
        assert status == 0, f"the relay process ended with {status}"
        return usage.ru_utime + usage.ru_stime


def print_error(error: Exception | None) -> None:
    if error is not None:
        print(error)


def memory() -> int:
    """Resident bytes of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def measured(contexts: Contexts, kind: str, count: int, load: Callable[[Bench], None]) -> tuple[float, float]:
    """(wall seconds of the load, CPU seconds of the relay beyond set-up)."""
    setup = Bench(contexts, kind, count).end()
    bench = Bench(contexts, kind, count)
    begin = time.perf_counter()
    load(bench)
    wall = time.perf_counter() - begin
    return wall, bench.end() - setup


def bulk(contexts: Contexts, kind: str, gigabytes: float) -> None:
    size = int(gigabytes * 1e9)
    block = (b"VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZyBhbmQgcnVucyBhd2F5IQ\r\n" * 800)[:65536]

    def load(bench: Bench) -> None:
        client, server = bench.peers[0]

        def send() -> None:
            for _ in range(size // len(block)):
                server.sendall(block)

        thread = threading.Thread(target=send)
        thread.start()
        got = 0
        buffer = bytearray(1 << 18)
        while got < size // len(block) * len(block):
            got += client.recv_into(buffer)
        thread.join()

    wall, cpu = measured(contexts, kind, 1, load)
    print(f"bulk      {kind:12} {gigabytes / wall:6.2f} GB/s   {cpu / gigabytes:6.2f} CPU s/GB")


def commands(contexts: Contexts, kind: str, count: int) -> None:
    took: list[float] = []

    def load(bench: Bench) -> None:
        client, server = bench.peers[0]

        def serve() -> None:
            for _ in range(count):
                server.recv(1000)
                server.sendall(b"x" * 60)

        thread = threading.Thread(target=serve)
        thread.start()
        for _ in range(count):
            begin = time.perf_counter()
            client.sendall(b"a UID FETCH 1:* (FLAGS UID)\r\n")
            client.recv(1000)
            took.append(time.perf_counter() - begin)
        thread.join()

    _, cpu = measured(contexts, kind, 1, load)
    took.sort()
    print(f"commands  {kind:12} {took[count // 2] * 1e6:6.0f} us p50  {cpu / count * 1e6:6.1f} CPU us/command")


def idle(contexts: Contexts, kind: str, count: int) -> None:
    bench = Bench(contexts, kind, count)
    quiet = bench.memory()
    data = bytes(1 << 20)
    for client, server in bench.peers:
        for one, two in ((client, server), (server, client)):
            thread = threading.Thread(target=one.sendall, args=(data,))
            thread.start()
            got = 0
            while got < len(data):
                got += len(two.recv(1 << 18))
            thread.join()
    used = bench.memory()
    bench.end()
    print(f"memory    {kind:12} {quiet / count / 1024:6.1f} KiB idle   {used / count / 1024:6.1f} KiB idle after bulk")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--commands", type=int, default=20_000)
    parser.add_argument("--conversations", type=int, default=200)
    options = parser.parse_args()
    contexts = Contexts()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    for kind in KINDS:
        bulk(contexts, kind, options.gigabytes)
    for kind in KINDS:
        commands(contexts, kind, options.commands)
    for kind in KINDS:
        idle(contexts, kind, options.conversations)


if __name__ == "__main__":
    main()
