"""A gateway from a few words."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlog.engine.loop import Loop
from rawlog.errors import RawlogError
from rawlog.settings.backend import Backend, Listen, parse_backend
from rawlog.taps.single import absolute, endpoints, single_gateway


def test_a_relative_directory_is_below_the_current_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / "100%sure"
    place.mkdir()
    monkeypatch.chdir(place)
    assert absolute("rec/%u") == f"{tmp_path}/100%%sure/rec/%u"
    assert absolute("/rec") == "/rec"
    assert absolute("%h/rec") == "%h/rec"


def test_endpoints() -> None:
    assert [end.text for end in endpoints(parse_backend("imap://127.0.0.1:1143"))] == ["127.0.0.1:1143"]
    assert [end.address for end in endpoints(Backend("lmtp", unix_path="/run/x"))] == ["/run/x"]


def test_an_unknown_host_is_an_error_at_the_start() -> None:
    with pytest.raises(RawlogError, match=r"no-such-host\.invalid"):
        endpoints(parse_backend("imap://no-such-host.invalid"))


def test_it_listens_where_it_is_told_to(tmp_path: Path) -> None:
    loop = Loop()
    gateway = single_gateway(
        loop,
        parse_backend("imap://127.0.0.1:1"),
        directory=str(tmp_path),
        client_context=None,
        ca_file=None,
        keep_secrets=False,
        report=print,
    )
    first = gateway.listen(Listen("127.0.0.1", 0))
    assert first.port
    with pytest.raises(RawlogError, match="the address is in use"):
        gateway.listen(Listen("127.0.0.1", first.port))
    gateway.stop_listening()
    loop.close()
