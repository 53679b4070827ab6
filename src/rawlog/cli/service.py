"""``rawlog-service``: the post-login service as Dovecot's master starts it.

Knows: its help, and in which Python it runs. Must not know: what its options mean.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from rawlog.taps.postlogin_child import is_child_of_master

_AGAIN = (
    "import sys; _, path, _, *words = sys.argv; sys.path[:] = path.split(':')\n"
    "from rawlog.cli.service import main; sys.exit(main(words))"
)

USAGE = """\
usage: rawlog-service [-b] [-t] [-I] [-f in|out] [-c FILE] [--relay fast|unbreakable]

The post-login service of Dovecot. Its master starts it; in dovecot.conf:

  service imap {
    executable = imap postlogin
  }
  service postlogin {
    executable = PATH/rawlog-service -t
    unix_listener postlogin {
    }
  }

Who has a directory dovecot.rawlog in the home is recorded there.

  -b         mark what each read saw: <<< before it, >>> after it
  -t         a time stamp at the beginning of each line
  -I         the client's address in the files' names
  -f in|out  record one direction only
  -c FILE    a configuration file of Rawlog: rawlog_secrets, limits of size and space, rawlog_relay
  --relay unbreakable
             conversations outlive the process that records them; see the guide
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service; gives the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--help" in words or "-h" in words:
        print(USAGE, end="")
        return 0
    if not is_child_of_master(os.environ):
        print("rawlog-service: Dovecot's master has to start it (rawlog serve needs no Dovecot)\n", file=sys.stderr)
        print(USAGE, end="", file=sys.stderr)
        return 2
    if arguments is None and not sys.flags.no_site:
        _start_again(words)
    from rawlog.taps.postlogin_command import run

    run(words)
    return 0


def _start_again(words: Sequence[str]) -> NoReturn:
    """The same in a Python that has read no ``site``: what that loads would stay in memory for as long as we serve."""
    path = ":".join(os.path.abspath(place) for place in sys.path)  # noqa: PTH100 - no pathlib here
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", _AGAIN, path, "rawlog-service", *words])
