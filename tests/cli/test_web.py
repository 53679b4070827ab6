"""``rawlog web``, as a person calls it."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from rawlog.cli import main
from tests.support.probes import needs_landlock
from tests.support.viewing import PATIENCE, enter, eventually, small, write


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_the_address_and_runs_until_it_is_ended(tmp_path: Path, cache: Path, ending: int) -> None:
    write(tmp_path / "raw" / "one.rawlog", small())
    command = [sys.executable, "-m", "rawlog", "web", str(tmp_path / "raw")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as viewer:
        assert viewer.stdout is not None
        assert viewer.stderr is not None
        url = viewer.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert viewer.stdout.readline() == "Open this address in a browser; Ctrl-C ends.\n"
        with urllib.request.urlopen(url, timeout=PATIENCE) as page:
            assert page.read().startswith(b"<!DOCTYPE html>")
        viewer.send_signal(ending)
        code = viewer.wait(PATIENCE)
        assert viewer.stderr.read() == ""
    assert code == 0


def test_an_open_page_is_no_trouble_at_the_end(tmp_path: Path, cache: Path) -> None:
    command = [sys.executable, "-m", "rawlog", "web", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as viewer:
        assert viewer.stdout is not None
        assert viewer.stderr is not None
        page, cookie = enter(viewer.stdout.readline().strip())
        request = urllib.request.Request(f"{page}api/list/events", headers={"Cookie": cookie})
        with urllib.request.urlopen(request, timeout=PATIENCE) as events:
            assert events.readline().startswith(b"data: ")
            viewer.terminate()
            assert viewer.wait(PATIENCE) == 0
        assert viewer.stderr.read() == ""


@needs_landlock
def test_it_can_change_nothing_but_its_notes(tmp_path: Path, cache: Path) -> None:
    write(tmp_path / "raw" / "one.rawlog", small())
    command = [sys.executable, "-m", "rawlog", "web", str(tmp_path / "raw")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as viewer:
        assert viewer.stdout is not None
        viewer.stdout.readline()
        shelf = cache / "rawlog" / "shelf.sqlite"
        eventually(lambda: shelf.exists() and b"alice" in shelf.read_bytes())
        status = Path(f"/proc/{viewer.pid}/status").read_text()
        viewer.terminate()
        assert viewer.wait(PATIENCE) == 0
    assert "NoNewPrivs:\t1" in status


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_the_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    find = importlib.util.find_spec

    def found(name: str, *words: Any) -> Any:
        return None if name == missing else find(name, *words)

    monkeypatch.setattr(importlib.util, "find_spec", found)
    assert main(["web", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told == "rawlog: the viewer is not installed; install it with: pip install 'rawlog[web]'\n"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["nowhere"], 1, "nowhere: no such file or directory; check the path"),
        (["--listen", "127.0.0.1"], 2, "the port is missing"),
        (["--listen", "tls:127.0.0.1:0"], 2, "for TLS add --cert and --key"),
        (["--listen", "unix:/tmp/x"], 2, "give HOST:PORT"),
        (["--listen", "192.0.2.1:0"], 2, "others could read along"),
        (["--key", "key.pem"], 2, "--cert is missing"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["web", *words]) == code
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
