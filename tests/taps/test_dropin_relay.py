"""The drop-in's child: what a real Dovecot recorded comes out again, and nothing is lost at the end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rawlog.events import Direction
from rawlog.formats.dovecot import PairDecoder
from tests.support.dropin import House, Login, received
from tests.support.golden import FOLDER, normal
from tests.support.postlogin import wait_until

CASES = {
    "postlogin_rawlog_plain": "",
    "postlogin_rawlog_t": "-t",
    "postlogin_rawlog_b": "-b",
    "postlogin_rawlog_fin": "-f in",
    "postlogin_rawlog_foutt": "-f out -t",
    "postlogin_rawlog_ip": "-I",
    "postlogin_client_close": "-t",
    "postlogin_term_imap": "-t",
    "postlogin_kill9_imap": "-t",
    "postlogin_dovecot_stop": "-t",
}


@pytest.fixture(scope="module")
def shared_house() -> Iterator[House]:
    house = House()
    yield house
    house.remove()


@pytest.fixture
def house(shared_house: House) -> Iterator[House]:
    yield shared_house
    shared_house.empty()


def replay(login: Login, case: str) -> None:
    """Says and answers again what was said behind the login, each piece when the one before has arrived."""
    transcript = [
        (kind, text.encode("latin-1"))
        for _, _, kind, text in json.loads((FOLDER / case / "transcript.json").read_text("utf-8"))
    ]
    begin = next(number for number, (kind, text) in enumerate(transcript) if kind == "C" and b" LOGIN " in text)
    for number, (kind, text) in enumerate(transcript[begin + 1 :], begin + 1):
        answers = [answer for other, answer in transcript[number:] if other == "S"]
        heard = answers and not answers[0].startswith(b"* BYE Server shutting down")
        if kind == "C" and heard:  # else the mail process was dead already
            login.say(text)
        elif kind == "S":
            login.answer(text)
    login.end()


def text_of(path: Path, options: str) -> bytes:
    decoder = PairDecoder(Direction.OUT, stamps="t" in options.split("-")[-1], boundaries="-b" in options)
    return b"".join(chunk.data for chunk in [*decoder.feed(path.read_bytes()), *decoder.end()])


@pytest.mark.parametrize("case", CASES)
def test_what_dovecot_recorded_is_recorded_again(house: House, case: str) -> None:
    options = CASES[case]
    settings = json.loads((FOLDER / case / "case.json").read_text("utf-8"))["settings"]
    assert re.search(r"script-login -d rawlog ?(.*)", settings)[1].strip() == options  # type: ignore[index]
    replay(login := Login(house, *options.split()), case)
    theirs = {path.suffix: path for path in (FOLDER / case).glob("*-*")}
    ours = {path.suffix: path for path in house.place.iterdir()}
    assert ours.keys() == theirs.keys()
    for ending, path in ours.items():
        login.recording(ending[1:])  # complete
        if ending == ".in":
            assert normal(path.read_bytes()) == normal(theirs[ending].read_bytes())
        else:
            assert text_of(path, options) == text_of(theirs[ending], options)
            assert path.read_bytes().count(b"<<<\n") == theirs[ending].read_bytes().count(b"<<<\n")


def test_boundaries_and_stamps_together(house: House) -> None:
    login = Login(house, "-bt")
    for piece in (b"a3 ", b"NO", b"OP\r\n"):
        login.say(piece)
        login.answer(b"* " + piece)
    login.end()
    assert re.fullmatch(rb"<<<\n\d{10}\.\d{6} a3 >>>\n<<<\nNO>>>\n<<<\nOP\r\n>>>\n", login.recording())


def test_after_the_clients_end_the_answer_still_comes(house: House) -> None:
    login = Login(house, "-t")
    assert login.server is not None
    login.client.sendall(b"a2 LOGOUT\r\n")
    login.client.shutdown(socket.SHUT_WR)
    assert received(login.server, 100) == b"a2 LOGOUT\r\n"
    login.server.sendall(b"* BYE\r\n")
    login.server.close()
    assert received(login.client, 100) == b"* BYE\r\n"
    login.client.close()
    assert login.recording("out").endswith(b" * BYE\r\n")


@pytest.mark.parametrize("size", [197_000, 204_000, 2_000_000])
def test_what_the_client_did_not_read_yet_is_not_lost_at_the_end(house: House, size: int) -> None:
    login = Login(house)
    assert login.server is not None
    data = os.urandom(size)
    login.server.settimeout(None)
    sender = os.fork()
    if sender == 0:  # the mail process says it all and is gone
        login.server.sendall(data)
        os._exit(0)
    login.server.close()
    time.sleep(0.5)  # the client's window is full meanwhile
    assert received(login.client, size + 1) == data
    os.waitpid(sender, 0)
    login.client.close()
    assert login.recording("out") == data


def test_sigterm_writes_everything_and_ends(house: House) -> None:
    """On purpose not as Dovecot's rawlog, which ignores it (golden case postlogin_sigterm_rawlog)."""
    login = Login(house, "-t")
    login.say(b"a2 NOOP\r\na4 part")
    (child,) = relays(house)
    os.kill(child, signal.SIGTERM)
    assert login.client.recv(10) == b""
    assert normal(login.recording()) == b"TS a2 NOOP\r\nTS a4 part"
    login.end()


def test_within_a_second_it_can_be_read(house: House) -> None:
    login = Login(house, "-t")
    login.say(b"a2 NOOP\r\n")
    path = next(house.place.glob("*.in"))
    wait_until(lambda: path.read_bytes().endswith(b" a2 NOOP\r\n"))
    login.end()


def test_the_relay_survives_what_is_meant_for_the_program(house: House) -> None:
    login = Login(house, "-t")
    login.say(b"a")
    (child,) = relays(house)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        os.kill(child, number)
    login.say(b"b")
    held = {entry.readlink().name for entry in Path(f"/proc/{child}/fd").iterdir()}
    assert sum(name.startswith("socket") for name in held) == 4  # client, mail process, and the loop's own pair
    login.end()


def relays(house: House) -> list[int]:
    """The children that relay for this house."""
    asked = subprocess.run(["pgrep", "-f", f"{house.directory}/opt/lib"], capture_output=True, text=True)
    return [int(word) for word in asked.stdout.split()]
