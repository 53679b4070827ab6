"""``rawlog tap``: one gateway from one line.

Knows: its options. Must not know: how a gateway works (taps/).
"""

from __future__ import annotations

import argparse
import logging
import sys

from rawlog.engine.confine import close_to_others, confine_or_say
from rawlog.engine.loop import Loop
from rawlog.errors import ConfigError
from rawlog.recorder.confinement import tapping
from rawlog.settings.backend import parse_backend, parse_listen
from rawlog.settings.variables import Template
from rawlog.taps import tls
from rawlog.taps.ending import end_on_signals
from rawlog.taps.single import absolute, single_gateway

DESCRIPTION = """\
Stands in front of a mail server and records every conversation with it. Clients connect to ADDRESS instead of the
server; TLS is ended here on both sides, so that the recordings are in the clear. Credentials are masked in the
recordings, never on the wire. SIGTERM lets the conversations end first; a second one, or Ctrl-C, ends them.
"""
EXAMPLES = """\
  rawlog tap imaps://imap.example.com --listen 127.0.0.1:1143
  rawlog tap imap://127.0.0.1:143 --listen tls:127.0.0.1:1993 --cert cert.pem --key key.pem
  rawlog tap pop3+starttls://mail.example.com --listen 127.0.0.1:1110 --dir 'recordings/%u'
"""
LISTEN = "where clients connect: HOST:PORT (STARTTLS is offered) or tls:HOST:PORT; may be repeated; port 0 is any"

RECIPIENT = "seal the recordings for this public key of age (age1...); may be repeated"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog tap``."""
    parser.add_argument(
        "backend", metavar="BACKEND", help="the server: imap://, imaps://, imap+starttls://HOST[:PORT] ..."
    )
    parser.add_argument("--listen", metavar="ADDRESS", action="append", required=True, help=LISTEN)
    parser.add_argument(
        "--dir", metavar="DIR", default="recordings", help="where recordings go; may hold variables (%%u)"
    )
    parser.add_argument("--cert", metavar="FILE", help="certificate for clients, PEM; else one is made for the day")
    parser.add_argument("--key", metavar="FILE", help="its private key, PEM; may stand in the same file")
    parser.add_argument("--ca", metavar="FILE", help="authorities that may have signed the server's certificate, PEM")
    parser.add_argument("--recipient", metavar="KEY", action="append", default=[], help=RECIPIENT)
    parser.add_argument("--secrets", choices=("redact", "keep"), default="redact", help="credentials in the recordings")


def run(options: argparse.Namespace) -> int:
    """Run the gateway until a signal ends it."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    say = logging.getLogger("rawlog").info
    if options.key and not options.cert:
        raise ConfigError("--key: --cert is missing; give the certificate that belongs to the key")
    backend, addresses = parse_backend(options.backend), [parse_listen(text) for text in options.listen]
    context = tls.client_context(options.cert, options.key) if options.cert else tls.context_of_the_day()
    loop, keep = Loop(), options.secrets == "keep"
    gateway = single_gateway(
        loop,
        backend,
        directory=options.dir,
        client_context=context,
        ca_file=options.ca,
        keep_secrets=keep,
        report=say,
        recipients=options.recipient,
    )
    if not options.cert:
        say("no --cert: made a self-signed certificate for today; clients will have to accept it")
    if keep:
        say("--secrets keep: the recordings will hold passwords")
    end_on_signals(loop, [gateway], say)
    for address in addresses:
        say(f"listening on {gateway.listen(address)} for {backend}")
    sockets = [address.unix_path for address in addresses if address.unix_path is not None]
    ports = [backend.port] if backend.port is not None else []
    close_to_others()
    confine_or_say(tapping(Template(absolute(options.dir)), ports, sockets), say)
    loop.run()
    return 0
