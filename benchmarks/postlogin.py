"""What recording behind the login of a real Dovecot costs: Dovecot's own rawlog, our service, our command.

    python benchmarks/postlogin.py login [--rounds 7] [--logins 40]    added time and machine CPU of a LOGIN
    python benchmarks/postlogin.py idle [--counts 1,100,1000]          memory of idle recorded conversations
    python benchmarks/postlogin.py bulk [--rounds 5] [--megabytes 64]  one large FETCH, with -t
    python benchmarks/postlogin.py soak [--logins 2000]                logins while the service is killed

Every variant has a Dovecot of its own, all at the same time; rounds go through the variants forward, then backward, so
that what else the machine does falls on all of them alike. Medians. It takes root, as Dovecot's own rawlog does with
several users. Each command prints one table in Markdown.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.dovecot import DovecotServer
from tests.support.postlogin import LineClient, configuration, imap_login, install, recording_on

USER = "alice@example.com"
STUB = "@DIRECTORY@/opt/lib/python3/site-packages/rawlog/libexec/rawlog"
SERVICE = "@DIRECTORY@/opt/bin/rawlog-service"
KILLED = "service: rawlog-service -t"
HANDED_OVER = "command that hands over to a service"
LIMITS = """\
default_process_limit = 4000
default_client_limit = 10000
mail_max_userip_connections = 0
service imap-login {
  service_count = 0
  process_min_avail = 1
}
service imap {
  process_limit = 4000
}
"""
APART = 0.2
"""Seconds between two kills."""
VARIANTS = {
    "none": "",
    "Dovecot: script-login -d rawlog -t": configuration("script-login -d rawlog -t"),
    KILLED: configuration(f"{SERVICE} -t"),
    "service: rawlog-service -t --relay unbreakable": configuration(f"{SERVICE} -t --relay unbreakable"),
    "command: script-login -d …/libexec/rawlog -t": configuration(f"script-login -d {STUB} -t"),
    HANDED_OVER: configuration(f"script-login -d {STUB} -t")
    + f"service rawlog {{\n  executable = {SERVICE}\n  unix_listener rawlog {{\n    mode = 0666\n  }}\n}}\n",
    "command, user not recorded": configuration(f"script-login -d {STUB} -t"),
    "service, user not recorded": configuration(f"{SERVICE} -t"),
}


@contextmanager
def servers(names: Sequence[str]) -> Iterator[dict[str, DovecotServer]]:
    """A Dovecot for each variant, with a user who is recorded unless the name says otherwise."""
    with ExitStack() as stack:
        started = {}
        for name in names:
            server = DovecotServer(VARIANTS[name] + LIMITS + "protocol imap {\n  rawlog_dir =\n}\n")
            install(server.directory)
            stack.enter_context(server)
            if "not recorded" not in name:
                recording_on(server, USER)
            if name == HANDED_OVER:
                say_where(server)
            imap_login(server, USER).close()
            started[name] = server
        yield started


def say_where(server: DovecotServer) -> None:
    """A field of the userdb becomes a variable in the environment of post-login programs: RAWLOG_SOCKET."""
    users = server.directory / "users"
    lines = [line + f"userdb_rawlog_socket={server.base_dir}/rawlog" for line in users.read_text().splitlines()]
    users.write_text("".join(line + "\n" for line in lines if not line.startswith("nohome")))


def back_and_forth(names: Sequence[str], rounds: int) -> Iterator[str]:
    """The order of measurement: ABC CBA ABC …"""
    for number in range(rounds):
        yield from names if number % 2 == 0 else reversed(names)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    load = os.getloadavg()
    print(f"\nload average at the end: {load[0]:.1f} on {os.cpu_count()} processors\n")


# -- login ------------------------------------------------------------------------------------------------------------


class Account:
    """CPU time of one Dovecot with all its processes, those too that are gone: by a cgroup, or else of the machine."""

    def __init__(self, server: DovecotServer, number: int) -> None:
        self.place = Path(f"/sys/fs/cgroup/cpuacct/rawlog-benchmark-{os.getpid()}-{number}")
        self.exact = self.place.parent.exists()
        if self.exact:
            self.place.mkdir()
            family = [server.pid]
            for pid in family:
                with suppress(FileNotFoundError, ProcessLookupError):  # the end of a login that is over
                    family += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
                    (self.place / "cgroup.procs").write_text(str(pid))

    def seconds(self) -> float:
        if self.exact:
            return int((self.place / "cpuacct.usage").read_text()) / 1e9
        words = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        return (sum(words) - words[3] - words[4]) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        while self.exact and (self.place / "cgroup.procs").read_text():
            time.sleep(0.1)
        if self.exact:
            self.place.rmdir()


def one_login(server: DovecotServer) -> float:
    """Seconds from LOGIN to its answer."""
    with LineClient(server.imap_port) as client:
        begin = time.perf_counter()
        client.say(f"a1 LOGIN {USER} {server.users[USER]}\r\n".encode())
        taken = time.perf_counter() - begin
        client.say(b"a2 LOGOUT\r\n")
    return taken


def login(options: argparse.Namespace) -> None:
    names = list(VARIANTS)
    times: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    with servers(names) as started:
        accounts = {name: Account(started[name], number) for number, name in enumerate(names)}
        for name in back_and_forth(names, options.rounds):
            before = accounts[name].seconds()
            times[name] += [one_login(started[name]) for _ in range(options.logins)]
            time.sleep(0.3)  # let what a login leaves behind be done
            cpu[name].append((accounts[name].seconds() - before) / options.logins)
    for account in accounts.values():
        account.close()
    base, base_cpu = statistics.median(times["none"]), statistics.median(cpu["none"])
    rows = []
    for name in names:
        p50, p90 = statistics.median(times[name]), statistics.quantiles(times[name], n=10)[8]
        spent = statistics.median(cpu[name])
        figures = p50, p50 - base, p90, spent, spent - base_cpu
        rows.append([name, *(f"{1000 * figure:.2f}" for figure in figures)])
    table(["variant", "p50 ms", "added", "p90 ms", "CPU ms per login", "added"], rows)


# -- idle -------------------------------------------------------------------------------------------------------------


def relay_pids(server: DovecotServer) -> list[int]:
    """The processes that record: Dovecot's rawlog, our service with its keepers, or our command."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
                environment = (entry / "cwd").readlink()
            except OSError:
                continue
            mine = str(server.directory).encode() in line or str(environment) == str(server.base_dir)
            if (b"rawlog-service" in line or b"dropin" in line or b"/dovecot/rawlog" in line) and mine:
                found.append(int(entry.name))
    return found


