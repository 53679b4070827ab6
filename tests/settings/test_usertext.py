"""Texts with a user's name in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlog.errors import ConfigError
from rawlog.settings.usertext import Fields, UserText


@pytest.mark.parametrize(
    ("text", "user", "expanded"),
    [
        ("/home/%u", "alice@example.com", "/home/alice@example.com"),
        ("/home/%d/%n", "alice@example.com", "/home/example.com/alice"),
        ("/home/%d/%n", "alice", "/home//alice"),
        ("%Lu %Uu", "Alice", "alice ALICE"),
        ("%{user} %{username} %{domain}", "a@b", "a@b a b"),
        ("maildir:%h/M", "alice", "maildir:/M"),
        ("100%%", "alice", "100%"),
        ("/home/%1Mu/%u", "alice@example.com", "/home/c/alice@example.com"),
        ("%1Md", "alice", ""),
        ("%2n", "alice", "al"),
        ("/home/%u", "ü b", "/home/ü b"),
    ],
)
def test_expansion(text: str, user: str, expanded: str) -> None:
    assert UserText(text).expand(user) == expanded


@pytest.mark.parametrize(
    ("user", "home"),
    [
        ("../../etc", "/home/=2E.=2F..=2Fetc"),
        ("a/b", "/home/a=2Fb"),
        (".", "/home/=2E"),
        ("..", "/home/=2E."),
        ("a\0b", "/home/a=00b"),
    ],
)
def test_a_name_does_not_leave_its_component(user: str, home: str) -> None:
    assert UserText("/home/%u").expand(user) == home
    assert UserText("%u").expand(user, plain=True) == user


@given(st.text(max_size=30))
def test_no_name_leaves_the_directory(user: str) -> None:
    home = UserText("/home/x%n/mail").expand(user)
    parts = home.split("/")
    assert parts[:2] == ["", "home"]
    assert len(parts) == 4
    assert "\0" not in home


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/home/%q", "'/home/%q': unknown variable %q"),
        ("/home/%", "'/home/%': no variable after the %; write %% for a percent sign"),
        ("%{nosuch}", "'%{nosuch}': unknown variable %{nosuch}"),
        ("/x/%s", "'/x/%s': %s is not known while a user is looked up; there are %u, %n and %d"),
        ("%Zu", "'%Zu': unknown modifier Z"),
    ],
)
def test_wrong_text(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        UserText(text)
    assert str(error.value).startswith(message)


def test_fixed_text() -> None:
    assert UserText("a%%b").fixed
    assert not UserText("a%nb").fixed


def test_fields() -> None:
    fields = Fields("home=/home/%d/%n quota=yes flag empty= x=a=b")
    assert fields.expand("a@b") == {"home": "/home/b/a", "quota": "yes", "flag": "", "empty": "", "x": "a=b"}
    assert fields.pop("quota") == "yes"
    assert fields.pop("quota") is None
    assert list(fields.expand("a")) == ["home", "flag", "empty", "x"]
