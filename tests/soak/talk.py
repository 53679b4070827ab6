"""Conversations that are known to the last byte from their number: what is said, what is answered, what is recorded.

Knows: IMAP, POP3 and submission as far as a gateway needs them. Must not know: sockets, and what is measured.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

PASSWORD = b"S0ak-Canary"
KINDS = ("plain", "plain", "plain", "plain", "tls", "slow", "half", "reset")
"""How a client behaves: as usual, by TLS, reading late, half-closing at its end, gone in the middle."""

Step = tuple[bytes, bytes]  # what the client says, what the server answers to it


@dataclass(frozen=True)
class Talk:
    """One conversation. ``login``: its steps up to the login, ``rest``: those that are recorded."""

    number: int
    protocol: str
    kind: str
    login: list[Step]
    rest: list[Step]

    def recorded(self) -> tuple[bytes, bytes]:
        """What a recording from the login on holds of client and server: the login's answer is in it."""
        said = b"".join(command for command, _ in self.rest)
        return said, self.login[-1][1] + b"".join(answer for _, answer in self.rest)


def talk_of(number: int) -> Talk:
    """The conversation of a number: the first command behind the login holds it."""
    source = random.Random(number)
    protocol, kind = source.choice(("imap", "imap", "pop3", "submission")), source.choice(KINDS)
    sizes = [source.choice((0, 30, 500, 4_000, 60_000)) for _ in range(source.randrange(1, 12))]
    if kind in ("slow", "reset"):
        sizes.append(700_000)
    maker = {"imap": _imap, "pop3": _pop3, "submission": _submission}[protocol]
    login, rest = maker(number, sizes)
    return Talk(number, protocol, kind, login, rest)


def answer_to(protocol: str, line: bytes) -> bytes:
    """What the servers of the soak answer; empty: nothing, for the line is content."""
    words = line.split()
    if protocol == "imap":
        tag, verb = words[0], words[1].upper()
        bulk = _literal(int(words[2])) if verb == b"ECHO" else b""
        return bulk + (b"* BYE bye\r\n" if verb == b"LOGOUT" else b"") + tag + b" OK done\r\n"
    if protocol == "pop3":
        return b"+OK\r\n" + _lines(int(words[1])) + b".\r\n" if words[0] == b"RETR" else b"+OK done\r\n"
    return b"235 ok\r\n" if words[0] == b"AUTH" else b"250 done " + b"x" * min(400, len(line)) + b"\r\n"


GREETING = {"imap": b"* OK ready\r\n", "pop3": b"+OK ready\r\n", "submission": b"220 ready\r\n"}
LAST = {"imap": b"LOGOUT", "pop3": b"QUIT", "submission": b"QUIT"}


def _steps(protocol: str, lines: list[bytes]) -> list[Step]:
    return [(line, answer_to(protocol, line)) for line in lines]


def _imap(number: int, sizes: list[int]) -> tuple[list[Step], list[Step]]:
    lines = [b"n%d NOOP\r\n" % number, *(b"e%d ECHO %d\r\n" % pair for pair in enumerate(sizes)), b"z LOGOUT\r\n"]
    return _steps("imap", [b"a LOGIN soak " + PASSWORD + b"\r\n"]), _steps("imap", lines)


def _pop3(number: int, sizes: list[int]) -> tuple[list[Step], list[Step]]:
    lines = [b"DELE %d\r\n" % number, *(b"RETR %d\r\n" % size for size in sizes), b"QUIT\r\n"]
    return _steps("pop3", [b"USER soak\r\n", b"PASS " + PASSWORD + b"\r\n"]), _steps("pop3", lines)


def _submission(number: int, sizes: list[int]) -> tuple[list[Step], list[Step]]:
    lines = [b"NOOP %d\r\n" % number, *(b"NOOP " + b"y" * min(900, size) + b"\r\n" for size in sizes), b"QUIT\r\n"]
    return _steps("submission", [b"AUTH PLAIN AHNvYWsAUzBhay1DYW5hcnk=\r\n"]), _steps("submission", lines)


def _lines(size: int) -> bytes:
    return b"".join(b"%07d\r\n" % number for number in range(size // 9))


def _literal(size: int) -> bytes:
    return b"* ECHO {%d}\r\n" % size + b"".join(b"%07d\n" % number for number in range(size // 8 + 1))[:size] + b"\r\n"
