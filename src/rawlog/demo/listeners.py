"""Every listener of the demo server, on free ports of 127.0.0.1.

Knows: which protocol is served by whom, with TLS from the start or by STARTTLS. Must not know: how a protocol works.

pymap's IMAP carries plaintext that was injected behind STARTTLS into the encrypted part of the conversation; so this
server must never listen on an address that other machines can reach.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping

from proxyprotocol.noop import ProxyProtocolNoop
from proxyprotocol.reader import ProxyProtocolReader
from pymap.imap import IMAPServer
from pymap.sieve.manage import ManageSieveServer

from rawlog.demo.mailstore import MailStore, pymap_config
from rawlog.demo.pop3 import Pop3Conversation
from rawlog.demo.smtp import lmtp_protocol, submission_protocol

HOST = "127.0.0.1"

Callback = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def listen(context: ssl.SSLContext, users: Mapping[str, str]) -> dict[str, int]:
    """Start all listeners in the running loop; the answer is their ports by name, as in ``DemoServer.ports``.

    They serve until the loop ends.
    """
    os.environ["FQDN"] = "localhost"  # pymap's greeting; without it every start asks the DNS for our name
    starttls, implicit = pymap_config(context), pymap_config(context, tls_from_start=True)
    store = await MailStore.create(users, starttls)
    return {
        "imap": await _streams(_pymap(IMAPServer(store.login, starttls))),
        "imaps": await _streams(_pymap(IMAPServer(store.login, implicit)), context),
        "sieve": await _streams(_pymap(ManageSieveServer(store.login, starttls))),
        "pop3": await _streams(_pop3(store, context)),
        "pop3s": await _streams(_pop3(store, None), context),
        "submission": await _protocols(lambda: submission_protocol(store, context)),
        "submissions": await _protocols(lambda: submission_protocol(store, None), context),
        "lmtp": await _protocols(lambda: lmtp_protocol(store, context)),
    }


def _pymap(server: IMAPServer | ManageSieveServer) -> Callback:
    return ProxyProtocolReader(ProxyProtocolNoop()).get_callback(server)


def _pop3(store: MailStore, starttls: ssl.SSLContext | None) -> Callback:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Pop3Conversation(store, starttls, reader, writer).run()

    return serve


async def _streams(callback: Callback, context: ssl.SSLContext | None = None) -> int:
    return _port(await asyncio.start_server(callback, HOST, 0, ssl=context))


async def _protocols(factory: Callable[[], asyncio.Protocol], context: ssl.SSLContext | None = None) -> int:
    return _port(await asyncio.get_running_loop().create_server(factory, HOST, 0, ssl=context))


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port
