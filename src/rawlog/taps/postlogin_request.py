"""What a mail process asks a post-login socket, and what it is answered: Dovecot's script-login protocol, 1.0.

Knows: the two lines, and tab-escaping. Must not know: sockets, descriptors, what a recording is.

    VERSION TAB script-login TAB 1 TAB 0 LF
    local ip TAB remote ip TAB user TAB field TAB field ... LF

The client's descriptor comes with it. The answer is ``user TAB field TAB field ... LF``, from which the mail process
takes its fields; so they go back as they came, byte for byte, those we don't know too. A descriptor with the answer
takes the client's place; without one the mail process keeps the client. An empty line would crash imap 2.3.19.

Our own drop-in speaks on the same socket, under another name in the version line (see dropin_handover.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from rawlog.errors import FormatError

LIMIT = 64 << 10
"""Bytes of a request. Fields are a few hundred; the mail process itself takes no more than this."""

_ESCAPED = re.compile(rb"\x01(.)", re.DOTALL)
_MEANS = {b"0": b"\0", b"1": b"\1", b"t": b"\t", b"r": b"\r", b"n": b"\n"}
DIRECTORY_FIELD = "rawlog_postlogin_dir"
"""The field of userdb that says where one user is recorded, without a look at the home; empty: in the home only. It is
not called ``rawlog_dir``, for that would make Dovecot's mail process record as well."""
SCRIPT_LOGIN = b"script-login"
_USUAL = b"VERSION\tscript-login\t1\t"
DROPIN = b"rawlog-dropin"


class Request(NamedTuple):
    """A login. ``fields`` are those of the userdb, unescaped; never show them, ``auth_token`` is a secret."""

    local: str
    remote: str
    user: str
    fields: Mapping[str, str]
    answer: bytes

    @property
    def home(self) -> str:
        """The home directory as a path of the whole system; empty when the userdb returned none."""
        home = self.fields.get("home", "")
        return f"{self.fields.get('chroot', '')}{home}" if home else ""

    def number(self, name: str) -> int | None:
        """A field that is a number: uid, gid. None when it is missing or none."""
        text = self.fields.get(name, "")
        return int(text) if text.isascii() and text.isdigit() else None


def is_complete(data: bytes) -> bool:
    """Whether all of a request is there: both lines."""
    return data.count(b"\n") >= 2


def speaker(data: bytes) -> bytes:
    """Who asks: SCRIPT_LOGIN or DROPIN. Raises FormatError when it is somebody else, or another version."""
    if data.startswith(_USUAL):
        return SCRIPT_LOGIN
    words = data.split(b"\n", 1)[0].split(b"\t")
    if len(words) < 4 or words[0] != b"VERSION" or words[1] not in (SCRIPT_LOGIN, DROPIN):
        raise FormatError("post-login socket: something connected that is no mail process of Dovecot")
    if words[2] != b"1":
        raise FormatError(f"post-login socket: script-login protocol {ascii(words[2])[1:]} is not known, only 1")
    return words[1]


def parse_request(data: bytes) -> Request:
    """Reads a complete request. Raises FormatError when the second line is none."""
    line = data.split(b"\n", 2)[1]
    words = line.split(b"\t")
    if len(words) < 3 or not words[2]:
        raise FormatError("post-login socket: a request without a user; is this Dovecot?")
    local, remote, user, *fields = unescaped(line, words)
    known = dict([field.split("=", 1) for field in fields if "=" in field])
    answer = b"\t".join(words[2:]) + b"\n"
    return Request(local, remote, user, known, answer)


def unescaped(line: bytes, words: list[bytes]) -> list[str]:
    """The words of a line without their escapes: at once where there are none, as at nearly every login."""
    if b"\1" in line:
        return [unescape(word) for word in words]
    return line.decode(errors="surrogateescape").split("\t")


def unescape(word: bytes) -> str:
    r"""One field without its escapes; any byte behind 0x01 that means nothing stands for itself.

    >>> unescape(b"a\x01tb\x01x")
    'a\tbx'
    """
    word = _ESCAPED.sub(lambda found: _MEANS.get(found[1], found[1]), word)
    return word.decode(errors="surrogateescape")
