"""LMTP: the conversations, and what they can't say."""

from __future__ import annotations

import pytest
from tests.support.conversation import Conversation, check, conversations

from rawlog.protocols.lmtp import LmtpFramer


@pytest.mark.parametrize("talk", conversations("lmtp"), ids=str)
def test_conversation(talk: Conversation) -> None:
    check(talk, LmtpFramer)
