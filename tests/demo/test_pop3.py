"""POP3 of the demo server, command by command, without sockets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from rawlog.demo.mailstore import StoredMessage
from rawlog.demo.pop3 import LINE_LIMIT, Pop3Conversation

LOGIN = b"USER u\r\nPASS p\r\n"


@dataclass
class Store:
    """Stands for the mailboxes: one user, two messages, and what was deleted."""

    kept: list[StoredMessage] = field(
        default_factory=lambda: [
            StoredMessage(11, b"A: 1\r\n\r\n.dot\r\ntwo\r\n"),
            StoredMessage(12, b"B: 2\r\n\r\nend"),
        ]
    )
    deleted: list[int] = field(default_factory=list)

    def check(self, user: str, password: str) -> bool:
        return (user, password) == ("u", "p")

    async def messages(self, user: str) -> list[StoredMessage]:
        return list(self.kept)

    async def delete(self, user: str, uids: list[int]) -> None:
        self.deleted += uids


class Writer:
    """Stands for the client's end: keeps what was written, and whether TLS was asked for."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = False
        self.tls_at: int | None = None

    def write(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None:
        pass

    async def start_tls(self, context: object) -> None:
        self.tls_at = len(self.data)

    def close(self) -> None:
        self.closed = True


def talk(sent: bytes, store: Store | None = None, starttls: object = None, writer: Writer | None = None) -> list[str]:
    """The lines answered to ``sent``, all of which is there from the start; the greeting is left out."""
    writer = writer or Writer()

    async def run() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(sent)
        reader.feed_eof()
        await Pop3Conversation(store or Store(), starttls, reader, writer).run()  # type: ignore[arg-type]

    asyncio.run(asyncio.wait_for(run(), 10))
    assert writer.closed
    greeting, *answers = writer.data.decode().split("\r\n")[:-1]
    assert greeting.startswith("+OK ")
    return answers


def after_login(sent: bytes, store: Store | None = None) -> list[str]:
    answers = talk(LOGIN + sent, store)
    assert answers[:2] == ["+OK", "+OK Logged in."]
    return answers[2:]


def test_status_and_listings() -> None:
    assert after_login(b"STAT\r\n") == ["+OK 2 30"]
    assert after_login(b"LIST\r\n") == ["+OK", "1 19", "2 11", "."]
    assert after_login(b"LIST 2\r\n") == ["+OK 2 11"]
    assert after_login(b"uidl\r\n") == ["+OK", "1 uid-11", "2 uid-12", "."]
    assert after_login(b"UIDL 1\r\n") == ["+OK 1 uid-11"]


def test_retr_stuffs_dots_and_ends_the_last_line() -> None:
    assert after_login(b"RETR 1\r\n") == ["+OK", "A: 1", "", "..dot", "two", "."]
    assert after_login(b"RETR 2\r\n") == ["+OK", "B: 2", "", "end", "."]


def test_top_gives_the_head_and_as_many_lines_as_asked() -> None:
    assert after_login(b"TOP 1 0\r\n") == ["+OK", "A: 1", "", "."]
    assert after_login(b"TOP 1 1\r\n") == ["+OK", "A: 1", "", "..dot", "."]


@pytest.mark.parametrize(
    "command", [b"TOP 1", b"TOP 1 x", b"RETR", b"RETR 0", b"RETR 3", b"RETR x", b"DELE -1", b"XYZ"]
)
def test_nonsense_is_refused_and_the_conversation_goes_on(command: bytes) -> None:
    refused, answer = after_login(command + b"\r\nNOOP\r\n")
    assert refused.startswith("-ERR ")
    assert answer == "+OK"


def test_dele_takes_effect_at_quit_and_rset_takes_it_back() -> None:
    store = Store()
    assert after_login(b"DELE 1\r\nLIST\r\nRETR 1\r\n", store)[1:4] == ["+OK", "2 11", "."]
    assert store.deleted == []
    after_login(b"DELE 1\r\nRSET\r\nQUIT\r\n", store)
    assert store.deleted == []
    after_login(b"DELE 1\r\nQUIT\r\n", store)
    assert store.deleted == [11]


def test_nothing_is_told_before_the_login_and_a_wrong_password_is_refused() -> None:
    for command in (b"STAT\r\n", b"RETR 1\r\n", b"USER u\r\nPASS wrong\r\nSTAT\r\n"):
        assert talk(command)[-1].startswith("-ERR ")
    assert after_login(b"USER u\r\n")[0].startswith("-ERR ")


def test_stls_is_offered_once_and_starts_tls_behind_its_answer() -> None:
    writer = Writer()
    assert "STLS" in talk(b"CAPA\r\n", starttls=object())
    assert "STLS" not in talk(b"CAPA\r\n")
    assert talk(b"STLS\r\n", starttls=object(), writer=writer)[0] == "+OK Begin TLS."
    assert writer.data[: writer.tls_at].endswith(b"+OK Begin TLS.\r\n")
    assert talk(b"STLS\r\n")[0].startswith("-ERR ")


def test_what_is_sent_behind_stls_in_the_clear_ends_the_conversation() -> None:
    writer = Writer()
    assert talk(b"STLS\r\nUSER u\r\nPASS p\r\n", starttls=object(), writer=writer)[-1].startswith("-ERR Nothing")
    assert writer.tls_at is None


def test_a_line_without_end_is_cut_off() -> None:
    assert talk(b"x" * (LINE_LIMIT * 3)) == []
