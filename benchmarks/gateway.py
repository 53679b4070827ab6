"""How fast is a recording gateway? ``python benchmarks/gateway.py [--quick]``

Measures ``rawlog tap`` (TLS to the client, plain text to the server, credentials masked, recorded with time stamps)
against nginx as a TLS terminator that records nothing, and against no gateway at all, in turns in the same run: bulk
(one client fetches large messages), a conversation of one client, and one of 200. In bulk, nginx is measured twice:
with the buffers it has by default, and with larger ones. Before the first round the recording is compared byte by byte
with what the client received.

Knows: how the two gateways are started, and what is asked of them. Must not know: how they work. Read ratios, not
figures: the load generator, the server and the gateway share the machine.
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from support import Process, Skipped, compile_c, machine, median, memory_directory, spread, table, turns

HERE = Path(__file__).parent
MESSAGE = 4 << 20  # bytes of a message: large attachments are what bulk is made of
SETTLE = 0.3  # seconds after a run in which a recorder writes what it has left
STAMP = re.compile(rb"(?m)^\d+\.\d{6} ")
SECRET = b"a secret for the load"
NGINX_CONF = """\
daemon off; master_process off; worker_processes 1; pid {place}/nginx.pid; error_log {place}/nginx.log warn;
{module}
events {{ worker_connections 2048; }}
stream {{
  ssl_certificate {place}/cert.pem; ssl_certificate_key {place}/key.pem; ssl_protocols TLSv1.3;
  ssl_session_tickets off; ssl_session_cache off;
  server {{ listen 127.0.0.1:{port} ssl backlog=1024; proxy_pass 127.0.0.1:{backend}; proxy_buffer_size {buffer}; }}
}}
"""


@dataclass(frozen=True)
class Size:
    """How much is measured: rounds, messages of a fetch, seconds of a conversation."""

    rounds: int
    messages: int
    seconds: float
    clients: int = 200


FULL = Size(rounds=5, messages=128, seconds=2.0)
QUICK = Size(rounds=3, messages=40, seconds=0.5)
DIRECT, NGINX, NGINX_LARGE, RAWLOG = "no gateway", "nginx", "nginx, 256k buffers", "rawlog tap"


@dataclass(frozen=True)
class Way:
    """A way to the server: a port, whether it is TLS, and the process in between."""

    port: int
    tls: bool
    process: Process | None = None


@dataclass
class Bench:
    """What stands for the whole run: the load generator's command, the ways to the server, a place for files."""

    load: list[str]
    place: Path
    ways: dict[str, Way]

    @property
    def records(self) -> Path:
        """Where ``rawlog tap`` records."""
        return self.place / "records"

    def run(self, way: Way, *task: str | int | float) -> tuple[list[float], float]:
        """One run of the load generator; its figures, and the CPU seconds of the process in between."""
        kind, *rest = map(str, task)
        with Process(*self.load, kind, str(way.port), "tls" if way.tls else "plain", *rest) as client:
            client.expect("ready")
            before = way.process.cpu if way.process else 0.0
            client.tell("go")
            figures = [float(word) for word in client.expect(r"^[\d. ]+$", patience=60.0)[0].split()]
            time.sleep(SETTLE)
            return figures, (way.process.cpu - before) if way.process else 0.0

    def recording(self, ending: str) -> bytes:
        """The only recording of the run before, stamps included."""
        time.sleep(SETTLE)
        (path,) = self.records.rglob(f"*.{ending}")
        return path.read_bytes()

    def forget(self) -> None:
        """Remove the recordings of the run before."""
        for path in self.records.rglob("*.*"):
            path.unlink()


# -- what is measured ---------------------------------------------------------------------------------------------


