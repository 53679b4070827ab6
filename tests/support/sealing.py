"""Keys for tests of sealed recordings, and sealed files made and read without a gateway.

Knows: one key pair, and another one that fits nothing. Must not know: what is tested with them.
"""

from __future__ import annotations

import os
from pathlib import Path

from rawlog.events import Direction
from rawlog.formats import age, sealed
from rawlog.recorder.seal import Seal
from rawlog.recorder.sinks import FileSink

PUBLIC = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
SECRET = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
KEY = b"\x42" * 32


def identity_file(directory: Path, secret: str = SECRET) -> str:
    """An identity file as age-keygen writes it."""
    path = directory / "key.txt"
    path.write_text(f"# public key: {PUBLIC}\n{secret}\n")
    path.chmod(0o600)
    return str(path)


def sealed_sink(path: Path) -> FileSink:
    """A sealed file, opened as recorders open theirs."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    return Seal([PUBLIC]).over({Direction.IN: FileSink(fd, str(path))})[Direction.IN]


def unsealed(data: bytes) -> tuple[bytes, list[str]]:
    """The text of a sealed file, and why it ends before its end (nothing when it does not)."""
    key, end = age.file_key(data, [KEY])
    assert key is not None
    rest = memoryview(data)[end + age.NONCE_SIZE :]
    taken = 0

    def read(size: int) -> bytes:
        nonlocal taken
        taken += size
        return bytes(rest[taken - size : taken])

    why: list[str] = []
    keys = age.Keys(key, data[end : end + age.NONCE_SIZE])
    return b"".join(sealed.opened(read, keys, why.append)), why
