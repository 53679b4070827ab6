"""What is in force, written down: reading it gives the same."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rawlog.settings.configuration import Configuration
from rawlog.settings.loader import loads
from rawlog.settings.model import DEFAULTS, PROTOCOLS, SPECS
from rawlog.settings.written import written

SEED = """\
  protocol imap {
    rawlog_dir = /tmp/rawlog/%u
    # if you want to put files into user's homedir, use this, do not use ~
    #rawlog_dir = %h/rawlog
}
  userdb {
     # ...
     default_fields = home=/home/%u
     # or temporarily even e.g. default_fields = home=/tmp/temp-home
}
import_environment=$import_environment DEBUG=1
service imap {
  executable = imap postlogin
}
service pop3 {
  executable = pop3 postlogin
}

service postlogin {
  executable = script-login -d rawlog
  unix_listener postlogin {
 }
}
service imap-login {
  executable = imap-login -R rawlogs
}
lmtp_rawlog_dir = /tmp/lmtp
submission_relay_rawlog_dir = /tmp/relay
protocol imap {
  rawlog_backend = imaps://mail.example.com
}
"""


def same(one: Configuration, other: Configuration) -> bool:
    names = ("settings", "protocols", "services", "userdbs")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def test_the_snippets_of_dovecots_page_and_what_is_in_force() -> None:
    assert (
        written(loads(SEED), changed_only=True)
        == """\
import_environment = TZ DEBUG=1
lmtp_rawlog_dir = /tmp/lmtp
submission_relay_rawlog_dir = /tmp/relay
protocol imap {
  rawlog_backend = imaps://mail.example.com:993
  rawlog_dir = /tmp/rawlog/%u
}
service imap {
  executable = imap postlogin
}
service imap-login {
  executable = imap-login -R rawlogs
}
service pop3 {
  executable = pop3 postlogin
}
service postlogin {
  executable = script-login -d rawlog
  unix_listener postlogin {
    group =
    mode = 0600
    user =
  }
}
userdb {
  default_fields = home=/home/%u
  driver = static
}
"""
    )


@pytest.mark.parametrize("text", ["", SEED])
@pytest.mark.parametrize("changed_only", [True, False])
@pytest.mark.parametrize("explained", [True, False])
def test_written_again_it_is_the_same(text: str, changed_only: bool, explained: bool) -> None:
    first = loads(text)
    once = written(first, changed_only=changed_only, explained=explained)
    again = loads(once)
    assert same(first, again)
    assert written(again, changed_only=changed_only, explained=explained) == once


def test_without_changes_nothing_is_left() -> None:
    assert written(loads(""), changed_only=True) == ""


def test_every_setting_is_written() -> None:
    text = written(loads(""))
    assert all(f"\n{name} =" in f"\n{text}" for name in SPECS if name != "rawlog_backend")


def test_explained() -> None:
    text = written(loads("mail_location = x\nservice auth { user = root }", "f"), changed_only=True, explained=True)
    assert text == (
        "# Settings of Dovecot that mean nothing here:\n#   mail_location (f:1)\n#   user in service auth (f:2)\n"
    )
    text = written(loads("rawlog_keep = 1 days"), changed_only=True, explained=True)
    assert text == "# Recordings older than this are removed.\nrawlog_keep = 1 days\n"


TEXT = st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), max_size=20)
PATH = TEXT.map(lambda text: "/" + text.replace("%", "%%").rstrip("/"))
VALUES: dict[str, st.SearchStrategy[object]] = {
    "rawlog_dir": st.just("") | PATH,
    "login_proxy_rawlog_dir": st.just("") | PATH,
    "mail_home": st.just("") | PATH,
    "auth_username_chars": TEXT,
    "auth_default_realm": TEXT,
    "ssl_cert": st.just("") | TEXT.map(lambda text: f"/x/{text.replace('/', '')}x"),
    "rawlog_keep": st.none() | st.integers(1, 10**9),
    "rawlog_max_session_size": st.none() | st.integers(1, 10**12),
    "rawlog_workers": st.integers(0, 999),
    "rawlog_secrets": st.sampled_from(["auto", "redact", "keep"]),
    "disable_plaintext_auth": st.booleans(),
}
GLOBAL = st.fixed_dictionaries({}, optional=VALUES)
OWN = st.fixed_dictionaries({}, optional={name: VALUES[name] for name in VALUES if SPECS[name].protocols})


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(GLOBAL, st.dictionaries(st.sampled_from(["imap", "pop3", "sieve", "submission"]), OWN))
def test_any_values_come_back(common: dict[str, object], own: dict[str, dict[str, object]]) -> None:
    base = loads("")
    everywhere = dataclasses.replace(DEFAULTS, **common)  # type: ignore[arg-type]
    protocols = {name: dataclasses.replace(everywhere, **own.get(name, {})) for name in PROTOCOLS}  # type: ignore[arg-type]
    wanted = dataclasses.replace(base, settings=everywhere, protocols=protocols)
    assert same(loads(written(wanted)), wanted)
    assert same(loads(written(wanted, changed_only=True)), wanted)
