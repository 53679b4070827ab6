"""Names for names: a keyed, repeatable replacement of words at equal length.

Knows: HMAC-SHA256 (RFC 2104), and how to write its digits with the same kinds of characters: a letter becomes a letter,
a digit a digit, a UTF-8 character one of as many bytes. Must not know: where words stand, protocols.

The same word gives the same pseudonym whatever its case, so that who was equal stays equal; without the key nobody can
tell which word it was, but lengths and repetition stay to be seen. Short words share pseudonyms: there are only 26
letters.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re

from rawlog.dialogue.pseudonyms_vocabulary import VOCABULARY

KNOWN_LIMIT = 100_000
"""So many words are remembered with their pseudonyms; then the memory begins anew."""

LONG = 1024
"""Bytes of a word beyond which its hash stands for it: each 32 bytes of its pseudonym take it in once more."""

TRIES = 16
"""Pseudonyms that are tried until one is neither the word itself nor a word of the protocols."""

_UNIT = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}|[\x00-\xff]",
    re.DOTALL,
)
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_LETTERS = 23  # from U+00E0 on there are so many lower-case letters
_KEPT_NOISE = b"\r\n."


class Names:
    """The mapping under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.new(key, digestmod=hashlib.sha256)
        self._known: dict[bytes, bytes] = {}

    def word(self, word: bytes) -> bytes:
        """The pseudonym of a word: letters, digits and bytes from 0x80 on; other bytes stay."""
        found = self._known.get(word)
        if found is None:
            if len(self._known) >= KNOWN_LIMIT:
                self._known.clear()
            found = self._known[word] = self._new(word)
        return found

    def ip4(self, address: bytes) -> bytes:
        """Another IPv4 address of the same form: each number has as many digits."""
        numbers = address.split(b".")
        parts = []
        for number, digit in zip(numbers, self._stream(b"ip4", address, 4), strict=True):
            low, count = ((0, 10), (10, 90), (100, 150))[len(number) - 1]
            parts.append(b"%d" % (low + digit % count))
        return b".".join(parts)

    def ip6(self, address: bytes) -> bytes:
        """Another IPv6 address of the same form."""
        digits = self._stream(b"ip6", address.lower(), len(address))
        return bytes(
            b"0123456789abcdef"[digit % 16] if chr(old) in "0123456789abcdefABCDEF" else old
            for old, digit in zip(address, digits, strict=True)
        )

    def base64(self, text: bytes) -> bytes:
        """Other base64 of the same form (RFC 4648 4), padding included; what is not base64 in it stays."""
        stream = self._stream(b"base64", text, len(text))
        made = bytearray(_BASE64[s % 64] if c in _BASE64 else c for c, s in zip(text, stream, strict=True))
        end = len(text.rstrip(b"="))
        if end and end < len(text) and made[end - 1] in _BASE64:
            spare = 16 if len(text) - end > 1 else 4  # the bits that padding leaves unused are zero
            made[end - 1] = _BASE64[_BASE64.index(made[end - 1]) // spare * spare]
        return bytes(made)

    def utf7(self, shifted: bytes) -> bytes:
        """Another ``&...-`` of modified UTF-7 (RFC 3501 5.1.3) with as many characters."""
        text = shifted[1:-1].replace(b",", b"/")
        try:
            size = len(binascii.a2b_base64(text + b"=" * (-len(text) % 4)))
        except binascii.Error:
            return b"&" + self.word(text).replace(b"/", b",") + b"-"
        stream = self._stream(b"utf7", shifted, size // 2)
        made = b"".join((0xE0 + s % _LETTERS).to_bytes(2, "big") for s in stream)
        coded = binascii.b2a_base64(made, newline=False).rstrip(b"=").replace(b"/", b",")
        return b"&" + coded + b"-" if len(coded) == len(text) else b"&" + self.word(text).replace(b"/", b",") + b"-"

    def noise(self, data: bytes) -> bytes:
        """Other bytes for what is no text; line ends and dots stay, for lines are made of them."""
        stream = self._stream(b"noise", data, len(data))
        return bytes(c if c in _KEPT_NOISE else 0x80 | s for c, s in zip(data, stream, strict=True))

    def _new(self, word: bytes) -> bytes:
        lower = word.lower()
        made = word
        for attempt in range(TRIES):
            made = _fitted(word, self._stream(b"word%d" % attempt, lower, 2 * len(word)))
            if made.lower() != lower and (len(made) < 3 or made.lower() not in VOCABULARY):
                break
        return made

    def _stream(self, kind: bytes, text: bytes, size: int) -> bytes:
        """So many bytes that depend on the key, the kind and the text."""
        if len(text) > LONG:
            text = hashlib.sha256(text).digest()
        made: list[bytes] = []
        for count in range(-(-size // 32)):
            machine = self._key.copy()
            machine.update(b"%b\0%d\0%b" % (kind, count, text))
            made.append(machine.digest())
        return b"".join(made)[:size]


def _fitted(word: bytes, stream: bytes) -> bytes:
    """The word with each character replaced by one of its kind; two bytes of the stream for each byte of it."""
    return b"".join(
        _like(unit[0], int.from_bytes(stream[2 * unit.start() : 2 * unit.start() + 2], "big"))
        for unit in _UNIT.finditer(word)
    )


def _like(unit: bytes, number: int) -> bytes:
    """A character of the same kind."""
    first = unit[0]
    if len(unit) == 4:
        return chr(0x20000 + number % 0xA000).encode()
    if len(unit) == 3:
        return chr(0x4E00 + number % 0x5000).encode()
    if len(unit) == 2:
        return chr(0xE0 + number % _LETTERS).encode()
    if first >= 0x80:
        return bytes((0xE0 + number % _LETTERS,))
    for low, count in ((b"a"[0], 26), (b"A"[0], 26), (b"0"[0], 10)):
        if low <= first < low + count:
            return bytes((low + number % count,))
    return unit
