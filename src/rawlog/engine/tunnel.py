"""TLS as a tunnel: raw bytes in and out on one side, plain bytes on the other. No socket.

Knows: ``ssl.MemoryBIO``, the handshake, and how a TLS stream ends: ``close_notify`` in each direction by itself, or cut
off. Must not know: sockets, the loop, the relay. It is a thing of its own so that TLS can be put into a leg at any
moment, is fed with exactly the bytes the leg gives it (a ClientHello that came behind a PROXY header, never plain text
from before), and half-closes, which neither asyncio nor ``SSLSocket`` does.

A MemoryBIO keeps its largest size for ever, so nothing larger than ``SLICE`` is put into one.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from rawlog.engine.sentences import handshake_eof_sentence, handshake_sentence, stream_sentence

SLICE = 16384
"""Bytes put into a BIO at once, so that a BIO stays at 20 KiB. 32 KiB decrypts 12 % faster, a few percent of what a
relayed gigabyte costs, and keeps 20 KiB more in each leg that ever moved bulk: measured, not worth it."""
_RECORD = 16384
"""The largest plaintext of one record; ``SSLObject.read`` never gives more."""


@dataclass(frozen=True, slots=True)
class TlsInfo:
    """What a finished handshake agreed on: ``TLSv1.3``, the cipher's name, the server name asked for, the ALPN word."""

    version: str
    cipher: str
    sni: str | None
    alpn: str | None


class _NamedObject(ssl.SSLObject):
    """The server's end, remembering the name the client asked for, which ``ssl`` does not."""

    sni: str | None = None


def note_server_name(tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
    """Remember the name in the ClientHello (RFC 6066). A context's own ``sni_callback`` calls this too."""
    if isinstance(tls, _NamedObject):
        tls.sni = name


class TlsTunnel:
    """One end of a TLS connection over two memory buffers.

    ``handshaking`` is True until the handshake is done. ``ended`` becomes True at the peer's close_notify,
    ``truncated`` at an end without one. ``failure`` is the sentence of a fatal error, None while all is well.
    :meth:`handshake` and :meth:`feed` may leave raw bytes to be sent: :meth:`take` them afterwards.
    """

    __slots__ = (
        "_host",
        "_incoming",
        "_outgoing",
        "_stash",
        "_tls",
        "closed",
        "ended",
        "failure",
        "handshaking",
        "server_side",
        "truncated",
    )

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None) -> None:
        """``server_hostname`` is for the client's side: sent as SNI and checked as the context says.

        Raises ValueError when the context checks names and there is none: OpenSSL would then accept any name.
        """
        if context.check_hostname and not server_side and not server_hostname:
            raise ValueError("check_hostname requires server_hostname")
        if server_side and context.sni_callback is None:
            context.sni_callback = note_server_name
        if server_side:
            context.sslobject_class = _NamedObject
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.server_side = server_side
        self._host = None if server_side else server_hostname
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=self._host
        )
        self._stash: list[bytes] = []
        self.handshaking = True
        self.closed = self.ended = self.truncated = False
        self.failure: str | None = None

    @property
    def info(self) -> TlsInfo:
        """What was agreed on; only after the handshake."""
        cipher = self._tls.cipher()
        sni = self._tls.sni if isinstance(self._tls, _NamedObject) else self._host
        return TlsInfo(
            version=self._tls.version() or "unknown",
            cipher=cipher[0] if cipher else "unknown",
            sni=sni,
            alpn=self._tls.selected_alpn_protocol(),
        )

    @property
    def pending(self) -> bool:
        """True while bytes fed before wait to be read: the socket will not announce them, ask :meth:`feed` with b''."""
        return bool(self._stash or (self._incoming.pending and not self.ended))

    def take(self) -> bytes:
        """The raw bytes to be sent, taken out."""
        return self._outgoing.read() if self._outgoing.pending else b""

    # -- handshake ----------------------------------------------------------------------------------------------------

    def handshake(self, raw: bytes) -> None:
        """Go on with the handshake after ``raw`` (b'' to begin). Look at ``handshaking`` and ``failure`` afterwards.

        Application data behind the handshake stays inside until :meth:`feed` is called.
        """
        self._incoming.write(raw)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            self.failure = handshake_sentence(error, server_side=self.server_side, host=self._host)
            return
        self.handshaking = False

    # -- from the wire ------------------------------------------------------------------------------------------------

    def feed(self, raw: bytes) -> bytes:
        """The plain bytes that ``raw`` completes, everything that can be read; b'' when none.

        Bytes that were good before an error are returned; ``failure`` then tells of the error.
        """
        parts = self._stash
        self._stash = []
        if len(raw) <= SLICE:
            self._incoming.write(raw)
            self._read_into(parts)
        else:
            view = memoryview(raw)
            for start in range(0, len(raw), SLICE):
                self._incoming.write(view[start : start + SLICE])
                self._read_into(parts)
                if self.ended or self.failure is not None:
                    break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_into(self, parts: list[bytes]) -> None:
        read = self._tls.read
        incoming = self._incoming
        try:
            while incoming.pending:
                data = read(_RECORD)
                if not data:
                    self.ended = True
                    return
                parts.append(data)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            self.failure = stream_sentence(error)

    def feed_eof(self) -> None:
        """The connection ended below TLS: clean after close_notify, else ``truncated`` (RFC 8446 section 6.1)."""
        if self.handshaking:
            self.failure = handshake_eof_sentence()
        elif not self.ended:
            self.truncated = True

    # -- to the wire --------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> bytes:
        """The raw bytes for ``data``, and whatever else is to be sent before it. Only after the handshake.

        A fatal error sets ``failure`` and returns what could be encrypted.
        """
        write = self._tls.write
        take = self._outgoing.read
        parts: list[bytes] = []
        try:
            if len(data) <= _RECORD:
                write(data)
                return take()
            view = memoryview(data)
            while view:
                view = view[write(view[:_RECORD]) :]
                parts.append(take())
        except ssl.SSLWantReadError:
            self.failure = "asks for a TLS renegotiation, which is not supported; switch it off there, or use TLS 1.3"
        except ssl.SSLError as error:
            self.failure = stream_sentence(error)
        return b"".join(parts)

    def close(self) -> bytes:
        """Our close_notify as raw bytes, once; reading goes on until the peer's.

        Everything fed before is read out first: OpenSSL loses it, and dies, when it meets data in this call.
        """
        if self.closed or self.handshaking or self.failure is not None:
            return b""
        self.closed = True
        if self._incoming.pending:
            self._read_into(self._stash)
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            pass  # the normal case: the peer has not closed its direction
        except ssl.SSLError as error:
            self.failure = stream_sentence(error)
        return self.take()
