"""Filters that must read recordings."""

from __future__ import annotations

from pathlib import Path

from rawlog.dialogue.exchange_summary import Summary
from rawlog.dialogue.search import parse
from rawlog.web.hunt import Hunt
from tests.support.viewing import eventually, small, write


def test_answers_come_by_and_by(tmp_path: Path) -> None:
    names = [str(write(tmp_path / f"{user}.rawlog", small(user))) for user in ("alice", "bob")]
    hunt, query, summary = Hunt(), parse('"bob"'), Summary(in_bytes=1)
    assert [hunt.ask(name, summary, query) for name in names] == [False, False]
    eventually(lambda: hunt.waiting == 0)
    assert [hunt.ask(name, summary, query) for name in names] == [False, True]
    assert hunt.version == 2
    hunt.stop()


def test_what_has_changed_is_looked_at_again(tmp_path: Path) -> None:
    path = write(tmp_path / "one.rawlog", small("alice"))
    hunt, query = Hunt(), parse('"bob"')
    hunt.ask(str(path), Summary(in_bytes=1), query)
    eventually(lambda: hunt.waiting == 0)
    path.unlink()
    write(path, small("bob"))
    assert hunt.ask(str(path), Summary(in_bytes=1), query) is False
    assert hunt.waiting == 0
    hunt.ask(str(path), Summary(in_bytes=2), query)
    eventually(lambda: hunt.ask(str(path), Summary(in_bytes=2), query))
    hunt.stop()


def test_what_cant_be_read_doesnt_match(tmp_path: Path) -> None:
    hunt = Hunt()
    hunt.ask(str(tmp_path / "gone"), Summary(), parse("command:*"))
    eventually(lambda: hunt.waiting == 0)
    assert not hunt.ask(str(tmp_path / "gone"), Summary(), parse("command:*"))
    hunt.stop()
    assert hunt._thread is not None
    hunt._thread.join(5)
    assert not hunt._thread.is_alive()


def test_after_the_end_nothing_is_begun(tmp_path: Path) -> None:
    hunt = Hunt()
    hunt.stop()
    assert not hunt.ask("x", Summary(), parse("command:*"))
    assert hunt.waiting == 0
