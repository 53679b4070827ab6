"""``rawlog serve``: the daemon.

Knows: its options and where messages go. Must not know: how it serves (taps/daemon.py).
"""

from __future__ import annotations

import argparse
import logging
import logging.handlers
import sys

from rawlog.engine.confine import confine_or_say
from rawlog.engine.roles import master, reborn
from rawlog.errors import ConfigError
from rawlog.settings.configuration import Configuration
from rawlog.settings.loader import DEFAULT_FILE, load
from rawlog.taps.daemon import Daemon

DESCRIPTION = """\
Runs the gateways that a configuration file asks for, in the foreground. The file has Dovecot's syntax and names.
SIGHUP reads it again without losing a conversation; SIGTERM lets the conversations end first, a second one ends them.
"""
EXAMPLES = "  rawlog conf -c /etc/rawlog/rawlog.conf\n  rawlog serve -c /etc/rawlog/rawlog.conf\n"
LOG_FORMAT = "%(asctime)s %(message)s"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog serve``."""
    parser.add_argument(
        "-c", "--config", metavar="FILE", default=DEFAULT_FILE, help=f"the configuration file ({DEFAULT_FILE})"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    log = logging.getLogger("rawlog")
    log.setLevel(logging.INFO)
    log.addHandler(_handler(load(options.config).settings.log_path))

    def read() -> Configuration:
        configuration = load(options.config)
        for warning in configuration.warnings:
            log.warning(warning)
        return configuration

    daemon = Daemon(read, log.info)
    confine_or_say(reborn(master()), log.info)
    daemon.run()
    return 0


def _handler(path: str) -> logging.Handler:
    handler: logging.Handler
    if path == "syslog":
        handler = logging.handlers.SysLogHandler("/dev/log", logging.handlers.SysLogHandler.LOG_MAIL)
        handler.setFormatter(logging.Formatter("rawlog: %(message)s"))
        return handler
    try:
        handler = logging.StreamHandler(sys.stderr) if path == "/dev/stderr" else logging.FileHandler(path)
    except OSError as error:
        raise ConfigError(f"log_path {path}: {error.strerror}; choose a file that can be written") from None
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    return handler
