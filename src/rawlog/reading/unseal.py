"""Sealed recordings read as if they were none, by who has an identity they were sealed for.

Knows: the identities of this process, which a command line gave once for all that it reads; how a sealed file begins.
Must not know: formats of recordings, options. Without a sealed file in sight no cryptography is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import FileIO

from rawlog.errors import ConfigError, RawlogError
from rawlog.formats.sealed import HEADER_LIMIT, MAGIC, opened
from rawlog.settings import age_keys

_MOST = 1 << 20  # bytes of an identity file; age-keygen writes 200
_identities: list[bytes] = []


class SealedError(RawlogError):
    """A recording is sealed, and not for anybody whose identity was given."""


def identify(path: str) -> None:
    """From now on what is sealed for the identities in this file can be read. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            text = file.read(_MOST).decode("utf-8", "replace")
    except OSError as error:
        raise ConfigError(f"{path}: the identity can't be read: {error.strerror}") from None
    if text.startswith(MAGIC.decode()):
        raise ConfigError(f"{path}: the identity is itself encrypted; decrypt it first: age -d {path}")
    _identities.extend(age_keys.identities(text, path))


def forget_identities() -> None:
    """Nothing sealed can be read any more."""
    _identities.clear()


def has_identities() -> bool:
    """Whether sealed recordings may be readable: then nothing of them should be kept elsewhere in the clear."""
    return bool(_identities)


def is_sealed(head: bytes) -> bool:
    """Whether a file that begins so is sealed."""
    return head.startswith(MAGIC)


def is_sealed_file(path: str, head: bytes) -> bool:
    """Whether a file of this name that begins so is a sealed recording in one file; other things are sealed too."""
    return is_sealed(head) and path.endswith(".rawlog.age")


class Unsealed:
    """The text of the sealed ``file``, of which ``begun`` has been read. It is read like a file.

    ``tell(why)`` is called when it ends before its end. Raises SealedError, or RawlogError where the package is missing
    that opens it.
    """

    def __init__(self, name: str, file: FileIO, begun: bytes, tell: Callable[[str], None]) -> None:
        self._file = file
        self._begun = begun
        self._text = b""
        self._pieces = self._opened(name, tell)

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; none at the end."""
        while not self._text and (piece := next(self._pieces, None)) is not None:
            self._text = piece
        given, self._text = self._text[:size], self._text[size:]
        return given

    def __enter__(self) -> Unsealed:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _opened(self, name: str, tell: Callable[[str], None]) -> Iterator[bytes]:
        if not _identities:
            raise SealedError(f"{name}: is sealed; give the identity that it is sealed for: --identity FILE")
        try:
            from rawlog.formats import age
        except ImportError:
            raise RawlogError(
                f"{name}: is sealed, and the package cryptography is missing to open it; install rawlog[seal]"
            ) from None
        self._fill(HEADER_LIMIT)
        file_key, end = age.file_key(self._begun, _identities)
        if not end:
            raise RawlogError(f"{name}: is sealed, and its header is damaged; nothing in it can be read")
        if file_key is None:
            raise SealedError(f"{name}: is sealed for somebody else; give an identity that it is sealed for")
        self._begun = self._begun[end:]
        nonce = self._take(age.NONCE_SIZE)
        yield from opened(self._take, age.Keys(file_key, nonce), tell)

    def _fill(self, size: int) -> None:
        while len(self._begun) < size and (piece := self._file.read(size - len(self._begun))):
            self._begun += piece

    def _take(self, size: int) -> bytes:
        self._fill(size)
        taken, self._begun = self._begun[:size], self._begun[size:]
        return taken
