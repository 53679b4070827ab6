"""Fake servers that stand behind a gateway: scripts for single connections, and a small IMAP server.

Knows: as much of a mail server as a test needs, also of evil and broken ones. Must not know: the gateway.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType

from tests.support.peer import SECONDS, Peer

Script = Callable[[Peer], None]


class FakeServer:
    """``with FakeServer(script) as server``: listens on ``server.port`` of 127.0.0.1.

    Each connection is given to ``script`` in a thread of its own and closed afterwards; ``peers`` are all of them, and
    keep what they have read. With ``context`` TLS is on from the start.
    """

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self.peers: list[Peer] = []
        self._script = script
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def wait(self) -> None:
        """Until all scripts are over."""
        for thread in self._threads[1:]:
            thread.join(SECONDS)
            assert not thread.is_alive(), "a script of a fake server does not end"

    def __enter__(self) -> FakeServer:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(SECONDS)
        for peer in self.peers:
            peer.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            peer = Peer(sock)
            self.peers.append(peer)
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: Peer) -> None:
        try:
            if self._context is not None:
                peer.start_tls(self._context, server_side=True)
            self._script(peer)
        except OSError:
            pass  # the other side is gone, which is often what is tested
        finally:
            peer.close()


CAPABILITIES = b"IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN AUTH=XOAUTH2"
_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r\n\Z")


class ImapScript:
    """A script for :class:`FakeServer`: an IMAP server that lets everybody in whose password is not ``wrong``.

    It knows CAPABILITY, STARTTLS (with ``context``), LOGIN, AUTHENTICATE, LOGOUT and ECHO N, which answers with N
    bytes; all else is OK. ``logins`` are the arguments that came with LOGIN and AUTHENTICATE.
    """

    def __init__(
        self,
        *,
        capabilities: bytes = CAPABILITIES,
        context: ssl.SSLContext | None = None,
        greeting: bytes = b"* OK [CAPABILITY %b] ready.\r\n",
    ) -> None:
        self.capabilities = capabilities
        self.context = context
        self.greeting = greeting
        self.logins: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        peer.send(self.greeting % self._listed(peer) if b"%b" in self.greeting else self.greeting)
        while line := _whole(peer):
            tag, verb, arguments = (*line.rstrip(b"\r\n").split(None, 2), b"", b"", b"")[:3]
            if not verb:
                peer.send(b"* BAD what\r\n")
            elif not self._answer(peer, tag, verb.upper(), arguments):
                return

    def _answer(self, peer: Peer, tag: bytes, verb: bytes, arguments: bytes) -> bool:
        if verb == b"LOGOUT":
            peer.send(b"* BYE bye\r\n" + tag + b" OK bye\r\n")
            return False
        if verb == b"STARTTLS" and self.context is not None:
            peer.send(tag + b" OK begin\r\n")
            peer.start_tls(self.context, server_side=True)
        elif verb == b"CAPABILITY":
            peer.send(b"* CAPABILITY " + self._listed(peer) + b"\r\n" + tag + b" OK done\r\n")
        elif verb in (b"LOGIN", b"AUTHENTICATE"):
            peer.send(self._login(peer, tag, verb, arguments))
        elif verb == b"ECHO":
            size = int(arguments)
            peer.send(b"* ECHO {%d}\r\n%b\r\n" % (size, pattern(size)) + tag + b" OK done\r\n")
        else:
            peer.send(tag + b" OK done\r\n")
        return True

    def _login(self, peer: Peer, tag: bytes, verb: bytes, arguments: bytes) -> bytes:
        if verb == b"AUTHENTICATE" and b" " not in arguments:
            peer.send(b"+ \r\n")
            arguments += b" " + peer.line().rstrip(b"\r\n")
        self.logins.append(arguments)
        if b"wrong" in arguments or b"d3Jvbmc" in arguments:  # the same in base64
            return tag + b" NO [AUTHENTICATIONFAILED] no\r\n"
        return tag + b" OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"

    def _listed(self, peer: Peer) -> bytes:
        return self.capabilities + (b" STARTTLS" if self.context is not None and not peer.tls else b"")


def pattern(size: int) -> bytes:
    """``size`` bytes of text in lines, each with its number."""
    return b"".join(b"%07d\n" % number for number in range(size // 8 + 1))[:size]


def _whole(peer: Peer) -> bytes:
    """A command with its literals."""
    line = peer.line()
    while literal := _LITERAL.search(line):
        if not literal[2]:
            peer.send(b"+ go on\r\n")
        line += peer.exactly(int(literal[1])) + peer.line()
    return line
