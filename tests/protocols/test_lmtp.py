"""LMTP: the conversations, and what they can't say."""

from __future__ import annotations

import pytest

from rawlog.protocols.lmtp import LmtpFramer
from tests.support.conversation import Conversation, check, conversations


@pytest.mark.parametrize("talk", conversations("lmtp"), ids=str)
def test_conversation(talk: Conversation) -> None:
    check(talk, LmtpFramer)
