"""What is allowed, but does not do what was meant; and what can't work together.

Knows: combinations of settings. Must not know: single values, which are checked where they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address

from rawlog.settings.backend import Backend, Listen
from rawlog.settings.configuration import Configuration, GatewayPlan
from rawlog.settings.model import PROTOCOLS
from rawlog.settings.services import GATEWAYS, rawlog_command
from rawlog.settings.tree import Place
from rawlog.settings.variables import Template

#: Longest time recordings are kept without a word about it, in seconds: 180 days.
LONG = 180 * 86400

Places = Mapping[tuple[str, str], Place]

_OF_A_USER = frozenset(
    ("user", "username", "domain", "home", "uid", "gid", "auth_user", "auth_username", "auth_domain")
)
_LMTP_DIRECTORIES = ("lmtp_rawlog_dir", "lmtp_proxy_rawlog_dir")
_DIRECTORIES = ("rawlog_dir", *_LMTP_DIRECTORIES, "submission_relay_rawlog_dir", "login_proxy_rawlog_dir")


def warnings_of(configuration: Configuration, places: Places) -> list[str]:
    """Warnings, each a complete line ``FILE:LINE: ...``. Raises ConfigError for what can't work.

    ``places``: where each setting stands, by scope (``""``, ``imap``, ``!imap``) and name.
    """
    checks: tuple[Callable[[Configuration, Places], Iterator[str]], ...] = (
        _values,
        _directories,
        _backends,
        _certificates,
        _listeners,
        _postlogin,
        _sealing,
    )
    return list(dict.fromkeys(text for check in checks for text in check(configuration, places)))


def _place(places: Places, protocol: str, name: str) -> Place:
    """Where the value in force stands: the most specific place."""
    scopes = (protocol, *(f"!{other}" for other in PROTOCOLS if other != protocol), "")
    return next((places[scope, name] for scope in scopes if (scope, name) in places), Place("default", 0))


def _values(configuration: Configuration, places: Places) -> Iterator[str]:
    keep = configuration.settings.rawlog_keep
    if ("", "rawlog_keep") in places and (keep is None or keep > LONG):
        place = places["", "rawlog_keep"]
        yield f"{place}: rawlog_keep: mail is kept for more than 180 days: make sure that you may, or keep it shorter"
    for protocol, settings in configuration.protocols.items():
        if settings.rawlog_secrets == "keep":
            place = _place(places, protocol, "rawlog_secrets")
            yield f"{place}: rawlog_secrets = keep: recordings hold passwords in clear: write redact when you are done"
        if settings.ssl_min_protocol in ("TLSv1", "TLSv1.1", "ANY"):
            place = _place(places, protocol, "ssl_min_protocol")
            yield f"{place}: ssl_min_protocol = {settings.ssl_min_protocol}: RFC 8996 forbids it: write TLSv1.2"


def _directories(configuration: Configuration, places: Places) -> Iterator[str]:
    plans = {plan.protocol for plan in configuration.gateways()}
    for (scope, name), place in places.items():
        if name not in _DIRECTORIES or scope.startswith("!"):
            continue
        value = getattr(configuration.protocols[scope] if scope else configuration.settings, name)
        if not value:
            continue
        if value.startswith("tcp:"):
            if name != "rawlog_dir" or scope not in ("", "imap", "pop3"):
                yield f"{place}: {name} = {value}: tcp: works in rawlog_dir of imap and pop3 only: write a directory"
        elif name in _LMTP_DIRECTORIES and Template(value).names & _OF_A_USER:
            raise place.error(
                f"{name} = {value}: an LMTP conversation has no user: write a directory without %u, %n, %d, %h"
            )
        asked_after_logins = name == "rawlog_dir" and configuration.postlogins()
        if not (scope in plans if scope else plans or asked_after_logins):
            served = f"protocol {scope}" if scope else "any protocol"
            yield f"{place}: {name}: no gateway serves {served}: write rawlog_backend in protocol {scope or 'X'} {{"


def _backends(configuration: Configuration, places: Places) -> Iterator[str]:
    for protocol, settings in configuration.protocols.items():
        backend = settings.rawlog_backend
        if backend is None:
            continue
        place = _place(places, protocol, "rawlog_backend")
        if protocol not in configuration.settings.protocols:
            yield f"{place}: rawlog_backend: {protocol} is not served: add it to protocols"
        if backend.tls == "none" and not _near(backend) and protocol != "lmtp":
            yield f"{place}: rawlog_backend: passwords go to {backend.host} in clear: write {_with_tls(backend)}"
        if backend.tls != "none" and not _near(backend) and not settings.ssl_client_require_valid_cert:
            place = _place(places, protocol, "ssl_client_require_valid_cert")
            yield f"{place}: ssl_client_require_valid_cert = no: anybody can be the backend: use ssl_client_ca_file"


def _certificates(configuration: Configuration, places: Places) -> Iterator[str]:
    for plan in configuration.gateways():
        settings, protocol = plan.settings, plan.protocol
        if settings.ssl == "no":
            continue
        if not settings.serves_tls:
            missing = [name for name in ("ssl_cert", "ssl_key") if not getattr(settings, name)]
            wanted = " and ".join(f"{name} = </PATH" for name in missing)
            text = f"ssl = {settings.ssl} without {' and '.join(missing)}: write {wanted}, or ssl = no"
            if settings.ssl == "required":
                raise _place(places, protocol, "ssl").error(text)
            yield f"{_place(places, protocol, 'rawlog_backend')}: {protocol}: no TLS for clients: {text}"
            continue
        for name in ("ssl_cert", "ssl_key"):
            _check_readable(getattr(settings, name), name, _place(places, protocol, name))
        if plan.backend.tls != "none" and settings.ssl_client_ca_file:
            name = "ssl_client_ca_file"
            _check_readable(settings.ssl_client_ca_file, name, _place(places, protocol, name))


def _check_readable(path: str, name: str, place: Place) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise place.error(f"{name}: {path}: {error.strerror}: name a PEM file that this user can read") from None


def _listeners(configuration: Configuration, places: Places) -> Iterator[str]:
    taken: dict[Listen, str] = {}
    for plan in configuration.gateways():
        if not plan.doors:
            place = _place(places, plan.protocol, "rawlog_backend")
            yield f"{place}: {plan.protocol} has no listener: write {_example(plan)}"
        for door in plan.doors:
            key = Listen(door.listen.host, door.listen.port, door.listen.unix_path)
            if key in taken:
                place = door.place if door.place.line else _place(places, plan.protocol, "rawlog_backend")
                text = f"{plan.protocol}: {key} is taken by {taken[key]} already: give one of them another port, or 0"
                raise place.error(text)
            taken[key] = plan.protocol
    served = {plan.protocol for plan in configuration.gateways()}
    for name, protocol in GATEWAYS.items():
        service = configuration.services[name]
        if service.prelogin_directory and protocol not in served:
            yield f"{service.place}: -R needs a gateway: write rawlog_backend in protocol {protocol} {{"


def _example(plan: GatewayPlan) -> str:
    name = next(service for service, protocol in GATEWAYS.items() if protocol == plan.protocol)
    return f"service {name} {{ inet_listener {plan.protocol} {{ port = {plan.backend.port or 24} }} }}"


def _postlogin(configuration: Configuration, places: Places) -> Iterator[str]:
    for service in configuration.services.values():
        command = rawlog_command(service.executable)
        if command is not None and command[1]:
            yield (
                f"{service.place}: '{' '.join(command[1])}' after rawlog is not run: "
                "the service gives the connection back to Dovecot itself"
            )
        if command is not None and not service.unix:
            yield f"{service.place}: service {service.name} has no socket: add unix_listener {service.name} {{ }}"


def _sealing(configuration: Configuration, places: Places) -> Iterator[str]:
    settings = configuration.settings
    if not settings.rawlog_recipient:
        return
    place = places["", "rawlog_recipient"]
    if settings.rawlog_relay == "unbreakable":
        raise place.error(
            "rawlog_recipient and rawlog_relay = unbreakable don't go together: what outlives a process would have to "
            "keep its keys: write rawlog_relay = fast"
        )
    for protocol, theirs in configuration.protocols.items():
        if theirs.rawlog_dir.startswith("tcp:"):
            yield f"{place}: rawlog_recipient: what a collector gets is not sealed: protocol {protocol} sends to one"


def _near(backend: Backend) -> bool:
    """Whether the backend is on this machine."""
    if backend.unix_path is not None or backend.host == "localhost":
        return True
    try:
        return ip_address(backend.host or "").is_loopback
    except ValueError:
        return False


def _with_tls(backend: Backend) -> str:
    scheme = {"managesieve": "sieve+starttls", "smtp": "submissions"}.get(backend.protocol, f"{backend.protocol}s")
    return f"{scheme}://{backend.host}"
