"""One port, on this machine, until it is ended."""

from __future__ import annotations

import json
import re
import socket
import urllib.request
from pathlib import Path

import pytest

from rawlog.errors import ConfigError, RawlogError
from rawlog.web.catalog import Catalog
from rawlog.web.server import Address, Viewer, bound
from tests.support.certificates import certificates
from tests.support.viewing import PATIENCE, enter, serving, small, write


def test_a_viewer(tmp_path: Path) -> None:
    write(tmp_path / "one.rawlog", small())
    with serving(tmp_path, Address("127.0.0.1", 0)) as url:
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]*/#token=[\w-]{43}", url)
        page, cookie = enter(url)
        request = urllib.request.Request(f"{page}api/list", headers={"Cookie": cookie})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert json.load(answer)["rows"] is not None
            assert "server" not in {name.lower() for name in answer.headers}


def test_with_a_certificate(tmp_path: Path) -> None:
    files = certificates()
    address = Address("localhost", 0, str(files.pem("good")), str(files.pem("good")))
    with serving(tmp_path, address) as url:
        assert url.startswith("https://localhost:")
        _, cookie = enter(url, files.client())
        assert cookie.startswith("rawlog-")


def test_open_pages_do_not_keep_it_running(tmp_path: Path) -> None:
    with serving(tmp_path, Address("127.0.0.1", 0)) as url:
        page, cookie = enter(url)
        request = urllib.request.Request(f"{page}api/list/events", headers={"Cookie": cookie})
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
        assert answer.readline().startswith(b"data: ")
    answer.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "mail.example.com", "0.0.0.0", "::"])
def test_nothing_listens_to_a_network_in_the_clear(host: str) -> None:
    with pytest.raises(ConfigError, match="others could read along"), bound(Address(host, 0)):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_not_on_all_addresses(host: str) -> None:
    with pytest.raises(ConfigError, match="name the address"), bound(Address(host, 0, "cert.pem")):
        pass


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(RawlogError, match=rf"127\.0\.0\.1:{port}: can't listen there"),
            bound(Address("127.0.0.1", port)),
        ):
            pass


def test_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nothing")
    address = Address("127.0.0.1", 0, str(tmp_path / "cert.pem"))
    with bound(address) as listening, pytest.raises(ConfigError, match="no certificate"):
        Viewer(Catalog([str(tmp_path)], None), listening, address)
