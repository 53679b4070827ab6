"""What is open is kept, a few of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.errors import ConfigError, RawlogError
from rawlog.web import desk as module
from rawlog.web.catalog import Catalog
from rawlog.web.desk import Desk
from tests.support.viewing import PATIENCE, eventually, small, write


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    for number in range(3):
        write(tmp_path / f"{number}.rawlog", small())
    catalog = Catalog([str(tmp_path)], None)
    catalog.start()
    eventually(lambda: catalog.reading is None)
    desk = Desk(catalog)
    yield desk
    desk.stop()


def test_a_conversation_is_opened_once(desk: Desk) -> None:
    one, two, _ = desk.catalog.entries
    assert desk.talk(one) is desk.talk(one) is not desk.talk(two)


def test_the_one_that_was_used_longest_ago_goes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TALKS_LIMIT", 2)
    one, two, three = desk.catalog.entries
    first, second = desk.talk(one), desk.talk(two)
    desk.talk(one)
    desk.talk(three)
    assert desk.talk(one) is first
    assert desk.talk(two) is not second


def test_filters_are_kept_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SELECTIONS_LIMIT", 2)
    first = desk.selection("user:a")
    assert desk.selection("user:a") is first
    desk.selection("user:b")
    desk.selection("user:c")
    assert desk.selection("user:a") is not first
    with pytest.raises(ConfigError):
        desk.selection("(")


def test_ids_that_nobody_gave(desk: Desk) -> None:
    (name, *_) = (entry.name for entry in desk.catalog.entries.values())
    for wrong in ("", "0" * 18, name, "../../etc/passwd"):
        with pytest.raises(RawlogError, match="no such conversation"):
            desk.talk(wrong)
        with pytest.raises(RawlogError, match="no such conversation"):
            desk.copy(wrong, "masked")


def test_a_copy(desk: Desk) -> None:
    (one, *_) = desk.catalog.entries
    assert b"".join(desk.copy(one, "masked")).startswith(b"rawlog 1 ")


def test_at_the_end_everything_ends(desk: Desk) -> None:
    (one, *_) = desk.catalog.entries
    talk = desk.talk(one)
    talk.wait(PATIENCE)
    desk.stop()
    assert desk.stopped
    assert talk.stopped
