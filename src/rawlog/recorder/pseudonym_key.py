"""The key of the pseudonyms: made at random, kept in a file when it is to be used again.

Knows: how long a key is, and that nobody else may read its file. Must not know: what it is used for.
"""

from __future__ import annotations

import os
import secrets
import stat

from rawlog.errors import RawlogError

KEY_SIZE = 32
"""Bytes: as many as HMAC-SHA256 gives (RFC 2104 3)."""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def new_key() -> bytes:
    """A new key at random."""
    return secrets.token_bytes(KEY_SIZE)


def key_from(path: str) -> bytes:
    """The key in a file, which is made with a new one, mode 0600, where it is missing.

    Raises RawlogError when the file holds no key, or others may read it.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        return _made(path)
    except OSError as error:
        raise RawlogError(f"{path}: the key can't be read: {error.strerror}") from None


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise RawlogError(f"{path}: others may read this key; make it private: chmod 600, or use a new one")
        text = file.read(1024).strip()
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_SIZE:
        raise RawlogError(f"{path}: no key: {2 * KEY_SIZE} hexadecimal digits expected; name a new file to get one")
    return key


def _made(path: str) -> bytes:
    key = new_key()
    try:
        fd = os.open(path, _NEW_FILE, 0o600)
        with open(fd, "wb") as file:
            os.fchmod(fd, 0o600)
            file.write(key.hex().encode() + b"\n")
    except OSError as error:
        raise RawlogError(f"{path}: the key can't be kept there: {error.strerror}; name another file") from None
    return key
