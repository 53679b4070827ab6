"""Certificates for tests, good ones and bad ones, made new in each test process.

Knows: the ways in which a server's certificate can be wrong. Must not know: who shows it, or what is then done.
"""

from __future__ import annotations

import atexit
import os
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = ("localhost", "127.0.0.1", "::1")
DAY = timedelta(days=1)

BAD = {
    "expired": "has expired",
    "not-yet": "is not valid yet",
    "wrong-host": "is not for localhost",
    "self-signed": "is self-signed",
    "unknown-ca": "comes from an authority that is not trusted",
}
"""What can be wrong, and what a message about it must say."""


class Certificates:
    """``directory`` holds ``ca.pem``, which is to be trusted, and for ``good`` and each of BAD one PEM file with key
    and chain. ``good`` is for ``localhost``, ``127.0.0.1`` and ``::1``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        now = datetime.now(UTC)
        ca = trustme.CA(organization_name="Tests")
        ca.cert_pem.write_to_path(str(self.ca_file))
        self._write("good", ca.issue_cert(*NAMES))
        self._write("expired", ca.issue_cert(*NAMES, not_before=now - 3 * DAY, not_after=now - DAY))
        self._write("not-yet", ca.issue_cert(*NAMES, not_before=now + DAY, not_after=now + 3 * DAY))
        self._write("wrong-host", ca.issue_cert("elsewhere.example.com"))
        self._write("unknown-ca", trustme.CA(organization_name="Strangers").issue_cert(*NAMES))
        self.pem("self-signed").write_bytes(_self_signed(now))

    @property
    def ca_file(self) -> Path:
        """The authority of ``good``, and of what is bad for another reason than its authority."""
        return self.directory / "ca.pem"

    def pem(self, kind: str) -> Path:
        """File with the private key and the certificate (with its chain)."""
        return self.directory / f"{kind}.pem"

    def server(self, kind: str = "good") -> ssl.SSLContext:
        """A new context for the server's side."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem(kind))
        return context

    def client(self) -> ssl.SSLContext:
        """A new context for the client's side that verifies everything."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def _write(self, kind: str, leaf: trustme.LeafCert) -> None:
        self.pem(kind).write_bytes(leaf.private_key_and_cert_chain_pem.bytes())


@cache
def certificates() -> Certificates:
    """Those of this process; the files are removed at its end."""
    directory = tempfile.TemporaryDirectory(prefix="rawlog-certificates-")
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # and not a child that a test forked
            directory.cleanup()

    atexit.register(remove)
    return Certificates(Path(directory.name))


def _self_signed(now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key_pem + certificate.public_bytes(serialization.Encoding.PEM)
