"""The keys of age (https://age-encryption.org/v1) as people write them: ``age1…`` and ``AGE-SECRET-KEY-1…``.

Knows: Bech32 (BIP 173), and the file that age-keygen writes. Must not know: what is done with a key; to check one takes
no cryptography, so a mistake in a configuration is found where that is not installed.
"""

from __future__ import annotations

from rawlog.errors import ConfigError

PUBLIC, SECRET = "age", "age-secret-key-"
"""What stands before the 1 of a recipient and of an identity."""
KEY_SIZE = 32
"""Bytes of an X25519 key (RFC 7748 5)."""

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM = 6


def recipient(text: str) -> bytes:
    """The public key that ``age1…`` stands for: 32 bytes. Raises ConfigError."""
    key = _key(text, PUBLIC)
    if key is None:
        raise ConfigError(f"'{text[:80]}' is no recipient of age: write what age-keygen calls the public key: age1...")
    return key


def identity(text: str) -> bytes:
    """The secret key that ``AGE-SECRET-KEY-1…`` stands for: 32 bytes. Raises ConfigError, which does not repeat it."""
    key = _key(text, SECRET)
    if key is None:
        raise ConfigError("no identity of age: write what age-keygen made: AGE-SECRET-KEY-1...")
    return key


def identities(text: str, name: str) -> list[bytes]:
    """The secret keys in an identity file, one a line; ``#`` begins a comment. Raises ConfigError with its line."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            try:
                found.append(identity(line.strip()))
            except ConfigError as error:
                raise ConfigError(f"{name}: line {number}: {error}") from None
    if not found:
        raise ConfigError(f"{name}: no identity in it; give the file that age-keygen wrote")
    return found


def _key(text: str, kind: str) -> bytes | None:
    """The bytes of a Bech32 text of that kind; None when it is none."""
    if text not in (text.lower(), text.upper()):
        return None
    before, one, after = text.lower().rpartition("1")
    if before != kind or not one or any(letter not in _LETTERS for letter in after):
        return None
    values = [_LETTERS.index(letter) for letter in after]
    if _polymod([*(ord(c) >> 5 for c in before), 0, *(ord(c) & 31 for c in before), *values]) != 1:
        return None
    bits = "".join(f"{value:05b}" for value in values[:-_CHECKSUM])
    whole = len(bits) // 8 * 8
    if len(bits) - whole > 4 or "1" in bits[whole:] or whole != KEY_SIZE * 8:
        return None
    return int(bits[:whole], 2).to_bytes(KEY_SIZE, "big")


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check
