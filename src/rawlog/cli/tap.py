"""``rawlog tap``: one gateway from one line.

Knows: its options. Must not know: how a gateway works (taps/).
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path

from rawlog.engine.connect import Endpoint, resolve, unix
from rawlog.engine.loop import Loop
from rawlog.errors import ConfigError
from rawlog.formats.dovecot import PairEncoder
from rawlog.protocols.registry import framer_for
from rawlog.recorder.flusher import Flusher
from rawlog.settings.backend import Backend, parse_backend, parse_listen
from rawlog.settings.variables import Template
from rawlog.taps import tls
from rawlog.taps.conversation import Service
from rawlog.taps.gateway import Gateway
from rawlog.taps.target import Target

DESCRIPTION = """\
Stands in front of a mail server and records every conversation with it. Clients connect to ADDRESS instead of the
server; TLS is ended here on both sides, so that the recordings are in the clear. Credentials are masked in the
recordings, never on the wire. It runs until it is interrupted; SIGTERM lets conversations end first.
"""

EXAMPLES = """\
  rawlog tap imaps://imap.example.com --listen 127.0.0.1:1143
  rawlog tap imap://127.0.0.1:143 --listen tls:127.0.0.1:1993 --cert cert.pem --key key.pem
  rawlog tap imap+starttls://mail.example.com --listen 127.0.0.1:1143 --dir 'recordings/%u'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog tap``."""
    parser.add_argument(
        "backend", metavar="BACKEND", help="the server: imap://, imaps:// or imap+starttls://HOST[:PORT]"
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        action="append",
        required=True,
        help="where clients connect: HOST:PORT (STARTTLS offered) or tls:HOST:PORT; may be repeated; port 0: any",
    )
    parser.add_argument(
        "--dir", metavar="DIR", default="recordings", help="where recordings go; may hold variables (%%u)"
    )
    parser.add_argument("--cert", metavar="FILE", help="certificate for clients, PEM; else one is made for the day")
    parser.add_argument("--key", metavar="FILE", help="its private key, PEM; may stand in the same file")
    parser.add_argument("--ca", metavar="FILE", help="authorities that may have signed the server's certificate, PEM")
    parser.add_argument("--secrets", choices=("redact", "keep"), default="redact", help="credentials in the recordings")


def run(options: argparse.Namespace) -> int:
    """Run the gateway until a signal ends it."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    log = logging.getLogger("rawlog")
    if options.key and not options.cert:
        raise ConfigError("--key: --cert is missing; give the certificate that belongs to the key")
    backend = parse_backend(options.backend)
    addresses = [parse_listen(text) for text in options.listen]
    loop = Loop()
    gateway = Gateway(loop, _service(options, backend, loop, log))
    for address in addresses:
        log.info("listening on %s for %s", gateway.listen(address), backend)
    _end_on_signals(loop, gateway, log)
    loop.run()
    return 0


def _service(options: argparse.Namespace, backend: Backend, loop: Loop, log: logging.Logger) -> Service:
    flusher = Flusher(loop.call_later)
    directory = Template(_absolute(options.dir))
    target = Target(directory, lambda: PairEncoder(stamps=True), create=True, flusher=flusher, report=log.warning)
    if options.secrets == "keep":
        log.warning("--secrets keep: the recordings will hold passwords")
    return Service(
        protocol=backend.protocol,
        backend=backend,
        endpoints=_endpoints(backend),
        backend_context=None if backend.tls == "none" else tls.backend_context(options.ca),
        client_context=_client_context(options, log),
        plaintext_login=False,
        keep_secrets=options.secrets == "keep",
        framer=lambda **words: framer_for(backend.protocol, **words),
        target=target,
        report=log.info,
    )


def _client_context(options: argparse.Namespace, log: logging.Logger):  # type: ignore[no-untyped-def]
    if options.cert:
        return tls.client_context(options.cert, options.key)
    log.info("no --cert: made a self-signed certificate for today; clients will have to accept it")
    return tls.context_of_the_day()


def _endpoints(backend: Backend) -> tuple[Endpoint, ...]:
    if backend.unix_path is not None:
        return unix(backend.unix_path)
    assert backend.host is not None and backend.port is not None
    return resolve(backend.host, backend.port)


def _absolute(directory: str) -> str:
    if directory.startswith(("/", "%h")):
        return directory
    return f"{str(Path.cwd()).replace('%', '%%')}/{directory}"


def _end_on_signals(loop: Loop, gateway: Gateway, log: logging.Logger) -> None:
    def drain() -> None:
        log.info("ending: no more connections; waiting for those that are there (again: end now)")
        loop.add_signal(signal.SIGTERM, end)
        loop.add_signal(signal.SIGINT, end)
        gateway.drain(loop.stop)

    def end() -> None:
        gateway.stop_listening()
        gateway.abort("the gateway was ended")
        gateway.drain(loop.stop)

    loop.add_signal(signal.SIGTERM, drain)
    loop.add_signal(signal.SIGINT, end)
