"""The soak: ``make soak MINUTES=5``, or ``python -m tests.soak.run --minutes 30 --clients 100 --kills 1000``.

Knows: the order of things, and what is told at the end. Must not know: how bytes move.

1. Conversations of IMAP, POP3 and submission come and go through one ``rawlog serve``: with TLS and without, clients
   that read late, half-close, are gone in the middle; and its disk gets full now and then. Every byte of every
   conversation is compared, and every recording. A client beside them asks 200 times a second, in turns through the
   gateway and straight, for what the gateway adds. Promises P2, P4, P6, P19.
2. Strangers open thousands of connections and TLS handshakes and say nothing, while others log in. P18.
3. A gateway is killed in the middle of a conversation, again and again: what the client had got must be in the
   recording, but for the last 0.2 s or 64 KiB. P5.

Exit code 1 when a conversation was broken, a byte lost that no gap tells of, or a descriptor.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import sys
import threading
import time
from collections.abc import Sequence

from tests.soak.judge import Judge
from tests.soak.talk import talk_of
from tests.soak.trials import flood, kills
from tests.soak.world import Disk, converse, family_of, size_of, start_servers
from tests.support.certificates import certificates
from tests.support.serving import Serving

CONFIGURATION = """\
protocols = imap pop3 submission
base_dir = @DIRECTORY@/run
listen = 127.0.0.1
ssl_cert = <@SERVER@/good.pem
ssl_key = <@SERVER@/good.pem
rawlog_user = @WORKER@
rawlog_workers = 1
rawlog_min_free_space = 0
rawlog_max_total_size = unlimited
disable_plaintext_auth = no
rawlog_unlimited_networks = 127.0.0.1
rawlog_dir = @DIRECTORY@/raw
service imap-login {
  inet_listener imap {
    port = @imap@
  }
  inet_listener imaps {
    port = @imaps@
  }
}
service pop3-login {
  inet_listener pop3 {
    port = @pop3@
  }
  inet_listener pop3s {
    port = @pop3s@
  }
}
service submission-login {
  inet_listener submission {
    port = @submission@
  }
  inet_listener submissions {
    port = @submissions@
    ssl = yes
  }
}
"""
WARM = 0.15
"""Of the time: then descriptors and memory count as those of the beginning."""


class _Servers:
    """The mail servers as ``Serving`` wants them."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.ports = ports
        self.directory = certificates().directory


