"""Rawlog: the recorder of mail-protocol conversations.

Knows: the version, and the public names, which are loaded when they are first used so that ``import rawlog`` stays
cheap. Must not know: how any of them works.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which takes longer to load than the rest of a login
if TYPE_CHECKING:
    from rawlog.dialogue.exchange import Exchange as Exchange
    from rawlog.dialogue.exchange import exchanges as exchanges
    from rawlog.errors import ConfigError as ConfigError
    from rawlog.errors import FormatError as FormatError
    from rawlog.errors import RawlogError as RawlogError
    from rawlog.events import Chunk as Chunk
    from rawlog.events import Direction as Direction
    from rawlog.events import Mark as Mark
    from rawlog.events import Recording as Recording
    from rawlog.reading.opener import open_recording as open_recording
    from rawlog.taps.stream_asyncio import record_streams as record_streams
    from rawlog.taps.stream_clients import recorded as recorded
    from rawlog.taps.stream_socket import record_socket as record_socket

__version__ = "0.1.0"

_PLACES = {
    "Chunk": "events",
    "ConfigError": "errors",
    "Direction": "events",
    "Exchange": "dialogue.exchange",
    "FormatError": "errors",
    "Mark": "events",
    "RawlogError": "errors",
    "Recording": "events",
    "exchanges": "dialogue.exchange",
    "open_recording": "reading.opener",
    "record_socket": "taps.stream_socket",
    "record_streams": "taps.stream_asyncio",
    "recorded": "taps.stream_clients",
}

__all__ = [*_PLACES, "__version__"]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
