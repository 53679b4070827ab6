"""One conversation through the gateway: two legs, their negotiation, their tap, and one line in the log at its end.

Knows: the order of things: connect to the backend first, so that a dead server looks dead; TLS; the relay; the end.
Must not know: listeners, other conversations, configuration files.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rawlog.dialogue.redact import Masker
from rawlog.engine.bounds import DEFAULT_LIMITS, Limits
from rawlog.engine.connect import Endpoint, connect
from rawlog.engine.leg import Leg, LegError
from rawlog.engine.loop import Loop
from rawlog.engine.proxyprotocol import write_v1, write_v2
from rawlog.engine.relay import Relay
from rawlog.errors import ConfigError, RawlogError
from rawlog.events import Direction
from rawlog.protocols.framing import Framer
from rawlog.recorder.directory import NotRecorded
from rawlog.recorder.recorder import Recorder
from rawlog.settings.backend import Backend
from rawlog.settings.values import Network
from rawlog.settings.variables import Template
from rawlog.taps.admission import Guest
from rawlog.taps.before_login import Policy
from rawlog.taps.dialects import dialect_for
from rawlog.taps.ends import Ends, shown
from rawlog.taps.guard import Guard
from rawlog.taps.observer import Answer, Observer
from rawlog.taps.plan import Plan
from rawlog.taps.upgrade import Upgrade

FAREWELL = 5.0  # seconds for a refused client to take the refusal


@dataclass(frozen=True)
class Service:
    """What all conversations of one gateway have in common.

    ``framer`` makes a grammar of the protocol (keyword arguments as of Framer). ``plaintext_login``: passwords are
    accepted without TLS from anywhere; from loopback and unix sockets they always are. ``find_user`` gives the fields
    of a user (``home``, ``uid``, ``gid`` ...), None for one that userdb does not know. ``service`` is Dovecot's name of
    the service, which ``%s`` stands for; empty: the protocol's. ``proxies`` may send a PROXY header, within
    ``proxy_timeout`` seconds, to listeners that expect one; ``proxy_out``: the backend gets one, ``v1`` or ``v2``.
    """

    protocol: str
    backend: Backend
    endpoints: Sequence[Endpoint]
    backend_context: ssl.SSLContext | None
    client_context: ssl.SSLContext | None
    plaintext_login: bool
    keep_secrets: bool
    framer: Callable[..., Framer]
    client_plans: Sequence[Plan]
    backend_plans: Sequence[Plan]
    report: Callable[[str], None]
    find_user: Callable[[str], Mapping[str, str] | None] | None = None
    refuse_bare_lf: bool = True
    on_error: str = "open"  # see guard.py
    service: str = ""
    limits: Limits = DEFAULT_LIMITS
    proxies: Sequence[Network] = ()
    proxy_timeout: float = 3.0
    proxy_out: str = "no"


class Conversation:
    """Begins with an accepted connection; ``on_end`` is called once when everything of it is closed.

    ``ends``: who is at the ends of it. ``guest``: the client as it was let in.
    """

    def __init__(
        self,
        loop: Loop,
        service: Service,
        sock: socket.socket,
        *,
        name: str,
        implicit_tls: bool,
        on_end: Callable[[Conversation], None],
        ends: Ends,
        guest: Guest,
    ) -> None:
        self.name = name
        self._loop = loop
        self._service = service
        self._on_end = on_end
        self._ends = ends
        self._guest = guest
        self._client = Leg(loop, sock, "client")
        self._relay: Relay | None = None
        self._upgrade: Upgrade | None = None
        self._files: list[str] = []
        self._over = False
        self._counted = False  # among the refused, of whom the log has one line for all
        self._implicit_tls = implicit_tls
        self._dialect = dialect_for(service.protocol)
        refusal = self._dialect.refusal("The conversation can't be recorded at the moment")
        self._report = partial(_report, service.report, name)  # of no method: parts that hold it would hold us
        self._guard = Guard(loop, service.on_error, refusal, self._report)
        self._observer = self._watch(Direction.IN, service.client_plans)
        self._backend_observer: Observer | None = None
        self._client.tap = self._observer.tap
        self._opened()
        if implicit_tls:
            self._start_client_tls()
        else:
            self._connect()

    # -- the backend --------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        connect(self._loop, self._service.endpoints, on_done=self._connected, name="backend")

    def _connected(self, sock: socket.socket | None, error: LegError | None) -> None:
        if self._over:
            if sock is not None:
                sock.close()
            return
        if sock is None:
            self._refuse(str(error))
            return
        server = Leg(self._loop, sock, f"backend {self._service.backend}")
        if header := self._proxy_header():
            server.write(header)  # before TLS, and before there is a tap: it is no part of the conversation
        if self._service.backend_plans:
            self._backend_observer = self._watch(Direction.OUT, self._service.backend_plans)
            server.tap = self._backend_observer.tap
        if self._service.backend.tls != "implicit":
            self._begin(server)
            return
        context = self._service.backend_context
        assert context is not None
        server.start_tls(
            context,
            server_side=False,
            server_hostname=self._service.backend.host,
            on_done=lambda failure: self._server_tls(server, failure),
        )

    def _proxy_header(self) -> bytes:
        """What tells the backend who the client is, where that is asked for."""
        write = {"v1": write_v1, "v2": write_v2}.get(self._service.proxy_out)
        return write(self._ends.client, self._ends.listener) if write is not None else b""

    def _server_tls(self, server: Leg, error: LegError | None) -> None:
        if error is not None or self._over:
            server.close()
            self._refuse(str(error))
            return
        self._tls_on("server", server)
        self._begin(server)

    def _begin(self, server: Leg) -> None:
        service = self._service
        self._relay = relay = Relay(self._loop, self._client, server, on_end=self._ended, limits=service.limits)
        policy = Policy(
            client_tls=service.client_context,
            plaintext_login=service.plaintext_login or self._ends.is_local,
            refuse_bare_lf=service.refuse_bare_lf,
            backend_tls=service.backend.tls,
            backend_context=service.backend_context,
            backend_name=service.backend.host,
            client_implicit=self._implicit_tls,
        )
        self._upgrade = Upgrade(
            self._loop,
            relay,
            service.framer(),
            self._dialect,
            policy,
            report=self._report,
            on_tls=lambda leg: self._tls_on(leg, getattr(relay, leg)),
            guest=self._guest,
        )
        self._upgrade.begin()
        self._guard.watch(relay, self._observers())
        relay.start()

    def _refuse(self, sentence: str) -> None:
        """No backend: say so to the client in its own protocol, and to the operator why."""
        if self._over:
            return
        self._report(sentence)
        self._client.write(self._dialect.refusal("The mail server can't be reached at the moment"))
        self._client.shutdown_write()
        self._client.on_change = lambda: self._refused(sentence)
        self._client.resume()
        self._loop.call_later(FAREWELL, lambda: self._close_refused(sentence))

    def _refused(self, sentence: str) -> None:
        if self._client.ended or self._client.broken is not None:
            self._close_refused(sentence)

    def _close_refused(self, sentence: str) -> None:
        if not self._over:
            self._client.close()
            self._ended(sentence)

    # -- the client ---------------------------------------------------------------------------------------------

    def _start_client_tls(self) -> None:
        context = self._service.client_context
        assert context is not None
        self._client.start_tls(
            context,
            server_side=True,
            server_hostname=None,
            on_done=self._client_tls,
            timeout=self._guest.handshake_timeout,
            admit=self._speaks,
        )

    def _speaks(self) -> str:
        """The client begins its handshake: from here on it is worth a connection to the server."""
        if refusal := self._guest.begin_handshake(self.abort):
            self._counted = True
            return refusal
        self._connect()
        return ""

    def _client_tls(self, error: LegError | None) -> None:
        self._guest.end_handshake()
        if error is None:
            self._tls_on("client", self._client)
        elif self._relay is not None:
            self._relay.abort(str(error))
        elif not self._over:
            self._client.close()
            self._ended(str(error))

    def abort(self, reason: str) -> None:
        """End it now."""
        if self._relay is not None:
            self._relay.abort(reason)
        else:
            self._close_refused(reason)

    # -- the record ---------------------------------------------------------------------------------------------

    def _observers(self) -> list[Observer]:
        return [observer for observer in (self._observer, self._backend_observer) if observer is not None]

    def _mark(self, name: str, detail: Mapping[str, str]) -> None:
        for observer in self._observers():
            observer.mark(self._loop.now(), name, detail)

    def _opened(self) -> None:
        ends = self._ends
        detail = {"id": self.name, "protocol": self._service.protocol, "client": shown(ends.client)}
        detail |= {"proxy": shown(ends.proxy)} if ends.proxy is not None else {}
        self._mark("opened", {**detail, "listener": shown(ends.listener), "backend": str(self._service.backend)})

    def _tls_on(self, name: str, leg: Leg) -> None:
        if leg.tls is not None:
            detail = {"leg": name, "version": leg.tls.version, "cipher": leg.tls.cipher}
            self._mark("tls", detail)

    def _watch(self, client: Direction, plans: Sequence[Plan]) -> Observer:
        """An observer for one leg; ``client`` is the direction of the client's commands on it."""
        framer = self._service.framer(client=client, wire_compressed=True)
        masker = Masker(framer, keep=self._service.keep_secrets)
        return Observer(masker, plans, self._open_recorder, on_login=self._logged_in, later=self._loop.call_later)

    def _logged_in(self, user: str | None) -> None:
        if user is None:
            self._report("the login succeeded, but its mechanism does not show the user's name")

    def _open_recorder(self, plan: Plan, user: str | None, at: int, answer: Answer) -> None:
        fields = self._fields(user)
        instead = None
        if plan.userdb_field is not None and plan.userdb_field in fields:
            instead = self._template(plan.userdb_field, fields[plan.userdb_field])
            if instead is None:
                answer(None)
                return
        values: dict[str, str | bytes] = {**fields, **self._values(), "user": user or ""}
        if plan.home and not values.get("home"):
            values["home"] = Template(plan.home).expand(values)
        plan.target.open(values, at, self.name, partial(self._recorded, answer), instead=instead)

    def _recorded(self, answer: Answer, opened: tuple[Recorder, str] | NotRecorded) -> None:
        if isinstance(opened, NotRecorded):
            if not opened.expected:
                self._guard.refused(opened.reason)
            answer(None)
            return
        recorder, path = opened
        self._files.append(path)
        answer(recorder)

    def _fields(self, user: str | None) -> Mapping[str, str]:
        """What userdb knows of the user: ``home``, ``uid``, ``gid`` and any others. Nothing of an unknown one."""
        if user is None or self._service.find_user is None:
            return {}
        try:
            return self._service.find_user(user) or {}
        except RawlogError as error:
            self._report(f"userdb: {error}")
            return {}

    def _template(self, field: str, text: str) -> Template | None:
        """The directory that a field of the user gives; None where it is empty (switched off) or wrong."""
        try:
            return Template(text) if text else None
        except ConfigError as error:
            self._report(f"not recorded: userdb field {field}: {error}")
            return None

    def _values(self) -> dict[str, str]:
        return {
            "rip": self._ends.client.host if self._ends.client else "",
            "lip": self._ends.listener.host if self._ends.listener else "",
            "service": self._service.service or self._service.protocol,
            "session": self.name,
            "pid": str(os.getpid()),
        }

    # -- the end ------------------------------------------------------------------------------------------------

    def _ended(self, reason: str) -> None:
        self._over = True
        self._guest.leave()
        self._guard.let_go()
        if self._upgrade is not None:
            self._upgrade.closed()
        lost = self._relay.undelivered if self._relay is not None else {}
        for direction, count in lost.items():
            if count:
                self._mark("undelivered", {"direction": direction.value, "bytes": str(count)})
        observers = self._observers()
        waiting = len(observers)

        def closed() -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting:
                if not self._counted:
                    self._report(self._summary(reason))
                self._forget()
                self._on_end(self)

        for observer in observers:
            try:
                observer.close(self._loop.now(), reason, closed)
            except Exception as error:
                self._loop.on_error(error)

    def _forget(self) -> None:
        """Break the circles of references; the collector may be off."""
        self._relay = self._upgrade = None
        for observer in self._observers():
            observer.forget()

    def _summary(self, reason: str) -> str:
        tls, seen = self._client.tls, self._observer.seen
        words = {
            "user": self._observer.user or "-",
            "client": shown(self._ends.client),
            **({"proxy": shown(self._ends.proxy)} if self._ends.proxy is not None else {}),
            "backend": str(self._service.backend),
            "tls": tls.version if tls else "-",
            "in": str(seen[Direction.IN]),
            "out": str(seen[Direction.OUT]),
            "files": ",".join(self._files) or "-",
        }
        return " ".join(f"{key}={_word(value)}" for key, value in words.items()) + f" end={_word(reason)}"


def _report(report: Callable[[str], None], name: str, sentence: str) -> None:
    report(f"{name}: {sentence}")


def _word(value: str) -> str:
    """A value in the log: quoted where it has blanks, escaped where a terminal or a parser could stumble."""
    return value if value.isprintable() and value.isascii() and not set(value) & set(' "=\\') else ascii(value)
