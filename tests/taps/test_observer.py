"""What an observer makes of a leg's bytes: whose they are, which part is recorded, and what is held until then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rawlog.dialogue.redact import Masker
from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.formats.dovecot import PairEncoder
from rawlog.protocols.imap import ImapFramer
from rawlog.recorder.flusher import Flusher
from rawlog.settings.variables import Template
from rawlog.taps import observer as module
from rawlog.taps.observer import Answer, Observer
from rawlog.taps.plan import Part, Plan
from rawlog.taps.target import Target
from tests.support.recording import Timers

IN, OUT = Direction.IN, Direction.OUT
AT = 1795385217000000


class KeptRecorder:
    """A recorder that keeps the events."""

    def __init__(self, user: str | None) -> None:
        self.user = user
        self.events: list[Event] = []
        self.ended: list[str] = []

    def chunk(self, at: int | None, direction: Direction, data: bytes) -> None:
        assert not self.ended
        self.events.append(Chunk(at, direction, data))

    @property
    def healthy(self) -> bool:
        return True

    def flush(self) -> bool:
        return False

    def mark(self, at: int | None, name: str, detail: dict[str, str]) -> None:
        self.events.append(Mark(at, name, detail))

    def close(self, at: int | None, reason: str) -> None:
        self.ended.append(reason)

    def side(self, direction: Direction) -> bytes:
        return b"".join(e.data for e in self.events if isinstance(e, Chunk) and e.direction is direction)

    def marks(self) -> list[str]:
        return [e.name for e in self.events if isinstance(e, Mark)]


class Watch:
    """An observer, what it opened, and whom it announced."""

    def __init__(
        self,
        *plans: Plan,
        keep: bool = False,
        refuse: bool = False,
        late: bool = False,
        timers: Timers | None = None,
    ) -> None:
        self.opened: list[KeptRecorder] = []
        self.closed: list[str] = []
        self.answers: list[Callable[[], None]] = []  # of recorders that come late
        self._late = late
        self.announced: list[str | None] = []
        self._refuse = refuse
        masker = Masker(ImapFramer(wire_compressed=True), keep=keep)
        later = timers.call_later if timers is not None else None
        self.observer = Observer(masker, plans, self._open, on_login=self.announced.append, later=later)

    def _open(self, plan: Plan, user: str | None, at: int, answer: Answer) -> None:
        if self._refuse:
            answer(None)
            return
        recorder = KeptRecorder(user)
        self.opened.append(recorder)
        if self._late:
            self.answers.append(lambda: answer(recorder))  # type: ignore[arg-type]
        else:
            answer(recorder)  # type: ignore[arg-type]

    def close(self, reason: str) -> None:
        self.observer.close(AT, reason, lambda: self.closed.append(reason))

    def says(self, *said: tuple[Direction, bytes]) -> Watch:
        for number, (direction, data) in enumerate(said):
            self.observer.tap(AT + number, direction, data)
        return self


def plan(directory: str = "/raw", part: Part = Part.ALL, *, split: bool = False) -> Plan:
    target = Target(
        Template(directory), lambda: PairEncoder(stamps=True), flusher=Flusher(Timers().call_later), report=print
    )
    return Plan(target, part, split_at_tls=split)


GREETING = (OUT, b"* OK ready\r\n")
FAILED = ((IN, b"a LOGIN bob wrong\r\n"), (OUT, b"a NO no\r\n"))
LOGIN = ((IN, b"b LOGIN bob secret\r\n"), (OUT, b"b OK in\r\n"))
AFTER = ((IN, b"c NOOP\r\n"), (OUT, b"c OK done\r\n"))
WHOLE = (GREETING, *FAILED, *LOGIN, *AFTER)


def test_everything_is_recorded_at_once_where_the_place_is_known() -> None:
    watch = Watch(plan())
    watch.says(GREETING)
    assert watch.opened[0].events == [Chunk(AT, OUT, GREETING[1])]
    watch.says(*FAILED, *LOGIN, *AFTER)
    (only,) = watch.opened
    assert only.side(IN) == b"a LOGIN bob XXXXX\r\nb LOGIN bob XXXXXX\r\nc NOOP\r\n"
    assert only.side(OUT) == b"* OK ready\r\na NO no\r\nb OK in\r\nc OK done\r\n"
    assert watch.announced == ["bob"]
    assert watch.observer.user == "bob"


def test_no_byte_no_recording() -> None:
    watch = Watch(plan())
    watch.observer.mark(AT, "opened", {})
    watch.close("gone")
    assert watch.opened == []


def test_where_the_place_depends_on_the_user_it_is_whole_all_the_same() -> None:
    watch = Watch(plan("/raw/%u"))
    watch.observer.mark(AT, "opened", {"id": "1"})
    watch.says(GREETING, *FAILED, LOGIN[0])
    assert watch.opened == []
    watch.says(LOGIN[1], *AFTER)
    (only,) = watch.opened
    assert only.user == "bob"
    assert only.marks() == ["opened", "login"]
    assert only.side(IN) == b"a LOGIN bob XXXXX\r\nb LOGIN bob XXXXXX\r\nc NOOP\r\n"
    assert only.side(OUT) == b"* OK ready\r\na NO no\r\nb OK in\r\nc OK done\r\n"
    times = [event.at for event in only.events if isinstance(event, Chunk)]
    assert times == [AT, AT + 1, AT + 2, AT + 3, AT, AT + 1, AT + 2]


def test_marks_stay_in_their_place_among_what_was_held() -> None:
    watch = Watch(plan("/raw/%u"))
    watch.observer.mark(AT, "opened", {})
    watch.says(GREETING)
    watch.observer.mark(AT, "tls", {})
    watch.says(*LOGIN)
    watch.observer.mark(AT, "compress", {})
    (only,) = watch.opened
    names = [event.name if isinstance(event, Mark) else event.direction.value for event in only.events]
    assert names == ["opened", "out", "tls", "in", "out", "login", "compress"]


def test_a_failed_login_leaves_nothing() -> None:
    watch = Watch(plan("/raw/%u"))
    watch.says(GREETING, *FAILED)
    watch.close("gone")
    assert watch.opened == []
    assert watch.announced == []


def test_what_is_held_before_the_login_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EARLY_LIMIT", 40)
    watch = Watch(plan("/raw/%u")).says(GREETING, *[(OUT, b"* OK more of it\r\n")] * 10, *LOGIN, *AFTER)
    (only,) = watch.opened
    (gap,) = [event for event in only.events if isinstance(event, Mark) and event.name == "gap"]
    held = only.side(IN) + only.side(OUT)
    total = sum(watch.observer.seen.values())
    assert int(gap.detail["bytes"]) == total - len(held)
    assert "more than 40 bytes before the recording could begin" in gap.detail["cause"]
    assert only.side(IN).endswith(b"c NOOP\r\n")


def test_who_is_not_recorded_is_only_counted() -> None:
    watch = Watch(plan(), refuse=True).says(*WHOLE)
    watch.close("gone")
    assert watch.opened == []
    assert watch.observer.seen == {
        IN: sum(len(d) for w, d in WHOLE if w is IN),
        OUT: sum(len(d) for w, d in WHOLE if w is OUT),
    }


def test_from_the_login_on_it_begins_with_the_answer() -> None:
    (only,) = Watch(plan(part=Part.FROM_LOGIN)).says(*WHOLE).opened
    assert only.side(IN) == b"c NOOP\r\n"
    assert only.side(OUT) == b"b OK in\r\nc OK done\r\n"


def test_from_the_login_on_also_when_all_comes_at_once() -> None:
    client = b"".join(data for where, data in (*LOGIN, *AFTER) if where is IN)
    server = b"".join(data for where, data in (*LOGIN, *AFTER) if where is OUT)
    (only,) = Watch(plan(part=Part.FROM_LOGIN)).says(GREETING, (IN, client), (OUT, server)).opened
    assert only.side(IN) == b"c NOOP\r\n"
    assert only.side(OUT) == b"b OK in\r\nc OK done\r\n"


def test_up_to_the_login_it_ends_there() -> None:
    (only,) = Watch(plan(part=Part.TO_LOGIN)).says(*WHOLE).opened
    assert only.side(IN) == b"a LOGIN bob XXXXX\r\nb LOGIN bob XXXXXX\r\n"
    assert only.side(OUT) == b"* OK ready\r\na NO no\r\n"
    assert only.ended == ["login"]


def test_each_plan_has_its_recording() -> None:
    watch = Watch(plan(), plan("/other/%u", Part.FROM_LOGIN), plan(part=Part.TO_LOGIN)).says(*WHOLE)
    watch.close("gone")
    by_size = sorted(len(recorder.side(OUT)) for recorder in watch.opened)
    whole, after = sum(len(d) for w, d in WHOLE if w is OUT), len(b"b OK in\r\nc OK done\r\n")
    assert by_size == sorted([whole, after, whole - after])
    assert all(recorder.ended in (["gone"], ["login"]) for recorder in watch.opened)


TLS = ((IN, b"s STARTTLS\r\n"), (OUT, b"s OK go\r\n"))


def test_a_plan_may_begin_anew_after_starttls() -> None:
    first, second = Watch(plan(split=True)).says(GREETING, *TLS, *LOGIN).opened
    assert first.side(OUT) == b"* OK ready\r\ns OK go\r\n"
    assert first.ended == ["STARTTLS"]
    assert second.side(IN) == b"b LOGIN bob XXXXXX\r\n"
    assert second.side(OUT) == b"b OK in\r\n"


def test_with_keep_secrets_are_written() -> None:
    (only,) = Watch(plan(), keep=True).says(*WHOLE).opened
    assert b"secret" in only.side(IN)


def test_an_unfinished_line_is_written_at_the_end_and_masked() -> None:
    watch = Watch(plan()).says(GREETING, (IN, b"a LOGIN bob sec"))
    watch.close("client closed")
    (only,) = watch.opened
    assert len(only.side(IN)) == len(b"a LOGIN bob sec")
    assert b"sec" not in only.side(IN)
    assert only.ended == ["client closed"]


@pytest.mark.parametrize("where", ["chunk", "end"])
def test_a_masker_that_raises_ends_the_recording_and_nothing_else(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    watch = Watch(plan()).says(GREETING)

    def mistake(*_: object) -> list[Event]:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(watch.observer._masker, where, mistake)
    with pytest.raises(ZeroDivisionError):
        watch.says(*LOGIN) if where == "chunk" else watch.close("gone")
    (only,) = watch.opened
    if where == "chunk":
        watch.says(*AFTER)  # it is only counted
        assert only.marks() == ["gap"]
        assert "secret" not in repr(only.events)
        watch.close("gone")
    assert only.side(IN) == b""
    assert only.ended == ["gone"]


def test_what_comes_before_a_late_recorder_is_recorded_too() -> None:
    watch = Watch(plan("/raw/%u", Part.FROM_LOGIN), late=True).says(*WHOLE)
    (only,) = watch.opened
    assert only.events == []
    watch.answers[0]()
    watch.says((IN, b"d LOGOUT\r\n"))
    assert only.side(IN) == b"c NOOP\r\nd LOGOUT\r\n"
    assert only.side(OUT) == b"b OK in\r\nc OK done\r\n"


def test_a_conversation_that_ends_before_its_recorder_is_there_is_recorded() -> None:
    watch = Watch(plan("/raw/%u", Part.FROM_LOGIN), plan(), late=True).says(*WHOLE)
    watch.close("gone")
    assert watch.closed == []
    for answer in watch.answers:
        answer()
    assert watch.closed == ["gone"]
    assert [recorder.ended for recorder in watch.opened] == [["gone"]] * len(watch.opened)


def test_a_target_that_raises_keeps_nobody_waiting() -> None:
    watch = Watch(plan())

    def broken(plan: Plan, user: str | None, at: int, answer: Answer) -> None:
        raise LookupError("a mistake of ours")

    watch.observer._records[0]._open = broken
    with pytest.raises(LookupError):
        watch.says((OUT, b"* OK ready\r\n"))
    watch.close("done")
    assert watch.closed == ["done"]


def test_who_waits_for_the_end_is_told_where_nothing_is_recorded() -> None:
    watch = Watch().says(GREETING)
    watch.close("gone")
    assert watch.closed == ["gone"]


# -- what is put off ------------------------------------------------------------------------------------------------


def names(recorder: KeptRecorder) -> list[str | bytes]:
    return [event.data if isinstance(event, Chunk) else event.name for event in recorder.events]


def test_nothing_is_put_off_before_the_login() -> None:
    watch = Watch(plan(), timers=Timers()).says(GREETING, *FAILED, *LOGIN)
    assert watch.announced == ["bob"]
    assert names(watch.opened[0])[-2:] == [LOGIN[1][1], "login"]


def test_after_the_login_understanding_is_put_off_for_a_moment() -> None:
    timers = Timers()
    watch = Watch(plan(), timers=timers).says(*WHOLE)
    (only,) = watch.opened
    assert AFTER[0][1] not in names(only)
    assert watch.observer.seen[IN] == sum(len(data) for direction, data in WHOLE if direction is IN)
    timers.advance(module.PUT_OFF)
    assert names(only)[-2:] == [AFTER[0][1], AFTER[1][1]]
    assert not timers.armed
    watch.says(*AFTER)
    timers.advance(module.PUT_OFF)
    assert names(only)[-4:] == [AFTER[0][1], AFTER[1][1]] * 2


def test_times_and_order_stay_also_with_marks() -> None:
    timers = Timers()
    watch = Watch(plan(), timers=timers).says(GREETING, *LOGIN)
    watch.observer.tap(AT + 7, *AFTER[0])
    watch.observer.mark(AT + 8, "undelivered", {})
    watch.observer.tap(AT + 9, *AFTER[1])
    timers.advance(1.0)
    assert [event.at for event in watch.opened[0].events[-3:]] == [AT + 7, AT + 8, AT + 9]
    watch.observer.mark(AT + 10, "tls", {})
    assert names(watch.opened[0])[-1] == "tls"


def test_no_more_is_put_off_than_the_limits() -> None:
    timers = Timers()
    watch = Watch(plan(), timers=timers).says(GREETING, *LOGIN)
    (only,) = watch.opened
    before = len(only.events)
    watch.says(*[AFTER[0]] * (module.PUT_OFF_CHUNKS - 1))
    assert len(only.events) == before
    watch.says(AFTER[0])
    assert len(only.events) == before + module.PUT_OFF_CHUNKS
    watch.says((OUT, b"* 1 FETCH (BODY[] {99999}\r\n"), (OUT, b"x" * module.PUT_OFF_BYTES))
    assert len(only.events) == before + module.PUT_OFF_CHUNKS + 2
    assert watch.observer._backlog_bytes == 0


def test_the_end_comes_behind_what_was_put_off() -> None:
    timers = Timers()
    watch = Watch(plan(), timers=timers).says(*WHOLE)
    watch.close("gone")
    assert watch.opened[0].side(IN).endswith(AFTER[0][1])
    assert watch.opened[0].ended == ["gone"]
    watch.observer.forget()
    timers.advance(1.0)


def test_who_asks_whether_all_is_written_does_not_get_less() -> None:
    watch = Watch(plan(), timers=Timers()).says(*WHOLE)
    assert watch.observer.healthy()
    assert watch.opened[0].side(OUT).endswith(AFTER[1][1])


def test_a_mistake_in_what_was_put_off_ends_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    timers = Timers()
    watch = Watch(plan(), timers=timers).says(*WHOLE)

    def mistake(*_: object) -> list[Event]:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(watch.observer._masker, "chunk", mistake)
    with pytest.raises(ZeroDivisionError):
        timers.advance(module.PUT_OFF)
    watch.says(*AFTER)
    timers.advance(1.0)
    (only,) = watch.opened
    assert only.marks()[-1] == "gap"
    assert AFTER[0][1] not in names(only)
    assert not watch.observer.healthy()
    watch.close("gone")
    assert only.ended == ["gone"]
