"""Addresses written as one word: backends and listeners."""

from __future__ import annotations

import pytest

from rawlog.errors import ConfigError
from rawlog.settings.backend import SCHEMES, Backend, Listen, parse_backend, parse_listen

BACKENDS = [
    ("imap://mail.example.com", Backend("imap", "mail.example.com", 143)),
    ("imaps://mail.example.com", Backend("imap", "mail.example.com", 993, tls="implicit")),
    ("imap+starttls://10.0.0.1:1143", Backend("imap", "10.0.0.1", 1143, tls="starttls")),
    ("IMAPS://Mail.Example.Com/", Backend("imap", "Mail.Example.Com", 993, tls="implicit")),
    ("pop3://[::1]", Backend("pop3", "::1", 110)),
    ("pop3s://[2001:db8::1]:9995", Backend("pop3", "2001:db8::1", 9995, tls="implicit")),
    ("lmtp://localhost", Backend("lmtp", "localhost", 24)),
    ("lmtp+unix:/run/lmtp", Backend("lmtp", unix_path="/run/lmtp")),
    ("smtp://mx", Backend("smtp", "mx", 25)),
    ("submission://mx", Backend("smtp", "mx", 587)),
    ("submission+starttls://mx", Backend("smtp", "mx", 587, tls="starttls")),
    ("submissions://mx", Backend("smtp", "mx", 465, tls="implicit")),
    ("sieve://mail", Backend("managesieve", "mail", 4190)),
    ("sieve+unix:/run/sieve", Backend("managesieve", unix_path="/run/sieve")),
]


@pytest.mark.parametrize(("text", "backend"), BACKENDS, ids=[text for text, _ in BACKENDS])
def test_backend(text: str, backend: Backend) -> None:
    assert parse_backend(text) == backend
    assert parse_backend(text, backend.protocol) == backend
    assert parse_backend(str(backend)) == backend


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_has_its_port(scheme: str) -> None:
    protocol, tls, port = SCHEMES[scheme]
    backend = parse_backend(f"{scheme}://h")
    assert backend == Backend(protocol, "h", port, tls=tls)
    assert parse_backend(str(backend)) == backend


def test_unix_backend_takes_the_protocol_of_its_place() -> None:
    assert parse_backend("unix:/run/lmtp", "lmtp") == Backend("lmtp", unix_path="/run/lmtp")


@pytest.mark.parametrize(
    ("text", "protocol", "words"),
    [
        ("", None, "scheme is missing"),
        ("mail.example.com", None, "write for instance imaps://mail.example.com"),
        ("imapss://h", None, "did you mean imaps?"),
        ("http://h", None, "known are imap"),
        ("pop3://h", "imap", "use one of imap, imap+starttls, imaps"),
        ("imap://", None, "only a host and a port"),
        ("imap://user@h", None, "only a host and a port"),
        ("imap://h/INBOX", None, "only a host and a port"),
        ("imap://h:0", None, "port 0"),
        ("imap://h:99999", None, "is not a port"),
        ("imap://h:", None, "is not a port"),
        ("imap://h:x", None, "is not a port"),
        ("imap://:143", None, "the host is missing"),
        ("imap://::1:143", None, "in brackets"),
        ("imap://[::1", None, "']' expected"),
        ("imap://[::1]143", None, "']' expected"),
        ("imap://[10.0.0.1]:143", None, "brackets are for IPv6 only"),
        ("imap://10.0.0.256", None, "is not an IPv4 address"),
        ("imap://-h", None, "is not a host name"),
        ("imap://h_ö", None, "is not a host name"),
        ("imap://*:143", None, "'*' is not a host name"),
        ("unix:/run/x", None, "lmtp+unix:/run/x"),
        ("unix:run/x", "lmtp", "must be absolute"),
        ("unix:/" + "x" * 107, "lmtp", "choose a shorter one"),
        ("foo+unix:/run/x", None, "unknown scheme 'foo'"),
    ],
)
def test_bad_backend(text: str, protocol: str | None, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_backend(text, protocol)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


LISTENERS = [
    ("127.0.0.1:1143", Listen("127.0.0.1", 1143)),
    ("[::1]:1143", Listen("::1", 1143)),
    ("tls:127.0.0.1:1993", Listen("127.0.0.1", 1993, tls=True)),
    ("tls:[::]:993", Listen("::", 993, tls=True)),
    ("localhost:0", Listen("localhost", 0)),
    ("*:143", Listen("0.0.0.0", 143)),
    ("unix:/run/imap", Listen(unix_path="/run/imap")),
    ("tls:unix:/run/imaps", Listen(unix_path="/run/imaps", tls=True)),
]


@pytest.mark.parametrize(("text", "listen"), LISTENERS, ids=[text for text, _ in LISTENERS])
def test_listen(text: str, listen: Listen) -> None:
    assert parse_listen(text) == listen
    assert parse_listen(str(listen)) == listen


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the host is missing"),
        ("127.0.0.1", "the port is missing: write for instance 127.0.0.1:1143"),
        ("[::1]", "write for instance [::1]:1143"),
        (":1143", "the host is missing"),
        ("::1:1143", "in brackets"),
        ("127.0.0.1:65536", "is not a port"),
        ("unix:imap", "must be absolute"),
        ("imaps://h", "is not a port"),
    ],
)
def test_bad_listen(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_listen(text)
    assert words in str(error.value)
