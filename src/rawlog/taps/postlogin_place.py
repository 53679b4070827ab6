"""Where a login is recorded besides the home: ``rawlog_dir`` of the configuration, or a field of the user.

Knows: which values of a request stand for which variables. Must not know: sockets, files. It is loaded only where one
of the two is given: who is recorded in the home only does not pay for it.
"""

from __future__ import annotations

from rawlog.errors import ConfigError
from rawlog.recorder.directory import NotRecorded, resolve
from rawlog.settings.variables import Template
from rawlog.taps.postlogin_request import DIRECTORY_FIELD, Request

_UNKNOWN = {"service": "%s", "session": "%{session}"}


def template_of(directory: str) -> Template:
    """The setting. Raises ConfigError for a variable that a post-login socket does not know."""
    template = Template(directory)
    for name in sorted(template.names & _UNKNOWN.keys()):
        raise ConfigError(f"rawlog_dir = {directory}: a post-login socket does not know {_UNKNOWN[name]}; take it out")
    return template


def directory_of(template: Template | None, request: Request, pid: int) -> str | NotRecorded:
    """The directory for this login; empty when only the home is looked at. ``pid`` is that of the mail process."""
    try:
        if DIRECTORY_FIELD in request.fields:
            text = request.fields[DIRECTORY_FIELD]
            template = template_of(text) if text else None
    except ConfigError as error:
        return NotRecorded(f"userdb field {DIRECTORY_FIELD}: {error}")
    if template is None:
        return ""
    found = resolve(template, _values(request, pid))
    return "" if isinstance(found, NotRecorded) and found.expected else found


def _values(request: Request, pid: int) -> dict[str, str]:
    fields = request.fields
    values = {"user": request.user, "home": request.home, "lip": request.local, "rip": request.remote, "pid": str(pid)}
    return {**values, **{name: fields[name] for name in ("uid", "gid", "auth_user") if name in fields}}
