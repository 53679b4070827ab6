"""What is allowed, but does not do what was meant; what can't work together."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlog.errors import ConfigError
from rawlog.settings.loader import loads

IMAP = "ssl = no\nprotocol imap {\n  rawlog_backend = imap://127.0.0.1\n"


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("rawlog_keep = 200 days", "f:1: rawlog_keep: mail is kept for more than 180 days: make sure that you may"),
        ("rawlog_keep = unlimited", "f:1: rawlog_keep: mail is kept for more than 180 days: make sure that you may"),
        ("rawlog_secrets = keep", "f:1: rawlog_secrets = keep: recordings hold passwords in clear: write redact when"),
        ("ssl_min_protocol = TLSv1", "f:1: ssl_min_protocol = TLSv1: RFC 8996 forbids it: write TLSv1.2"),
        (
            "rawlog_dir = /x/%u",
            "f:1: rawlog_dir: no gateway serves any protocol: write rawlog_backend in protocol X {",
        ),
        (
            "\nprotocol pop3 { rawlog_dir = /x }",
            "f:2: rawlog_dir: no gateway serves protocol pop3: write rawlog_backend in protocol pop3 {",
        ),
        (IMAP + "}\nprotocols = pop3", "f:3: rawlog_backend: imap is not served: add it to protocols"),
        (
            "ssl = no\nprotocol imap { rawlog_backend = imap://mail.example.com }",
            "f:2: rawlog_backend: passwords go to mail.example.com in clear: write imaps://mail.example.com",
        ),
        (
            "ssl = no\nprotocol sieve { rawlog_backend = sieve://10.0.0.1 }",
            "f:2: rawlog_backend: passwords go to 10.0.0.1 in clear: write sieve+starttls://10.0.0.1",
        ),
        (
            "ssl = no\nssl_client_require_valid_cert = no\nprotocol imap { rawlog_backend = imaps://h }",
            "f:2: ssl_client_require_valid_cert = no: anybody can be the backend: use ssl_client_ca_file",
        ),
        (
            "protocol imap { rawlog_backend = imap://127.0.0.1 }",
            "f:1: imap: no TLS for clients: ssl = yes without ssl_cert and ssl_key: "
            "write ssl_cert = </PATH and ssl_key = </PATH, or ssl = no",
        ),
        (
            "ssl = no\nprotocol lmtp { rawlog_backend = unix:/run/lmtp }",
            "f:2: lmtp has no listener: write service lmtp { inet_listener lmtp { port = 24 } }",
        ),
        (
            IMAP + "}\nservice imap-login {\n  inet_listener imap {\n    port = 0\n  }\n}",
            "f:3: imap has no listener: write service imap-login { inet_listener imap { port = 143 } }",
        ),
        (
            "service pop3-login {\n  executable = pop3-login -R rawlogs\n}",
            "f:2: -R needs a gateway: write rawlog_backend in protocol pop3 {",
        ),
        (
            "service p {\n  executable = script-login -d rawlog /bin/x\n  unix_listener p { }\n}",
            "f:2: '/bin/x' after rawlog is not run: the service gives the connection back to Dovecot itself",
        ),
        (
            IMAP + "  login_proxy_rawlog_dir = tcp:h:1\n}",
            "f:4: login_proxy_rawlog_dir = tcp:h:1: tcp: works in rawlog_dir of imap and pop3 only: write a directory",
        ),
    ],
)
def test_warnings(text: str, warning: str) -> None:
    (found,) = loads(text, "f").warnings
    assert found.startswith(warning)


@pytest.mark.parametrize(
    "text",
    [
        "",
        IMAP + "  rawlog_dir = /x/%u\n}",
        IMAP + "  rawlog_dir = tcp:h:1\n}",
        IMAP + "}\nrawlog_dir = /x/%u\nlogin_proxy_rawlog_dir = /y",
        IMAP + "}\nssl_client_require_valid_cert = no\nrawlog_keep = 180 days",
        "ssl = no\nprotocol imap { rawlog_backend = imap://[::1] }",
        "ssl = no\nprotocol imap { rawlog_backend = imap+starttls://h }",
        "lmtp_rawlog_dir = /x/%s/%r\nssl = no\n"
        "protocol lmtp { rawlog_backend = lmtp://h }\nservice lmtp { unix_listener lmtp { } }",
    ],
)
def test_nothing_to_warn_of(text: str) -> None:
    assert loads(text).warnings == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ssl = required\nprotocol imap { rawlog_backend = imaps://h }",
            "f:1: ssl = required without ssl_cert and ssl_key: "
            "write ssl_cert = </PATH and ssl_key = </PATH, or ssl = no",
        ),
        (
            "ssl_cert = </no/c.pem\nssl_key = </no/k.pem\nprotocol imap { rawlog_backend = imaps://h }",
            "f:1: ssl_cert: /no/c.pem: No such file or directory: name a PEM file that this user can read",
        ),
        (
            IMAP + "}\nprotocol pop3 { rawlog_backend = pop3://127.0.0.1 }\n"
            "service pop3-login {\n  inet_listener pop3 {\n    port = 143\n  }\n}",
            "f:7: pop3: 0.0.0.0:143 is taken by imap already: give one of them another port, or 0",
        ),
        (
            IMAP + "}\nservice imap-login {\n  inet_listener a {\n    port = 143\n    ssl = no\n  }\n}",
            "f:6: imap: 0.0.0.0:143 is taken by imap already",
        ),
        (
            "protocol lmtp { lmtp_proxy_rawlog_dir = %h/x }",
            "f:1: lmtp_proxy_rawlog_dir = %h/x: an LMTP conversation has",
        ),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        loads(text, "f")
    assert str(error.value).startswith(message)


def test_an_unreadable_file_of_authorities_is_found(tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("")
    text = f"ssl_cert = <{tmp_path}/pem\nssl_key = <{tmp_path}/pem\nssl_client_ca_file = /no/ca.pem\n"
    with pytest.raises(ConfigError, match=r"f:3: ssl_client_ca_file: /no/ca.pem: No such file"):
        loads(text + "protocol imap { rawlog_backend = imaps://h }", "f")
    assert loads(text + "protocol imap { rawlog_backend = imap://localhost }", "f").warnings == ()


def test_rawlog_dir_means_something_where_mail_processes_ask() -> None:
    asked = "service postlogin {\n  executable = script-login rawlog\n  unix_listener postlogin {\n  }\n}\n"
    warnings = loads("rawlog_dir = /x/%u\nprotocol imap {\n  rawlog_dir = /y\n}\n" + asked, "f").warnings
    assert [line for line in warnings if "rawlog_dir" in line] == [
        "f:3: rawlog_dir: no gateway serves protocol imap: write rawlog_backend in protocol imap {"
    ]
