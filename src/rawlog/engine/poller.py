"""Which descriptors are ready: epoll, or what ``selectors`` offers where there is no epoll.

Knows: the event bits, which have epoll's values everywhere. Must not know: who waits for a descriptor, or time. It is
a file of its own so that the loop is written once, against epoll's own calls; Linux then pays nothing for the others.
"""

from __future__ import annotations

import select
from typing import Protocol

READ = 1
"""There are bytes or an end to read (EPOLLIN)."""
WRITE = 4
"""There is room to write (EPOLLOUT)."""
ERR = 8
"""The socket has an error waiting (EPOLLERR). Reported unasked, even for an empty mask."""
HUP = 16
"""Both directions are closed (EPOLLHUP). Reported unasked, even for an empty mask."""
_EVENT_READ, _EVENT_WRITE = 1, 2  # of selectors


class Poller(Protocol):
    """The part of ``select.epoll`` that the loop uses."""

    def register(self, fd: int, eventmask: int, /) -> None: ...
    def modify(self, fd: int, eventmask: int, /) -> None: ...
    def unregister(self, fd: int, /) -> None: ...
    def poll(self, timeout: float, maxevents: int, /) -> list[tuple[int, int]]: ...
    def close(self) -> None: ...


class SelectorPoller:
    """``selectors.DefaultSelector`` behind epoll's calls. An empty mask takes the descriptor out for a while."""

    def __init__(self) -> None:
        import selectors  # loaded only where it is used

        self._selector = selectors.DefaultSelector()

    def register(self, fd: int, eventmask: int, /) -> None:
        wanted = _to_selector(eventmask)
        if wanted:
            self._selector.register(fd, wanted)

    def modify(self, fd: int, eventmask: int, /) -> None:
        self.unregister(fd)
        self.register(fd, eventmask)

    def unregister(self, fd: int, /) -> None:
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def poll(self, timeout: float, maxevents: int, /) -> list[tuple[int, int]]:
        ready = self._selector.select(None if timeout < 0 else timeout)
        return [(key.fd, _from_selector(events)) for key, events in ready[:maxevents]]

    def close(self) -> None:
        self._selector.close()


def _to_selector(mask: int) -> int:
    return (_EVENT_READ if mask & READ else 0) | (_EVENT_WRITE if mask & WRITE else 0)


def _from_selector(events: int) -> int:
    return (READ if events & _EVENT_READ else 0) | (WRITE if events & _EVENT_WRITE else 0)


def make_poller() -> Poller:
    """The best poller of this system."""
    if hasattr(select, "epoll"):
        return select.epoll(flags=select.EPOLL_CLOEXEC)
    return SelectorPoller()
