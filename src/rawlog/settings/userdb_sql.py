"""Users in a database: SQLite from the standard library, PostgreSQL and MySQL with the extra ``rawlog[sql]``.

Knows: Dovecot's file for SQL (``driver``, ``connect``, ``user_query``), and how a query with variables becomes one with
bound parameters: what a client calls itself never becomes SQL text.
Must not know: what a section adds to the answer.

A connection is kept; when it fails, a new one is tried once. A forked process opens its own, and leaves the other's
object alone: to drop it would say goodbye on the parent's connection.
"""

from __future__ import annotations

import importlib
import os
import re
from typing import Any
from urllib.parse import quote

from rawlog.errors import ConfigError, RawlogError
from rawlog.settings.syntax import read
from rawlog.settings.tree import Setting
from rawlog.settings.usertext import UserText

#: Seconds for a connection or a locked database: a login waits for it.
TIMEOUT = 5

#: Dovecot's query where the file has none.
DEFAULT_QUERY = "SELECT home, uid, gid FROM users WHERE username = '%n' AND domain = '%d'"

#: Driver -> the module it needs, and how that module writes a bound parameter.
MODULES = {"sqlite": ("sqlite3", "?"), "pgsql": ("psycopg", "%s"), "mysql": ("pymysql", "%s")}

_LITERAL = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|(%[^a-z{%\s'\"]*(?:\{[^{}]*\}|[a-z]))|(%%)|(%)")


class Sql:
    """The users of one database; ``args`` is the absolute path of Dovecot's file for SQL."""

    def __init__(self, args: str) -> None:
        if not args.startswith("/"):
            raise ConfigError("args: give the absolute path of the file with driver, connect and user_query")
        self._args = args
        self._connections: dict[int, Any] = {}
        self._prepared: tuple[str, str, str, list[UserText]] | None = None

    def __call__(self, user: str) -> dict[str, str] | None:
        driver, connect, query, texts = self._ready()
        values = [text.expand(user, plain=len(text.parts) == 1) for text in texts]  # alone it is compared, no path
        try:
            row, names = self._ask(driver, connect, query, values)
        except Exception as error:  # each module has exceptions of its own
            if isinstance(error, RawlogError):
                raise
            detail = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RawlogError(f"userdb sql {self._args}: {detail}: correct connect or user_query") from None
        if row is None:
            return None
        return {name: str(value) for name, value in zip(names, row, strict=True) if value is not None}

    def _ready(self) -> tuple[str, str, str, list[UserText]]:
        """Driver, connect, query and what is bound in it, from the file, which is read at the first lookup."""
        if self._prepared is None:
            found = {item.key: item for item in read(self._args).items if isinstance(item, Setting)}
            driver = found["driver"].value if "driver" in found else ""
            if driver not in MODULES:
                raise ConfigError(f"{self._args}: driver = {driver}: give driver = {', '.join(MODULES)}")
            if "connect" not in found:
                raise ConfigError(f"{self._args}: connect is missing: say where the database is")
            query = found["user_query"].value if "user_query" in found else DEFAULT_QUERY
            try:
                self._prepared = (driver, found["connect"].value, *bound(query, MODULES[driver][1]))
            except ConfigError as error:
                raise ConfigError(f"{self._args}: user_query: {error}") from None
        return self._prepared

    def _ask(self, driver: str, connect: str, query: str, values: list[str]) -> tuple[Any, list[str]]:
        """The first row and the names of its columns; a connection that was kept and fails is opened anew."""
        kept = self._connections.get(os.getpid())
        if kept is not None:
            try:
                return _first(kept, query, values)
            except Exception:
                del self._connections[os.getpid()]
        connection = opened(driver, connect, self._args)
        answer = _first(connection, query, values)
        self._connections[os.getpid()] = connection
        return answer


def _first(connection: Any, query: str, values: list[str]) -> tuple[Any, list[str]]:
    cursor = connection.cursor()
    cursor.execute(query, values)
    return cursor.fetchone(), [column[0] for column in cursor.description or ()]


def bound(query: str, mark: str) -> tuple[str, list[UserText]]:
    """The query with ``mark`` for each variable, or for the whole string literal that holds it, and the texts to bind.

    >>> bound("SELECT home FROM users WHERE user = '%n' AND note = 'x'", "?")[0]
    "SELECT home FROM users WHERE user = ? AND note = 'x'"
    """
    texts: list[UserText] = []
    percent = "%%" if mark == "%s" else "%"

    def one(found: re.Match[str]) -> str:
        literal, variable = found[1], found[2]
        if literal is None and variable is None:
            return percent
        inner = literal[1:-1].replace(literal[0] * 2, literal[0]) if literal else variable
        text = UserText(inner)
        if text.fixed:
            return literal.replace("%%", "%").replace("%", percent)
        texts.append(text)
        return mark

    return _LITERAL.sub(one, query), texts


def opened(driver: str, connect: str, place: str) -> Any:
    """A connection that only reads. Raises ConfigError when the driver's module is not installed."""
    if driver == "sqlite":
        import sqlite3  # 10 ms, for those who use it

        path = " ".join(word for word in connect.split() if "=" not in word)  # journal_mode=wal may follow
        return sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=TIMEOUT, isolation_level=None)
    name = MODULES[driver][0]
    try:
        module = importlib.import_module(name)
    except ImportError:
        raise ConfigError(f"{place}: driver = {driver} needs {name}: install rawlog[sql]") from None
    if driver == "pgsql":
        return module.connect(connect, connect_timeout=TIMEOUT, autocommit=True)
    return module.connect(**mysql_arguments(connect), connect_timeout=TIMEOUT, read_timeout=TIMEOUT, autocommit=True)


def mysql_arguments(connect: str) -> dict[str, Any]:
    """``host=… dbname=… user=… password=…`` as pymysql wants it; of several hosts the first, a path is a socket."""
    pairs = [word.partition("=")[::2] for word in connect.split()]
    given = dict(reversed(pairs))
    names = {"dbname": "database", "user": "user", "password": "password"}
    arguments: dict[str, Any] = {names[key]: value for key, value in given.items() if key in names}
    if "port" in given:
        arguments["port"] = int(given["port"])
    host = given.get("host", "localhost")
    arguments["unix_socket" if host.startswith("/") else "host"] = host
    return arguments
