"""A configuration, loaded: what each protocol's settings are, which gateways and post-login sockets there are to be.

Knows: how settings, services and addresses come together into something a daemon can open.
Must not know: how they were written (loader.py), and sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from rawlog.settings.backend import Backend, Listen
from rawlog.settings.model import Settings
from rawlog.settings.options import RawlogOptions
from rawlog.settings.services import GATEWAYS, Service, UnixListener, rawlog_command
from rawlog.settings.tree import NOWHERE, Place, Setting
from rawlog.settings.userdb import Userdb, UserdbSection


@dataclass(frozen=True, slots=True)
class Door:
    """One place where connections are taken. ``haproxy``: each begins with a PROXY header.

    ``mode``, ``user`` and ``group`` are those of a unix socket; an empty name leaves what the process has.
    """

    listen: Listen
    haproxy: bool = False
    mode: int = 0o600
    user: str = ""
    group: str = ""
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """One protocol's gateway. ``protocol`` is Dovecot's name; ``backend.protocol`` the grammar's.

    ``prelogin_directory``: where ``-R`` wants what happens before the login; absolute, None without it.
    """

    protocol: str
    settings: Settings
    backend: Backend
    doors: tuple[Door, ...]
    prelogin_directory: str | None


@dataclass(frozen=True, slots=True)
class PostloginPlan:
    """One post-login socket; ``door.listen.unix_path`` is its absolute path."""

    name: str
    door: Door
    options: RawlogOptions


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a file asks for. ``settings`` is the top level, ``protocols`` what is in force for each protocol.

    ``warnings`` are complete lines ``FILE:LINE: ...``. ``ignored`` are Dovecot's settings that mean nothing here, with
    the section they stand in (``service imap``, empty at the top).
    """

    file: str
    settings: Settings
    protocols: Mapping[str, Settings]
    services: Mapping[str, Service]
    userdbs: tuple[UserdbSection, ...]
    warnings: tuple[str, ...]
    ignored: tuple[tuple[str, Setting], ...]

    def gateways(self) -> list[GatewayPlan]:
        """The gateways: of each protocol in ``protocols`` that has a ``rawlog_backend``."""
        plans = []
        for name, protocol in GATEWAYS.items():
            settings = self.protocols[protocol]
            if settings.rawlog_backend is None or protocol not in self.settings.protocols:
                continue
            service = self.services[name]
            before = service.prelogin_directory
            directory = None if before is None else str(PurePosixPath(self.settings.base_dir, "login", before))
            plans.append(GatewayPlan(protocol, settings, settings.rawlog_backend, self.doors(name), directory))
        return plans

    def doors(self, service: str) -> tuple[Door, ...]:
        """Where a gateway's service listens. Listeners with ``ssl = yes`` need a certificate, else there are none."""
        tls = self.protocols[GATEWAYS[service]].serves_tls
        doors = []
        for listener in self.services[service].inet:
            if listener.port and (tls or not listener.ssl):
                for address in listener.address or self.settings.listen:
                    host = "0.0.0.0" if address == "*" else address
                    listen = Listen(host, listener.port, tls=listener.ssl)
                    doors.append(Door(listen, listener.haproxy, place=listener.place))
        return (*doors, *map(self._unix_door, (u for u in self.services[service].unix if u.mode)))

    def postlogins(self) -> list[PostloginPlan]:
        """The post-login sockets: unix listeners of services whose executable is a rawlog."""
        plans = []
        for service in self.services.values():
            command = rawlog_command(service.executable)
            for listener in service.unix if command else ():
                if command and listener.mode:
                    plans.append(PostloginPlan(service.name, self._unix_door(listener), command[0]))
        return plans

    def userdb(self) -> Userdb:
        """The sources of users, ready to be asked."""
        return Userdb(self.userdbs, self.settings)

    def _unix_door(self, listener: UnixListener) -> Door:
        path = str(PurePosixPath(self.settings.base_dir, listener.path))
        return Door(Listen(unix_path=path), False, listener.mode, listener.user, listener.group, listener.place)