def check(bench: Bench, messages: int) -> str:
    """Fetch a few messages through ``rawlog tap``, and compare the recording with what went over the wire."""
    saved = bench.place / "saved"
    bench.run(bench.ways[RAWLOG], "fetch", messages, saved)
    received, out, sent = saved.read_bytes(), bench.recording("out"), bench.recording("in")
    if STAMP.sub(b"", out) != received:
        raise RuntimeError("the recording is not what the client received")
    if len(STAMP.findall(out)) != received.count(b"\n"):
        raise RuntimeError("the recording does not have one stamp for each line")
    command = b"c FETCH 1:%d (BODY[])\r\n" % messages
    if SECRET in sent or not STAMP.sub(b"", sent).endswith(command) or b" LOGIN load " not in sent:
        raise RuntimeError("the recording of the client's side is not what it should be")
    bench.forget()
    saved.unlink()
    return f"the recording has exactly the {len(received)} bytes that the client received, and not its password"


def bulk(bench: Bench, size: Size) -> dict[str, dict[str, list[float]]]:
    """One client fetches ``size.messages``."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number, name in turns(list(bench.ways), size.rounds):
        (amount, seconds), cpu = bench.run(bench.ways[name], "fetch", size.messages)
        if number == 0 and name == RAWLOG:
            check_size(bench, int(amount))
        bench.forget()
        found[name]["wall MB/s"].append(amount / 1e6 / seconds)
        if cpu:
            found[name]["MB/s per core"].append(amount / 1e6 / cpu)
            found[name]["CPU s/GB"].append(cpu / (amount / 1e9))
    return found


def check_size(bench: Bench, received: int) -> None:
    """The size of a large recording, without its stamps, is that of what was received since the login."""
    out = bench.recording("out")
    stamp = len(out.partition(b" ")[0]) + 1
    login = sum(map(len, STAMP.sub(b"", out[:4096]).splitlines(keepends=True)[:2]))
    missing = received + login - (len(out) - stamp * out.count(b"\n"))
    if missing:
        raise RuntimeError(f"{missing} bytes are missing in the recording")


def talk(bench: Bench, size: Size, clients: int) -> dict[str, dict[str, list[float]]]:
    """Conversations of small commands."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _, name in turns([DIRECT, NGINX, RAWLOG], size.rounds):
        (count, seconds, p50, p99), cpu = bench.run(bench.ways[name], "talk", clients, size.seconds)
        bench.forget()
        found[name]["commands/s"].append(count / seconds)
        found[name]["p50 us"].append(p50)
        found[name]["p99 us"].append(p99)
        if cpu:
            found[name]["CPU us/command"].append(cpu / count * 1e6)
    return found


def report(title: str, found: dict[str, dict[str, list[float]]], columns: list[str]) -> None:
    """A table of medians (smallest-largest), and of their ratios."""
    rows = [["", *columns]]
    for name, figures in found.items():
        cells = [figures.get(column) for column in columns]
        forms = ["{:.2f}" if cell and median(cell) < 20 else "{:.0f}" for cell in cells]
        rows.append([name, *(spread(cell, form) if cell else "-" for cell, form in zip(cells, forms, strict=True))])
    for other in (NGINX, NGINX_LARGE):
        if other in found:
            ratios = [median(found[RAWLOG][column]) / median(found[other][column]) for column in columns]
            rows.append([f"{RAWLOG} / {other}", *(f"{ratio:.2f}" for ratio in ratios)])
    print(f"\n{title}\n\n{table(rows)}", flush=True)


# -- what stands for the whole run --------------------------------------------------------------------------------


def load_generator(place: Path) -> tuple[list[str], str]:
    """The command of the load generator, and what it is."""
    binary = place / "load"
    missing = compile_c(HERE / "load.c", binary, "-lssl", "-lcrypto")
    if not missing:
        return [str(binary)], "C"
    print(f"load.c can't be compiled ({missing}): using load.py, which may limit the throughput")
    return [sys.executable, str(HERE / "load.py")], "Python"


def write_message(path: Path) -> None:
    """A message of lines like those of a base64 attachment, no two alike."""
    count = MESSAGE // 78
    path.write_bytes(b"".join(b"%s%020d\r\n" % (b"QUJD" * 14, number) for number in range(count)))


