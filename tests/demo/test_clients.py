"""The demonstration's clients, straight to the embedded server: each of them holds its whole conversation."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest

from rawlog.demo import DemoServer
from rawlog.demo.clients import CLIENTS, Account


@pytest.mark.parametrize("client", [client for clients in CLIENTS.values() for client in clients])
def test_client(demo_server: DemoServer, client: Callable[[Account], None]) -> None:
    context = ssl.create_default_context(cafile=str(demo_server.ca_file))
    client(Account("localhost", demo_server.ports, demo_server.user, demo_server.password, context))


def test_a_wrong_password_is_an_error(demo_server: DemoServer) -> None:
    context = ssl.create_default_context(cafile=str(demo_server.ca_file))
    account = Account("localhost", demo_server.ports, demo_server.user, "wrong", context)
    for client in (CLIENTS["managesieve"][0], CLIENTS["pop3"][0]):
        with pytest.raises(Exception, match=r"(?i)NO|-ERR"):
            client(account)
