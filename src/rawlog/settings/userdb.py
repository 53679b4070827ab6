"""Who a user is: uid, gid, home and other fields, from the sources that ``userdb { }`` names.

Knows: in which order the sources are asked, what ``default_fields`` and ``override_fields`` add, how a name is made
ready, and the layout of ``doveadm user -u``.
Must not know: how each source keeps its users (userdb_drivers.py, userdb_sql.py), or who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rawlog.errors import RawlogError
from rawlog.settings.ids import gid_of, uid_of
from rawlog.settings.model import Settings
from rawlog.settings.tree import NOWHERE, Place
from rawlog.settings.userdb_drivers import PasswdFile, Static, passwd
from rawlog.settings.userdb_sql import Sql
from rawlog.settings.usertext import Fields, UserText

#: What a driver is: the fields of a user, None when it does not know the user. Raises RawlogError when it can't tell.
Lookup = Callable[[str], dict[str, str] | None]

DRIVERS = ("passwd", "passwd-file", "static", "sql", "prefetch")
#: Drivers of Dovecot that can't be asked from here.
OTHER_DRIVERS = ("checkpassword", "dict", "ldap", "lua", "nss", "vpopmail")


@dataclass(frozen=True, slots=True)
class UserdbSection:
    """``userdb NAME { }`` as it was written; lists of fields as text."""

    driver: str
    args: str = ""
    default_fields: str = ""
    override_fields: str = ""
    name: str = ""
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class UserRecord:
    """What is known of a user. ``fields`` holds everything as text, in the order ``doveadm user -u`` prints it.

    ``uid``, ``gid`` and ``home`` are None where the userdb returned none.
    """

    user: str
    uid: int | None = None
    gid: int | None = None
    home: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


class Userdb:
    """The configured sources, asked one after the other: the first that knows the user answers."""

    def __init__(self, sections: tuple[UserdbSection, ...], settings: Settings) -> None:
        self._sources = [_Source(section) for section in sections if section.driver in DRIVERS]
        self._format = UserText(settings.auth_username_format)
        self._chars = settings.auth_username_chars
        self._realm = settings.auth_default_realm

    @property
    def configured(self) -> bool:
        """Whether there is any source to ask."""
        return bool(self._sources)

    def lookup(self, user: str, passdb: Mapping[str, str] | None = None) -> UserRecord | None:
        """The record of a user, None when no source knows the name.

        ``passdb``: fields a login has brought already; ``userdb_*`` in them answer where ``driver = prefetch``.
        Raises RawlogError when no source knows the user, but one of them could not be asked.
        """
        name = self.ready(user)
        failure: RawlogError | None = None
        for source in self._sources if name else ():
            try:
                fields = source.fields(name, passdb or {})
                if fields is not None:
                    return _record(fields)
            except RawlogError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return None

    def ready(self, user: str) -> str:
        """The name as it is looked up: with its domain, in the configured form; empty when it is not allowed."""
        if not user or (self._chars and not set(user) <= set(self._chars)):
            return ""
        name = f"{user}@{self._realm}" if self._realm and "@" not in user else user
        return self._format.expand(name, plain=True)


class _Source:
    """One section, ready to be asked."""

    def __init__(self, section: UserdbSection) -> None:
        self._driver = section.driver
        self._lookup = driver_of(section)
        self._defaults = Fields(section.default_fields)
        self._overrides = Fields(section.override_fields)

    def fields(self, user: str, passdb: Mapping[str, str]) -> dict[str, str] | None:
        """The fields of a user with what the section adds; defaults keep their place, as in Dovecot."""
        found = _prefetched(passdb) if self._driver == "prefetch" else self._lookup(user)
        if found is None:
            return None
        return {"user": user, **self._defaults.expand(user), **found, **self._overrides.expand(user)}


def driver_of(section: UserdbSection) -> Lookup:
    """The source a section names. Raises ConfigError, without a place, when its args are wrong."""
    if section.driver == "passwd":
        return passwd
    if section.driver == "passwd-file":
        return PasswdFile(section.args)
    if section.driver == "static":
        return Static(section.args)
    if section.driver == "sql":
        return Sql(section.args)
    return lambda user: None


def check(section: UserdbSection) -> None:
    """Raise ConfigError, without a place, when args or fields of a section are wrong. Opens no file."""
    if section.driver in DRIVERS:
        _Source(section)


def layout(asked: str, record: UserRecord) -> str:
    """The lines ``doveadm user -u`` prints for a user, each with its line end."""
    lines = [f"  {name:<10}" + (f": {value}" if value else "") for name, value in record.fields.items()]
    return "\n".join([f"userdb: {asked}", *lines]) + "\n"


def _prefetched(passdb: Mapping[str, str]) -> dict[str, str] | None:
    found = {name.removeprefix("userdb_"): value for name, value in passdb.items() if name.startswith("userdb_")}
    return found or None


def _record(fields: dict[str, str]) -> UserRecord:
    """The record that fields make; names of users and groups become numbers."""
    try:
        uid = uid_of(fields["uid"]) if fields.get("uid") else None
        gid = gid_of(fields["gid"]) if fields.get("gid") else None
    except RawlogError as error:
        raise RawlogError(f"user {fields['user']}: {error}") from None
    if uid is not None:
        fields["uid"] = str(uid)
    if gid is not None:
        fields["gid"] = str(gid)
    return UserRecord(fields["user"], uid, gid, fields.get("home") or None, fields)