def write_certificate(place: Path) -> None:
    """An ECDSA certificate on P-256 for 127.0.0.1, and its key."""
    try:
        import trustme
    except ImportError:
        raise Skipped("trustme is not installed; run make check once, or: pip install trustme") from None
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(str(place / "cert.pem"))
    issued.private_key_pem.write_to_path(str(place / "key.pem"))


def start_rawlog(place: Path, backend: int) -> Way:
    """``rawlog tap``, as a user starts it."""
    process = Process(
        *(sys.executable, "-m", "rawlog", "tap", f"imap://127.0.0.1:{backend}", "--listen", "tls:127.0.0.1:0"),
        *("--cert", place / "cert.pem", "--key", place / "key.pem", "--dir", place / "records"),
        stderr=True,
    )
    port = int(process.expect(r"listening on tls:127\.0\.0\.1:(\d+)")[1])
    process.listen_in()
    return Way(port, True, process)


def nginx_command() -> tuple[str, str]:
    """The path of nginx, and the line of its configuration that loads its stream module."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise Skipped("nginx is not installed; on Debian: apt-get install nginx-light libnginx-mod-stream")
    built = subprocess.run([nginx, "-V"], capture_output=True, text=True, timeout=10).stderr
    modules = re.search(r"--modules-path=(\S+)", built)
    dynamic = Path(modules[1] if modules else "/usr/lib/nginx/modules") / "ngx_stream_module.so"
    if dynamic.exists():
        return nginx, f"load_module {dynamic};"
    if "--with-stream " in f"{built} ":
        return nginx, ""
    raise Skipped("nginx has no stream module; on Debian: apt-get install libnginx-mod-stream")


def start_nginx(place: Path, backend: int, buffer: str) -> Way:
    """nginx as a TLS terminator: one process, and the same certificate."""
    nginx, module = nginx_command()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    conf = place / "nginx.conf"
    conf.write_text(NGINX_CONF.format(place=place, module=module, port=port, backend=backend, buffer=buffer))
    process = Process(nginx, "-p", place, "-e", place / "nginx.log", "-c", conf)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return Way(port, True, process)
        time.sleep(0.05)
    process.end()
    raise Skipped(f"nginx does not start: {(place / 'nginx.log').read_text().strip() or 'it gives no reason'}")


@contextmanager
def prepared() -> Iterator[tuple[Bench, str]]:
    """Everything that stands for the whole run."""
    nginx_command()
    with memory_directory(4 << 30) as directory, ExitStack() as stack:
        place = Path(directory)
        load, kind = load_generator(place)
        write_certificate(place)
        write_message(place / "message")
        server = stack.enter_context(Process(*load, "serve", place / "message"))
        backend = int(server.expect(r"^(\d+)$")[1])
        ways = {DIRECT: Way(backend, False)}
        starters: dict[str, Callable[[], Way]] = {
            NGINX: lambda: start_nginx(place, backend, "16k"),
            NGINX_LARGE: lambda: start_nginx(place, backend, "256k"),
            RAWLOG: lambda: start_rawlog(place, backend),
        }
        for name, start in starters.items():
            ways[name] = way = start()
            if way.process is not None:
                stack.enter_context(way.process)
        yield Bench(load, place, ways), kind


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--quick", action="store_true", help="less of everything: half a minute")
    parser.add_argument("--only", choices=("bulk", "one", "many"), help="one of the three measurements")
    options = parser.parse_args()
    size = QUICK if options.quick else FULL
    wanted = [options.only] if options.only else ["bulk", "one", "many"]
    columns = ["commands/s", "CPU us/command", "p50 us", "p99 us"]
    try:
        with prepared() as (bench, kind):
            print(f"{machine()}, {ssl.OPENSSL_VERSION}; {size.rounds} rounds; load generator in {kind}")
            print(f"check: {check(bench, 16)}", flush=True)
            if "bulk" in wanted:
                report("Bulk", bulk(bench, size), ["MB/s per core", "CPU s/GB", "wall MB/s"])
            if "one" in wanted:
                report("One client", talk(bench, size, 1), columns)
            if "many" in wanted:
                report(f"{size.clients} clients", talk(bench, size, size.clients), columns)
    except Skipped as reason:
        print(f"skipped: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
