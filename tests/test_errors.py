"""The errors of the house: one word catches them all, and their text is the line a person reads."""

from __future__ import annotations

import pytest

from rawlog.errors import ConfigError, FormatError, RawlogError


@pytest.mark.parametrize("kind", [RawlogError, FormatError, ConfigError])
def test_one_word_catches_every_error_and_its_text_is_the_message(kind: type[RawlogError]) -> None:
    with pytest.raises(RawlogError) as caught:
        raise kind("rawlog.conf:3: unknown setting; see rawlog conf")
    assert str(caught.value) == "rawlog.conf:3: unknown setting; see rawlog conf"
