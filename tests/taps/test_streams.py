"""The tap of a stream in a Python program: what it records, when it does not, and that it never raises."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from rawlog.errors import ConfigError
from rawlog.events import Mark
from rawlog.reading.opener import open_recording
from rawlog.taps.streams import StreamTap, may_record
from tests.support.gateway import records


def talk(tap: StreamTap, *, server: bool = False) -> None:
    """A login, seen by the client or by the server."""
    from_server, from_client = (tap.sent, tap.received) if server else (tap.received, tap.sent)
    from_server(b"* OK ready\r\n")
    from_client(b"1 LOGIN alice wonderland\r\n")
    from_server(b"1 OK in\r\n")
    from_client(b"2 NOOP\r\n")


def test_a_client_records_what_the_server_said_as_in(tmp_path: Path) -> None:
    tap = StreamTap(tmp_path, protocol="imap")
    talk(tap)
    (record,) = records(tmp_path)  # it is there before the end
    assert record.in_ == b"* OK ready\r\n1 OK in\r\n"
    assert record.out == b"1 LOGIN alice XXXXXXXXXX\r\n2 NOOP\r\n"
    tap.close("test")


def test_a_server_records_what_the_client_said_as_in(tmp_path: Path) -> None:
    tap = StreamTap(tmp_path, protocol="imap", server=True, secrets="keep")
    talk(tap, server=True)
    tap.close("test")
    (record,) = records(tmp_path)
    assert record.in_ == b"1 LOGIN alice wonderland\r\n2 NOOP\r\n"


def test_a_directory_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "alice").mkdir()
    tap = StreamTap(f"{tmp_path}/%u", protocol="imap")
    talk(tap)
    tap.close("test")
    (record,) = records(tmp_path)
    assert record.path.parent.name == "alice"
    assert record.in_.startswith(b"* OK ready\r\n")


def test_one_native_file_with_marks(tmp_path: Path) -> None:
    tap = StreamTap(tmp_path, protocol="pop3", native=True)
    tap.received(b"+OK ready\r\n")
    tap.mark("tls", {"version": "TLSv1.3"})
    tap.close("done")
    tap.close("again")
    tap.received(b"too late")
    (path,) = tmp_path.iterdir()
    recording = open_recording(path)
    events = list(recording.events)
    assert recording.protocol == "pop3"
    assert [(e.name, e.detail) for e in events if isinstance(e, Mark)] == [
        ("tls", {"version": "TLSv1.3"}),
        ("closed", {"reason": "done"}),
    ]


def test_a_relative_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("100%").mkdir()
    monkeypatch.chdir("100%")
    Path("rec").mkdir()
    tap = StreamTap("rec", protocol="imap")
    talk(tap)
    assert len(records(Path("rec"))) == 1


@pytest.mark.parametrize(
    ("directory", "protocol", "told"), [("/x", "nntp", "protocol 'nntp'"), ("/x/%{nothing}", "imap", "nothing")]
)
def test_what_can_not_be_is_told_at_once(directory: str, protocol: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        StreamTap(directory, protocol=protocol)


def test_the_directory_is_the_switch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rawlog")
    assert may_record(tmp_path)
    assert may_record("/nowhere/%u")
    assert not may_record(tmp_path / "gone")
    assert caplog.messages == [f"not recorded: {tmp_path}/gone: no such directory; make it (mkdir) to record"]


def test_a_mistake_of_ours_never_reaches_the_program(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap = StreamTap(tmp_path, protocol="imap")

    def fail(*_: object) -> None:
        raise RuntimeError("oops")

    monkeypatch.setattr("rawlog.dialogue.redact.Masker.chunk", fail)
    tap.received(b"* OK\r\n")
    tap.received(b"* OK\r\n")
    assert caplog.messages == ["recording ends: RuntimeError: oops; the conversation goes on"]


def test_both_directions_from_many_threads(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    tap = StreamTap(tmp_path, protocol="imap")
    talk(tap)
    with ThreadPoolExecutor(4) as pool:
        for number in range(400):
            pool.submit(tap.sent if number % 2 else tap.received, b"* line\r\n")
    tap.close("test")
    (record,) = records(tmp_path)
    assert (record.in_.count(b"* line\r\n"), record.out.count(b"* line\r\n")) == (200, 200)
