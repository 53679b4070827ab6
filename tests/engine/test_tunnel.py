from __future__ import annotations

import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawlog.engine.tunnel import TlsTunnel
from tests.engine.stage import Certificates


class Ends:
    """Two tunnels, and the wire between them in memory."""

    def __init__(self, certificates: Certificates, version: ssl.TLSVersion | None = None) -> None:
        client, server = certificates.client(), certificates.server()
        for context in (client, server):
            context.set_alpn_protocols(["imap"])
            if version is not None:
                context.maximum_version = version
        self.client = TlsTunnel(client, server_side=False, server_hostname="localhost")
        self.server = TlsTunnel(server, server_side=True, server_hostname=None)

    def shake(self) -> None:
        self.client.handshake(b"")
        for _ in range(6):
            self.server.handshake(self.client.take()) if self.server.handshaking else None
            answer = self.server.take()
            self.client.handshake(answer) if self.client.handshaking else self.client.feed(answer)
            if not (self.client.handshaking or self.server.handshaking):
                self.client.feed(self.server.take())
                return
        raise AssertionError("the handshake does not end")


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def ends(request: pytest.FixtureRequest, certificates: Certificates) -> Ends:
    made = Ends(certificates, request.param)
    made.shake()
    return made


def test_what_was_agreed_on(ends: Ends) -> None:
    for end in (ends.client, ends.server):
        assert end.info.version in ("TLSv1.2", "TLSv1.3")
        assert end.info.sni == "localhost"
        assert end.info.alpn == "imap"
        assert "AES" in end.info.cipher or "CHACHA" in end.info.cipher


def test_bytes_go_both_ways(ends: Ends) -> None:
    assert ends.server.feed(ends.client.write(b"a LOGIN\r\n")) == b"a LOGIN\r\n"
    assert ends.client.feed(ends.server.write(b"a OK\r\n")) == b"a OK\r\n"


@settings(max_examples=50, deadline=None)
@given(
    plain=st.lists(
        st.one_of(st.binary(min_size=1, max_size=300), st.sampled_from([bytes(20_000), b"\r\n" * 8192])), max_size=4
    ),
    cuts=st.lists(st.integers(1, 40_000), min_size=1, max_size=20),
)
def test_transparent_for_all_bytes_however_they_are_cut(
    certificates: Certificates, plain: list[bytes], cuts: list[int]
) -> None:
    ends = Ends(certificates)
    ends.shake()
    raw = b"".join(ends.client.write(data) for data in plain)
    got = []
    turn = 0
    while raw:
        size = cuts[turn % len(cuts)]
        turn += 1
        got.append(ends.server.feed(raw[:size]))
        raw = raw[size:]
    assert b"".join(got) == b"".join(plain)
    assert not ends.server.pending


def test_each_side_ends_its_direction_by_itself(ends: Ends) -> None:
    ends.server.feed(ends.client.close())
    assert ends.server.ended
    assert not ends.client.ended
    assert ends.client.feed(ends.server.write(b"x" * 50_000)) == b"x" * 50_000
    ends.client.feed(ends.server.close())
    assert ends.client.ended
    assert ends.client.failure is ends.server.failure is None
    ends.client.feed_eof()
    assert not ends.client.truncated


def test_closing_says_so_once(ends: Ends) -> None:
    assert ends.client.close()
    assert ends.client.close() == b""


def test_data_that_waits_inside_survives_our_close(ends: Ends) -> None:
    """OpenSSL fails for good when it meets data while it sends close_notify."""
    raw = ends.client.write(b"waiting")
    ends.server._incoming.write(raw)
    ends.client.feed(ends.server.close())
    assert ends.server.pending
    assert ends.server.feed(b"") == b"waiting"
    assert ends.server.feed(ends.client.write(b"more")) == b"more"
    assert ends.client.ended
    assert ends.server.failure is None


