"""What sealing costs a gateway: ``python -m tests.soak.sealing``, for promise P24.

Knows: how to read the processor time of another process. Must not know: how it is spent. The same messages are fetched
through ``rawlog tap`` with and without ``--recipient``, in turns; then small commands are asked, one after the other.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.world import start_servers
from tests.support.certificates import certificates
from tests.support.gateway import tap_process
from tests.support.sealing import PUBLIC

MESSAGE = 4_000_000
COMMANDS = 2000


def measure(server: int, *, sealed: bool, messages: int) -> tuple[float, float]:
    """Processor seconds for a GB of messages, and microseconds for a command."""
    pem = str(certificates().pem("good"))
    words = [f"imap://127.0.0.1:{server}", "--listen", "tls:127.0.0.1:0", "--cert", pem, "--key", pem]
    words += ["--recipient", PUBLIC] if sealed else []
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as directory,
        tap_process(*words, directory=Path(directory)) as tap,
        socket.create_connection(("127.0.0.1", tap.ports[0]), 60) as sock,
        certificates().client().wrap_socket(sock, server_hostname="localhost") as peer,
    ):
        for command in (b"", b"a LOGIN soak x\r\n"):
            peer.sendall(command)
            peer.recv(1000)
        begun = _cpu(tap.process.pid)
        for _ in range(messages):
            peer.sendall(b"b ECHO %d\r\n" % MESSAGE)
            got = 0
            while got < MESSAGE + len(b"* ECHO {4000000}\r\n\r\nb OK done\r\n"):
                got += len(peer.recv(1 << 18))
        bulk = _cpu(tap.process.pid)
        for _ in range(COMMANDS):
            peer.sendall(b"c NOOP\r\n")
            peer.recv(1000)
        time.sleep(0.3)
        return (bulk - begun) / (messages * MESSAGE / 1e9), (_cpu(tap.process.pid) - bulk) / COMMANDS * 1e6


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measures in turns; prints medians."""
    parser = argparse.ArgumentParser(description="Measure what sealing costs.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=40, help="of 4 MB each round (%(default)s)")
    options = parser.parse_args()
    pid, ports = start_servers()
    try:
        found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for _ in range(options.rounds):
            for sealed, figures in found.items():
                figures.append(measure(ports["imap"], sealed=sealed, messages=options.messages))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for place, what in enumerate(("CPU s/GB", "CPU us/command")):
        plain, sealed = (statistics.median(each[place] for each in found[kind]) for kind in (False, True))
        print(f"{what:16} plain {plain:8.2f}  sealed {sealed:8.2f}  {(sealed / plain - 1) * 100:+.0f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
