"""The unread bytes of one direction, with their offsets.

Knows: how to take a line or a number of bytes from the front, in linear time, however the reads cut the stream.
Must not know: what the bytes mean. It is apart from the framer so that neither has to care for the other's counting.
"""

from __future__ import annotations


class Tape:
    """Bytes in a queue: ``size`` of them; ``start`` is the offset in the stream of the first byte not yet taken."""

    __slots__ = ("_data", "_head", "_scanned", "size", "start")

    def __init__(self) -> None:
        self._data: bytes | bytearray = b""  # one read as it came, as long as there is only one
        self._head = 0  # bytes of it that are taken already
        self._scanned = 0  # up to here it holds no LF
        self.size = 0
        self.start = 0

    @property
    def end(self) -> int:
        """Offset behind the last byte received."""
        return self.start + self.size

    def append(self, data: bytes) -> None:
        """Put ``data`` behind what is there."""
        if not self.size:
            self._data, self._head, self._scanned, self.size = data, 0, 0, len(data)
            return
        if not isinstance(self._data, bytearray):
            self._data = bytearray(self._data)
        del self._data[: self._head]  # cheap: a bytearray moves its beginning, not its bytes
        self._scanned, self._head = max(0, self._scanned - self._head), 0
        self._data += data
        self.size += len(data)

    def line_length(self) -> int | None:
        """Bytes up to and including the next LF; None when there is no LF yet."""
        at = self._data.find(b"\n", max(self._scanned, self._head))
        if at >= 0:
            self._scanned = at
            return at + 1 - self._head
        self._scanned = len(self._data)
        return None

    def take(self, count: int) -> bytes:
        """Take up to ``count`` bytes."""
        data = self.peek(count)
        self.skip(count)
        return data

    def skip(self, count: int) -> int:
        """Take up to ``count`` bytes without looking at them; gives how many there were."""
        skipped = min(count, self.size)
        self._head += skipped
        self.start += skipped
        self.size -= skipped
        if not self.size:
            self._data, self._head, self._scanned = b"", 0, 0
        return skipped

    def peek(self, count: int) -> bytes:
        """The first ``count`` bytes, or what there is of them, left where they are."""
        data, head = self._data, self._head
        if isinstance(data, bytes):
            return data[head : head + count]  # no copy of a read that is taken whole
        with memoryview(data) as view:
            return bytes(view[head : head + count])

    def give_back(self) -> bytes:
        """Take everything as if it had never been received: the next byte has the same offset as the first of these."""
        data = bytes(self._data[self._head :])
        self._data, self._head, self._scanned, self.size = b"", 0, 0, 0
        return data
