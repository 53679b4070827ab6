"""``rawlog serve``: where its messages go, and what a wrong command line or file is answered with."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rawlog.cli import main
from tests.support.fakeserving import fake_serving, talk
from tests.support.gateway import eventually
from tests.support.peer import SECONDS


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "-c", "/no/such.conf"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("rawlog: /no/such.conf: No such file or directory")
    assert said.count("\n") == 1


def test_it_says_what_it_does_with_times_and_one_line_for_each_conversation() -> None:
    with fake_serving("rawlog_keep = unlimited\n") as gateway:
        talk(gateway)
        (line,) = gateway.ends(1)
        first, second, *_ = gateway.log().splitlines()
    assert "rawlog_keep: mail is kept for more than 180 days" in first
    assert "listening on 127.0.0.1:" in second
    stamp, _, rest = line.partition(" ")[2].partition(" ")
    assert len(stamp) == len("10:45:00,123")
    words = dict(word.partition("=")[::2] for word in rest.split(": ", 1)[1].split(" end=")[0].split())
    assert (words["user"], words["in"]) == ("bob", str(len("a LOGIN bob secret\r\nb LOGOUT\r\n")))
    assert set(words) == {"user", "client", "backend", "tls", "in", "out", "files"}


def test_messages_may_go_to_a_file(tmp_path: Path) -> None:
    log = tmp_path / "rawlog.log"
    with fake_serving(f"log_path = {log}\n", start=False) as gateway:
        command = [sys.executable, "-P", "-m", "rawlog", "serve", "-c", str(gateway.file)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            eventually(lambda: log.exists() and "listening on" in log.read_text())
            talk(gateway)
        finally:
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=SECONDS)[1]
    assert said == ""
    assert " user=bob " in log.read_text()


def test_a_log_that_can_not_be_written_is_told() -> None:
    with fake_serving("log_path = /no/such/directory/log\n", start=False) as gateway:
        code, said = gateway.run()
    assert code == 2
    assert said == (
        "rawlog: log_path /no/such/directory/log: No such file or directory; choose a file that can be written\n"
    )
