"""TLS contexts of the two legs, and a certificate for the day.

Knows: the policy (TLS 1.2 at least, backends verified), certificate files and what is wrong with them, how to have a
self-signed certificate made. Must not know: sockets, handshakes.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path

from rawlog.errors import ConfigError

DAY_NAMES = "DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1"
OPENSSL_TIMEOUT = 30.0  # seconds for making a key and a certificate


VERSIONS = {  # ssl_min_protocol; what OpenSSL itself was told to forbid stays forbidden
    "ANY": ssl.TLSVersion.MINIMUM_SUPPORTED,
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
    "LATEST": ssl.TLSVersion.TLSv1_3,
}


def client_context(cert: str, key: str | None, minimum: str = "TLSv1.2") -> ssl.SSLContext:
    """For the clients' leg: the certificate chain and key in two PEM files (or one), and the oldest TLS allowed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[minimum]
    for path in filter(None, (cert, key)):
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}; give a PEM file that can be read") from None
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        raise ConfigError(f"{cert}: {_certificate_fault(error, cert, key)}") from None
    return context


def backend_context(
    ca_file: str | None = None, ca_dir: str | None = None, *, verify: bool = True, minimum: str = "TLSv1.2"
) -> ssl.SSLContext:
    """For the backend's leg: chain, name and time are verified unless ``verify`` is False, with the system's
    authorities, or those of a file or of a directory of hashed names."""
    try:
        context = ssl.create_default_context(cafile=ca_file, capath=ca_dir)
    except OSError as error:
        why = "no certificates in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"{ca_file or ca_dir}: {why}; give a PEM file of authorities") from None
    context.minimum_version = VERSIONS[minimum]
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def context_of_the_day() -> ssl.SSLContext:
    """For the clients' leg, with a self-signed certificate that is valid for a day and kept in no file.

    Made with the openssl command, or with trustme where that is installed (the extra ``[demo]``). Raises ConfigError
    where there is neither.
    """
    with tempfile.TemporaryDirectory(prefix="rawlog-") as directory:
        cert, key = Path(directory, "cert.pem"), Path(directory, "key.pem")
        if not (_by_openssl(cert, key) or _by_trustme(cert, key)):
            raise ConfigError(
                "no certificate for TLS: give --cert and --key, or install the openssl command or rawlog[demo]"
            )
        return client_context(str(cert), str(key))


def _by_openssl(cert: Path, key: Path) -> bool:
    command = shutil.which("openssl")
    if command is None:
        return False
    request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=localhost/O=rawlog for a day", "-addext", f"subjectAltName={DAY_NAMES}"]
    files = ["-keyout", str(key), "-out", str(cert)]
    try:
        done = subprocess.run([command, *request, *names, *files], capture_output=True, timeout=OPENSSL_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _by_trustme(cert: Path, key: Path) -> bool:
    try:
        import trustme
    except ImportError:
        return False
    issued = trustme.CA().issue_cert("localhost", "127.0.0.1", "::1")
    issued.private_key_pem.write_to_path(key)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(cert, append=True)
    return True


def _no_password() -> str:
    raise ConfigError("the private key is encrypted; give a key file without a passphrase")


def _certificate_fault(error: ssl.SSLError, cert: str, key: str | None) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the certificate does not belong to the key in {key or cert}; give the two that were made together"
    return f"no certificate and key in PEM form there or in {key or cert}; give --cert and --key"
