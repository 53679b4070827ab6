"""Fixtures for the tests of the engine; what they give is in ``stage`` and ``peers``."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
import trustme

from rawlog.engine.bounds import Limits
from rawlog.engine.leg import Leg
from rawlog.engine.plain import PlainRelay
from rawlog.engine.relay import Relay
from tests.engine.peers import secure
from tests.engine.stage import Certificates, MakeTalk, Owner, Stage, Talk


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture
def make_talk(stage: Stage) -> Callable[..., Talk]:
    """Makes a relay with two legs."""

    def make(kind: str = "tcp", limits: Limits | None = None) -> Talk:
        client_peer, client = stage.leg(kind, "client")
        server_peer, server = stage.leg(kind, "server")
        relay = Relay(stage.loop, client, server, on_end=lambda reason: talk.end(reason), limits=limits or Limits())
        talk = Talk(stage, relay, client_peer, server_peer, client._sock)  # type: ignore[arg-type]
        client.tap = talk.tap
        return talk

    return make


@pytest.fixture
def make_plain_talk(stage: Stage) -> Callable[..., Talk]:
    """Makes a relay that joins two sockets."""

    def make(kind: str = "tcp", limits: Limits | None = None) -> Talk:
        client_peer, client = stage.pair(kind)
        server_peer, server = stage.pair(kind)
        limits = limits or Limits()
        relay = PlainRelay(stage.loop, client, server, on_end=lambda reason: talk.end(reason), limits=limits)
        talk = Talk(stage, relay, client_peer, server_peer, client)
        relay.tap = talk.tap
        return talk

    return make


@pytest.fixture(params=["with legs", "plain"])
def make_any_talk(request: pytest.FixtureRequest) -> Callable[..., Talk]:
    """Makes a relay of either kind: what the two have in common is tested with both."""
    name = "make_talk" if request.param == "with legs" else "make_plain_talk"
    made: Callable[..., Talk] = request.getfixturevalue(name)
    return made


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates(trustme.CA(), trustme.CA())


@pytest.fixture
def ends(stage: Stage) -> tuple[socket.socket, Leg, Owner]:
    peer, leg = stage.leg()
    return peer, leg, Owner(leg)


@pytest.fixture(params=["legs, TCP", "legs, unix", "legs, TLS", "plain, TCP", "plain, unix"])
def any_talk(
    request: pytest.FixtureRequest, make_talk: MakeTalk, make_plain_talk: MakeTalk, certificates: Certificates
) -> Talk:
    """A started relay of each kind: what all have in common is tested with each."""
    kind, _, wire = request.param.partition(", ")
    made = (make_talk if kind == "legs" else make_plain_talk)("unix" if wire == "unix" else "tcp")
    if wire == "TLS":
        secure(made, certificates)
    made.relay.start()
    return made


@pytest.fixture(params=["plain", "unix", "tls"])
def talk(request: pytest.FixtureRequest, make_talk: MakeTalk, certificates: Certificates) -> Talk:
    """A started relay with two legs over TCP, over unix sockets, and over TCP with TLS on both."""
    made = make_talk("unix" if request.param == "unix" else "tcp")
    if request.param == "tls":
        secure(made, certificates)
    made.relay.start()
    return made
