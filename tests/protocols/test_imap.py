"""IMAP: the conversations, and what they can't say."""

from __future__ import annotations

import pytest

from rawlog.protocols.imap import ImapFramer
from tests.support.conversation import Conversation, check, conversations


@pytest.mark.parametrize("talk", conversations("imap"), ids=str)
def test_conversation(talk: Conversation) -> None:
    check(talk, ImapFramer)
