"""Users in a database: the query with bound parameters, and SQLite, PostgreSQL and MySQL by their modules."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rawlog.errors import ConfigError, RawlogError
from rawlog.settings.userdb_sql import DEFAULT_QUERY, Sql, bound, mysql_arguments


@pytest.fixture
def database(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "users.sqlite")
    connection.execute("CREATE TABLE users (username, domain, home, uid, gid, quota)")
    rows = [("alice", "example.com", "/h/alice", 5000, 5001, None), ("o'hara", "x'y", "/h/o", 1, 1, "5%")]
    connection.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return tmp_path / "users.sqlite"


def configured(folder: Path, text: str) -> Sql:
    (folder / "sql.conf").write_text(text)
    return Sql(str(folder / "sql.conf"))


QUERY = """\
user_query = SELECT home, uid, gid, quota, 'x' AS note \\
  FROM users WHERE username = '%n' AND domain = '%d'   # Dovecot's own comment
"""


def test_sqlite(tmp_path: Path, database: Path) -> None:
    lookup = configured(tmp_path, f"driver = sqlite\nconnect = {database} journal_mode=wal\n{QUERY}")
    assert lookup("alice@example.com") == {"home": "/h/alice", "uid": "5000", "gid": "5001", "note": "x"}
    assert lookup("alice@example.org") is None


def test_dovecots_default_query(tmp_path: Path, database: Path) -> None:
    lookup = configured(tmp_path, f"driver = sqlite\nconnect = {database}\n")
    assert lookup("alice@example.com") == {"home": "/h/alice", "uid": "5000", "gid": "5001"}


@pytest.mark.parametrize("user", ["' OR '1'='1@example.com", "x' OR 1=1 --@example.com", "alice@example.com' --", '"'])
def test_a_name_never_becomes_sql(tmp_path: Path, database: Path, user: str) -> None:
    assert configured(tmp_path, f"driver = sqlite\nconnect = {database}\n{QUERY}")(user) is None


def test_a_quote_in_a_name_is_a_quote(tmp_path: Path, database: Path) -> None:
    lookup = configured(tmp_path, f"driver = sqlite\nconnect = {database}\n{QUERY}")
    assert lookup("o'hara@x'y") == {"home": "/h/o", "uid": "1", "gid": "1", "quota": "5%", "note": "x"}


def test_a_name_in_a_path_does_not_leave_it_but_is_compared_as_it_is(tmp_path: Path, module: Module) -> None:
    query = "SELECT '/h/%u' AS home FROM users WHERE username = '%u'"
    configured(tmp_path, f"driver = pgsql\nconnect = host=db\nuser_query = {query}\n")("../x")
    assert module.asked[0][1] == ["/h/=2E.=2Fx", "../x"]


@pytest.mark.parametrize(
    ("query", "marked", "values"),
    [
        (DEFAULT_QUERY, "SELECT home, uid, gid FROM users WHERE username = ? AND domain = ?", ["a", "b"]),
        ("SELECT 'maildir:/m/%d/%n' AS mail", "SELECT ? AS mail", ["maildir:/m/b/a"]),
        ("WHERE id = %u", "WHERE id = ?", ["a@b"]),
        ("WHERE x LIKE 'a%%' AND u = '%Lu'", "WHERE x LIKE 'a%' AND u = ?", ["a@b"]),
        ("WHERE x = 'it''s %n'", "WHERE x = ?", ["it's a"]),
        ('WHERE x = "%n"', "WHERE x = ?", ["a"]),
        ("WHERE x = '%1Mn'", "WHERE x = ?", ["0"]),
        ("SELECT 'y''z'", "SELECT 'y''z'", []),
    ],
)
def test_variables_are_bound(query: str, marked: str, values: list[str]) -> None:
    text, texts = bound(query, "?")
    assert text == marked
    assert [one.expand("a@b") for one in texts] == values


def test_percent_signs_are_doubled_where_the_mark_has_one() -> None:
    text, texts = bound("SELECT x %% 2 WHERE a LIKE 'b%%' AND u = '%u'", "%s")
    assert text == "SELECT x %% 2 WHERE a LIKE 'b%%' AND u = %s"
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("connect = x\n", "driver = : give driver = sqlite, pgsql, mysql"),
        ("driver = oracle\nconnect = x\n", "driver = oracle: give driver = sqlite, pgsql, mysql"),
        ("driver = sqlite\n", "connect is missing: say where the database is"),
        ("driver = sqlite\nconnect = /no/such.sqlite\n", "unable to open database file: correct connect or user_query"),
        ("driver = sqlite\nconnect = {0}\nuser_query = SELEC x\n", "syntax error: correct connect or user_query"),
        ("driver = sqlite\nconnect = {0}\nuser_query = SELECT '%q'\n", "user_query: '%q': unknown variable %q"),
    ],
)
def test_what_is_wrong_names_the_file(tmp_path: Path, database: Path, text: str, message: str) -> None:
    with pytest.raises(RawlogError) as error:
        configured(tmp_path, text.format(database))("alice")
    assert str(tmp_path / "sql.conf") in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_args_must_be_absolute() -> None:
    with pytest.raises(ConfigError, match="give the absolute path of the file"):
        Sql("dovecot-sql.conf.ext")


class Module(ModuleType):
    """Stands for psycopg or pymysql: remembers what it was asked; connections fail when they are told to."""

    def __init__(self) -> None:
        super().__init__("database")
        self.connected: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.asked: list[tuple[str, Sequence[str]]] = []
        self.broken = 0
        self.description = [("home",), ("uid",)]

    def connect(self, *words: Any, **names: Any) -> Module:
        self.connected.append((words, names))
        return self

    def cursor(self) -> Module:
        return self

    def execute(self, query: str, values: Sequence[str]) -> None:
        if self.broken:
            self.broken -= 1
            raise OSError("server closed the connection\nunexpectedly")
        self.asked.append((query, values))

    def fetchone(self) -> tuple[str, int]:
        return "/h/alice", 5000


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Module:
    found = Module()
    monkeypatch.setitem(sys.modules, "psycopg", found)
    monkeypatch.setitem(sys.modules, "pymysql", found)
    return found


def test_postgresql(tmp_path: Path, module: Module) -> None:
    lookup = configured(tmp_path, "driver = pgsql\nconnect = host=db dbname=mails user=admin password=pa#ss\n" + QUERY)
    assert lookup("alice@example.com") == {"home": "/h/alice", "uid": "5000"}
    ((words, names),) = module.connected
    assert words[0].startswith("host=db dbname=mails")
    assert names["connect_timeout"] == 5
    assert module.asked[0][0].endswith("WHERE username = %s AND domain = %s")
    assert module.asked[0][1] == ["alice", "example.com"]


def test_mysql(tmp_path: Path, module: Module) -> None:
    configured(tmp_path, "driver = mysql\nconnect = host=db dbname=mails user=admin password=x port=3307\n")("a@b")
    ((_, names),) = module.connected
    assert names.items() >= {"host": "db", "database": "mails", "user": "admin", "port": 3307}.items()


@pytest.mark.parametrize(
    ("connect", "arguments"),
    [
        ("host=a host=b", {"host": "a"}),
        ("host=/run/mysqld.sock dbname=m", {"unix_socket": "/run/mysqld.sock", "database": "m"}),
        ("user=u client_flags=1", {"user": "u", "host": "localhost"}),
    ],
)
def test_connect_of_mysql(connect: str, arguments: dict[str, Any]) -> None:
    assert mysql_arguments(connect) == arguments


def test_a_connection_is_kept_and_made_anew_when_it_fails(tmp_path: Path, module: Module) -> None:
    lookup = configured(tmp_path, "driver = pgsql\nconnect = host=db\n")
    lookup("a@b")
    lookup("a@b")
    assert len(module.connected) == 1
    module.broken = 1
    assert lookup("a@b")
    assert len(module.connected) == 2
    module.broken = 2
    with pytest.raises(RawlogError, match="server closed the connection: correct connect"):
        lookup("a@b")


def test_a_forked_process_makes_its_own_connection(
    tmp_path: Path, module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup = configured(tmp_path, "driver = pgsql\nconnect = host=db\n")
    lookup("a@b")
    own = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: own + 1)
    lookup("a@b")
    assert len(module.connected) == 2


@pytest.mark.parametrize(("driver", "name"), [("pgsql", "psycopg"), ("mysql", "pymysql")])
def test_a_module_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"sql.conf: driver = {driver} needs {name}: install rawlog\[sql\]"):
        configured(tmp_path, f"driver = {driver}\nconnect = host=db\n")("a@b")
