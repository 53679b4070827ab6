"""age, version 1 (https://age-encryption.org/v1): who may read a file, and its chunks.

Knows: the header with its X25519 stanzas, the chunks of the payload, and which keys each of them takes. Must not know:
files, where randomness comes from, what is in a chunk. The cryptography is that of the package ``cryptography``, which
is an extra: nobody imports this module who has nothing sealed to read or to write.

A file key of 16 bytes is made for each file and wrapped for each recipient (X25519, HKDF-SHA256, ChaCha20-Poly1305).
From it follow the header's MAC and the key of the chunks: 64 KiB of plain text each, numbered, the last one marked.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rawlog.formats.sealed import MAGIC

FILE_KEY_SIZE = 16
NONCE_SIZE = 16
"""Bytes of the file key, and of what stands between header and chunks."""

_STANZA = re.compile(rb"-> X25519 ([A-Za-z0-9+/]{43})\n([A-Za-z0-9+/]{43})\n")
_MAC = re.compile(rb"\n--- ([A-Za-z0-9+/]{43})\n")
_WRAP = b"age-encryption.org/v1/X25519"


class Keys:
    """What follows from a file key: the AEAD of the chunks, and one of our own for pieces (see ``sealed``)."""

    def __init__(self, file_key: bytes, nonce: bytes) -> None:
        self._chunks = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
        self._pieces = ChaCha20Poly1305(_derived(file_key, nonce, b"rawlog piece 1"))

    def seal(self, number: int, plain: bytes, *, last: bool) -> bytes:
        """Chunk ``number``: 16 bytes longer than its plain text."""
        return self._chunks.encrypt(_chunk_nonce(number, last), plain, None)

    def open(self, number: int, data: bytes, *, last: bool) -> bytes | None:
        """The plain text of a chunk; None when it is not that chunk as it was written."""
        try:
            return self._chunks.decrypt(_chunk_nonce(number, last), data, None)
        except InvalidTag:
            return None

    def seal_piece(self, count: int, plain: bytes, about: bytes) -> bytes:
        """A piece; ``count`` is never used twice with one file. ``about`` is authenticated with it."""
        return self._pieces.encrypt(count.to_bytes(12, "big"), plain, about)

    def open_piece(self, count: int, data: bytes, about: bytes) -> bytes | None:
        """The plain text of a piece, as ``open``."""
        try:
            return self._pieces.decrypt(count.to_bytes(12, "big"), data, about)
        except InvalidTag:
            return None


def header(file_key: bytes, recipients: Iterable[bytes], ephemeral: Iterable[bytes]) -> bytes:
    """The header. ``ephemeral``: 32 random bytes for each recipient, which nobody may ever see again."""
    text = MAGIC
    for public, secret in zip(recipients, ephemeral, strict=True):
        private = X25519PrivateKey.from_private_bytes(secret)
        share = private.public_key().public_bytes_raw()
        shared = private.exchange(X25519PublicKey.from_public_bytes(public))
        wrapped = ChaCha20Poly1305(_derived(shared, share + public, _WRAP)).encrypt(bytes(12), file_key, None)
        text += b"-> X25519 %b\n%b\n" % (_text(share), _text(wrapped))
    text += b"---"
    return text + b" %b\n" % _text(_mac(file_key, text))


def file_key(data: bytes, identities: Sequence[bytes]) -> tuple[bytes | None, int]:
    """The file key, None when it was not wrapped for any of the identities, and where the header ends.

    ``data`` begins with the header. The end is 0 when there is no whole header, or somebody has changed it.
    """
    end = _MAC.search(data)
    if end is None:
        return None, 0
    for secret in identities:
        private = X25519PrivateKey.from_private_bytes(secret)
        public = private.public_key().public_bytes_raw()
        for stanza in _STANZA.finditer(data, 0, end.start() + 1):
            found = _unwrapped(private, public, *map(_bytes, stanza.groups()))
            if found is not None:
                right = hmac.compare_digest(_text(_mac(found, data[: end.start() + 4])), end[1])  # as it is written
                return (found, end.end()) if right else (None, 0)
    return None, end.end()


def _unwrapped(private: X25519PrivateKey, public: bytes, share: bytes, wrapped: bytes) -> bytes | None:
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(share))
        found = ChaCha20Poly1305(_derived(shared, share + public, _WRAP)).decrypt(bytes(12), wrapped, None)
    except (InvalidTag, ValueError):  # for somebody else, or no point of the curve
        return None
    return found if len(found) == FILE_KEY_SIZE else None


def _mac(file_key: bytes, text: bytes) -> bytes:
    return hmac.new(_derived(file_key, b"", b"header"), text, hashlib.sha256).digest()


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, info).derive(key)


def _chunk_nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _text(data: bytes) -> bytes:
    """Base64 without padding."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))
