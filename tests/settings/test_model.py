"""The settings and their defaults."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess

import pytest

from rawlog.settings.model import DEFAULTS, PROTOCOLS, SPECS, Settings, shown


@pytest.mark.parametrize("name", SPECS)
def test_a_default_reads_back_from_what_is_shown(name: str) -> None:
    text = shown(DEFAULTS, name)
    assert SPECS[name].kind.parse(text) == getattr(DEFAULTS, name)


@pytest.mark.parametrize("name", SPECS)
def test_each_setting_says_in_one_sentence_what_it_is_for(name: str) -> None:
    why = SPECS[name].why
    assert why[-1] == "."
    assert "\n" not in why
    assert len(why) < 120
    assert set(SPECS[name].protocols) <= set(PROTOCOLS)


def test_defaults_of_the_security_page() -> None:
    assert DEFAULTS.ssl_min_protocol == "TLSv1.2"
    assert DEFAULTS.disable_plaintext_auth
    assert DEFAULTS.ssl_client_require_valid_cert
    assert DEFAULTS.rawlog_keep == 7 * 86400
    assert DEFAULTS.rawlog_max_session_size == 64 << 20
    assert DEFAULTS.rawlog_max_user_size == 1 << 30
    assert DEFAULTS.rawlog_max_total_size.most(100 << 30) == 4 << 30
    assert DEFAULTS.rawlog_max_total_size.most(10 << 30) == 1 << 30
    assert DEFAULTS.rawlog_min_free_space.least(1 << 30) == 500 << 20


@pytest.mark.parametrize(
    ("word", "gateway", "postlogin"),
    [("auto", "redact", "keep"), ("redact", "redact", "redact"), ("keep", "keep", "keep")],
)
def test_secrets_of_the_two_kinds_of_doors(word: str, gateway: str, postlogin: str) -> None:
    settings = Settings(rawlog_secrets=word)
    assert (settings.gateway_secrets, settings.postlogin_secrets) == (gateway, postlogin)


@pytest.mark.parametrize(
    ("words", "debug"), [((), False), (("TZ",), False), (("TZ", "DEBUG=1"), True), (("DEBUG",), True)]
)
def test_debug_is_asked_for_by_the_environment(words: tuple[str, ...], debug: bool) -> None:
    assert Settings(import_environment=words).debug is debug


def test_tls_needs_a_certificate_and_a_key() -> None:
    both = Settings(ssl_cert="/c", ssl_key="/k")
    assert both.serves_tls
    assert not dataclasses.replace(both, ssl="no").serves_tls
    assert not Settings(ssl_cert="/c").serves_tls


@pytest.mark.live
def test_defaults_are_dovecots(tmp_path: object) -> None:
    """As ``doveconf -d`` prints them, except where our page says otherwise."""
    if shutil.which("doveconf") is None:
        pytest.skip("doveconf is not installed")
    done = subprocess.run(["doveconf", "-d"], capture_output=True, text=True, timeout=10)
    theirs = dict(line.partition(" = ")[::2] for line in done.stdout.splitlines() if line[:1].islower())
    if "rawlog_dir" not in theirs:
        pytest.skip("doveconf -d gave no settings")
    other = {
        "protocols",  # Dovecot's depend on what is installed
        "listen",  # written with a comma
        "import_environment",  # Dovecot's are about its own master
        "log_path",  # we stay in the foreground
        "base_dir",  # depends on how Dovecot was built
    }
    for name in sorted(set(SPECS) & set(theirs) - other):
        assert shown(DEFAULTS, name) == theirs[name].strip('"'), name
    assert len(set(SPECS) & set(theirs)) > 20
