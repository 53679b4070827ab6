"""The users and their mail: pymap's in-memory mailboxes, as the other protocols of the demo server see it.

Knows: pymap. Must not know: sockets, protocols. pymap itself serves IMAP and ManageSieve over the same mailboxes.
"""

from __future__ import annotations

import hmac
import ssl
from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pymap.backend.dict import Config, Identity, Login
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials import FetchRequirement
from pymap.user import Passwords, UserMetadata
from pysasl.hashing import BuiltinHash

WELCOME = b"""\
From: Rawlog <rawlog@example.com>\r
To: %(user)s\r
Subject: Welcome to the demo server\r
Date: Sun, 22 Nov 2026 10:45:00 +0000\r
Message-ID: <welcome@example.com>\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset=utf-8\r
\r
What you read now has just been recorded.\r
.A line that begins with a dot shows what dot-stuffing does.\r
"""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message of an INBOX: its UID, and its content with CRLF line ends as it was delivered."""

    uid: int
    data: bytes


class MailStore:
    """The mailboxes of the demo users. Make it with :meth:`create`, inside the event loop that serves it."""

    def __init__(self, users: Mapping[str, str], login: Login) -> None:
        self._users = users
        self.login = login
        """What pymap's own servers authenticate with."""

    @classmethod
    async def create(cls, users: Mapping[str, str], config: Config) -> MailStore:
        """A store in which every user of ``users`` (name to password) finds one message."""
        config.apply_context()
        store = cls(users, Login(config))
        for user, password in users.items():
            await store._add_user(user, password)
            await store.deliver(user, WELCOME % {b"user": user.encode()})
        return store

    def has(self, user: str) -> bool:
        """Whether mail can be delivered to ``user``."""
        return user in self._users

    def check(self, user: str, password: str) -> bool:
        """Whether ``password`` is that of ``user``."""
        known = self._users.get(user)
        return known is not None and hmac.compare_digest(known.encode(), password.encode())

    async def deliver(self, user: str, data: bytes) -> None:
        """Put a message into the INBOX of ``user``; IMAP clients that idle there are told."""
        async with self._identity(user).new_session() as session:
            message = AppendMessage(data, datetime.now().astimezone(), frozenset())
            await session.append_messages("INBOX", [message])

    async def messages(self, user: str) -> list[StoredMessage]:
        """The messages in the INBOX of ``user``, oldest first."""
        async with self._identity(user).new_session() as session:
            inbox = await session.mailbox_set.get_mailbox("INBOX")
            found = [message async for message in inbox.messages()]
            contents = [await message.load_content(FetchRequirement.CONTENT) for message in found]
        return [StoredMessage(message.uid, bytes(content)) for message, content in zip(found, contents, strict=True)]

    async def delete(self, user: str, uids: Iterable[int]) -> None:
        """Remove messages from the INBOX of ``user``; a UID that is gone already does no harm."""
        async with self._identity(user).new_session() as session:
            inbox = await session.mailbox_set.get_mailbox("INBOX")
            await inbox.delete(list(uids))

    def _identity(self, user: str) -> Identity:
        return Identity(user, self.login, None, frozenset())

    async def _add_user(self, user: str, password: str) -> None:
        config = self.login.config
        hashed = await Passwords(config).hash_password(password)
        await self._identity(user).set(UserMetadata(config, user, password=hashed))


def pymap_config(context: ssl.SSLContext, *, tls_from_start: bool = False) -> Config:
    """The settings of pymap's servers; with ``tls_from_start`` STARTTLS is not offered."""
    return Config(
        Namespace(passlib_cfg=None, proxy_protocol=None, inherited_sockets=None),
        host="127.0.0.1",
        port=0,
        ssl_context=context,
        tls_enabled=not tls_from_start,
        demo_data=False,
        demo_user="",
        demo_password="",
        hash_context=BuiltinHash(rounds=1),  # the passwords are printed in the documentation: nothing to protect
        invalid_user_sleep=0.0,
        reject_dnsbl=False,  # would ask the DNS about every client
    )
