"""POP3 with STLS (RFC 1939, 2449, 2595) over the demo users' mailboxes.

Knows: the commands and states of POP3. Must not know: where mail is kept, how a port is opened.
pymap has no POP3, so this one is our own; it is as small as a real client allows.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from rawlog.demo.mailstore import MailStore, StoredMessage

LINE_LIMIT = 1024
"""Longest command line. RFC 2449 section 4 allows 255 octets; who sends more without a line end is cut off."""

IDLE_SECONDS = 600.0
"""How long a silent client is kept: RFC 1939 section 3 wants at least ten minutes."""


class RefusedError(Exception):
    """The command can't be done; the text goes behind ``-ERR``."""


class Pop3Conversation:
    """One client. ``starttls`` is what STLS needs; None when TLS is there from the start, or not at all."""

    def __init__(
        self,
        store: MailStore,
        starttls: ssl.SSLContext | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._store = store
        self._starttls = starttls
        self._reader = reader
        self._writer = writer
        self._pending = b""  # what was read behind the line that is being answered
        self._user = ""
        self._messages: list[StoredMessage] | None = None  # None before the login
        self._deleted: set[int] = set()
        self._open = True

    async def run(self) -> None:
        """Serve the client until it quits, leaves, is silent too long or breaks the rules."""
        try:
            self._reply("+OK Rawlog demo ready.")
            while self._open and (line := await self._line()) is not None:
                await self._answer(line)
            await self._writer.drain()
        except (ConnectionError, TimeoutError, ssl.SSLError):
            pass
        finally:
            self._writer.close()

    async def _line(self) -> str | None:
        await self._writer.drain()
        while b"\n" not in self._pending:
            async with asyncio.timeout(IDLE_SECONDS):
                data = await self._reader.read(LINE_LIMIT)
            self._pending += data
            if not data or (b"\n" not in self._pending and len(self._pending) > LINE_LIMIT):
                return None
        line, _, self._pending = self._pending.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    async def _answer(self, line: str) -> None:
        verb, _, argument = line.partition(" ")
        command = self._command(verb.upper())
        try:
            if command is None:
                raise RefusedError(f"Unknown command, or not now: {verb}")
            await command(argument)
        except RefusedError as refused:
            self._reply(f"-ERR {refused}")

    def _command(self, verb: str) -> Callable[[str], Awaitable[None]] | None:
        always = {"CAPA": self._capa, "QUIT": self._quit}
        before_login = {"USER": self._set_user, "PASS": self._pass, "STLS": self._stls}
        after_login = {
            "STAT": self._stat,
            "LIST": self._list,
            "UIDL": self._uidl,
            "RETR": self._retr,
            "TOP": self._top,
            "DELE": self._dele,
            "RSET": self._rset,
            "NOOP": self._noop,
        }
        return (always | (before_login if self._messages is None else after_login)).get(verb)

    def _reply(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())

    def _left(self) -> dict[int, StoredMessage]:
        numbered = enumerate(self._messages or [], start=1)
        return {number: message for number, message in numbered if number not in self._deleted}

    def _message(self, argument: str) -> tuple[int, StoredMessage]:
        number = int(argument) if argument.isascii() and argument.isdigit() else 0
        message = self._left().get(number)
        if message is None:
            raise RefusedError("There is no such message.")
        return number, message

    async def _capa(self, _: str) -> None:
        stls = ["STLS"] if self._starttls is not None and self._messages is None else []
        self._reply("+OK", "USER", "TOP", "UIDL", "PIPELINING", *stls, ".")

    async def _quit(self, _: str) -> None:
        if self._deleted and self._messages is not None:
            await self._store.delete(self._user, [self._messages[number - 1].uid for number in self._deleted])
        self._reply("+OK Bye.")
        self._open = False

    async def _set_user(self, user: str) -> None:
        self._user = user
        self._reply("+OK")

    async def _pass(self, password: str) -> None:
        if not self._store.check(self._user, password):
            raise RefusedError("[AUTH] The user name or the password is wrong.")
        self._messages = await self._store.messages(self._user)
        self._reply("+OK Logged in.")

    async def _stls(self, _: str) -> None:
        if self._starttls is None:
            raise RefusedError("TLS is not available.")
        if (
            self._pending
        ):  # RFC 2595 section 4: nothing may follow before TLS; somebody between us may have put it there
            self._open = False
            raise RefusedError("Nothing may be sent behind STLS.")
        self._reply("+OK Begin TLS.")
        await self._writer.start_tls(self._starttls)
        self._starttls = None

    async def _stat(self, _: str) -> None:
        left = self._left()
        self._reply(f"+OK {len(left)} {sum(len(message.data) for message in left.values())}")

    async def _list(self, argument: str) -> None:
        self._listing(argument, lambda message: str(len(message.data)))

    async def _uidl(self, argument: str) -> None:
        self._listing(argument, lambda message: f"uid-{message.uid}")

    def _listing(self, argument: str, tell: Callable[[StoredMessage], str]) -> None:
        if argument:
            number, message = self._message(argument)
            self._reply(f"+OK {number} {tell(message)}")
        else:
            self._reply("+OK", *(f"{number} {tell(message)}" for number, message in self._left().items()), ".")

    async def _retr(self, argument: str) -> None:
        _, message = self._message(argument)
        self._block(message.data)

    async def _top(self, argument: str) -> None:
        number, _, count = argument.partition(" ")
        if not (count.isascii() and count.isdigit()):
            raise RefusedError("TOP wants a message number and a number of lines.")
        _, message = self._message(number)
        head, separator, body = message.data.partition(b"\r\n\r\n")
        self._block(head + separator + b"".join(body.splitlines(keepends=True)[: int(count)]))

    def _block(self, data: bytes) -> None:
        ended = data if data.endswith(b"\r\n") else data + b"\r\n"
        stuffed = (b"\r\n" + ended).replace(b"\r\n.", b"\r\n..")[2:]
        self._writer.write(b"+OK\r\n" + stuffed + b".\r\n")

    async def _dele(self, argument: str) -> None:
        number, _ = self._message(argument)
        self._deleted.add(number)
        self._reply("+OK Marked to be deleted.")

    async def _rset(self, _: str) -> None:
        self._deleted.clear()
        self._reply("+OK")

    async def _noop(self, _: str) -> None:
        self._reply("+OK")
