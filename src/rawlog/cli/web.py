"""``rawlog web``: recordings in the browser.

Knows: its options. Must not know: the page, HTTP.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import signal
from pathlib import Path

from rawlog.cli import shared
from rawlog.errors import ConfigError, RawlogError
from rawlog.reading.shelf import default_shelf
from rawlog.settings.backend import parse_listen

DESCRIPTION = """\
Shows recordings in the browser: a list that follows what is recorded, each conversation as a dialogue with the latency
of each command, literals and messages to be opened, filters in the language of `rawlog search`, and copies to download
without secrets or with pseudonyms. Needs pip install 'rawlog[web]'.

It prints the address to open, with a token that nobody else knows, and runs until Ctrl-C. It listens on this machine
only; from elsewhere: ssh -L 8080:127.0.0.1:8080 HOST, or a certificate. Nothing leaves it: the page loads nothing from
the network, and mail is shown as text, never as HTML.
"""
EXAMPLES = """\
  rawlog web
  rawlog web /var/log/rawlog --listen 127.0.0.1:8080
  rawlog web recordings --listen logs.example.com:8443 --cert cert.pem --key key.pem
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog web``."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", default=["."], help="a recording, or a directory of recordings (.)"
    )
    shared.add_identity(parser)
    parser.add_argument(
        "--listen", metavar="HOST:PORT", default="127.0.0.1:0", help="where to listen; port 0 is any (%(default)s)"
    )
    parser.add_argument("--cert", metavar="FILE", help="certificate, PEM: the page is served by TLS")
    parser.add_argument("--key", metavar="FILE", help="its private key, PEM; may stand in the same file")
    parser.add_argument("--no-cache", action="store_true", help="neither use nor write notes in the cache directory")


def run(options: argparse.Namespace) -> int:
    """Serve the page until it is ended."""
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise RawlogError("the viewer is not installed; install it with: pip install 'rawlog[web]'")
    if options.key and not options.cert:
        raise ConfigError("--key: --cert is missing; give the certificate that belongs to the key")
    listen = parse_listen(options.listen)
    if listen.host is None or listen.tls:
        raise ConfigError(f"--listen {options.listen}: give HOST:PORT; for TLS add --cert and --key")
    from rawlog.web.catalog import Catalog
    from rawlog.web.server import Address, Viewer, bound

    shelf = None if options.no_cache else default_shelf()
    catalog = Catalog(options.paths, shelf)
    address = Address(listen.host, listen.port or 0, options.cert, options.key)
    with contextlib.suppress(KeyboardInterrupt), bound(address) as listening:
        viewer = Viewer(catalog, listening, address)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        print(f"{viewer.url}\nOpen this address in a browser; Ctrl-C ends.", flush=True)
        _keep_to_it(shelf)
        viewer.run()
    return 0


def _keep_to_it(shelf: Path | None) -> None:
    """Recordings hold what strangers have sent: who shows them can change nothing but his notes, and reach nobody."""
    from rawlog.engine.confine import close_to_others, confine
    from rawlog.engine.roles import reading, viewing

    close_to_others()
    with contextlib.suppress(OSError):  # a system that has it and refuses it, as in some containers
        if shelf is not None:
            shelf.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        confine(reading() if shelf is None else viewing(str(shelf.parent)))
