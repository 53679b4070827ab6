"""The certificates of one run: usable by both sides, private where they must be."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from rawlog.demo.certificate import server_context, write_certificates


def handshake(directory: Path, name: str) -> None:
    """A TLS handshake in memory between a client that trusts ca.pem and the server; raises when it fails."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    trust = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    client = trust.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context(directory).wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client.version() == server.version() == "TLSv1.3"


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_client_that_trusts_the_authority_verifies_the_name(tmp_path: Path, name: str) -> None:
    write_certificates(tmp_path)
    handshake(tmp_path, name)


def test_another_name_is_not_certified(tmp_path: Path) -> None:
    write_certificates(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, "mail.example.com")


def test_each_run_has_its_own_key_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_certificates(tmp_path / name)
    assert (tmp_path / "a/key.pem").read_bytes() != (tmp_path / "b/key.pem").read_bytes()
    assert (tmp_path / "a/key.pem").stat().st_mode & 0o777 == 0o600
