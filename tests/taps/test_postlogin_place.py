"""Where a login is recorded besides the home."""

from __future__ import annotations

import pytest

from rawlog.recorder.directory import NotRecorded
from rawlog.settings.variables import Template
from rawlog.taps.postlogin_place import directory_of
from rawlog.taps.postlogin_request import DIRECTORY_FIELD, Request


def place(template: str | None, **fields: str) -> str | NotRecorded:
    request = Request("192.0.2.1", "198.51.100.7", "alice@example.com", fields, b"")
    return directory_of(Template(template) if template else None, request, 4711)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("/raw/%u", "/raw/alice@example.com"),
        ("/raw/%d/%n", "/raw/example.com/alice"),
        ("/raw/%r-%l-%p-%i", "/raw/198.51.100.7-192.0.2.1-4711-5000"),
        ("%h/raw", "/home/alice/raw"),
        (None, ""),
    ],
)
def test_variables(template: str | None, expected: str) -> None:
    assert place(template, home="/home/alice", uid="5000", gid="5001") == expected


def test_the_field_of_a_user_takes_its_place() -> None:
    assert place("/raw/%u", **{DIRECTORY_FIELD: "/other/%n"}) == "/other/alice"
    assert place(None, **{DIRECTORY_FIELD: "/other"}) == "/other"
    assert place("/raw/%u", **{DIRECTORY_FIELD: ""}) == ""


def test_no_home_is_no_directory_there() -> None:
    assert place("%h/raw") == ""


@pytest.mark.parametrize("text", ["relative", "/x/%{nothing}", "/x/%s", "/x\0y"])
def test_a_field_that_is_wrong_is_told(text: str) -> None:
    answer = place("/raw/%u", **{DIRECTORY_FIELD: text})
    assert isinstance(answer, NotRecorded)
    assert not answer.expected
    assert answer.reason.startswith(f"userdb field {DIRECTORY_FIELD}: ")
