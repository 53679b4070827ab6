"""Secrets that come back: a server may repeat in its answer what the client said.

IMAP servers must repeat the tag, so a password that was taken for a command comes back as a tag; some SMTP servers
repeat a command that they do not know. So the words of the client's last secrets are looked for in the next lines of
the server.

Knows: words. Must not know: any protocol.
"""

from __future__ import annotations

import re
from collections import deque

from rawlog.protocols.fragments import Span

SECRET_LIMIT = 1024  # of a longer secret only the beginning is kept: whoever repeats a line repeats its beginning
SHORTEST = 4  # shorter words are found everywhere
WORDS = 32  # so many words are kept: those of the last few secrets
LINES = 50  # so many lines of the server are looked at: an answer does not come later

# Words of the protocols, in a login that went wrong as a whole.
_NO_SECRETS = frozenset(b"AUTH AUTHENTICATE LOGIN PASS PLAIN SASL USER".split())
_GAPS = re.compile(rb'[\s\x00-\x1f"()]+')


class Echo:
    """What a server may repeat. It forgets soon."""

    def __init__(self) -> None:
        self._words: deque[bytes] = deque(maxlen=WORDS)
        self._lines = 0

    @property
    def expected(self) -> bool:
        """Whether the server's next line is looked at."""
        return self._lines > 0

    def learn(self, secret: bytes) -> None:
        """A secret of the client."""
        secret = secret[:SECRET_LIMIT]
        for word in (secret.strip(b'"\r\n'), *_GAPS.split(secret)):
            if len(word) >= SHORTEST and word.upper() not in _NO_SECRETS:
                self._lines = LINES
                if word not in self._words:
                    self._words.append(word)

    def find(self, line: bytes, start: int) -> list[Span]:
        """The spans of what is repeated in a line of the server at offset ``start``."""
        self._lines -= 1
        spans: list[Span] = []
        for word in self._words:
            at = line.find(word)
            while at >= 0:
                spans.append((start + at, start + at + len(word)))
                at = line.find(word, at + len(word))
        if self._lines == 0:
            self._words.clear()
        return spans
