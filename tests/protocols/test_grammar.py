"""What a grammar does not say."""

from __future__ import annotations

import pytest

from rawlog.events import Direction
from rawlog.protocols.fragments import Lane
from rawlog.protocols.grammar import Grammar


@pytest.fixture
def grammar() -> Grammar:
    return Grammar(Lane(Direction.IN), Lane(Direction.OUT))


def test_lines_must_be_understood(grammar: Grammar) -> None:
    with pytest.raises(NotImplementedError):
        grammar.on_client_line(b"\r\n", 0)
    with pytest.raises(NotImplementedError):
        grammar.on_server_line(b"\r\n", 0)


def test_the_defaults_are_safe(grammar: Grammar) -> None:
    assert grammar.long_line_is_secret(grammar.client, b"x")
    assert not grammar.long_line_is_secret(grammar.server, b"x")
    assert not grammar.is_harmless(grammar.client, b"x")
    assert not grammar.is_harmless(grammar.server, b"x")
    assert grammar.may_be_repeated(b"x")


def test_the_other_defaults_say_nothing(grammar: Grammar) -> None:
    grammar.on_literal(grammar.client, b"x")
    grammar.on_block(grammar.client)
    grammar.on_server_silent()
    assert grammar.on_block_bytes(grammar.client, b"x", 0) is None
    assert not grammar.leads_answer(b"* CAPABILITY\r\n")
    assert not grammar.in_dialogue()
    assert grammar.unanswered() == 0
