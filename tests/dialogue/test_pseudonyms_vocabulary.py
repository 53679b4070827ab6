"""The words that stay."""

from __future__ import annotations

import re

from rawlog.dialogue.pseudonyms_vocabulary import ID_FIELDS, ID_SHOWN, MIME_PARAMETERS, MIME_WORDS, VOCABULARY


def test_words_are_as_free_text_is_cut() -> None:
    odd = {word for word in VOCABULARY if not re.fullmatch(rb"[a-z0-9]+", word)}
    assert odd <= {b"tlsv1.2", b"tlsv1.3"}


def test_the_commands_that_decide_how_a_conversation_is_cut_are_there() -> None:
    words = (
        b"append auth authenticate bdat compress data fetch idle login lhlo pass retr starttls stls top uidl".split()
    )
    assert set(words) <= VOCABULARY


def test_lists_within_lists() -> None:
    assert ID_SHOWN <= ID_FIELDS
    assert MIME_PARAMETERS - {b"micalg", b"report-type", b"method", b"size", b"protocol"} <= MIME_WORDS


def test_no_ordinary_name_is_a_word_of_the_protocols() -> None:
    assert VOCABULARY.isdisjoint(b"alice bob carol dave smith example com net org private secret project".split())
