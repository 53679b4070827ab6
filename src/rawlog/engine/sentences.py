"""What went wrong on a leg, as one sentence a person can act on.

Knows: the errors of sockets and of OpenSSL, and what to do about each. Must not know: which leg, which relay; the
caller puts the leg's name in front. It is a file of its own because operators read these lines more often than anyone
reads the code that meets the errors. Nothing received from the peer is repeated here: it may be a password.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from rawlog.errors import RawlogError

if TYPE_CHECKING:
    import ssl


class LegError(RawlogError):
    """One end of a conversation failed. ``str()`` is ``NAME: what happened; what to do``."""


_CERTIFICATE = {
    9: "its TLS certificate is not valid yet; check the clock of this machine, then the certificate",
    10: "its TLS certificate has expired; renew the certificate there",
    18: "its TLS certificate is self-signed; add that certificate to the trusted ones (ssl_client_ca_file) "
    "or install one from an authority there",
    19: "its TLS certificate chain ends in a self-signed certificate that is not trusted here; add that authority's "
    "certificate to the trusted ones (ssl_client_ca_file)",
    20: "its TLS certificate comes from an authority that is not trusted here; add that authority's certificate to "
    "the trusted ones (ssl_client_ca_file), or let the other side send its whole chain",
    21: "its TLS certificate comes from an authority that is not trusted here; add that authority's certificate to "
    "the trusted ones (ssl_client_ca_file), or let the other side send its whole chain",
    23: "its TLS certificate was revoked; replace the certificate there",
    26: "its TLS certificate is not made for this use; replace it by a certificate for the right purpose",
    64: "its TLS certificate is not for {host}; connect by a host name that the certificate holds",
    62: "its TLS certificate is not for {host}; connect by a name it holds, or renew it with this name",
}
"""X.509 verify codes (openssl x509_vfy.h) of the certificate the other side showed."""

_NOT_TLS = "answers in plain text where TLS is expected; check the port, or use STARTTLS instead of TLS from the start"
_NOT_TLS_SERVER = "sends plain text where TLS is expected; switch TLS on in the client, or let it use the plain port"
_NO_VERSION = "no TLS version in common; allow an older one on this side (ssl_min_protocol) or update the other side"
_NO_CIPHER = "no cipher or key type in common; update the older of the two sides"
_REFUSED_OURS = "does not accept our TLS certificate ({alert}); install one (ssl_cert) that it trusts"
_WANTS_CERTIFICATE = "asks for a client certificate; give it one, or stop asking there"

_REASONS = {
    "NO_PROTOCOLS_AVAILABLE": _NO_VERSION,
    "UNSUPPORTED_PROTOCOL": _NO_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": _NO_VERSION,
    "VERSION_TOO_LOW": _NO_VERSION,
    "WRONG_SSL_VERSION": _NO_VERSION,
    "NO_SHARED_CIPHER": _NO_CIPHER,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _NO_CIPHER,
    "NO_SUITABLE_SIGNATURE_ALGORITHM": _NO_CIPHER,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": _NO_CIPHER,
    "TLSV1_ALERT_UNKNOWN_CA": _REFUSED_OURS.format(alert="unknown authority"),
    "SSLV3_ALERT_BAD_CERTIFICATE": _REFUSED_OURS.format(alert="bad certificate"),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _REFUSED_OURS.format(alert="certificate unknown"),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _REFUSED_OURS.format(alert="certificate expired"),
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _REFUSED_OURS.format(alert="certificate revoked"),
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _REFUSED_OURS.format(alert="unsupported certificate"),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _WANTS_CERTIFICATE,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "showed no client certificate; install one there, or stop asking for it here",
    "TLSV1_UNRECOGNIZED_NAME": "does not know the host name {host}; connect by a name it serves",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": "speaks another protocol (ALPN); check the port",
    "NO_APPLICATION_PROTOCOL": "speaks another protocol (ALPN); check the port",
}
"""OpenSSL's reason names. What is not here is told in OpenSSL's own words."""

_PLAIN_TEXT_REASONS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG"}
_PLAIN_TEXT_REASONS |= {"UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"}

_OS_SENTENCES = {
    errno.ECONNREFUSED: "connection refused, nothing listens there; start that server or correct the address",
    errno.ENOENT: "there is no such socket; start that server or correct the path",
    errno.EACCES: "permission denied; allow this user to write to the socket, or let the firewall pass it",
    errno.EPERM: "not permitted; let the firewall of this machine pass it",
    errno.ENETUNREACH: "network unreachable; check the address and the routes of this machine",
    errno.EHOSTUNREACH: "host unreachable; check the address, and that the host is up",
    errno.EADDRNOTAVAIL: "no local address or port is free for it; check the address, and the number of connections",
    errno.ETIMEDOUT: "timed out; check that the host is up and that no firewall drops the connection",
    errno.EAGAIN: "does not accept connections; check that its process is alive, and raise its limit of clients",
    errno.ECONNRESET: "reset the connection",
    errno.EPIPE: "closed the connection",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n, LimitNOFILE)",
    errno.ENFILE: "too many open files in the whole system; raise fs.file-max",
}


def os_sentence(error: OSError) -> str:
    """The sentence for a failed socket call, without the name of the leg."""
    number = error.errno
    if number in _OS_SENTENCES:
        return _OS_SENTENCES[number]
    text = error.strerror or (os.strerror(number) if number is not None else str(error))
    return f"{text}; check the connection to it"


def os_reason(name: str, error: OSError) -> str:
    """Why a conversation ended, when ``error`` was met at the leg of that name."""
    if error.errno == errno.ECONNRESET:
        return f"{name} reset the connection"
    if error.errno == errno.EPIPE:
        return f"{name} closed"
    return f"{name}: {os_sentence(error)}"


def handshake_sentence(error: ssl.SSLError, *, server_side: bool, host: str | None) -> str:
    """The sentence for a failed TLS handshake, without the name of the leg. ``host`` is the name we asked for."""
    import ssl  # who has such an error has loaded it

    named = host or "the name we use"
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _CERTIFICATE.get(error.verify_code)
        if known is not None:
            return known.format(host=named)
        return f"its TLS certificate was refused: {error.verify_message}; replace the certificate there"
    reason = error.reason or ""
    if reason in _PLAIN_TEXT_REASONS:
        return _NOT_TLS_SERVER if server_side else _NOT_TLS
    if isinstance(error, ssl.SSLEOFError) or reason == "UNEXPECTED_EOF_WHILE_READING":
        return handshake_eof_sentence()
    if reason in _REASONS:
        return _REASONS[reason].format(host=named)
    return f"TLS handshake failed: {_words(reason)}; check the TLS settings of both sides"


def handshake_eof_sentence() -> str:
    """The sentence for an end of the connection in the middle of the handshake."""
    return "closed the connection during the TLS handshake; check the TLS settings and the log of that side"


def handshake_timeout_sentence(seconds: float) -> str:
    """The sentence for a handshake that does not come to an end."""
    return f"no TLS handshake within {seconds:g} s; check that it speaks TLS on this port"


def stream_sentence(error: ssl.SSLError) -> str:
    """The sentence for a TLS error after the handshake, without the name of the leg."""
    reason = error.reason or ""
    known = _REASONS.get(reason)
    if known is not None and "{host}" not in known:
        return known
    return f"TLS error: {_words(reason)}; the connection can't be trusted any more and was ended"


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ") or "unknown error"
