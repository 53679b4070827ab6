"""SASL: the name in each mechanism, the secret in each message."""

from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.protocols.sasl import PROMPTS, Exchange, is_mechanism, payload_span, secret_span


def said(mechanism: bytes, *messages: bytes) -> str | None:
    exchange = Exchange(mechanism)
    for message in messages:
        exchange.client(base64.b64encode(message))
    return exchange.user


@pytest.mark.parametrize(
    ("mechanism", "message", "user"),
    [
        (b"PLAIN", b"\0alice\0secret", "alice"),
        (b"plain", b"\0alice\0sec\0ret", "alice"),
        (b"PLAIN", b"bob\0alice\0secret", "bob"),
        (b"PLAIN", "\0josé\0pässword".encode(), "josé"),
        (b"PLAIN", b"\0jos\xe9\0x", "jos\udce9"),
        (b"PLAIN", b"no NUL at all", None),
        (b"PLAIN", b"one\0NUL", None),
        (b"PLAIN", b"\0\0secret", None),
        (b"LOGIN", b"alice", "alice"),
        (b"CRAM-MD5", b"tim with blanks b913a602c7eda7a495b4e6e7334d3890", "tim with blanks"),
        (b"CRAM-MD5", b"nothing", None),
        (b"EXTERNAL", b"fred@example.com", "fred@example.com"),
        (b"ANONYMOUS", b"alice", None),
        (b"XOAUTH2", b"user=bob@example.com\x01auth=Bearer token\x01\x01", "bob@example.com"),
        (b"XOAUTH2", b"auth=Bearer user=bob\x01\x01", None),
        (b"OAUTHBEARER", b"n,a=bob@example.com,\x01host=x\x01auth=Bearer token\x01\x01", "bob@example.com"),
        (b"OAUTHBEARER", b"n,,\x01auth=Bearer a=bob,\x01\x01", None),
        (b"SCRAM-SHA-1", b"n,,n=user,r=nonce", "user"),
        (b"SCRAM-SHA-256", b"y,a=alice,n=admin,r=nonce", "alice"),
        (b"SCRAM-SHA-512-PLUS", b"p=tls-unique,,m=ext,n=user,r=nonce", "user"),
        (b"SCRAM-SHA-1", b"n,,n=a=2Cb=3D2C,r=nonce", "a,b=2C"),
        (b"DIGEST-MD5", b'username="chris",realm="x",response=d388', "chris"),
        (b"DIGEST-MD5", b'username="ch\\"ris",authzid="al\\\\ice"', "al\\ice"),
        (b"GSSAPI", b"user=alice\x01", None),
        (b"NTLM", b"NTLMSSP\0\3\0\0\0", None),
        (b"NTLM", b"NTLMSSP\0\1\0\0\0" + bytes(60), None),
        (b"X-UNKNOWN", b"\0alice\0secret", None),
        (b"", b"\0alice\0secret", None),
        (b"\xff", b"\0alice\0secret", None),
    ],
)
def test_the_name(mechanism: bytes, message: bytes, user: str | None) -> None:
    assert said(mechanism, message) == user


def ntlm(name: bytes, *, unicode: bool) -> bytes:
    fields = struct.pack("<HHI", len(name), len(name), 64)
    return b"NTLMSSP\0\3\0\0\0" + bytes(24) + fields + bytes(16) + struct.pack("<I", int(unicode)) + name


def test_the_name_in_ntlm() -> None:
    assert said(b"NTLM", b"NTLMSSP\0\1\0\0\0", ntlm("Jörg".encode("utf-16-le"), unicode=True)) == "Jörg"
    assert said(b"NTLM", ntlm(b"joe", unicode=False)) == "joe"
    assert said(b"NTLM", ntlm(b"joe", unicode=False)[:66]) == "jo"


def test_the_first_name_counts() -> None:
    assert said(b"LOGIN", b"alice", b"secret") == "alice"
    assert said(b"LOGIN", b"", b"secret") is None
    assert said(b"SCRAM-SHA-1", b"n,,n=user,r=nonce", b"c=biws,r=nonce,p=proof") == "user"


def test_a_server_that_asks_first() -> None:
    exchange = Exchange(b"XOAUTH2")
    assert exchange.client(b"") is None
    assert exchange.client(base64.b64encode(b"user=bob\x01auth=Bearer x\x01\x01")) is not None
    assert exchange.user == "bob"


@pytest.mark.parametrize("payload", [b"", b"=", b"*"])
def test_what_is_no_message_is_no_secret(payload: bytes) -> None:
    exchange = Exchange(b"EXTERNAL")
    assert exchange.client(payload) is None
    assert exchange.user is None


def test_masked_messages_name_nobody() -> None:
    """A masked recording is read again: the mask is no name."""
    for mechanism in (b"PLAIN", b"LOGIN", b"EXTERNAL"):
        exchange = Exchange(mechanism)
        assert exchange.client(b"XXXXXX==") == (0, 6)
        assert exchange.user is None


@pytest.mark.parametrize(
    ("payload", "span"),
    [
        (b"YWJj", (0, 4)),
        (b"YWI=", (0, 3)),
        (b"YQ==", (0, 2)),
        (b"YQ=", (0, 3)),
        (b"====", (0, 4)),
        (b"==", (0, 2)),
        (b"a===", (0, 4)),
        (b"no base64 at all=", (0, 17)),
        (b"not base64 but 4n==", (0, 19)),
        (b"pass word=======", (0, 16)),
        (b" *", (0, 2)),
    ],
)
def test_the_padding_is_no_secret(payload: bytes, span: tuple[int, int]) -> None:
    assert payload_span(payload) == secret_span(payload) == span


@pytest.mark.parametrize("prompt", sorted(PROMPTS))
def test_the_prompts_of_login_are_no_secrets(prompt: bytes) -> None:
    assert secret_span(prompt) is None
    assert payload_span(prompt) is not None  # somebody's password may be "Password:"


@pytest.mark.parametrize("word", [b"PLAIN", b"plain", b"X-FOO_9", b"SCRAM-SHA-256-PLUS", b"gssapi", b"xoauth2"])
def test_mechanisms(word: bytes) -> None:
    assert is_mechanism(word)


@pytest.mark.parametrize(
    "word", [b"", b"AGFsaWNl", b"AGFS+A", b"secret", b"X" * 21, b"PLAIN ", b'"PLAIN"', b"PL\xc4IN"]
)
def test_no_mechanisms(word: bytes) -> None:
    assert not is_mechanism(word)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.sampled_from(
        [b"PLAIN", b"LOGIN", b"CRAM-MD5", b"NTLM", b"DIGEST-MD5", b"SCRAM-SHA-1", b"XOAUTH2", b"OAUTHBEARER"]
    )
    | st.binary(max_size=8),
    st.lists(st.binary(max_size=100) | st.binary(max_size=100).map(base64.b64encode), max_size=4),
)
def test_anything_may_be_said(mechanism: bytes, payloads: list[bytes]) -> None:
    exchange = Exchange(mechanism)
    for payload in payloads:
        span = exchange.client(payload)
        if span is None:
            assert payload in (b"", b"=", b"*")
        else:
            assert span[0] == 0
            assert not payload[span[1] :].strip(b"=")
