"""Services and userdbs while a configuration is read: sections of the same name add up.

Knows: how the settings of several ``service imap-login { }`` sections and their listeners come together, and where a
value of theirs is wrong.
Must not know: settings of protocols, and what services are for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rawlog.errors import ConfigError
from rawlog.settings import names, values
from rawlog.settings.services import DEFAULTS, LMTP_MODE, InetListener, Service, UnixListener, rawlog_command
from rawlog.settings.tree import Section, Setting, shortened
from rawlog.settings.userdb import DRIVERS, OTHER_DRIVERS, UserdbSection, check
from rawlog.settings.values import Kind

_INET: Mapping[str, Kind] = {
    "address": values.ADDRESSES,
    "port": values.PORT,
    "ssl": values.BOOL,
    "haproxy": values.BOOL,
}
_Drafts = dict[tuple[str, str], InetListener | UnixListener]
_UNIX: Mapping[str, Kind] = {"mode": values.MODE, "user": values.USER, "group": values.USER}


class ServiceDrafts:
    """The services so far, from Dovecot's defaults on. ``ignored``: settings that mean nothing here.

    ``text`` gives the value of a setting with references replaced.
    """

    def __init__(self, text: Callable[[Setting], str]) -> None:
        self._text = text
        self._services = dict(DEFAULTS)
        self._listeners: dict[str, _Drafts] = {}
        self.ignored: list[tuple[str, Setting]] = []

    def add(self, section: Section) -> None:
        """Add one ``service NAME { }``, whose names are known to be right."""
        if not section.name:
            raise section.place.error("the service's name is missing: write service imap {")
        service = self._services.get(section.name) or Service(section.name, "")
        for item in section.settings():
            if item.key == "executable":
                service = replace(service, executable=_executable(item, self._text(item)), place=item.place)
            else:
                self.ignored.append((section.title, item))
        self._services[section.name] = replace(service, place=section.place) if not service.place.line else service
        for inner in section.sections():
            self._listener(section, inner)

    def finished(self) -> tuple[dict[str, Service], list[str]]:
        """The services that mean something here, sorted by name, and warnings about the others."""
        found: dict[str, Service] = {}
        warnings = []
        sockets = {name for drafts in self._listeners.values() for kind, name in drafts if kind == "unix"}
        for name, service in sorted(self._services.items()):
            if name in DEFAULTS or rawlog_command(service.executable) is not None:
                found[name] = self._with_listeners(service)
                wanted = service.postlogin_socket
                if wanted and wanted not in sockets:
                    warnings.append(
                        f"{service.place}: no service has the socket {wanted}: add unix_listener {wanted} {{ }}"
                    )
            elif name not in names.dovecot_services() and not service.executable:
                hint = names.nearest(name, names.dovecot_services())
                warnings.append(f"{service.place}: service {name} without executable means nothing: {hint}")
        return found, warnings

    def _with_listeners(self, service: Service) -> Service:
        drafts: _Drafts = {("inet", listener.name): listener for listener in service.inet}
        found = (drafts | self._listeners.get(service.name, {})).values()
        return replace(
            service,
            inet=tuple(one for one in found if isinstance(one, InetListener)),
            unix=tuple(one for one in found if isinstance(one, UnixListener)),
        )

    def _listener(self, section: Section, inner: Section) -> None:
        drafts = self._listeners.setdefault(section.name, {})
        if inner.kind == "inet_listener":
            known = {one.name: one for one in DEFAULTS[section.name].inet} if section.name in DEFAULTS else {}
            inet = drafts.get(("inet", inner.name)) or known.get(inner.name) or InetListener(inner.name)
            given = self._given(section, inner, _INET)
            drafts["inet", inner.name] = replace(inet, **given, place=inner.place)
        elif inner.kind == "unix_listener":
            if not inner.name:
                raise inner.place.error("the socket's name is missing: write unix_listener NAME {")
            new = UnixListener(inner.name, LMTP_MODE if (section.name, inner.name) == ("lmtp", "lmtp") else 0o600)
            unix = drafts.get(("unix", inner.name)) or new
            drafts["unix", inner.name] = replace(unix, **self._given(section, inner, _UNIX), place=inner.place)
        else:
            self.ignored += ((f"{section.title} {inner.title}", item) for item in inner.settings())

    def _given(self, service: Section, listener: Section, kinds: Mapping[str, Kind]) -> dict[str, Any]:
        """The values of a listener's settings."""
        given = {}
        for item in listener.settings():
            if item.key in kinds:
                given[item.key] = _parsed(item, self._text(item), kinds[item.key])
            else:
                self.ignored.append((f"{service.title} {listener.title}", item))
        return given


class UserdbDrafts:
    """The userdb sections so far, in their order."""

    def __init__(self) -> None:
        self._sections: list[UserdbSection] = []
        self._warnings: list[str] = []

    def add(self, section: Section) -> None:
        """Add one ``userdb { }``. One without ``driver`` adds to the one before it; as the first it is static."""
        given = {item.key: item for item in section.settings()}
        for key, item in given.items():
            if key.startswith("result_") or key == "skip":
                self._warnings.append(
                    f"{item.place}: {key} has no effect: the first userdb that knows the user answers: order them so"
                )
        words = {key: item.value for key, item in given.items() if key in ("args", "default_fields", "override_fields")}
        name = given["name"].value if "name" in given else section.name
        if "driver" in given:
            self._add(UserdbSection(_driver(given["driver"]), name=name, place=section.place, **words))
        elif self._sections:
            above = self._sections.pop()
            joined = {key: f"{getattr(above, key)} {value}".strip() for key, value in words.items()}
            self._warnings.append(f"{section.place}: userdb without driver: added to the userdb at {above.place}")
            self._add(replace(above, **joined, place=section.place))
        else:
            self._warnings.append(f"{section.place}: userdb without driver: taken as driver = static")
            self._add(UserdbSection("static", name=name, place=section.place, **words))

    def finished(self) -> tuple[tuple[UserdbSection, ...], list[str]]:
        """The sections, and warnings about them."""
        return tuple(self._sections), self._warnings

    def _add(self, section: UserdbSection) -> None:
        if section.driver in OTHER_DRIVERS:
            self._warnings.append(
                f"{section.place}: userdb driver {section.driver} can't be asked from here: "
                f"use one of {', '.join(DRIVERS)}, or record inside Dovecot by the post-login service"
            )
        try:
            check(section)
        except ConfigError as error:
            raise section.place.error(f"userdb: {error}") from None
        self._sections.append(section)


def _driver(item: Setting) -> str:
    if item.value not in DRIVERS and item.value not in OTHER_DRIVERS:
        raise item.place.error(f"driver = {item.value}: {names.nearest(item.value, DRIVERS)}")
    return item.value


def _executable(item: Setting, text: str) -> str:
    """The command line, blanks made one; its options must be right when it is a rawlog."""
    text = " ".join(text.split())
    try:
        rawlog_command(text)
    except ConfigError as error:
        raise item.place.error(f"executable = {text}: {error}") from None
    return text


def _parsed(item: Setting, text: str, kind: Kind) -> Any:
    try:
        return kind.parse(text)
    except (ConfigError, ValueError) as error:
        raise item.place.error(f"{item.key} = {shortened(text)}: {error}") from None
