"""What a configuration file means for the post-login door: directory, secrets, limits, debugging, which relay.

Knows: which settings count here. Must not know: how files are read, or what the door does. How the recordings are
written is not asked of the file: the service's options say that, as in Dovecot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rawlog.errors import ConfigError
from rawlog.events import Direction
from rawlog.recorder.limits import Limit
from rawlog.recorder.sinks import FileSink
from rawlog.settings.configuration import Configuration
from rawlog.taps.limiting import limit_of
from rawlog.taps.postlogin import PostLoginOptions

if TYPE_CHECKING:
    from rawlog.recorder.seal import Seal
    from rawlog.settings.variables import Template


def with_settings(options: PostLoginOptions, configuration: Configuration) -> PostLoginOptions:
    """The options with what the file says; what it does not say is as its defaults are."""
    settings = configuration.settings

    def limit(sinks: Mapping[Direction, FileSink]) -> Limit:
        return limit_of(settings, sinks)

    unbreakable = options.unbreakable or settings.rawlog_relay == "unbreakable"
    return options._replace(
        keep_secrets=settings.postlogin_secrets == "keep",
        debug=options.debug or settings.debug,
        unbreakable=unbreakable,
        limit=limit,
        seal=_seal(settings.rawlog_recipient, unbreakable=unbreakable),
        directory=_template(settings.rawlog_dir),
    )


def _template(directory: str) -> Template | None:
    """``rawlog_dir`` of the whole file: who asks does not say its protocol. A collector is the gateway's matter."""
    if not directory or directory.startswith("tcp:"):
        return None
    from rawlog.taps.postlogin_place import template_of

    return template_of(directory)


def _seal(recipients: Sequence[str], *, unbreakable: bool) -> Seal | None:
    """Loaded for those only who want it. Raises ConfigError."""
    if not recipients:
        return None
    if unbreakable:
        raise ConfigError("rawlog_recipient does not go together with --relay unbreakable; take one of them out")
    from rawlog.recorder.seal import Seal

    return Seal(recipients)
