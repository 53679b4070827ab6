"""The sentences; that real failures lead to the right one is shown in test_leg and test_connect."""

from __future__ import annotations

import errno
import ssl

import pytest

from rawlog.engine import sentences
from rawlog.errors import RawlogError


def ssl_error(reason: str, kind: type[ssl.SSLError] = ssl.SSLError) -> ssl.SSLError:
    error = kind(1, f"[SSL: {reason}]")
    error.reason = reason
    return error


def test_a_leg_error_is_an_error_of_the_house() -> None:
    assert issubclass(sentences.LegError, RawlogError)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ECONNREFUSED, "nothing listens there"),
        (errno.EHOSTUNREACH, "check the address"),
        (errno.EMFILE, "raise the limit"),
        (errno.EIO, "Input/output error; check"),
    ],
)
def test_errors_of_the_system_say_what_to_do(number: int, said: str) -> None:
    assert said in sentences.os_sentence(OSError(number, "Input/output error"))


def test_an_error_without_number_still_makes_a_sentence() -> None:
    assert sentences.os_sentence(OSError("strange")) == "strange; check the connection to it"


def test_plain_text_on_a_tls_port_is_told_from_both_sides() -> None:
    error = ssl_error("WRONG_VERSION_NUMBER")
    client = sentences.handshake_sentence(error, server_side=False, host="mail.example")
    server = sentences.handshake_sentence(error, server_side=True, host=None)
    assert "answers in plain text" in client
    assert "switch TLS on in the client" in server


@pytest.mark.parametrize("reason", ["UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"])
def test_versions_that_do_not_meet(reason: str) -> None:
    assert "ssl_min_protocol" in sentences.handshake_sentence(ssl_error(reason), server_side=True, host=None)


def test_an_unknown_reason_is_told_in_openssl_s_words() -> None:
    told = sentences.handshake_sentence(ssl_error("SOMETHING_NEW"), server_side=True, host=None)
    assert told == "TLS handshake failed: something new; check the TLS settings of both sides"
    assert "something new" in sentences.stream_sentence(ssl_error("SOMETHING_NEW"))
    assert "unknown error" in sentences.stream_sentence(ssl_error(""))


def test_an_unknown_verify_code_is_told_in_openssl_s_words() -> None:
    error = ssl.SSLCertVerificationError(1, "verify failed")
    error.verify_code = 24
    error.verify_message = "invalid CA certificate"
    told = sentences.handshake_sentence(error, server_side=False, host="mail.example")
    assert told.startswith("its TLS certificate was refused: invalid CA certificate;")


def test_the_host_name_is_told() -> None:
    error = ssl.SSLCertVerificationError(1, "verify failed")
    error.verify_code = 62
    error.verify_message = "Hostname mismatch"
    assert "not for mail.example;" in sentences.handshake_sentence(error, server_side=False, host="mail.example")


def test_an_alert_after_the_handshake_is_told() -> None:
    assert "client certificate" in sentences.stream_sentence(ssl_error("TLSV13_ALERT_CERTIFICATE_REQUIRED"))


def test_every_sentence_says_what_to_do() -> None:
    texts = [*sentences._CERTIFICATE.values(), *sentences._REASONS.values()]
    texts += [text for number, text in sentences._OS_SENTENCES.items() if number not in (errno.ECONNRESET, errno.EPIPE)]
    for text in texts:
        assert any(mark in text for mark in (";", ",")), text
        assert "\n" not in text
        assert not text.endswith(".")
