"""What all dialects share: how a server's line is shown, and which SASL mechanisms pass."""

from __future__ import annotations

import pytest

from rawlog.taps.dialects import dialect_for
from rawlog.taps.dialects.base import Dialect, exposed, shown, without_exposed, without_plus

PROTOCOLS = ("imap", "pop3", "smtp", "lmtp", "managesieve")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_protocol_has_its_dialect_and_each_conversation_its_own(protocol: str) -> None:
    assert dialect_for(protocol).protocol == protocol
    assert dialect_for(protocol) is not dialect_for(protocol)


def test_another_word_is_no_protocol() -> None:
    with pytest.raises(KeyError):
        dialect_for("nntp")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refusal_is_one_line_with_the_reason(protocol: str) -> None:
    dialect = dialect_for(protocol)
    for line in (dialect.refusal("No server"), dialect.injected()):
        assert line.count(b"\n") == 1
        assert line.endswith(b"\r\n")
    assert b"No server." in dialect.refusal("No server")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"* BAD no\r\n", "* BAD no"),
        (b"tab\there, bell\a, escape\x1b[2J\r\n", r"tab\there, bell\x07, escape\x1b[2J"),
        (b"\xff\xc3\xa9\r\n", r"\xff\xc3\xa9"),
        (b"x" * 300, "x" * 200),
        (b"\r\n", ""),
    ],
)
def test_a_line_of_the_server_is_short_and_printable_in_a_log(line: bytes, text: str) -> None:
    assert shown(line) == text


def test_channel_binding_can_not_pass() -> None:
    offered = [b"PLAIN", b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256", b"scram-sha-1-plus", b"PLUS"]
    assert without_plus(offered) == [b"PLAIN", b"SCRAM-SHA-256", b"PLUS"]


def test_without_tls_only_what_shows_nothing_is_harmless() -> None:
    harmless = [b"SCRAM-SHA-256", b"cram-md5", b"DIGEST-MD5", b"NTLM", b"GSSAPI", b"EXTERNAL", b"ANONYMOUS"]
    exposing = [b"PLAIN", b"plain", b"LOGIN", b"XOAUTH2", b"OAUTHBEARER", b"X-NEW", b"", b"SCRAM-", b'"SCRAM-SHA-1"']
    assert without_exposed(harmless + exposing) == harmless
    assert all(map(exposed, exposing))


def test_after_tls_most_have_nothing_to_ask() -> None:
    asked = {protocol: dialect_for(protocol).after_tls() for protocol in PROTOCOLS}
    assert asked.pop("managesieve") == b"CAPABILITY\r\n"
    assert set(asked.values()) == {b""}


def test_the_base_says_nothing_by_itself() -> None:
    with pytest.raises(TypeError):
        Dialect()  # type: ignore[abstract]
