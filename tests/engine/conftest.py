"""Fixtures for the tests of the engine; what they give is in ``stage`` and ``peers``."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
import trustme

from rawlog.engine.leg import Leg
from rawlog.engine.relay import Limits, Relay
from tests.engine.peers import secure
from tests.engine.stage import Certificates, MakeTalk, Owner, Stage, Talk


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture
def make_talk(stage: Stage) -> Callable[..., Talk]:
    def make(kind: str = "tcp", limits: Limits | None = None) -> Talk:
        client_peer, client = stage.leg(kind, "client")
        server_peer, server = stage.leg(kind, "server")
        talk: Talk

        def ended(reason: str) -> None:
            talk.reasons.append(reason)
            stage.loop.stop()

        relay = Relay(stage.loop, client, server, on_end=ended, limits=limits or Limits())
        talk = Talk(stage, relay, client_peer, server_peer)
        client.tap = lambda at, direction, data: talk.tapped.append((direction, data))
        return talk

    return make


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates(trustme.CA(), trustme.CA())


@pytest.fixture
def ends(stage: Stage) -> tuple[socket.socket, Leg, Owner]:
    peer, leg = stage.leg()
    return peer, leg, Owner(leg)


@pytest.fixture(params=["plain", "unix", "tls"])
def talk(request: pytest.FixtureRequest, make_talk: MakeTalk, certificates: Certificates) -> Talk:
    """A started relay over TCP, over unix sockets, and over TCP with TLS on both legs."""
    made = make_talk("unix" if request.param == "unix" else "tcp")
    if request.param == "tls":
        secure(made, certificates)
    made.relay.start()
    return made
