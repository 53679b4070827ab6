"""SASL as a recorder sees it: which bytes are secret, and whose they are.

Knows: the client's messages of the mechanisms that carry a user name (PLAIN, LOGIN, XOAUTH2, OAUTHBEARER, CRAM-MD5,
DIGEST-MD5, SCRAM-*, EXTERNAL, ANONYMOUS), and the base64 profile all mail protocols share (RFC 4422, RFC 4954,
RFC 3501 6.2.2, RFC 5034). Must not know: which protocol it is spoken in, and never whether a password is right.

Deny by default: every payload of an exchange is secret in both directions, whatever the mechanism, known or not. A
mechanism is only understood to find the user's name.
"""

from __future__ import annotations

import binascii
import re

PROMPTS = frozenset((b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6", b"VXNlciBOYW1lAA==", b"UGFzc3dvcmQA"))  # of LOGIN, no secrets


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
        if payload not in (b"*", b"", b"="):
            self._learn(_decode(payload))
        self._messages += 1
        return secret_span(payload)

    def _learn(self, message: bytes | None) -> None:
        if self.user is None and message is not None:
            name = self._name_in(message)
            if name:
                self.user = name.decode("utf-8", "surrogateescape")

    def _name_in(self, message: bytes) -> bytes:
        mechanism = self.mechanism
        if mechanism == "PLAIN":
            authzid, _, rest = message.partition(b"\0")
            return authzid or rest.partition(b"\0")[0]
        if mechanism == "LOGIN":
            return message if self._messages == 0 else b""
        if mechanism == "CRAM-MD5":
            return message.rpartition(b" ")[0]
        if mechanism in ("EXTERNAL", "ANONYMOUS"):
            return message
        for pattern in _NAMES.get(mechanism.partition("-")[0], ()):
            if found := re.search(pattern, message):
                return found[1].replace(b"=2C", b",").replace(b"=3D", b"=")
        return b""


_NAMES: dict[str, tuple[bytes, ...]] = {  # by the mechanism's name up to its first dash
    "XOAUTH2": (rb"^user=([^\x01]*)\x01",),
    "OAUTHBEARER": (rb"^[nyp][^,]*,a=([^,]*),",),
    "SCRAM": (rb"^[nyp][^,]*,a=([^,]+),", rb"^[nyp][^,]*,[^,]*,(?:m=[^,]*,)?n=([^,]*),"),
    "DIGEST": (rb'authzid="([^"]+)"', rb'username="([^"]*)"'),
}


def secret_span(payload: bytes) -> tuple[int, int] | None:
    """The part of a base64 message to mask: all of it, but its padding, so that what remains is base64 still."""
    if payload in (b"", b"=", b"*") or payload in PROMPTS:
        return None
    end = len(payload)
    if end % 4 == 0:
        end = len(payload.rstrip(b"=")) if payload.endswith(b"=") and not payload.endswith(b"===") else end
    return (0, end)


def _decode(payload: bytes) -> bytes | None:
    try:
        return binascii.a2b_base64(payload + b"=" * (-len(payload) % 4))
    except binascii.Error:
        return None