def pss(pids: Sequence[int]) -> int:
    """KiB of memory, shared pages counted by their share."""
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])  # type: ignore[index]
    return total


def idle(options: argparse.Namespace) -> None:
    names = [name for name in VARIANTS if name != "none" and "not recorded" not in name]
    rows = []
    for name in names:
        with servers([name]) as started, ExitStack() as stack:
            server, row, clients = started[name], [name], 0
            for count in map(int, options.counts.split(",")):
                if "command" in name and count > 100:
                    row.append("-")
                    continue
                while clients < count:
                    stack.enter_context(imap_login(server, USER))
                    clients += 1
                time.sleep(1.5)
                total = pss(relay_pids(server))
                row.append(f"{total} ({total / count:.1f} each)")
            rows.append(row)
    table(["PSS in KiB", *options.counts.split(",")], rows)


# -- bulk -------------------------------------------------------------------------------------------------------------


def cpu_seconds(pids: Sequence[int]) -> float:
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def fill(server: DovecotServer, megabytes: int) -> None:
    """One large message of base64 lines."""
    message = b"Subject: bulk\r\n\r\n" + (b"QUJD" * 19 + b"\r\n") * (megabytes * 1_000_000 // 78)
    with imap_login(server, USER) as client:
        client.socket.settimeout(60)
        client.say(b"b1 APPEND INBOX {%d+}\r\n%s\r\n" % (len(message), message))


def one_fetch(server: DovecotServer) -> tuple[float, float, float]:
    """GB/s, CPU seconds of the recording processes per GB, and bytes that were missing in the record."""
    place = server.home(USER) / "dovecot.rawlog"
    for path in place.glob("*"):
        path.unlink()
    with imap_login(server, USER) as client:
        client.say(b"c1 SELECT INBOX\r\n")
        pids = relay_pids(server)
        before, begin, size = cpu_seconds(pids), time.perf_counter(), 0
        client.socket.sendall(b"c2 FETCH 1 BODY.PEEK[]\r\n")
        buffer, tail = bytearray(1 << 20), b""
        while b"\r\nc2 OK" not in tail:
            got = client.socket.recv_into(buffer)
            size += got
            tail = (tail + bytes(buffer[max(0, got - 200) : got]))[-200:]
        seconds = time.perf_counter() - begin
        time.sleep(0.3)
        spent = cpu_seconds(pids) - before
        client.say(b"c3 LOGOUT\r\n")
    return size / seconds / 1e9, spent / size * 1e9, size


def bulk(options: argparse.Namespace) -> None:
    names = [name for name in VARIANTS if "not recorded" not in name]
    seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    with servers(names) as started:
        for server in started.values():
            fill(server, options.megabytes)
        for name in back_and_forth(names, options.rounds):
            seen[name].append(one_fetch(started[name]))
    rows = []
    for name in names:
        speed, spent = (statistics.median(column) for column in list(zip(*seen[name], strict=True))[:2])
        rows.append([name, f"{speed:.3f}", f"{spent:.2f}" if name != "none" else "-"])
    table(["variant", "GB/s", "CPU s/GB of the recorder"], rows)


# -- soak -------------------------------------------------------------------------------------------------------------


def soak(options: argparse.Namespace) -> None:
    """Logins one after the other; before every fifth one the service is killed. Each login must succeed.

    Kills are APART: a service that fails more than ten times within a second is started by Dovecot some seconds later.
    """
    failed, kills, times, killed_at = 0, 0, [], 0.0
    with servers([KILLED]) as started:
        server = started[KILLED]
        for number in range(options.logins):
            if number % 5 == 4:
                time.sleep(max(0.0, killed_at + APART - time.monotonic()))
                kills += kill(server)
                killed_at = time.monotonic()
            try:
                times.append(one_login(server))
            except (OSError, AssertionError) as error:
                failed += 1
                print(f"login {number}: {error}")
    cuts = [f"{cut * 1000:.1f}" for cut in (statistics.median(times), max(times))]
    table(
        ["logins", "kills of the service", "logins refused", "p50 ms", "slowest ms"],
        [[str(options.logins), str(kills), str(failed), *cuts]],
    )


def kill(server: DovecotServer) -> int:
    """Kills the service processes that Dovecot's master has started; how many there were."""
    asked = subprocess.run(["pgrep", "-P", str(server.pid), "-f", "rawlog-service"], capture_output=True, text=True)
    for pid in asked.stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    return len(asked.stdout.split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("login", "idle", "bulk", "soak"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--logins", type=int, default=0)
    parser.add_argument("--counts", default="1,100,1000")
    parser.add_argument("--megabytes", type=int, default=64)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers end with us
    options.logins = options.logins or (2000 if options.what == "soak" else 40)
    {"login": login, "idle": idle, "bulk": bulk, "soak": soak}[options.what](options)


if __name__ == "__main__":
    main()
