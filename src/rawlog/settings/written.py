"""A configuration as text, in the syntax it was read from: what ``rawlog conf`` prints.

Knows: the order of settings and sections, and that loading the text again gives an equal configuration.
Must not know: where the text goes.
"""

from __future__ import annotations

from rawlog.settings import values
from rawlog.settings.configuration import Configuration
from rawlog.settings.model import DEFAULTS, PROTOCOLS, SPECS, Settings, shown
from rawlog.settings.services import DEFAULTS as SERVICES
from rawlog.settings.services import InetListener, Service, UnixListener
from rawlog.settings.tree import Item, Section, Setting, printable, show
from rawlog.settings.userdb import UserdbSection


def written(configuration: Configuration, *, changed_only: bool = False, explained: bool = False) -> str:
    """What is in force, as a configuration file.

    ``changed_only``: without what has its default. ``explained``: each setting with what it is for, and at the end,
    as comments, Dovecot's settings that mean nothing here.
    """
    lines = []
    for name in sorted(SPECS):
        if SPECS[name].protocols and name == "rawlog_backend":
            continue
        if not changed_only or getattr(configuration.settings, name) != getattr(DEFAULTS, name):
            comment = f"# {SPECS[name].why}\n" if explained else ""
            lines.append(comment + show([_setting(configuration.settings, name)]))
    sections: list[Item] = [*_protocols(configuration), *_services(configuration, changed_only)]
    sections += (_userdb(section) for section in configuration.userdbs)
    return "".join(lines) + show(sections) + (_ignored(configuration) if explained else "")


def _setting(settings: Settings, name: str) -> Setting:
    text = shown(settings, name)
    if SPECS[name].kind.file and text:
        return Setting(name, "", file=text)
    return _plain(name, text)


def _plain(name: str, text: str) -> Setting:
    return Setting(name, text, quoted=True)


def _protocols(configuration: Configuration) -> list[Item]:
    """``protocol X { }`` with what differs from the top level."""
    found: list[Item] = []
    for protocol in PROTOCOLS:
        own = configuration.protocols[protocol]
        names = [n for n in sorted(SPECS) if getattr(own, n) != getattr(configuration.settings, n)]
        if names:
            found.append(Section("protocol", protocol, [_setting(own, name) for name in names]))
    return found


def _services(configuration: Configuration, changed_only: bool) -> list[Item]:
    found: list[Item] = []
    for service in configuration.services.values():
        base = SERVICES.get(service.name, Service(service.name, ""))
        if not changed_only:
            base = Service(service.name, "")
        section = _service(service, base)
        if section.items:
            found.append(section)
    return found


def _service(service: Service, base: Service) -> Section:
    """The section of a service, without what is as in ``base``."""
    items: list[Item] = []
    if service.executable != base.executable:
        items.append(_plain("executable", service.executable))
    items += (_inet(listener) for listener in service.inet if listener not in base.inet)
    items += (_unix(listener) for listener in service.unix if listener not in base.unix)
    return Section("service", service.name, items)


def _inet(listener: InetListener) -> Section:
    items: list[Item] = [
        _plain("address", values.ADDRESSES.show(listener.address)),
        _plain("haproxy", values.BOOL.show(listener.haproxy)),
        _plain("port", values.PORT.show(listener.port)),
        _plain("ssl", values.BOOL.show(listener.ssl)),
    ]
    return Section("inet_listener", listener.name, items)


def _unix(listener: UnixListener) -> Section:
    items: list[Item] = [
        _plain("group", listener.group),
        _plain("mode", values.MODE.show(listener.mode)),
        _plain("user", listener.user),
    ]
    return Section("unix_listener", listener.path, items)


def _userdb(section: UserdbSection) -> Section:
    words = (
        ("args", section.args),
        ("default_fields", section.default_fields),
        ("driver", section.driver),
        ("name", section.name),
        ("override_fields", section.override_fields),
    )
    return Section("userdb", "", [_plain(name, text) for name, text in words if text])


def _ignored(configuration: Configuration) -> str:
    if not configuration.ignored:
        return ""
    lines = ["# Settings of Dovecot that mean nothing here:"]
    for section, item in configuration.ignored:
        lines.append(f"#   {item.key}{f' in {section}' if section else ''} ({item.place})")
    return "".join(f"{printable(line)}\n" for line in lines)
