"""A certificate authority for one run, and a certificate for this machine's loopback.

Knows: which names a client on this machine calls the server by. Must not know: who uses the certificate.
The files are made new each time, so no private key is ever part of the project.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1", "::1")


def write_certificates(directory: Path) -> None:
    """Write ``ca.pem``, ``cert.pem`` (with its chain) and ``key.pem`` (mode 0600) into ``directory``."""
    authority = trustme.CA(organization_name="Rawlog demo", organization_unit_name="made for one run")
    leaf = authority.issue_cert(*NAMES, common_name="localhost")
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    key = directory / "key.pem"
    key.touch(mode=0o600)
    key.write_bytes(leaf.private_key_pem.bytes())
    (directory / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))


def server_context(directory: Path) -> ssl.SSLContext:
    """The server side's TLS context over the files of :func:`write_certificates`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    return context