def test_half_a_record_inside_survives_our_close(ends: Ends) -> None:
    raw = ends.client.write(b"x" * 1000)
    assert ends.server.feed(raw[:500]) == b""
    ends.client.feed(ends.server.close())
    assert ends.server.feed(raw[500:]) == b"x" * 1000
    ends.server.feed(ends.client.close())
    assert ends.server.ended
    assert ends.server.failure is None


def test_an_end_without_close_notify_is_truncated(ends: Ends) -> None:
    ends.server.feed_eof()
    assert ends.server.truncated
    assert not ends.server.ended


def test_bytes_behind_close_notify_are_not_read(ends: Ends) -> None:
    assert ends.server.feed(ends.client.close() + b"plain text") == b""
    assert ends.server.ended
    assert ends.server.failure is None
    assert not ends.server.pending


def test_good_bytes_before_a_broken_record_are_given(ends: Ends) -> None:
    good = ends.client.write(b"good")
    broken = bytearray(ends.client.write(b"broken"))
    broken[-1] ^= 1
    assert ends.server.feed(good + bytes(broken)) == b"good"
    assert ends.server.failure is not None
    assert "can't be trusted" in ends.server.failure
    assert ends.server.take()  # the alert
    assert ends.server.close() == b""


def test_early_data_stays_inside_until_asked_for(certificates: Certificates) -> None:
    """The client's first command may come in one segment with the end of its handshake."""
    ends = Ends(certificates)
    ends.client.handshake(b"")
    ends.server.handshake(ends.client.take())
    ends.client.handshake(ends.server.take())
    ends.server.handshake(ends.client.take() + ends.client.write(b"a LOGIN\r\n"))
    assert not ends.server.handshaking
    assert ends.server.pending
    assert ends.server.feed(b"") == b"a LOGIN\r\n"
    assert not ends.server.pending


def test_an_end_in_the_handshake_is_a_failure(certificates: Certificates) -> None:
    ends = Ends(certificates)
    ends.client.handshake(b"")
    ends.client.feed_eof()
    assert ends.client.failure is not None
    assert "during the TLS handshake" in ends.client.failure


def test_plain_text_fails_the_handshake(certificates: Certificates) -> None:
    ends = Ends(certificates)
    ends.server.handshake(b"a LOGIN alice secret\r\n")
    assert ends.server.failure is not None
    assert "plain text" in ends.server.failure
    assert "secret" not in ends.server.failure


def test_writing_after_our_close_fails_with_a_sentence(ends: Ends) -> None:
    ends.client.close()
    ends.client.write(b"late")
    assert ends.client.failure is not None


def test_a_context_s_own_callback_for_names_is_kept(certificates: Certificates) -> None:
    asked: list[str | None] = []
    ends = Ends(certificates)
    context = certificates.server()
    context.sni_callback = lambda tls, name, ctx: asked.append(name)
    ends.server = TlsTunnel(context, server_side=True, server_hostname=None)
    ends.shake()
    assert asked == ["localhost"]
    assert ends.server.info.sni is None


class Watched:
    """A MemoryBIO that remembers the most it held."""

    def __init__(self, bio: ssl.MemoryBIO) -> None:
        self.bio = bio
        self.most = 0

    @property
    def pending(self) -> int:
        self.most = max(self.most, self.bio.pending)
        return self.bio.pending

    def write(self, data: bytes | memoryview) -> int:
        done = self.bio.write(data)
        self.most = max(self.most, self.bio.pending)
        return done

    def read(self) -> bytes:
        self.most = max(self.most, self.bio.pending)
        return self.bio.read()


def test_bulk_leaves_the_buffers_small(ends: Ends) -> None:
    """A MemoryBIO keeps its largest size for ever."""
    incoming, outgoing = Watched(ends.server._incoming), Watched(ends.client._outgoing)
    ends.server._incoming, ends.client._outgoing = incoming, outgoing  # type: ignore[assignment]
    for _ in range(4):
        assert len(ends.server.feed(ends.client.write(bytes(300_000)))) == 300_000
    assert 0 < incoming.most <= 17_000
    assert 0 < outgoing.most <= 17_000
