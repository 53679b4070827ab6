"""From a configuration to gateways: what each protocol's settings mean for its conversations.

Knows: which setting asks for which recording of which leg. Must not know: processes, signals, sockets. What needs
rights or can fail (keys, certificates, names of hosts) is prepared once, before rights are given up.
"""

from __future__ import annotations

import importlib
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rawlog.engine.bounds import Limits
from rawlog.engine.connect import Endpoint
from rawlog.engine.loop import Loop
from rawlog.engine.memory import keep_freed_memory
from rawlog.engine.tally import Share
from rawlog.formats.base import Encoder
from rawlog.formats.dovecot import PairEncoder
from rawlog.formats.native import NativeEncoder
from rawlog.protocols.registry import framer_for
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.limits import Limit
from rawlog.recorder.naming import Opened
from rawlog.recorder.orders import Keepers
from rawlog.recorder.room import Rooms
from rawlog.recorder.seal import Seal, seal_for
from rawlog.settings.configuration import Configuration, Door, GatewayPlan
from rawlog.settings.options import RawlogOptions
from rawlog.settings.userdb import Userdb
from rawlog.settings.variables import Template
from rawlog.taps import tls
from rawlog.taps.admission import Admission, Handshakes, bounds_of
from rawlog.taps.collectors import SCHEME, CollectorTarget, Outstanding, collector_of
from rawlog.taps.conversation import Service
from rawlog.taps.dialects import dialect_for
from rawlog.taps.gateway import Gateway
from rawlog.taps.limiting import limit_of
from rawlog.taps.plan import Part, Plan
from rawlog.taps.refusals import Refusals
from rawlog.taps.single import endpoints
from rawlog.taps.target import HomeTarget, Target

COLLECTED = ("imap", "pop3")  # protocols whose rawlog_dir may be tcp:, as in Dovecot
Report = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """One protocol's gateway with everything it needs from outside."""

    plan: GatewayPlan
    client_context: ssl.SSLContext | None
    backend_context: ssl.SSLContext | None
    endpoints: Sequence[Endpoint]
    postlogin: RawlogOptions | None
    collector: Sequence[Endpoint] | None
    seal: Seal | None = None


def prepare(configuration: Configuration) -> list[Prepared]:
    """Read keys and certificates, look up hosts. Raises RawlogError for what is missing or wrong.

    Modules that are else imported when they are needed are imported now: who serves may not be able to read them.
    """
    seal = seal_for(configuration.settings.rawlog_recipient)
    for plan in configuration.gateways():
        dialect_for(plan.backend.protocol)
    if any(section.driver == "sql" for section in configuration.userdbs):
        importlib.import_module("sqlite3")
    if configuration.settings.rawlog_relay == "unbreakable" and configuration.postlogins():
        importlib.import_module("rawlog.taps.unbreakable_session")
    return [_prepared(configuration, plan, seal) for plan in configuration.gateways()]


@dataclass(frozen=True)
class Tools:
    """What the gateways of one worker share. ``keepers`` make files in homes; None where nobody asked for them.

    ``outstanding``: recordings that are on their way to a collector. ``share``: where clients are counted. ``rooms``:
    what recordings may take together.
    """

    loop: Loop
    flusher: Flusher
    keepers: Keepers | None
    report: Report
    outstanding: Outstanding
    share: Share
    handshakes: Handshakes
    refusals: Refusals
    rooms: Rooms | None = None


def gateway_for(prepared: Prepared, configuration: Configuration, tools: Tools) -> Gateway:
    """The gateway of one protocol, without listeners yet."""
    plan, settings = prepared.plan, prepared.plan.settings
    protocol = plan.backend.protocol
    userdb = configuration.userdb()
    wanted = _Wanted(prepared, configuration, tools)
    service = Service(
        protocol=protocol,
        backend=plan.backend,
        endpoints=prepared.endpoints,
        backend_context=prepared.backend_context,
        client_context=prepared.client_context,
        plaintext_login=not settings.disable_plaintext_auth and settings.ssl != "required",
        keep_secrets=settings.gateway_secrets == "keep",
        framer=partial(framer_for, protocol),
        client_plans=wanted.of_clients(userdb.configured),
        backend_plans=wanted.of_backend(),
        report=tools.report,
        find_user=partial(_fields, userdb) if userdb.configured else None,
        on_error=settings.rawlog_on_error,
        refuse_bare_lf=settings.rawlog_smtp_bare_lf == "refuse",
        service=service_name(plan),
        limits=Limits(read_max=keep_freed_memory()),
        proxies=settings.haproxy_trusted_networks,
        proxy_timeout=settings.haproxy_timeout,
        proxy_out=settings.rawlog_haproxy_out,
    )
    admission = Admission(
        tools.loop,
        bounds_of(settings, has_login=protocol != "lmtp"),
        tools.refusals,
        protocol=protocol,
        share=tools.share,
        handshakes=tools.handshakes,
    )
    return Gateway(tools.loop, service, admission)


def needs_keepers(prepared: Sequence[Prepared]) -> bool:
    """Whether anything is to be recorded in homes."""
    return any(each.postlogin is not None for each in prepared)


def doors(prepared: Sequence[Prepared]) -> list[Door]:
    """All places to listen at."""
    return [door for each in prepared for door in each.plan.doors]


