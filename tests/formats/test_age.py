"""age: what we write another implementation reads, what others write we read, and nothing that was changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pyrage
import pytest

from rawlog.formats import age
from rawlog.formats.sealed import CHUNK
from tests.support.sealing import KEY, PUBLIC, SECRET, identity_file, sealed_sink, unsealed

IDENTITY = pyrage.x25519.Identity.from_str(SECRET)
SIZES = [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7]


def written(path: Path, data: bytes) -> bytes:
    sink = sealed_sink(path)
    sink.write(data)
    sink.close()
    return path.read_bytes()


@pytest.mark.parametrize("size", SIZES)
def test_another_implementation_reads_what_we_write(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    assert pyrage.decrypt(written(tmp_path / "a.age", data), [IDENTITY]) == data


@pytest.mark.parametrize("size", [0, *SIZES])
def test_what_another_implementation_writes_we_read(size: int) -> None:
    data = os.urandom(size)
    others = pyrage.x25519.Identity.generate()
    for recipients in ([IDENTITY], [others, IDENTITY], [IDENTITY, others]):
        made = pyrage.encrypt(data, [each.to_public() for each in recipients])
        assert unsealed(made) == (data, [])


@pytest.mark.skipif(shutil.which("age") is None, reason="the program age is not installed: apt-get install age")
@pytest.mark.parametrize("size", SIZES)
def test_the_program_age_reads_what_we_write_and_we_what_it_writes(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    written(tmp_path / "a.age", data)
    done = subprocess.run(
        ["age", "--decrypt", "--identity", identity_file(tmp_path), tmp_path / "a.age"],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == data
    made = subprocess.run(
        ["age", "--recipient", PUBLIC], input=data, capture_output=True, check=True, timeout=60
    ).stdout
    assert unsealed(made) == (data, [])


def test_several_recipients_can_read_and_nobody_else(tmp_path: Path) -> None:
    secrets = [bytes([number]) * 32 for number in (1, 2, 3)]
    public = [age.X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw() for secret in secrets]
    text = age.header(b"k" * 16, public[:2], [os.urandom(32), os.urandom(32)])
    assert age.file_key(text + b"payload", secrets[:1]) == (b"k" * 16, len(text))
    assert age.file_key(text, secrets[1:]) == (b"k" * 16, len(text))
    assert age.file_key(text, secrets[2:]) == (None, len(text))
    assert age.file_key(text, []) == (None, len(text))


@pytest.mark.parametrize("number", range(16))
def test_a_header_that_was_changed_gives_no_key(number: int) -> None:
    """Nor where Base64 has bits that mean nothing: at the end of the authentication, in some headers."""
    public = age.X25519PrivateKey.from_private_bytes(KEY).public_key().public_bytes_raw()
    text = age.header(b"k" * 16, [public], [bytes([number]) * 32])
    for at in range(len(text)):
        changed = text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]
        assert age.file_key(changed, [KEY])[0] is None, at
        assert age.file_key(text[:at], [KEY]) == (None, 0), at


def test_a_share_that_is_no_point_is_passed_over() -> None:
    public = age.X25519PrivateKey.from_private_bytes(KEY).public_key().public_bytes_raw()
    text = age.header(b"k" * 16, [public], [os.urandom(32)])
    zero = b"-> X25519 " + b"A" * 43
    at = text.index(b"-> X25519")
    assert age.file_key(text[:at] + zero + text[at + len(zero) :], [KEY])[0] is None
