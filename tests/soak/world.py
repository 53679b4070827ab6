"""What stands around the gateway of the soak: servers behind it, clients before it, a disk that gets full.

Knows: sockets, threads, mounts. Must not know: what is judged.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.soak.talk import GREETING, LAST, Talk, answer_to

SECONDS = 60.0
"""Longest wait for anything: a conversation that takes longer is broken."""


def serve(protocol: str, listener: socket.socket) -> None:
    """The server behind, a thread for each connection; in a process of its own."""
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=_answer, args=(protocol, peer), daemon=True).start()


def _answer(protocol: str, peer: socket.socket) -> None:
    with contextlib.suppress(OSError), peer:
        peer.settimeout(SECONDS)
        peer.sendall(GREETING[protocol])
        with peer.makefile("rb") as lines:
            for line in lines:
                if protocol == "submission" and line.startswith((b"EHLO", b"XCLIENT")):
                    peer.sendall(b"250-here\r\n250 AUTH PLAIN\r\n")
                    continue
                peer.sendall(answer_to(protocol, line))
                if LAST[protocol] in line.split()[:2]:
                    return


def start_servers() -> tuple[int, dict[str, int]]:
    """Forks the servers; gives their process and ports."""
    listeners = {protocol: socket.create_server(("127.0.0.1", 0), backlog=512) for protocol in GREETING}
    ports = {protocol: listener.getsockname()[1] for protocol, listener in listeners.items()}
    pid = os.fork()
    if pid == 0:
        try:
            for protocol, listener in listeners.items():
                threading.Thread(target=serve, args=(protocol, listener), daemon=True).start()
            while os.getppid() != 1:
                time.sleep(1)
        finally:
            os._exit(0)
    for listener in listeners.values():
        listener.close()
    return pid, ports


class BrokenError(Exception):
    """A conversation was not what it had to be."""


def converse(talk: Talk, ports: dict[str, int], context: ssl.SSLContext) -> int:
    """Leads one conversation, and compares every byte; gives how many there were. Raises BrokenError or OSError."""
    listener = talk.protocol + ("s" if talk.kind == "tls" else "")
    with _connected(ports[listener], context if talk.kind == "tls" else None) as peer:
        _greeted(talk, peer)
        count = 0
        for command, answer in (*talk.login, *talk.rest):
            peer.sendall(command)
            last = command is talk.rest[-1][0]
            if talk.kind == "half" and last and not isinstance(peer, ssl.SSLSocket):
                peer.shutdown(socket.SHUT_WR)
            if talk.kind == "slow" and len(answer) > 100_000:
                time.sleep(1.5)  # its window is full meanwhile
            if talk.kind == "reset" and len(answer) > 100_000:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return count
            _expect(peer, answer, talk)
            count += len(answer)
        if peer.recv(1) not in (b"",):
            raise BrokenError(f"{talk.number}: bytes behind the end")
        return count


@contextlib.contextmanager
def _connected(port: int, context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), SECONDS) as sock:
        if context is None:
            yield sock
        else:
            with context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False) as peer:
                yield peer


def _greeted(talk: Talk, peer: socket.socket) -> None:
    """The greeting, which is the gateway's own form of it, and EHLO."""
    _line(peer)
    if talk.protocol == "submission":
        peer.sendall(b"EHLO soak\r\n")
        while _line(peer)[3:4] == b"-":
            pass


def _line(peer: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = peer.recv(1)
        if not byte:
            raise BrokenError("the connection ended before the login")
        line += byte
    return line


def _expect(peer: socket.socket, answer: bytes, talk: Talk) -> None:
    got = bytearray()
    while len(got) < len(answer):
        piece = peer.recv(min(65536, len(answer) - len(got)))
        if not piece:
            break
        got += piece
    if got != answer:
        raise BrokenError(
            f"{talk.number} ({talk.protocol}, {talk.kind}): {len(got)} of {len(answer)} bytes, {got[-60:]!r}"
        )


class Disk:
    """A small file system of its own, which gets full now and then; without root a directory that never does."""

    def __init__(self, path: Path, size: str = "1g") -> None:
        self.path = path
        self.mounted = os.geteuid() == 0 and _runs(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "soak", path]
        )
        self.times: list[list[float]] = []  # from when to when it was full
        self._stopped = threading.Event()

    def torment(self, every: float, lasting: float) -> Callable[[], None]:
        """Fills it every so many seconds, 0: never, in a thread; what is returned ends that."""
        threads = [threading.Thread(target=self._torment, args=(every, lasting)), threading.Thread(target=self._watch)]
        threads = threads[not every :] if self.mounted else []
        for thread in threads:
            thread.start()

        def stop() -> None:
            self._stopped.set()
            for thread in threads:
                thread.join()

        return stop

    def _watch(self) -> None:
        """Notes when it is full, be it by the ballast or by recordings."""
        full = False
        while not self._stopped.wait(0.02):
            state = os.statvfs(self.path)
            before, full = full, state.f_bavail * state.f_frsize < 1 << 20
            if full and not before:
                self.times.append([time.monotonic(), float("inf")])
            elif before and not full:
                self.times[-1][1] = time.monotonic()

    def _torment(self, every: float, lasting: float) -> None:
        ballast = self.path / "ballast"
        while not self._stopped.wait(every):
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                end = time.monotonic() + lasting
                while time.monotonic() < end and not self._stopped.wait(0.01):
                    with contextlib.suppress(OSError):  # full: again, for others make room
                        file.write(bytes(16 << 20))
            ballast.unlink(missing_ok=True)

    def was_full(self, begun: float, ended: float) -> bool:
        """Whether it was, between two moments, as far as a recorder may notice."""
        return any(begun < until + 3 and since - 3 < ended for since, until in self.times)

    def close(self) -> None:
        """Takes it away."""
        if self.mounted:
            _runs(["umount", "-l", self.path])


def _runs(command: list[object]) -> bool:
    return subprocess.run([str(word) for word in command], capture_output=True, check=False).returncode == 0


def size_of(pids: list[int]) -> tuple[int, int]:
    """Descriptors, and resident KiB, of processes together."""
    descriptors = kib = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            descriptors += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
            kib += int(found[1]) if found else 0
    return descriptors, kib


def family_of(pid: int) -> list[int]:
    """A process and its children, by their parents' tasks."""
    found = [pid]
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += family_of(int(child))
    return found
