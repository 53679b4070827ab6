"""``rawlog demo``: the main job on an embedded mail server.

Knows: the order of the show: server, gateways in front of it, clients, recordings. Must not know: how they work.
"""

from __future__ import annotations

import argparse
import os
import ssl
import sys
import tempfile
import threading
from pathlib import Path

from rawlog.demo import DemoServer
from rawlog.demo.clients import CLIENTS, Account
from rawlog.engine.loop import READ, Loop
from rawlog.reading.opener import open_paths
from rawlog.settings.backend import Listen, parse_backend
from rawlog.taps.ending import drain
from rawlog.taps.gateway import Gateway
from rawlog.taps.single import single_gateway
from rawlog.taps.tls import client_context
from rawlog.views.text import render

DESCRIPTION = """\
Starts an embedded mail server and a gateway in front of it, lets real clients hold conversations over TLS in five
protocols, and shows what was recorded. It needs the extra [demo], but no root and no network.
"""
EXAMPLES = "  rawlog demo\n  rawlog demo --dir recordings\n"
LISTENERS = {  # client's port: scheme and port of the server behind it
    "imap": "imap+starttls",
    "imaps": "imaps",
    "pop3": "pop3+starttls",
    "submission": "submission+starttls",
    "lmtp": "lmtp+starttls",
    "sieve": "sieve+starttls",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog demo``."""
    parser.add_argument("--dir", metavar="DIR", help="keep the recordings here; else they are shown and deleted")


def run(options: argparse.Namespace) -> int:
    """Run the demonstration."""
    with tempfile.TemporaryDirectory(prefix="rawlog-demo-") as scratch:
        directory = Path(options.dir or scratch).absolute()
        with DemoServer() as server:
            problems = _record(server, directory)
        _show(directory)
        for problem in problems:
            print(f"rawlog: demo: {problem}", file=sys.stderr)
        return 1 if problems else 0


def _record(server: DemoServer, directory: Path) -> list[str]:
    """Let the clients talk through gateways; gives what went wrong."""
    loop, gateways, ports, problems = Loop(), [], {}, list[str]()
    for port, scheme in LISTENERS.items():
        gateway = _gateway(server, loop, scheme, server.ports[port], directory)
        ports[port] = gateway.listen(Listen("127.0.0.1", 0, tls=port.endswith("s"))).port or 0
        gateways.append(gateway)
    account = Account(
        "localhost", ports, server.user, server.password, ssl.create_default_context(cafile=server.ca_file)
    )
    done, finished = os.pipe()
    thread = threading.Thread(target=_converse, args=(account, problems, finished), daemon=True)
    loop.register(done, lambda events: _stop(loop, done, gateways), READ)
    thread.start()
    loop.run()
    thread.join()
    os.close(done)
    return problems


def _stop(loop: Loop, done: int, gateways: list[Gateway]) -> None:
    loop.unregister(done)
    drain(loop, gateways)


def _gateway(server: DemoServer, loop: Loop, scheme: str, port: int, directory: Path) -> Gateway:
    return single_gateway(
        loop,
        parse_backend(f"{scheme}://localhost:{port}"),
        directory=f"{str(directory).replace('%', '%%')}/%s",
        client_context=client_context(str(server.cert_file), str(server.key_file)),
        ca_file=str(server.ca_file),
        keep_secrets=False,
        report=lambda sentence: print(sentence, file=sys.stderr),
    )


def _converse(account: Account, problems: list[str], finished: int) -> None:
    try:
        for clients in CLIENTS.values():
            for client in clients:
                client(account)
    except Exception as error:
        problems.append(f"{client.__name__}: {error}")
    finally:
        os.close(finished)


def _show(directory: Path) -> None:
    for recording in open_paths([directory]):
        print(f"\n{recording.name}")
        for line in render(recording, bodies=False, colour=sys.stdout.isatty(), time="wall"):
            print(f"  {line}")
