"""Contexts of both legs, and what is said about certificate files that can't be used."""

from __future__ import annotations

import shutil
import ssl
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from rawlog.errors import ConfigError
from rawlog.taps import tls
from tests.support.certificates import BAD, Certificates, certificates


@pytest.fixture(scope="module")
def pem() -> Certificates:
    return certificates()


def shake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> ssl.SSLObject:
    """Let two contexts shake hands in memory; gives the client's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(ends)
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
        if not waiting:
            return ends[0]
    raise AssertionError("the handshake does not end")


def test_a_certificate_with_its_key_in_one_file_or_in_two(pem: Certificates, tmp_path: Path) -> None:
    whole = pem.pem("good").read_text()
    key, mark, chain = whole.partition("-----BEGIN CERTIFICATE-----")
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "cert.pem").write_text(mark + chain)
    one = tls.client_context(str(pem.pem("good")), None)
    two = tls.client_context(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    for context in (one, two):
        assert shake(context, pem.client()).version() == "TLSv1.3"


@pytest.mark.parametrize(
    "make", [lambda pem: tls.client_context(str(pem.pem("good")), None), lambda _: tls.backend_context()]
)
def test_nothing_older_than_tls_1_2(pem: Certificates, make) -> None:
    assert make(pem).minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("cert", "key", "told"),
    [
        ("missing.pem", None, "missing.pem: No such file or directory; give a PEM file"),
        ("good.pem", "missing.key", "missing.key: No such file or directory"),
        (".", None, "Is a directory"),
        ("ca.pem", None, "no certificate and key in PEM form"),
        ("good.pem", "expired.pem", "does not belong to the key in"),
        ("text.pem", None, "no certificate and key in PEM form"),
        ("locked.pem", None, "the private key is encrypted"),
    ],
)
def test_files_that_can_not_be_used_are_named(
    pem: Certificates, tmp_path: Path, cert: str, key: str | None, told: str
) -> None:
    for path in pem.directory.iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "text.pem").write_text("hello")
    (tmp_path / "locked.pem").write_bytes(locked(pem.pem("good").read_bytes()))
    with pytest.raises(ConfigError) as error:
        tls.client_context(str(tmp_path / cert), str(tmp_path / key) if key else None)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def locked(pem: bytes) -> bytes:
    """The same with its key encrypted."""
    key = serialization.load_pem_private_key(pem, None)
    form = serialization.PrivateFormat.PKCS8
    encrypted = key.private_bytes(serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"x"))
    return encrypted + pem[pem.index(b"-----BEGIN CERTIFICATE") :]


def test_a_backend_is_verified(pem: Certificates) -> None:
    context = tls.backend_context(str(pem.ca_file))
    assert shake(pem.server("good"), context)
    for kind in BAD:
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(pem.server(kind), context)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(pem.server("good"), tls.backend_context())


@pytest.mark.parametrize(
    ("content", "told"), [(None, "No such file"), ("hello", "no certificates in it"), ("", "no certificates")]
)
def test_authorities_that_can_not_be_used_are_named(tmp_path: Path, content: str | None, told: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError) as error:
        tls.backend_context(str(path))
    assert str(error.value).startswith(f"{path}: ")
    assert told in str(error.value)


def trusting_nobody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.mark.parametrize("without", [(), ("openssl",), ("trustme",)])
def test_a_certificate_for_the_day_is_made_by_what_there_is(
    monkeypatch: pytest.MonkeyPatch, without: tuple[str]
) -> None:
    if "openssl" in without:
        monkeypatch.setenv("PATH", "")
    elif shutil.which("openssl") is None:
        pytest.skip("the openssl command is not installed")
    if "trustme" in without:
        monkeypatch.setitem(sys.modules, "trustme", None)
    context = tls.context_of_the_day()
    assert shake(context, trusting_nobody()).version() == "TLSv1.3"


def test_a_certificate_for_the_day_says_what_it_is_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is not installed")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    assert tls._by_openssl(cert, key)
    assert key.stat().st_mode & 0o077 == 0
    context = ssl.create_default_context(cafile=str(cert))
    for name in ("localhost", "127.0.0.1", "::1"):
        assert shake(tls.client_context(str(cert), str(key)), context, name)


def test_an_openssl_that_fails_is_not_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "openssl"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ConfigError, match="give --cert and --key"):
        tls.context_of_the_day()


def test_without_anything_to_make_one_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ConfigError, match="give --cert and --key, or install the openssl command"):
        tls.context_of_the_day()


@pytest.mark.parametrize(("word", "oldest"), tls.VERSIONS.items())
def test_the_oldest_tls_is_what_was_asked_for(pem: Certificates, word: str, oldest: ssl.TLSVersion) -> None:
    assert tls.client_context(str(pem.pem("good")), None, word).minimum_version == oldest
    assert tls.backend_context(minimum=word).minimum_version == oldest


def test_a_backend_may_be_taken_as_it_is() -> None:
    context = tls.backend_context(verify=False)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)
    assert tls.backend_context().verify_mode == ssl.CERT_REQUIRED
