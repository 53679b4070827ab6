"""What a leg still has to send: the bytes the kernel did not take.

Knows: one socket's ``send``, the rest of a short one, and how many plain bytes that rest stands for. Must not know:
TLS, the loop, who writes. It is a thing of its own because the count of undelivered plain bytes, which the record must
show, is easy to get wrong where it is mixed with reading.
"""

from __future__ import annotations

from collections.abc import Callable

_RECORD = 16384
"""Plain bytes in a full TLS record (RFC 8446 section 5.1)."""


_NOTHING = memoryview(b"")


class Outbox:
    """Sends at once what the kernel takes and keeps the rest, without copying it. Holds nothing while all goes well.

    ``queued`` counts raw bytes. It has no limit of its own: whoever writes stops reading its source while ``queued`` is
    not 0, so that it holds one read's worth. ``error`` is what ``send`` failed with; from then on nothing is kept.
    """

    __slots__ = ("_lost", "_more", "_rest", "_send", "_writes", "error", "queued")

    def __init__(self, send: Callable[[bytes | memoryview], int]) -> None:
        self._send = send
        self._rest = _NOTHING
        self._more: list[bytes] = []
        self._writes: list[tuple[int, int]] = []
        self._lost = 0
        self.queued = 0
        self.error: OSError | None = None

    def send(self, raw: bytes, plain: int) -> bool:
        """Send ``raw``, which carries ``plain`` bytes of the conversation. False when not all of it went."""
        if self.queued or self.error is not None:
            self._append(raw, plain)
            return False
        try:
            sent = self._send(raw)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lost += plain
            self.error = error
            return False
        size = len(raw)
        if sent == size:
            return True
        self._rest = memoryview(raw)[sent:]
        self._writes.append((size, plain))
        self.queued = size - sent
        return False

    def _append(self, raw: bytes, plain: int) -> None:
        if self.error is not None:
            self._lost += plain
            return
        self._more.append(raw)
        self._writes.append((len(raw), plain))
        self.queued += len(raw)

    def flush(self) -> int:
        """Send more of the rest; how many bytes went. Look at ``queued`` and ``error`` afterwards."""
        try:
            sent = self._send(self._rest)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.drop()
            self.error = error
            return 0
        self.queued -= sent
        self._rest = self._rest[sent:]
        if not self._rest and self._more:
            self._rest = memoryview(b"".join(self._more))
            self._more.clear()
        if not self.queued:
            self._rest = _NOTHING
            self._writes.clear()
        return sent

    def lose(self, plain: int) -> None:
        """Count ``plain`` bytes that never came to be sent."""
        self._lost += plain

    def drop(self) -> None:
        """Give up the rest; :attr:`undelivered` keeps counting it."""
        if not self.queued:
            return
        self._lost = self.undelivered
        self._rest = _NOTHING
        self._more.clear()
        self._writes.clear()
        self.queued = 0

    def close(self) -> None:
        """Drop the rest, and swallow what is written from now on: nobody counts on it."""
        self.drop()
        self._send = len
        self.error = None

    @property
    def undelivered(self) -> int:
        """Plain bytes written that the kernel has not taken, or not so far that the peer could decrypt them."""
        total = self._lost
        left = self.queued
        for raw, plain in reversed(self._writes):
            if left <= 0:
                break
            total += plain if left >= raw else _tail(left, raw, plain)
            left -= raw
        return total


def _tail(left: int, raw: int, plain: int) -> int:
    """Plain bytes lost when the last ``left`` of ``raw`` bytes are missing: whole TLS records, or just the bytes."""
    if raw == plain or plain == 0:
        return min(left, plain)
    records = -(-plain // _RECORD)
    overhead = max(0, (raw - plain) // records)
    last = plain - (records - 1) * _RECORD
    missing = left - last - overhead
    if missing <= 0:
        return last
    return min(plain, last + -(-missing // (_RECORD + overhead)) * _RECORD)
