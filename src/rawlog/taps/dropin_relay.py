"""The drop-in's child: a relay for one login, in a process of its own.

Knows: which descriptors it needs, and the signals that end it. Must not know: options, directories. It is imported
after the fork, while the mail program starts.
"""

from __future__ import annotations

import _socket
import os
import signal
from collections.abc import Callable, Sequence

from rawlog.engine.loop import Loop
from rawlog.errors import ConfigError
from rawlog.events import Direction
from rawlog.formats.dovecot import PairEncoder
from rawlog.recorder.descriptors import keep_only
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.recorder import Recorder
from rawlog.recorder.sinks import FileSink
from rawlog.taps.postlogin_session import Session


def relay(
    client: int,
    server: int,
    files: Sequence[tuple[str, int, str]],
    *,
    stamps: bool,
    boundaries: bool,
    say: Callable[[str], None],
    recipients: Sequence[str] = (),
) -> None:
    """Relays between the descriptors until both sides are done. ``files``: direction, descriptor and path of each.

    All other descriptors but standard error are closed: descriptor 3 leads to the mail process, which waits for its
    end, and descriptor 1 is the client's too. ``recipients``: for whom what is written is sealed; when that can't be
    done nothing is written.
    """
    keep_only({client, server, 2, *(fd for _, fd, _ in files)})
    os.chdir("/")
    loop = Loop()
    sinks = {Direction(direction): FileSink(fd, path) for direction, fd, path in files}
    recorder: Recorder | None = None
    try:
        if recipients:
            from rawlog.recorder.seal import Seal

            sinks = Seal(recipients).over(sinks)
        encoder, flusher = PairEncoder(stamps, boundaries), Flusher(loop.call_later)
        recorder = Recorder(encoder, sinks, name=files[0][2], report=say, flusher=flusher)
    except ConfigError as error:
        say(f"not recorded: {error}; RAWLOG_RECIPIENT in the environment asks for it")
    session = Session(
        loop,
        _socket.socket(fileno=client),
        _socket.socket(fileno=server),
        keep_secrets=True,
        on_end=lambda _: loop.stop(),
    )
    loop.add_signal(signal.SIGTERM, lambda: session.finish("the recorder was ended by SIGTERM"))
    for number in (signal.SIGINT, signal.SIGHUP):  # meant for the program, which says goodbye; we record that
        signal.signal(number, signal.SIG_IGN)
    session.record(recorder)
    session.start()
    loop.run()