class Soak:
    """The first part. ``problems`` are sentences; there must be none."""

    def __init__(self, gateway: Serving, servers: dict[str, int], clients: int, faults: float) -> None:
        self.problems: list[str] = []
        self.judge = Judge(gateway.directory / "raw", lambda *span: self._disk.was_full(*span))
        self.count = self.bytes = 0
        self.added: list[float] = []
        self._gateway = gateway
        self._disk: Disk
        self._servers = servers
        self._clients = clients
        self._faults = faults
        self._numbers = iter(range(1, 1 << 60))
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._context = certificates().client()

    def run(self, seconds: float) -> None:
        disk = self._disk = Disk(self._gateway.place("raw"))
        stop = disk.torment(every=self._faults, lasting=4)
        threads = [threading.Thread(target=self._client, daemon=True) for _ in range(self._clients)]
        threads.append(threading.Thread(target=self._probe, daemon=True))
        sizes = [self._sizes()]
        for thread in threads:
            thread.start()
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            time.sleep(1)
            self.judge.look()
            if passed > seconds * WARM:
                sizes.append(self._sizes())
        self._stopped.set()
        for thread in threads:
            thread.join(120)
        stop()
        time.sleep(3)
        self.judge.look()
        sizes.append(self._sizes())
        self._tell(sizes, disk, seconds)
        disk.close()

    def _sizes(self) -> tuple[int, int]:
        return size_of(family_of(self._gateway.process.pid))

    def _client(self) -> None:
        while not self._stopped.is_set():
            with self._lock:
                talk = talk_of(next(self._numbers))
            begun = time.monotonic()
            try:
                count = converse(talk, dict(self._gateway.ports), self._context)
            except Exception as error:
                self.problems.append(f"conversation {talk.number} ({talk.protocol}, {talk.kind}): {error!r}")
                continue
            with self._lock:
                self.count += 1
                self.bytes += count
                self.judge.add(talk, begun)

    def _probe(self) -> None:
        """What the gateway adds to the time of a small command, 200 a second."""
        peers = []
        for port in (self._servers["imap"], self._gateway.ports["imap"]):
            peer = socket.create_connection(("127.0.0.1", port), 30)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for command in (b"", b"a LOGIN probe x\r\n"):
                peer.sendall(command)
                peer.recv(1000)
            peers.append(peer)
        while not self._stopped.wait(0.005):
            took = []
            for peer in peers:
                begun = time.perf_counter()
                peer.sendall(b"p NOOP\r\n")
                peer.recv(1000)
                took.append(time.perf_counter() - begun)
            self.added.append((took[1] - took[0]) * 1000)

    def _tell(self, sizes: Sequence[tuple[int, int]], disk: Disk, seconds: float) -> None:
        verdict = self.judge.verdict
        idle, early, late = sizes[0], sizes[1], sizes[-1]
        tenth = max(1, len(sizes) // 10)
        course = [statistics.median(k for _, k in sizes[at : at + tenth]) / 1024 for at in range(1, len(sizes), tenth)]
        print(f"conversations          {self.count}, {self.count / seconds:.0f} a second, {self.bytes / 1e6:.0f} MB")
        print(f"broken                 {len(self.problems)}")
        print(f"recordings compared    {verdict.complete + verdict.gaps}, {verdict.cut} of clients gone in the middle")
        print(f"wrong recordings       {len(verdict.wrong)}")
        print(f"times the disk was full {len(disk.times)}{'' if disk.mounted else ' (no root, no mount)'}")
        print(f"recordings with gaps   {verdict.gaps}, which tell of {verdict.lost} bytes")
        told = self._gateway.log().count(" are not in the recording")
        print(f"without their end      {verdict.short}; {told} sentences in the log say so")
        print(f"descriptors            {idle[0]} idle, {late[0]} idle again")
        print(
            "resident MiB           "
            f"{idle[1] / 1024:.1f} idle, {early[1] / 1024:.1f} early, {late[1] / 1024:.1f} at last"
        )
        print(f"resident, in tenths    {' '.join(f'{mib:.1f}' for mib in course[:10])}")
        cuts = statistics.quantiles(self.added or [0, 0], n=100)
        print(f"added latency          p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms of {len(self.added)} commands")
        self.problems += verdict.wrong
        if verdict.short > told:
            self.problems.append(f"{verdict.short - told} recordings lack their end, and nobody says so")
        if late[0] > idle[0] + 2:
            self.problems.append(f"{late[0] - idle[0]} descriptors are left")


def main() -> int:
    """Runs all parts; prints the figures."""
    parser = argparse.ArgumentParser(description="Let conversations come and go through a gateway.")
    parser.add_argument("--minutes", type=float, default=3, help="of the first part (%(default)s)")
    parser.add_argument("--faults", type=float, default=15, help="seconds between full disks; 0: none (%(default)s)")
    parser.add_argument("--clients", type=int, default=40, help="at the same time (%(default)s)")
    parser.add_argument("--strangers", type=int, default=5000, help="of the second part (%(default)s)")
    parser.add_argument("--kills", type=int, default=50, help="of the third part (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    pid, ports = start_servers()
    only = {"imap": "imap://127.0.0.1:{imap}", "pop3": "pop3://127.0.0.1:{pop3}", "lmtp": None, "sieve": None}
    only["submission"] = "submission://127.0.0.1:{submission}"
    certificates().directory.chmod(0o755)
    problems: list[str] = []
    try:
        with Serving(_Servers(ports), backends=only, base=CONFIGURATION) as gateway:
            soak = Soak(gateway, ports, options.clients, options.faults)
            soak.run(options.minutes * 60)
            problems += soak.problems
            if options.strangers:
                problems += flood(gateway, certificates().client(), options.strangers)
        problems += kills(ports["imap"], options.kills, options.seed) if options.kills else []
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for problem in problems[:20]:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
