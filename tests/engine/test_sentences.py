"""The sentences, and that real failures of TLS lead to the right one; those of connecting are in test_connect."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from rawlog.engine import sentences
from rawlog.engine.sentences import LegError
from rawlog.errors import RawlogError
from tests.engine.peers import client_hello, fails, serve, wrap
from tests.engine.stage import Certificates, Ends, Owner, Stage


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


# -- real failures ---------------------------------------------------------------------------------------------------


FAILURES: list[tuple[str, str, str]] = [
    ("expired", "localhost", "its TLS certificate has expired; renew the certificate there"),
    ("early", "localhost", "its TLS certificate is not valid yet; check the clock"),
    ("otherhost", "localhost", "its TLS certificate is not for localhost; connect by a name it holds"),
    ("good", "127.0.0.1", "its TLS certificate is not for 127.0.0.1; connect by a host name that the certificate"),
    ("selfsigned", "localhost", "its TLS certificate is self-signed; add that certificate to the trusted ones"),
    ("stranger", "localhost", "its TLS certificate comes from an authority that is not trusted here; add that"),
]


@pytest.mark.parametrize(("kind", "host", "said"), FAILURES, ids=[f"{kind}-{host}" for kind, host, _ in FAILURES])
def test_a_bad_certificate_has_its_sentence(
    stage: Stage, certificates: Certificates, kind: str, host: str, said: str
) -> None:
    peer, leg = stage.leg(name="server")
    owner = Owner(leg)

    def play() -> str:
        try:
            certificates.server(kind).wrap_socket(peer, server_side=True)
        except ssl.SSLError as error:
            return error.reason or ""
        return "accepted"

    playing = stage.peer(play)
    leg.start_tls(certificates.client(), server_side=False, server_hostname=host, on_done=owner.done.append)
    stage.run_until(lambda: bool(owner.done))
    (error,) = owner.done
    assert isinstance(error, LegError)
    assert str(error).startswith(f"server: {said}")
    assert leg.ended
    assert leg.broken == str(error)
    assert not leg.hard
    assert "ALERT" in playing.result(), "the peer was not told"


def test_a_server_that_speaks_plain_text_has_its_sentence(stage: Stage, certificates: Certificates) -> None:
    peer, leg = stage.leg(name="server")
    owner = Owner(leg)
    peer.sendall(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
    told = fails(
        stage,
        leg,
        owner,
        lambda: leg.start_tls(
            certificates.client(), server_side=False, server_hostname="localhost", on_done=owner.done.append
        ),
    )
    assert told == (
        "server: answers in plain text where TLS is expected; check the port, or use STARTTLS instead of TLS from "
        "the start"
    )


def test_a_client_that_speaks_plain_text_has_its_sentence(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    peer, leg, owner = ends
    peer.sendall(b"a LOGIN alice secret\r\n")
    told = fails(stage, leg, owner, serve(leg, owner, certificates.server()))
    assert told.startswith("client: sends plain text where TLS is expected; switch TLS on in the client")


def test_a_client_that_does_not_trust_us_has_its_sentence(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    peer, leg, owner = ends

    def play() -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            wrap(certificates, peer)

    playing = stage.peer(play)
    told = fails(stage, leg, owner, serve(leg, owner, certificates.server("stranger")))
    assert told.startswith("client: does not accept our TLS certificate (unknown authority); install one (ssl_cert)")
    playing.result()


def test_versions_that_do_not_meet_have_their_sentence(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    peer, leg, owner = ends
    context = certificates.server()
    context.minimum_version = ssl.TLSVersion.TLSv1_3

    def play() -> str:
        old = certificates.client()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError) as caught:
            old.wrap_socket(peer, server_hostname="localhost")
        return str(caught.value.reason)

    playing = stage.peer(play)
    told = fails(stage, leg, owner, serve(leg, owner, context))
    assert told.startswith("client: no TLS version in common; allow an older one on this side (ssl_min_protocol)")
    assert "PROTOCOL_VERSION" in playing.result()


def test_a_client_that_leaves_in_the_handshake_has_its_sentence(
    stage: Stage, certificates: Certificates, ends: Ends
) -> None:
    peer, leg, owner = ends
    peer.sendall(client_hello(certificates)[:50])
    peer.shutdown(socket.SHUT_WR)
    told = fails(stage, leg, owner, serve(leg, owner, certificates.server()))
    assert told.startswith("client: closed the connection during the TLS handshake; check the TLS settings")


def test_a_client_that_resets_in_the_handshake_has_its_sentence(
    stage: Stage, certificates: Certificates, ends: Ends
) -> None:
    peer, leg, owner = ends
    leg.start_tls(certificates.server(), server_side=True, server_hostname=None, on_done=owner.done.append)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    stage.run_until(lambda: bool(owner.done))
    assert str(owner.done[0]) == "client: reset the connection"
    assert leg.end_reason == "client reset the connection"
    assert leg.hard


def test_a_handshake_after_the_end_fails(stage: Stage, certificates: Certificates, ends: Ends) -> None:
    peer, leg, owner = ends
    leg.resume()
    peer.shutdown(socket.SHUT_WR)
    stage.run_until(lambda: leg.ended)
    told = fails(stage, leg, owner, serve(leg, owner, certificates.server()))
    assert "during the TLS handshake" in told
