"""The unread bytes of one direction, with their offsets.

Knows: how to take a line or a number of bytes from the front, in linear time, however the reads cut the stream.
Must not know: what the bytes mean. It is apart from the framer so that neither has to care for the other's counting.
"""

from __future__ import annotations


class Tape:
    """Bytes in a queue; ``start`` is the offset in the stream of the first byte not yet taken."""

    __slots__ = ("_chunks", "_head", "_scanned", "size", "start")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._head = 0  # bytes of the first chunk that are taken already
        self._scanned = 0  # leading chunks known to hold no LF
        self.size = 0
        self.start = 0

    @property
    def end(self) -> int:
        """Offset behind the last byte received."""
        return self.start + self.size

    def append(self, data: bytes) -> None:
        """Put ``data`` behind what is there."""
        if data:
            self._chunks.append(data)
            self.size += len(data)

    def line_length(self) -> int | None:
        """Bytes up to and including the next LF; None when there is no LF yet."""
        chunks = self._chunks
        while self._scanned < len(chunks):
            at = chunks[self._scanned].find(b"\n", self._head if self._scanned == 0 else 0)
            if at >= 0:
                before = sum(map(len, chunks[: self._scanned])) if self._scanned else 0
                return before + at + 1 - self._head
            self._scanned += 1
        return None

    def take(self, count: int) -> bytes:
        """Take up to ``count`` bytes."""
        if self._chunks and self._head + count < len(self._chunks[0]):
            data = self._chunks[0][self._head : self._head + count]
            self._drop(count)
            return data
        data = self.peek(count)
        self.skip(len(data))
        return data

    def skip(self, count: int) -> int:
        """Take up to ``count`` bytes without looking at them; gives how many there were."""
        skipped = 0
        while count > skipped and self._chunks:
            step = min(count - skipped, len(self._chunks[0]) - self._head)
            self._drop(step)
            skipped += step
        return skipped

    def peek(self, count: int) -> bytes:
        """The first ``count`` bytes, or what there is of them, left where they are."""
        parts, head = [], self._head
        for chunk in self._chunks:
            part = chunk[head : head + count] if head or count < len(chunk) else chunk
            parts.append(part)
            count -= len(part)
            head = 0
            if count <= 0:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _drop(self, count: int) -> None:
        self._head += count
        self.start += count
        self.size -= count
        if self._head >= len(self._chunks[0]):
            del self._chunks[0]
            self._head = 0
            self._scanned = max(0, self._scanned - 1)
