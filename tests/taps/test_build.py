"""What settings mean for conversations: which legs are recorded, which part of them, where, in which format."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rawlog.engine.loop import Loop
from rawlog.engine.sentences import LegError
from rawlog.engine.tally import alone
from rawlog.errors import ConfigError
from rawlog.formats.combined import CombinedEncoder
from rawlog.formats.dovecot import PairEncoder
from rawlog.formats.native import NativeEncoder
from rawlog.recorder.flusher import Flusher
from rawlog.settings.configuration import Configuration
from rawlog.settings.loader import loads
from rawlog.taps.admission import Handshakes
from rawlog.taps.build import Tools, doors, gateway_for, needs_keepers, prepare
from rawlog.taps.collectors import CollectorTarget, Outstanding
from rawlog.taps.conversation import Service
from rawlog.taps.plan import Part, Plan
from rawlog.taps.refusals import Refusals
from rawlog.taps.target import HomeTarget
from tests.support.certificates import certificates

BACKENDS = {"imap": "imap", "pop3": "pop3", "lmtp": "lmtp", "submission": "submission", "sieve": "sieve"}
USERS = "userdb {\n  driver = static\n  args = uid=1000 gid=1000 home=/home/%u\n}\n"
POSTLOGIN = (
    "service postlogin {\n  executable = script-login -d rawlog -b -t -I\n  unix_listener postlogin {\n  }\n}\n"
    "service imap {\n  executable = imap postlogin\n}\nservice managesieve {\n  executable = managesieve postlogin\n}\n"
)
PRELOGIN = "service pop3-login {\n  executable = pop3-login -R rawlogs\n}\n"


def configuration(text: str, only: str = "") -> Configuration:
    """With a backend for each protocol, or for one."""
    lines = [
        f"protocol {p} {{\n  rawlog_backend = {s}://127.0.0.1:9\n}}\n" for p, s in BACKENDS.items() if only in ("", p)
    ]
    return loads("ssl = no\n" + text + "".join(lines))


@pytest.fixture
def service() -> Iterator[Callable[[str, str], Service]]:
    """``service(settings, protocol)``: what the conversations of that protocol have in common."""
    with ExitStack() as stack:

        def make(text: str, protocol: str = "imap") -> Service:
            loop = Loop()
            stack.callback(loop.close)
            tools = Tools(
                loop,
                Flusher(loop.call_later),
                object(),  # type: ignore[arg-type]
                print,
                Outstanding(),
                alone(),
                Handshakes(loop, 4),
                Refusals(loop, print),
            )
            loaded = configuration(text, protocol)
            (prepared,) = prepare(loaded)
            return gateway_for(prepared, loaded, tools)._service

        yield make


def told(plans: Any) -> list[tuple[str, str, bool]]:
    """Where, which part, and whether a new recording begins at STARTTLS."""
    return [(where(plan), plan.part.value, plan.split_at_tls) for plan in plans]


def where(plan: Plan) -> str:
    if isinstance(plan.target, HomeTarget):
        return "home"
    if isinstance(plan.target, CollectorTarget):
        return plan.target._name
    directory = plan.target._directory
    return directory.text if directory is not None else ""


@pytest.mark.parametrize("protocol", ["imap", "pop3", "submission", "sieve"])
def test_rawlog_dir_begins_at_the_login(service: Callable[..., Service], protocol: str) -> None:
    made = service("rawlog_dir = /raw/%u\n", protocol)
    assert told(made.client_plans) == [("/raw/%u", "from login", False)]
    assert told(made.backend_plans) == []
    assert made.client_plans[0].userdb_field == "rawlog_dir"


def test_rawlog_dir_with_rawlog_prelogin_is_the_whole(service: Callable[..., Service]) -> None:
    assert told(service("rawlog_dir = /raw\nrawlog_prelogin = yes\n").client_plans) == [("/raw", "all", False)]


@pytest.mark.parametrize(
    ("protocol", "text", "client", "backend"),
    [
        ("lmtp", "lmtp_rawlog_dir = /l\nrawlog_dir = /raw\n", [("/l", "all", True)], []),
        ("lmtp", "lmtp_proxy_rawlog_dir = /p\n", [], [("/p", "all", True)]),
        ("lmtp", "login_proxy_rawlog_dir = /p\nsubmission_relay_rawlog_dir = /r\n", [], []),
        ("submission", "submission_relay_rawlog_dir = /r\nlogin_proxy_rawlog_dir = /p\n", [], [("/r", "all", True)]),
        ("submission", "login_proxy_rawlog_dir = /p\n", [], [("/p", "all", True)]),
        ("imap", "login_proxy_rawlog_dir = /p/%u\nsubmission_relay_rawlog_dir = /r\n", [], [("/p/%u", "all", True)]),
        ("pop3", PRELOGIN + "base_dir = /run/x\n", [("/run/x/login/rawlogs", "to login", False)], []),
        ("imap", PRELOGIN, [], []),
        ("imap", POSTLOGIN, [("home", "from login", False)], []),
        ("sieve", POSTLOGIN, [("home", "from login", False)], []),
        ("pop3", POSTLOGIN, [], []),
        ("imap", USERS, [("", "from login", False)], []),  # a user may have the field
        ("lmtp", USERS, [], []),
        ("imap", "rawlog_dir = tcp:127.0.0.1:9\n", [("tcp:127.0.0.1:9", "from login", False)], []),
        ("pop3", "rawlog_dir = tcp:127.0.0.1:9\n", [("tcp:127.0.0.1:9", "from login", False)], []),
        ("sieve", "rawlog_dir = tcp:127.0.0.1:9\n", [("", "from login", False)], []),
        ("lmtp", "lmtp_rawlog_dir = tcp:127.0.0.1:9\n", [("", "all", True)], []),
    ],
)
def test_each_setting_has_its_leg_and_its_part(
    service: Callable[..., Service],
    protocol: str,
    text: str,
    client: list[tuple[str, str, bool]],
    backend: list[tuple[str, str, bool]],
) -> None:
    made = service(text, protocol)
    assert told(made.client_plans) == client
    assert told(made.backend_plans) == backend


def test_all_ways_at_once(service: Callable[..., Service]) -> None:
    pre = "service imap-login {\n  executable = imap-login -R rawlogs\n}\nbase_dir = /run\n"
    made = service("rawlog_dir = /raw\nlogin_proxy_rawlog_dir = /p\n" + POSTLOGIN + pre + USERS)
    assert [plan.part for plan in made.client_plans] == [Part.FROM_LOGIN, Part.FROM_LOGIN, Part.TO_LOGIN]
    assert len(made.backend_plans) == 1
    assert made.find_user is not None
    assert made.find_user("bob") == {"user": "bob", "uid": "1000", "gid": "1000", "home": "/home/bob"}
    assert made.find_user("bob smith") is None


def test_the_options_of_the_binary(service: Callable[..., Service]) -> None:
    target = service(POSTLOGIN).client_plans[0].target
    assert isinstance(target, HomeTarget)
    assert target._options.words() == ["-b", "-t", "-I"]


@pytest.mark.parametrize(
    ("text", "encoder"),
    [
        ("rawlog_dir = /raw\n", PairEncoder),
        ("rawlog_dir = /raw\nrawlog_format = native\n", NativeEncoder),
        ("rawlog_dir = tcp:127.0.0.1:9\nrawlog_format = native\n", CombinedEncoder),
    ],
)
def test_the_format(service: Callable[..., Service], text: str, encoder: type) -> None:
    assert type(service(text).client_plans[0].target._encoder()) is encoder


@pytest.mark.parametrize(
    ("protocol", "text", "expected"),
    [
        ("imap", "", {"keep_secrets": False, "plaintext_login": False, "refuse_bare_lf": True, "service": "imap"}),
        ("imap", "rawlog_secrets = keep\n", {"keep_secrets": True}),
        ("imap", "disable_plaintext_auth = no\n", {"plaintext_login": True}),
        ("submission", "rawlog_smtp_bare_lf = pass\n", {"refuse_bare_lf": False, "service": "submission"}),
        ("sieve", "", {"service": "managesieve", "protocol": "managesieve"}),
        ("imap", "haproxy_timeout = 9s\nrawlog_haproxy_out = v2\n", {"proxy_timeout": 9, "proxy_out": "v2"}),
        ("imap", "rawlog_on_error = strict\n", {"on_error": "strict"}),
        ("imap", "", {"client_context": None, "backend_context": None, "find_user": None}),
    ],
)
def test_other_settings(service: Callable[..., Service], protocol: str, text: str, expected: dict[str, object]) -> None:
    made = service(text, protocol)
    assert {name: getattr(made, name) for name in expected} == expected


def test_trusted_proxies(service: Callable[..., Service]) -> None:
    made = service("haproxy_trusted_networks = 10.0.0.0/8 ::1\n")
    assert [str(network) for network in made.proxies] == ["10.0.0.0/8", "::1/128"]


# -- what is prepared -------------------------------------------------------------------------------------------------


def with_tls(more: str = "") -> str:
    pem, ca = certificates().pem("good"), certificates().ca_file
    return (
        f"ssl_cert = <{pem}\nssl_key = <{pem}\nssl_client_ca_file = {ca}\nprotocols = imap\n{more}"
        "protocol imap {\n  rawlog_backend = imaps://127.0.0.1:9\n}\n"
    )


def test_certificates_are_read_and_verified() -> None:
    (prepared,) = prepare(loads(with_tls()))
    assert prepared.client_context is not None
    assert prepared.backend_context is not None
    assert prepared.backend_context.verify_mode is ssl.CERT_REQUIRED
    assert prepared.backend_context.check_hostname


def test_the_backend_s_certificate_may_be_anything_where_the_operator_says_so() -> None:
    (prepared,) = prepare(loads(with_tls("ssl_client_require_valid_cert = no\n")))
    assert prepared.backend_context is not None
    assert prepared.backend_context.verify_mode is ssl.CERT_NONE


def test_what_is_wrong_is_found_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(LegError, match=r"no-such-host\.invalid: .*; check the name"):
        prepare(loads("protocol imap {\n  rawlog_backend = imap://no-such-host.invalid\n}\nssl = no\n"))
    with pytest.raises(LegError, match=r"no-such-host\.invalid: "):
        prepare(configuration("rawlog_dir = tcp:no-such-host.invalid:1\n", "imap"))
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    with pytest.raises(ConfigError, match="no certificate and key in PEM form"):
        prepare(loads(with_tls(f"ssl_cert = <{broken}\n")))


def test_who_needs_keepers() -> None:
    assert needs_keepers(prepare(configuration(POSTLOGIN)))
    assert not needs_keepers(prepare(configuration("rawlog_dir = /raw\n")))


def test_all_doors() -> None:
    text = "listen = 127.0.0.1\nservice lmtp {\n  inet_listener lmtp {\n    port = 24\n  }\n}\n"
    found = [str(door.listen) for door in doors(prepare(configuration(text)))]
    assert sorted(found) == [f"127.0.0.1:{port}" for port in (110, 143, 24, 4190, 587)]
