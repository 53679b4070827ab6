"""What the service makes of its process, tried in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.dropin import python_path


def run(code: str) -> str:
    asked = subprocess.run(
        [sys.executable, "-c", "import os, resource\nfrom rawlog.taps.postlogin_process import *\n" + code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": python_path()},
        timeout=30,
    )
    assert asked.returncode == 0, asked.stderr
    return asked.stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be given up")
def test_root_is_given_up_for_good() -> None:
    said = run(
        "name = give_up_root()\n"
        "print(name in ('rawlog', 'nobody', '65534'), 0 in os.getresuid() + os.getresgid(), os.getgroups())\n"
        "for attempt in (lambda: os.setuid(0), lambda: os.setgroups([0]), lambda: os.setgid(0),\n"
        "                lambda: os.chown('/', 0, 0), lambda: open('/etc/shadow')):\n"
        "    try:\n"
        "        attempt()\n"
        "        print('done')\n"
        "    except PermissionError:\n"
        "        print('denied')\n"
        "status = open('/proc/self/status').read()\n"
        "print(status.count('0000000000000000', status.index('CapInh'), status.index('CapBnd')))\n"
    )
    assert said.split("\n") == ["True False []", *["denied"] * 5, "3"]


def test_nobody_else_looks_into_its_memory() -> None:
    said = run(
        "give_up_root()\nprint(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))\n"
    )
    assert said == "0 (0, 0)"


@pytest.mark.skipif(os.geteuid() == 0, reason="for ordinary users")
def test_an_ordinary_user_stays_who_it_is() -> None:
    assert run("print(repr(give_up_root()), os.geteuid())") == f"'' {os.geteuid()}"


def test_there_is_room_for_the_descriptors_of_all_places() -> None:
    said = run(
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "make_room(30)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
        "make_room(10)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    )
    assert said == "184\n184"


def test_memory_settles_where_malloc_can_be_told() -> None:
    assert run("print(settle_memory())") in ("True", "False")
