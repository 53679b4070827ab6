"""Kinds of values: what is taken, how it is shown, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlog.errors import ConfigError
from rawlog.settings import values
from rawlog.settings.values import Kind, Space


@pytest.mark.parametrize(
    ("kind", "text", "value", "shown"),
    [
        (values.BOOL, "yes", True, "yes"),
        (values.BOOL, "Y", True, "yes"),
        (values.BOOL, "0", False, "no"),
        (values.TIME, "0", 0, "0"),
        (values.TIME, "30s", 30, "30 secs"),
        (values.TIME, "5 Min", 300, "5 mins"),
        (values.TIME, "90 secs", 90, "90 secs"),
        (values.TIME, "24 hours", 86400, "1 days"),
        (values.TIME, "7 days", 604800, "1 weeks"),
        (values.TIME_OR_UNLIMITED, "Unlimited", None, "unlimited"),
        (values.TIME_OR_UNLIMITED, "0", None, "unlimited"),
        (values.SIZE_OR_UNLIMITED, "64M", 64 << 20, "64 M"),
        (values.SIZE_OR_UNLIMITED, "64 kB", 64 << 10, "64 k"),
        (values.SIZE_OR_UNLIMITED, "1 TiB", 1 << 40, "1 T"),
        (values.SIZE_OR_UNLIMITED, "500", 500, "500 B"),
        (values.SIZE_OR_UNLIMITED, "5 b", 5, "5 B"),
        (values.SPACE, "10% 4 G", Space(10, 4 << 30), "10% 4 G"),
        (values.SPACE, "10%,4G", Space(10, 4 << 30), "10% 4 G"),
        (values.SPACE, "5%", Space(5), "5%"),
        (values.SPACE, "1G", Space(None, 1 << 30), "1 G"),
        (values.SPACE, "unlimited", Space(), "unlimited"),
        (values.WORKERS, "auto", 0, "auto"),
        (values.WORKERS, "4", 4, "4"),
        (values.MODE, "0660", 0o660, "0660"),
        (values.MODE, "00", 0, "0000"),
        (values.PORT, "143", 143, "143"),
        (values.WORDS, "a, b  c", ("a", "b", "c"), "a b c"),
        (values.ADDRESSES, "*, ::", ("*", "::"), "* ::"),
        (values.ADDRESSES, "localhost 10.0.0.1", ("localhost", "10.0.0.1"), "localhost 10.0.0.1"),
        (values.DIRECTORY, "", "", ""),
        (values.DIRECTORY, "/var/lib/rawlog/%u", "/var/lib/rawlog/%u", "/var/lib/rawlog/%u"),
        (values.DIRECTORY, "%h/rawlog", "%h/rawlog", "%h/rawlog"),
        (values.DIRECTORY, "tcp:collector:29000", "tcp:collector:29000", "tcp:collector:29000"),
        (values.DIRECTORY, "tcp:[::1]:29000", "tcp:[::1]:29000", "tcp:[::1]:29000"),
        (values.ABSOLUTE, "/run/dovecot/", "/run/dovecot", "/run/dovecot"),
        (values.ABSOLUTE, "/", "/", "/"),
        (values.PATH, "", "", ""),
        (values.LOG, "", "/dev/stderr", "/dev/stderr"),
        (values.LOG, "syslog", "syslog", "syslog"),
        (values.LOG, "/var/log/rawlog", "/var/log/rawlog", "/var/log/rawlog"),
        (values.FILE, "", "", ""),
        (values.USER, "", "", ""),
        (values.USER, "rawlog", "rawlog", "rawlog"),
        (values.HOME, "/home/%d/%n", "/home/%d/%n", "/home/%d/%n"),
        (values.HOME, "", "", ""),
        (values.USER_TEXT, "%Lu", "%Lu", "%Lu"),
        (values.BACKEND, "", None, ""),
        (values.choice("TLSv1.2", "ANY"), "tlsv1.2", "TLSv1.2", "TLSv1.2"),
    ],
)
def test_values(kind: Kind, text: str, value: object, shown: str) -> None:
    assert kind.parse(text) == value
    assert kind.show(value) == shown
    assert kind.parse(shown) == value


def test_networks() -> None:
    found = values.NETWORKS.parse("127.0.0.1, 10.1.2.3/8 2001:db8::/32")
    assert values.NETWORKS.show(found) == "127.0.0.1/32 10.0.0.0/8 2001:db8::/32"


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (values.BOOL, "true", "give yes or no"),
        (values.BOOL, "", "give yes or no"),
        (values.TIME, "5", "the unit is missing: write 5 secs, 5 mins, 5 hours or 5 days"),
        (values.TIME, "5 foo", "give a number and a unit"),
        (values.TIME, "-5s", "give a number and a unit"),
        (values.TIME, "", "give a number and a unit"),
        (values.SIZE_OR_UNLIMITED, "1.5M", "as in 64 M"),
        (values.SIZE_OR_UNLIMITED, "5 BB", "as in 64 M"),
        (values.SIZE_OR_UNLIMITED, "", "as in 64 M"),
        (values.SPACE, "101%", "as in 10% 4 G; or unlimited"),
        (values.SPACE, "", "as in 10% 4 G; or unlimited"),
        (values.SPACE, "10% foo", "as in 64 M"),
        (values.WORKERS, "0", "give auto, or a number from 1 to 999"),
        (values.MODE, "0888", "give an octal mode"),
        (values.PORT, "65536", "give a port"),
        (values.PORT, "imap", "give a port"),
        (values.NETWORKS, "10.0.0.0/99", "'10.0.0.0/99' is no address and no network: write 10.0.0.1 or 10.0.0.0/8"),
        (values.ADDRESSES, "10.0.0.256", "an address: '10.0.0.256' is not an IPv4 address"),
        (values.ADDRESSES, "[::1]", "an address: '[::1]' is not an IPv6 address"),
        (values.DIRECTORY, "rawlogs", "'rawlogs': not an absolute path"),
        (values.DIRECTORY, "~/rawlog", "begin it with / or with %h/"),
        (values.DIRECTORY, "/x/%q", "unknown variable %q"),
        (values.DIRECTORY, "tcp:h", "the port of the collector is missing: write tcp:HOST:PORT"),
        (values.DIRECTORY, "tcp:%d:1", "a collector: '%d' is not a host name"),
        (values.ABSOLUTE, "run", "give an absolute path, beginning with '/'"),
        (values.FILE, "/etc/c.pem", "'<' is missing before the file's name: write </etc/c.pem"),
        (values.FILE, "-----BEGIN", "write </PATH"),
        (values.USER, "a b", "give the name of a user of this system"),
        (values.USER, "$default", "give the name of a user of this system"),
        (values.HOME, "~/x", "give an absolute path"),
        (values.HOME, "/home/%s", "%s is not known while a user is looked up"),
        (values.USER_TEXT, "%", "no variable after the %"),
        (values.BACKEND, "mail", "a scheme is missing"),
        (values.choice("a", "b", "c"), "d", "give a, b or c"),
    ],
)
def test_refused(kind: Kind, text: str, message: str) -> None:
    with pytest.raises((ValueError, ConfigError)) as error:
        kind.parse(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("space", "most", "least"),
    [
        (Space(10, 40), 40, 100),
        (Space(10, 400), 100, 400),
        (Space(10), 100, 100),
        (Space(None, 7), 7, 7),
        (Space(), None, 0),
    ],
)
def test_of_a_share_and_a_size_the_stricter_holds(space: Space, most: int | None, least: int) -> None:
    assert space.most(1000) == most
    assert space.least(1000) == least


@pytest.mark.parametrize(
    ("show", "parse", "largest"),
    [(values.show_time, values.parse_time, 10**12 - 1), (values.show_size, values.parse_size, 10**15 - 1)],
)
def test_shown_numbers_read_back(show: Callable[[int], str], parse: Callable[[str], int], largest: int) -> None:
    @given(st.integers(0, largest))
    def check(number: int) -> None:
        assert parse(show(number)) == number

    check()


@pytest.mark.parametrize(
    "kind", [values.BOOL, values.TIME, values.SPACE, values.NETWORKS, values.DIRECTORY, values.HOME]
)
def test_no_text_raises_anything_else(kind: Kind) -> None:
    @given(st.text(max_size=20))
    def check(text: str) -> None:
        result: Any = None
        try:
            result = kind.parse(text)
        except (ValueError, ConfigError):
            return
        assert kind.parse(kind.show(result)) == result

    check()
