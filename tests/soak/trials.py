"""The trials of a gateway besides the soak: floods of strangers, and kills.

Knows: sockets, signals, what a killed gateway may lose. Must not know: the order of things.
"""

from __future__ import annotations

import contextlib
import random
import resource
import signal
import socket
import ssl
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rawlog.events import Direction
from tests.support.certificates import certificates
from tests.support.gateway import plain, tap_process
from tests.support.serving import Serving

LATE, KEPT = 0.2, 64 * 1024
"""Seconds, or bytes, that a killed gateway may lose."""


def flood(gateway: Serving, context: ssl.SSLContext, connections: int) -> list[str]:
    """The second part: logins of listed clients while strangers from 40 addresses hold connections and never finish
    their handshakes, or their first line."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, connections + 2000), hard))
    problems: list[str] = []
    strangers: list[socket.socket] = []
    refused = 0
    for number in range(connections):
        stranger = socket.socket()
        stranger.settimeout(5)
        stranger.bind((f"127.0.1.{1 + number % 40}", 0))
        try:
            stranger.connect(("127.0.0.1", gateway.ports["imaps" if number % 2 else "imap"]))
            stranger.sendall(b"\x16\x03\x01\x00" if number % 2 else b"a CAPA")
        except OSError:
            refused += 1
        strangers.append(stranger)
    took = []
    for number in range(300):
        begun = time.perf_counter()
        try:
            _login(gateway.ports["imaps"], context)
        except OSError as error:
            problems.append(f"login {number} under the flood: {error!r}")
        took.append((time.perf_counter() - begun) * 1000)
    for stranger in strangers:
        stranger.close()
    cuts = statistics.quantiles(took, n=100)
    print(f"flood                  {connections} strangers, {refused} refused at once")
    print(f"logins that failed     {len(problems)} of {len(took)}")
    print(f"logins meanwhile       p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, TLS handshake included")
    return problems


def _login(port: int, context: ssl.SSLContext) -> None:
    with (
        socket.create_connection(("127.0.0.1", port), 20) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as peer,
    ):
        for command in (b"", b"a LOGIN soak x\r\n", b"b LOGOUT\r\n"):
            peer.sendall(command)
            if not peer.recv(1000):
                raise OSError("ended")


def kills(server: int, count: int, seed: int) -> list[str]:
    """The third part."""
    problems: list[str] = []
    source, worst, exact = random.Random(seed), 0, 0
    for number in range(count):
        with tempfile.TemporaryDirectory() as directory:
            missing = _kill(server, Path(directory), source.uniform(0.0, 0.3))
        worst = max(worst, missing)
        exact += missing == 0
        if missing > 0:
            problems.append(f"kill {number}: {missing} bytes more are missing than may be")
    print(f"kills                  {count}, {count - exact} that lost more than the last {LATE} s or {KEPT >> 10} KiB")
    return problems


def _kill(server: int, directory: Path, delay: float) -> int:
    """Bytes that are missing in the recording beyond those that may."""
    pem = str(certificates().pem("good"))
    words = [f"imap://127.0.0.1:{server}", "--listen", "tls:127.0.0.1:0", "--cert", pem, "--key", pem]
    with tap_process(*words, directory=directory) as tap:
        got = _received(tap.ports[0], lambda: tap.signal(signal.SIGKILL), delay)
        tap.wait()
        files = sorted(directory.glob("*.out"))
        recorded = len(plain(files[0].read_bytes(), Direction.OUT)) if files else 0
    killed, total = got[-1]
    had = max(size for at, size in got if at < killed - LATE or not size)
    return max(0, min(had - recorded, total - recorded - KEPT))


def _received(port: int, kill: Callable[[], None], delay: float) -> list[tuple[float, int]]:
    """What a client has got at which times, up to the end of its connection."""
    got = [(time.monotonic(), 0)]
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), 20) as sock,
        certificates().client().wrap_socket(sock, server_hostname="localhost") as peer,
    ):
        for command in (b"", b"a LOGIN soak x\r\n"):
            peer.sendall(command)
            got.append((time.monotonic(), got[-1][1] + len(peer.recv(1000))))
        peer.sendall(b"b ECHO 30000000\r\n" if delay > 0.05 else b"b NOOP\r\n")
        threading.Timer(delay, kill).start()
        while data := peer.recv(65536):
            got.append((time.monotonic(), got[-1][1] + len(data)))
    return got
