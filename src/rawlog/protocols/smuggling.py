"""Where one mail server sees the end of a message and another does not.

Knows: the line endings around a lone dot that some servers take for the end of DATA although RFC 5321 4.1.1.4 allows
CRLF.CRLF alone: bare LF, bare CR, NULs. Must not know: what a real server decided; nobody but that server does.

So the watch is pessimistic. The block goes on until CRLF.CRLF, and from the first uncertain ending on it is also read
as commands: a line in it that begins with AUTH makes the rest of the block secret.
"""

from __future__ import annotations

import re

_TAIL = 32  # bytes kept between two pieces; more than the longest match below
_REACH = 10  # how far before its dot an uncertain ending begins at most, with the byte that decides about LF

_DOT = re.compile(rb"\.\x00{0,8}[\r\n]")  # found fast; few of them stand at a line's beginning
_UNCERTAIN = re.compile(
    rb"[\r\n]\.\n"  # LF.LF, CR.LF, CRLF.LF
    rb"|\r\.\r"  # CR.CR, CR.CRLF
    rb"|(?<!\r)\n\.\r"  # LF.CR, LF.CRLF
    rb"|\r\n\.\r[^\n]"  # CRLF.CR
    rb"|[\r\n]\x00{1,8}\.\x00{0,8}[\r\n]"
    rb"|[\r\n]\.\x00{1,8}[\r\n]"
)
_AUTH = re.compile(rb"[\r\n][\x00\t ]{0,8}AUTH[\x00\t ]", re.IGNORECASE)


class EndWatch:
    """Watches one DATA block. ``uncertain`` is set once the block may have ended, or never have begun."""

    def __init__(self, *, uncertain: bool = False) -> None:
        self.uncertain = uncertain
        self._tail = b"\r\n"  # the line DATA
        self._found = False

    def feed(self, data: bytes, start: int) -> int | None:
        """The next bytes of the block, at offset ``start``; gives the offset from which on the rest is secret."""
        if self._found:
            return None
        window = self._tail + data
        end = start + len(data)
        if not self.uncertain:
            window = self._from_uncertain_end(window)
        self._tail = window[-_TAIL:]
        match = _AUTH.search(window) if self.uncertain else None
        self._found = match is not None
        return end - len(window) + match.end() if match else None

    def _from_uncertain_end(self, window: bytes) -> bytes:
        """The window from its first uncertain ending on, the whole window when there is none."""
        # A dot at the front of a full tail was seen before, when there was still something in front of it.
        for dot in _DOT.finditer(window, _REACH + 2 if len(self._tail) == _TAIL else 1):
            at = dot.start()
            if window[at - 1] in b"\r\n\0" and (found := _UNCERTAIN.search(window, max(0, at - _REACH), dot.end() + 1)):
                self.uncertain = True
                return window[found.end() - 2 :]
        return window
