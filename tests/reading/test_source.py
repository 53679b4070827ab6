"""Files are read in pieces, again and again; streams once; what fails says why in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rawlog.errors import RawlogError
from rawlog.reading.source import HEAD_SIZE, PIECE_SIZE, Source


def test_a_file_is_given_in_pieces_and_again(tmp_path: Path) -> None:
    path = tmp_path / "a.in"
    path.write_bytes(b"0123456789" * 20000)
    source = Source(str(path))
    assert source.head == path.read_bytes()[:HEAD_SIZE]
    for _ in range(2):
        pieces = list(source)
        assert b"".join(pieces) == path.read_bytes()
        assert max(map(len, pieces)) == PIECE_SIZE


def test_a_stream_is_given_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = subprocess.Popen([sys.executable, "-c", f"open({str(path)!r}, 'wb').write(b'a2 NOOP\\r\\n' * 20000)"])
    try:
        source = Source(str(path))
        assert source.head.startswith(b"a2 NOOP\r\n")
        assert b"".join(source) == b"a2 NOOP\r\n" * 20000
        with pytest.raises(RawlogError, match="can be read only once"):
            list(source)
    finally:
        assert writer.wait(timeout=30) == 0


def test_standard_input_is_a_stream() -> None:
    program = "from rawlog.reading.source import Source; s = Source('-'); print(s.name, s.head, list(s))"
    done = subprocess.run(
        [sys.executable, "-c", program], input=b"a2 NOOP\r\n", capture_output=True, timeout=30, check=True
    )
    assert done.stdout.decode() == "standard input b'a2 NOOP\\r\\n' [b'a2 NOOP\\r\\n']\n"


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(RawlogError) as error:
        Source(str(tmp_path / "no.in"))
    assert str(error.value) == f"{tmp_path}/no.in: no such file; check the path"


def test_a_directory_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(RawlogError, match="is a directory; name a recording in it"):
        Source(str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_somebody_else_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.in"
    path.touch(mode=0)
    with pytest.raises(RawlogError, match="permission denied; read it as its owner or as root"):
        Source(str(path))


def test_a_file_that_vanishes_meanwhile_is_an_error_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.in"
    path.write_bytes(b"x")
    source = Source(str(path))
    path.unlink()
    with pytest.raises(RawlogError, match="no such file"):
        list(source)
