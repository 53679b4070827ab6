"""Which names there are: ours, and Dovecot's from a list that is part of the package.

Knows: the names of Dovecot 2.3's settings and services, which sections exist and what may stand in them, and which
name was probably meant.
Must not know: what a setting means.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path

from rawlog.settings.model import SPECS

#: Blocks that limit settings to some connections: what may stand at the top level may stand in them.
FILTERS = frozenset(("protocol", "local", "remote", "local_name"))
#: Sections in which any name is allowed.
FREE = frozenset(("plugin", "dict"))
#: What ``protocol X { }`` may name besides the five of the model: programs of Dovecot that read the configuration.
OTHER_PROTOCOLS = frozenset(("lda", "doveadm", "dsync", "auth", "indexer-worker", "imap-urlauth", "quota-status"))

_LIST = Path(__file__).with_name("dovecot-2.3-names.txt")


@cache
def dovecot_names() -> frozenset[str]:
    """Names of Dovecot's settings; those of sections as ``service/inet_listener/port``."""
    return frozenset(line for line in _list() if not line.startswith("service "))


@cache
def dovecot_services() -> frozenset[str]:
    """Names of Dovecot's services."""
    return frozenset(line.removeprefix("service ") for line in _list() if line.startswith("service "))


def is_setting(section: str, name: str) -> bool:
    """Whether there is such a setting; ``section`` is ``""`` or ``service/inet_listener``."""
    if section.split("/")[0] in FREE:
        return True
    return f"{section}/{name}" in dovecot_names() if section else name in SPECS or name in dovecot_names()


def is_section(section: str, kind: str) -> bool:
    """Whether a section of this kind may stand there."""
    return not section.startswith(tuple(FREE)) and kind in sections_in(section)


def settings_in(section: str) -> frozenset[str]:
    """The names of settings that may stand in a section."""
    if not section:
        return frozenset(name for name in dovecot_names() if "/" not in name) | frozenset(SPECS)
    prefix = section + "/"
    names = (name.removeprefix(prefix) for name in dovecot_names() if name.startswith(prefix))
    return frozenset(name for name in names if "/" not in name)


def sections_in(section: str) -> frozenset[str]:
    """The kinds of sections that may stand in a section."""
    if not section:
        return frozenset(name.split("/")[0] for name in dovecot_names() if "/" in name) | FILTERS | FREE
    prefix = section + "/"
    names = (name.removeprefix(prefix) for name in dovecot_names() if name.startswith(prefix))
    return frozenset(name.split("/")[0] for name in names if "/" in name)


def nearest(name: str, known: Collection[str]) -> str:
    """What to say after an unknown name: ``did you mean rawlog_dir?``, or what is there, or where to look."""
    from difflib import get_close_matches  # only for the message

    near = get_close_matches(name, sorted(known), 1, 0.6)
    if near:
        return f"did you mean {near[0]}?"
    if len(known) <= 20:
        return f"there are {', '.join(sorted(known))}"
    return "remove it, or correct its name"


def _list() -> list[str]:
    lines = _LIST.read_text("ascii").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
