"""The demo users' mailboxes, without any protocol."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from rawlog.demo.mailstore import MailStore, pymap_config

USERS = {"a@example.com": "one", "b@example.com": "two"}


def with_store(act: Callable[[MailStore], Awaitable[None]]) -> None:
    async def run() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        await act(await MailStore.create(USERS, pymap_config(context)))

    asyncio.run(asyncio.wait_for(run(), 20))


def test_passwords_are_checked() -> None:
    async def act(store: MailStore) -> None:
        assert store.check("a@example.com", "one")
        assert not store.check("a@example.com", "two")
        assert not store.check("nobody@example.com", "one")
        assert store.has("b@example.com")
        assert not store.has("nobody@example.com")

    with_store(act)


def test_mail_comes_back_as_it_was_delivered_and_to_one_user_only() -> None:
    data = b"Subject: x\r\n\r\n\x00\xff bare\nlf\r\n.\r\n"

    async def act(store: MailStore) -> None:
        await store.deliver("a@example.com", data)
        welcome, message = await store.messages("a@example.com")
        assert b"To: a@example.com\r\n" in welcome.data
        assert message.data == data
        assert len(await store.messages("b@example.com")) == 1

    with_store(act)


def test_deleted_mail_is_gone_and_deleting_it_again_does_no_harm() -> None:
    async def act(store: MailStore) -> None:
        (welcome,) = await store.messages("a@example.com")
        await store.delete("a@example.com", [welcome.uid])
        await store.delete("a@example.com", [welcome.uid, 4711])
        assert await store.messages("a@example.com") == []
        assert len(await store.messages("b@example.com")) == 1

    with_store(act)
