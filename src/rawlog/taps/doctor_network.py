"""The doctor's look at the network: certificates, listeners, and a real handshake with each backend.

Knows: how to connect to a backend as a gateway would, up to its greeting. Must not know: directories, users. It says
nothing to a backend but what STARTTLS takes, and ends politely.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from rawlog.engine.connect import connect
from rawlog.engine.leg import Leg, LegError
from rawlog.engine.loop import Loop
from rawlog.engine.proxyprotocol import write_v1, write_v2
from rawlog.engine.sentences import os_sentence
from rawlog.errors import RawlogError
from rawlog.settings.configuration import Door, GatewayPlan
from rawlog.taps import tls
from rawlog.taps.build import COLLECTED, backend_tls
from rawlog.taps.collectors import SCHEME, collector_of
from rawlog.taps.dialects import dialect_for
from rawlog.taps.doctor_finding import Finding, fail, ok, warn
from rawlog.taps.opening import Opening
from rawlog.taps.single import endpoints

TIMEOUT = 10.0  # seconds for a backend: what a gateway gives it


def certificate(plan: GatewayPlan) -> Iterator[Finding]:
    """The certificate and key shown to clients: readable, belonging together, valid today."""
    settings = plan.settings
    if not settings.serves_tls:  # the configuration's own warnings say so
        return
    try:
        tls.client_context(settings.ssl_cert, settings.ssl_key, settings.ssl_min_protocol)
    except RawlogError as error:
        yield fail(f"ssl_cert: {error}")
        return
    fault = _out_of_date(settings.ssl_cert, settings.ssl_key)
    yield fail(f"ssl_cert: {settings.ssl_cert}: {fault}; renew it") if fault else ok(f"ssl_cert: {settings.ssl_cert}")


def listener(door: Door) -> Finding:
    """Whether it could be listened there, or who does."""
    where = door.listen
    if where.unix_path is not None:
        return ok(f"listener {where}")
    try:
        family, _, _, _, address = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
    except OSError as error:
        return _taken(str(where), where.port or 0, error)
    return ok(f"listener {where}: free")


def backend(plan: GatewayPlan) -> Finding:
    """Whether the backend greets, through TLS and with a valid certificate where that is asked for."""
    where = plan.backend
    try:
        visit = _Visit(plan)
    except RawlogError as error:
        return fail(f"rawlog_backend {where}: {error}")
    trouble = visit.run()
    return fail(f"rawlog_backend {where}: {trouble}") if trouble else ok(f"rawlog_backend {where}: it greets")


def collector(plan: GatewayPlan) -> Iterator[Finding]:
    """Whether the collector of ``rawlog_dir = tcp:HOST:PORT`` takes connections."""
    where = plan.settings.rawlog_dir
    if plan.protocol not in COLLECTED or not where.startswith(SCHEME):
        return
    try:
        ends = collector_of(where) or ()
    except RawlogError as error:
        yield fail(f"rawlog_dir = {where}: {error}")
        return
    trouble = "it has no address"
    for end in ends:
        with socket.socket(end.family) as sock:
            sock.settimeout(TIMEOUT)
            try:
                sock.connect(end.address)
            except OSError as error:
                trouble = os_sentence(error) if error.errno else "it does not answer; check host and port"
                continue
        yield ok(f"rawlog_dir = {where}: the collector takes connections")
        return
    yield fail(f"rawlog_dir = {where}: {trouble}")


class _Visit:
    """One connection to a backend, as far as its greeting."""

    def __init__(self, plan: GatewayPlan) -> None:
        self._plan = plan
        self._context = backend_tls(plan)
        self._ends = endpoints(plan.backend)
        self._loop = Loop()
        self._leg: Leg | None = None
        self._trouble = f"it did not greet within {TIMEOUT:.0f} s; check host and port, and whether it is overloaded"

    def run(self) -> str:
        """What went wrong, nothing when it greeted."""
        connect(self._loop, self._ends, on_done=self._connected, name="backend")
        self._loop.call_later(TIMEOUT, self._loop.stop)
        self._loop.run()
        if self._leg is not None:
            self._leg.close()
        self._loop.close()
        return self._trouble

    def _connected(self, sock: socket.socket | None, error: LegError | None) -> None:
        if sock is None:
            self._end(str(error))
            return
        self._leg = leg = Leg(self._loop, sock, "backend")
        leg.on_change = self._changed
        write = {"v1": write_v1, "v2": write_v2}.get(self._plan.settings.rawlog_haproxy_out)
        if write is not None:
            leg.write(write(None, None))  # the header of a proxy that looks for itself
        if self._plan.backend.tls == "implicit":
            assert self._context is not None
            leg.start_tls(
                self._context, server_side=False, server_hostname=self._plan.backend.host, on_done=self._secured
            )
        self._listen(leg)

    def _listen(self, leg: Leg) -> None:
        if self._plan.backend.tls == "starttls":
            assert self._context is not None
            opening = Opening(
                leg,
                dialect_for(self._plan.backend.protocol).starttls(),
                self._context,
                self._plan.backend.host,
                on_tls=lambda: None,
                on_done=lambda greeting: self._end(""),
                on_failure=self._end,
            )
            leg.on_data = opening.feed
        else:
            leg.on_data = lambda data: self._end("")
        leg.resume()

    def _secured(self, error: LegError | None) -> None:
        if error is not None:
            self._end(str(error))

    def _changed(self) -> None:
        if self._leg is not None and (self._leg.ended or self._leg.broken is not None):
            self._end("it closed the connection without a greeting; check host and port, and its log")

    def _end(self, trouble: str) -> None:
        self._trouble = trouble
        if self._leg is not None:
            self._leg.on_change = lambda: None
            self._leg.on_data = lambda data: None
        self._loop.stop()


def _out_of_date(cert: str, key: str) -> str:
    """What is wrong with the time of a certificate: a handshake with itself tells, without a parser."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(cert, key)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cafile=cert)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)]
    for end in ends * 2:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            return {9: "is not valid yet", 10: "has expired"}.get(error.verify_code, "")
        except ssl.SSLError:
            return ""
    return ""


def _taken(where: str, port: int, error: OSError) -> Finding:
    if error.errno != errno.EADDRINUSE:
        return fail(f"listener {where}: {error.strerror}; choose another address, or start as root")
    owner = _owner(port)
    if owner is None:
        return warn(
            f"listener {where}: somebody listens there; fine if it is rawlog serve (as root the doctor can tell)"
        )
    pid, words = owner
    names = [word.rpartition("/")[2] for word in words.split()]
    if ("rawlog", "serve") in pairwise(names):
        return ok(f"listener {where}: rawlog listens there (pid {pid})")
    return fail(f"listener {where}: taken by pid {pid} ({words[:60]}); end that, or choose another port")


def _owner(port: int) -> tuple[int, str] | None:
    """Which process listens at a port: Linux says it in /proc, to root."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for fd in (process / "fd").iterdir():
                with suppress(OSError):
                    if str(fd.readlink()) in inodes:
                        words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                        return int(process.name), words.strip()
    return None
