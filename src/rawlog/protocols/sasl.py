"""SASL as a recorder sees it: which bytes are secret, and whose they are.

Knows: the client's messages of the mechanisms that carry a user name (PLAIN, LOGIN, XOAUTH2, OAUTHBEARER, CRAM-MD5,
DIGEST-MD5, SCRAM-*, NTLM, EXTERNAL), and the base64 profile all mail protocols share (RFC 4422, RFC 4954,
RFC 3501 6.2.2, RFC 5034). Must not know: which protocol it is spoken in, and never whether a password is right.

Deny by default: every payload of an exchange is secret in both directions, whatever the mechanism, known or not. A
mechanism is only understood to find the user's name.
"""

from __future__ import annotations

import binascii
import re
import struct

PROMPTS = frozenset((b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6", b"VXNlciBOYW1lAA==", b"UGFzc3dvcmQA"))  # of LOGIN, no secrets

_NOTHING = (b"", b"=", b"*")  # an empty message, an empty initial response, a cancel
_PADDED = re.compile(rb"[A-Za-z0-9+/]+(={1,2})")
_MECHANISM = re.compile(rb"[A-Z0-9_-]{1,20}")  # RFC 4422 3.1
_KNOWN = frozenset(
    b"ANONYMOUS CRAM-MD5 DIGEST-MD5 EXTERNAL GS2-KRB5 GS2-KRB5-PLUS GSS-SPNEGO GSSAPI KERBEROS_V4 LOGIN NTLM "
    b"OAUTHBEARER OTP PLAIN SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-256-PLUS SCRAM-SHA-512 "
    b"SCRAM-SHA-512-PLUS XOAUTH XOAUTH2".split()
)


class Exchange:
    """One authentication dialogue. ``user`` is the name the client gave, None while unknown."""

    def __init__(self, mechanism: bytes) -> None:
        self.mechanism = mechanism.upper().decode("latin-1")
        self.user: str | None = None
        self._messages = 0

    def client(self, payload: bytes) -> tuple[int, int] | None:
        """A message of the client, an initial response included; gives the secret span inside ``payload``.

        None when there is nothing secret: an empty message, ``=`` (empty initial response), ``*`` (cancel).
        """
        if payload not in _NOTHING:
            self._learn(_decode(payload))
        self._messages += 1
        return payload_span(payload)

    def _learn(self, message: bytes | None) -> None:
        if self.user is None and message is not None:
            name = self._name_in(message)
            if name:
                self.user = name.decode("utf-8", "surrogateescape")

    def _name_in(self, message: bytes) -> bytes:
        mechanism = self.mechanism
        if mechanism == "PLAIN":
            authzid, _, rest = message.partition(b"\0")
            name, separator, _ = rest.partition(b"\0")
            return (authzid or name) if separator else b""
        if mechanism == "LOGIN":
            return message if self._messages == 0 else b""
        if mechanism == "CRAM-MD5":
            return message.rpartition(b" ")[0]
        if mechanism == "EXTERNAL":
            return message
        if mechanism == "NTLM":
            return _ntlm_user(message)
        for pattern in _NAMES.get(mechanism.partition("-")[0], ()):
            if found := pattern.search(message):
                return re.sub(rb"\\(.)", rb"\1", found[1]).replace(b"=2C", b",").replace(b"=3D", b"=")
        return b""


_NAMES: dict[str, tuple[re.Pattern[bytes], ...]] = {  # by the mechanism's name up to its first dash
    "XOAUTH2": (re.compile(rb"\Auser=([^\x01]*)\x01"),),
    "OAUTHBEARER": (re.compile(rb"\A[nyp][^,]*,a=([^,]*),"),),
    "SCRAM": (
        re.compile(rb"\A[nyp][^,]*,a=([^,]+),"),
        re.compile(rb"\A[nyp][^,]*,[^,]*,(?:m=[^,]*,)?n=([^,]*),"),
    ),
    "DIGEST": (re.compile(rb'authzid="((?:[^"\\]|\\.)+)"'), re.compile(rb'username="((?:[^"\\]|\\.)*)"')),
}


def payload_span(payload: bytes) -> tuple[int, int] | None:
    """The part of a client's base64 message to mask: all of it, but its padding, so that it remains base64."""
    if payload in _NOTHING:
        return None
    padded = _PADDED.fullmatch(payload) if len(payload) % 4 == 0 else None
    return (0, padded.start(1) if padded else len(payload))


def secret_span(challenge: bytes) -> tuple[int, int] | None:
    """The part of a server's base64 challenge to mask, as ``payload_span``; the prompts of LOGIN are no secrets."""
    return None if challenge in PROMPTS else payload_span(challenge)


def is_mechanism(word: bytes) -> bool:
    """Whether ``word`` is the name of a mechanism; what stands in its place may be a password that slipped there."""
    return _MECHANISM.fullmatch(word) is not None or word.upper() in _KNOWN


def _decode(payload: bytes) -> bytes | None:
    if not payload.strip(b"X="):
        return None  # masked already
    try:
        return binascii.a2b_base64(payload + b"=" * (-len(payload) % 4))
    except binascii.Error:
        return None


def _ntlm_user(message: bytes) -> bytes:
    """The user's name in an AUTHENTICATE_MESSAGE ([MS-NLMP] 2.2.1.3), as UTF-8."""
    if len(message) < 64 or not message.startswith(b"NTLMSSP\0\3\0\0\0"):
        return b""
    size, _, at = struct.unpack_from("<HHI", message, 36)
    name = message[at : at + size]
    if message[60] & 1:  # NTLMSSP_NEGOTIATE_UNICODE
        return name.decode("utf-16-le", "replace").encode()
    return name
