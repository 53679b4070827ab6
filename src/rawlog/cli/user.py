"""``rawlog user``: look a user up in the configured userdb, as ``doveadm user -u`` does.

Knows: its options, the messages and the exit codes of doveadm. Must not know: how users are looked up (settings/).
"""

from __future__ import annotations

import argparse
import sys

from rawlog.errors import ConfigError, RawlogError
from rawlog.settings.loader import DEFAULT_FILE, load
from rawlog.settings.userdb import Userdb, layout

HELP = "look a user up in the configured userdb"

DESCRIPTION = """\
Prints what the userdb sections of the configuration say about users, in the layout of doveadm user -u. The home
directory must be there for recordings below it. Exit code 0: every user is known; 67: one is not; 75: a userdb could
not be asked.
"""

EXAMPLES = """\
  rawlog user -u alice@example.com
  rawlog user -u alice bob -c rawlog.conf
"""

#: Exit codes of doveadm: EX_NOUSER and EX_TEMPFAIL of sysexits(3).
NO_USER, FAILED = 67, 75


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``rawlog user``."""
    parser.add_argument("users", metavar="USER", nargs="+", help="whom to look up")
    parser.add_argument("-u", action="store_true", help="ask the userdb only, as doveadm's -u; always so here")
    parser.add_argument(
        "-c", "--config", metavar="FILE", default=DEFAULT_FILE, help="the configuration file (%(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Print one block for each user; the worst result is the exit code."""
    configuration = load(options.config)
    userdb = configuration.userdb()
    if not userdb.configured:
        raise ConfigError(
            f"{options.config}: there is no userdb to ask: add userdb {{ }} with driver = passwd or another"
        )
    code = 0
    for number, user in enumerate(options.users):
        if number:
            print()
        code = max(code, _one(userdb, user))
    return code


def _one(userdb: Userdb, user: str) -> int:
    """Print what is known of one user; gives its exit code."""
    try:
        record = userdb.lookup(user)
    except RawlogError as error:
        print(f"Error: userdb lookup failed for {user}: {error}", file=sys.stderr)
        return FAILED
    if record is None:
        print(f"userdb lookup: user {user} doesn't exist")
        return NO_USER
    sys.stdout.write(layout(user, record))
    return 0
