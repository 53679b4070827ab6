"""The names of both families, and nothing else."""

from __future__ import annotations

import pytest

from rawlog.events import Direction
from rawlog.reading.names import HalfName, parse_name
from tests.support import golden


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        (
            "20261122-220657.3831.1.in",
            HalfName("20261122-220657.3831.1", Direction.IN, "20261122-220657", 3831, 1, None),
        ),
        ("20261122-221434-8155.out", HalfName("20261122-221434-8155", Direction.OUT, "20261122-221434", 8155, 0, None)),
        (
            "127.0.0.1-20261122-221446-9418.in",
            HalfName("127.0.0.1-20261122-221446-9418", Direction.IN, "20261122-221446", 9418, 0, "127.0.0.1"),
        ),
        (
            "2001:db8::1-20261122-221446-9418.2.in",
            HalfName("2001:db8::1-20261122-221446-9418.2", Direction.IN, "20261122-221446", 9418, 2, "2001:db8::1"),
        ),
    ],
)
def test_names_of_both_families_are_understood(name: str, parsed: HalfName) -> None:
    assert parse_name(name) == parsed


@pytest.mark.parametrize(
    "name",
    [
        "Makefile.in",
        "20261122-220657.3831.in",
        "20261122-220657.3831.1",
        "20261122-220657.3831.1.in.gz",
        "127.0.0.1-20261122-220657.3831.1.in",
        "x-20261122-221446-9418.in",
        "20261122-221446-.in",
        "",
    ],
)
def test_other_names_are_not(name: str) -> None:
    assert parse_name(name) is None


def test_every_name_of_dovecot_is_understood() -> None:
    names = [path.name for path in golden.files(".in", ".out")]
    assert names
    assert all(parse_name(name) for name in names)


def test_names_sort_by_start_pid_and_number() -> None:
    names = ["20261122-220658.9.1.in", "20261122-220657.30.2.in", "20261122-220657.30.10.in", "20261122-220657.4.1.in"]
    orders = {name: parsed.order for name in names if (parsed := parse_name(name))}
    assert sorted(orders, key=lambda name: orders[name]) == [names[3], names[1], names[2], names[0]]