class _Wanted:
    """The recordings that one protocol's settings ask for."""

    def __init__(self, prepared: Prepared, configuration: Configuration, tools: Tools) -> None:
        self._prepared = prepared
        self._plan = plan = prepared.plan
        self._settings = plan.settings
        self._tools = tools
        self._debug = configuration.settings.debug

    def of_clients(self, has_users: bool) -> list[Plan]:
        """Recordings of the client's leg."""
        settings, postlogin = self._settings, self._prepared.postlogin
        plans = []
        if self._plan.protocol == "lmtp":
            if settings.lmtp_rawlog_dir:
                plans.append(Plan(self._target(settings.lmtp_rawlog_dir), split_at_tls=True))
        elif settings.rawlog_dir or has_users:
            part = Part.ALL if settings.rawlog_prelogin else Part.FROM_LOGIN
            plans.append(Plan(self._user_target(), part, userdb_field="rawlog_dir", home=settings.mail_home))
        if postlogin is not None:
            plans.append(Plan(self._home_target(postlogin), Part.FROM_LOGIN))
        if self._plan.prelogin_directory is not None:
            plans.append(Plan(self._target(self._plan.prelogin_directory), Part.TO_LOGIN))
        return plans

    def of_backend(self) -> list[Plan]:
        """Recordings of the leg to the backend."""
        settings = self._settings
        directories = {
            "lmtp": settings.lmtp_proxy_rawlog_dir,
            "submission": settings.submission_relay_rawlog_dir or settings.login_proxy_rawlog_dir,
        }
        directory = directories.get(self._plan.protocol, settings.login_proxy_rawlog_dir)
        return [Plan(self._target(directory), split_at_tls=True, home=settings.mail_home)] if directory else []

    def _user_target(self) -> Target:
        directory, ends = self._settings.rawlog_dir, self._prepared.collector
        files = self._target(directory)
        if ends is None:
            return files
        return CollectorTarget(
            self._tools.loop,
            ends,
            directory,
            files=files,
            outstanding=self._tools.outstanding,
            flusher=self._tools.flusher,
            report=self._tools.report,
            session_bytes=self._settings.rawlog_max_session_size or 0,
        )

    def _target(self, directory: str) -> Target:
        """Files below a directory; nowhere for a collector, of which there was a warning where it means nothing."""
        return Target(
            Template(directory) if directory and not directory.startswith(SCHEME) else None,
            self._encoder,
            flusher=self._tools.flusher,
            report=self._tools.report,
            debug=self._debug,
            limit=self._limit,
            rooms=self._tools.rooms,
            seal=self._prepared.seal,
        )

    def _home_target(self, options: RawlogOptions) -> Target:
        assert self._tools.keepers is not None
        return HomeTarget(
            self._tools.keepers,
            options,
            flusher=self._tools.flusher,
            report=self._tools.report,
            debug=self._debug,
            limit=self._limit,
            seal=self._prepared.seal,
        )

    def _limit(self, opened: Opened) -> Limit:
        return limit_of(self._settings, opened.sinks)

    def _encoder(self) -> Encoder:
        if self._settings.rawlog_format == "native":
            return NativeEncoder({"protocol": self._plan.backend.protocol})
        return PairEncoder(stamps=True)


def _prepared(configuration: Configuration, plan: GatewayPlan, seal: Seal | None) -> Prepared:
    settings, backend = plan.settings, plan.backend
    minimum = settings.ssl_min_protocol
    for_clients = None
    if settings.serves_tls:
        for_clients = tls.client_context(settings.ssl_cert, settings.ssl_key, minimum)
    return Prepared(
        plan=plan,
        client_context=for_clients,
        backend_context=backend_tls(plan),
        endpoints=endpoints(backend),
        postlogin=postlogin_options(configuration, plan),
        collector=collector_of(settings.rawlog_dir) if plan.protocol in COLLECTED else None,
        seal=seal,
    )


def backend_tls(plan: GatewayPlan) -> ssl.SSLContext | None:
    """How the backend's certificate is verified; None where its leg is plain."""
    settings = plan.settings
    if plan.backend.tls == "none":
        return None
    return tls.backend_context(
        settings.ssl_client_ca_file or None,
        settings.ssl_client_ca_dir or None,
        verify=settings.ssl_client_require_valid_cert,
        minimum=settings.ssl_min_protocol,
    )


def service_name(plan: GatewayPlan) -> str:
    """Dovecot's name of the service that a user of this protocol talks to."""
    return "managesieve" if plan.protocol == "sieve" else plan.protocol


def postlogin_options(configuration: Configuration, plan: GatewayPlan) -> RawlogOptions | None:
    """The options of the rawlog that ``service imap { executable = imap postlogin }`` names; None without one."""
    service = configuration.services.get(service_name(plan))
    socket = service.postlogin_socket if service is not None else None
    if socket is None:
        return None
    path = str(Path(configuration.settings.base_dir, socket))
    for postlogin in configuration.postlogins():
        if postlogin.door.listen.unix_path == path:
            return postlogin.options
    return None


def _fields(userdb: Userdb, user: str) -> Mapping[str, str] | None:
    record = userdb.lookup(user)
    return record.fields if record is not None else None
