"""A gateway from a few words: what ``rawlog tap`` and ``rawlog demo`` need, without a configuration file.

Knows: how the parts of a gateway are put together. Must not know: options, logging, signals.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from rawlog.engine.bounds import Limits
from rawlog.engine.connect import Endpoint, resolve, unix
from rawlog.engine.loop import Loop
from rawlog.engine.memory import keep_freed_memory
from rawlog.errors import ConfigError
from rawlog.formats.dovecot import PairEncoder
from rawlog.protocols.registry import framer_for
from rawlog.recorder.flusher import Flusher
from rawlog.recorder.seal import seal_for
from rawlog.settings.backend import Backend
from rawlog.settings.model import DEFAULTS
from rawlog.settings.variables import Template
from rawlog.taps.admission import Admission, Handshakes, bounds_of
from rawlog.taps.conversation import Service
from rawlog.taps.gateway import Gateway
from rawlog.taps.plan import Plan
from rawlog.taps.refusals import Refusals
from rawlog.taps.target import Target
from rawlog.taps.tls import backend_context


def single_gateway(
    loop: Loop,
    backend: Backend,
    *,
    directory: str,
    client_context: ssl.SSLContext | None,
    ca_file: str | None,
    keep_secrets: bool,
    report: Callable[[str], None],
    recipients: Sequence[str] = (),
) -> Gateway:
    """A gateway in front of ``backend`` that records whole conversations below ``directory`` (made when missing).

    Its clients have the limits that ``rawlog serve`` has by default.

    ``ca_file``: authorities that may have signed the backend's certificate, None: those of the system. ``recipients``:
    for whom recordings are sealed. Raises ConfigError or LegError for what can't work.
    """
    flusher = Flusher(loop.call_later)
    template = _template(directory)
    seal = seal_for(recipients)
    target = Target(template, lambda: PairEncoder(stamps=True), create=True, flusher=flusher, report=report, seal=seal)
    service = Service(
        protocol=backend.protocol,
        backend=backend,
        endpoints=endpoints(backend),
        backend_context=None if backend.tls == "none" else backend_context(ca_file),
        client_context=client_context,
        plaintext_login=False,
        keep_secrets=keep_secrets,
        framer=lambda **words: framer_for(backend.protocol, **words),
        client_plans=[Plan(target)],
        backend_plans=[],
        report=report,
        limits=Limits(read_max=keep_freed_memory()),
    )
    admission = Admission(
        loop,
        bounds_of(DEFAULTS, has_login=backend.protocol != "lmtp"),
        Refusals(loop, report),
        protocol=backend.protocol,
        handshakes=Handshakes(loop, DEFAULTS.rawlog_max_handshakes),
    )
    return Gateway(loop, service, admission)


def endpoints(backend: Backend) -> tuple[Endpoint, ...]:
    """Where to connect to; a name is looked up now. Raises LegError when there is no such host."""
    if backend.unix_path is not None:
        return unix(backend.unix_path)
    assert backend.host is not None and backend.port is not None
    return resolve(backend.host, backend.port)


def absolute(directory: str) -> str:
    """A directory from a command line as a template: below the current one when it is relative."""
    if directory.startswith(("/", "%h")):
        return directory
    return f"{str(Path.cwd()).replace('%', '%%')}/{directory}"


def _template(directory: str) -> Template:
    template = Template(absolute(directory))
    if unknown := template.names & {"home", "uid", "gid"}:
        raise ConfigError(
            f"{directory}: the user's {min(unknown)} stands in a user database, and there is none here; "
            "use %u, or rawlog serve with a userdb"
        )
    return template
