"""What a configuration file means for the post-login door: secrets, limits, debugging, which relay.

Knows: which settings count here. Must not know: how files are read, or what the door does. Where the recordings go, and
how they are written, is not asked of the file: the directory in the home and the service's options say that, as in
Dovecot.
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


def with_settings(options: PostLoginOptions, configuration: Configuration) -> PostLoginOptions:
    """The options with what the file says; what it does not say is as its defaults are."""
    settings = configuration.settings

    def limit(sinks: Mapping[Direction, FileSink]) -> Limit:
        return limit_of(settings, sinks)

    return options._replace(
        keep_secrets=settings.postlogin_secrets == "keep",
        debug=options.debug or settings.debug,
        unbreakable=options.unbreakable or settings.rawlog_relay == "unbreakable",
        limit=limit,
        seal=_seal(settings.rawlog_recipient, unbreakable=options.unbreakable),
    )


def _seal(recipients: Sequence[str], *, unbreakable: bool) -> Seal | None:
    """Loaded for those only who want it. Raises ConfigError."""
    if not recipients:
        return None
    if unbreakable:
        raise ConfigError("rawlog_recipient does not go together with --relay unbreakable; take one of them out")
    from rawlog.recorder.seal import Seal

    return Seal(recipients)
