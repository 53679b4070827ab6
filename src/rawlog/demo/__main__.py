"""The process of the embedded mail server: ``python -m rawlog.demo DIRECTORY``.

Knows: the agreement with :mod:`rawlog.demo.server`: certificates go to DIRECTORY, one JSON line with the ports goes to
standard output when every port listens, and the end of standard input means the end. Must not know: the protocols.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sys
import warnings
from pathlib import Path

from rawlog.demo.certificate import server_context, write_certificates
from rawlog.demo.listeners import listen
from rawlog.demo.server import USERS


async def serve(directory: Path) -> None:
    """Listen, say so, and serve until standard input ends."""
    warnings.filterwarnings("ignore", module="aiosmtpd")  # it advises against AUTH without its own STARTTLS; port 465
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # does just that, and the log is for what went wrong
    write_certificates(directory)
    ports = await listen(server_context(directory), USERS)
    print(json.dumps({"ports": ports}), flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)
    shutil.rmtree(directory, ignore_errors=True)  # here too, for a parent that was killed and can't


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
