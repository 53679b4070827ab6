"""POP3: the conversations, and what they can't say."""

from __future__ import annotations

import pytest

from rawlog.protocols.pop3 import Pop3Framer
from tests.support.conversation import Conversation, check, conversations


@pytest.mark.parametrize("talk", conversations("pop3"), ids=str)
def test_conversation(talk: Conversation) -> None:
    check(talk, Pop3Framer)
