"""Text with its words replaced: all of them where it is content, all that are not the protocols' own elsewhere.

Knows: what in a text is an address, an IP address, an encoded word, a flag, a word. Must not know: which protocol
spoke it, where in a conversation it stands; who calls says whether it is content or free text.
"""

from __future__ import annotations

import re
from collections import Counter
from ipaddress import IPv6Address

from rawlog.dialogue.pseudonyms_names import Names
from rawlog.dialogue.pseudonyms_vocabulary import VOCABULARY

_LOCAL = rb"""[^\s<>()\[\]"',;:\\{}=]"""
ADDRESS = re.compile(rb"(?<!" + _LOCAL + rb")" + _LOCAL + rb"""+@[^\s<>()\[\]"',;:\\{}]+""")
"""It begins where a run of its characters begins: no second try from within a long one."""

DATE = re.compile(
    rb"\s*(?:[A-Za-z]{3}, +)?[0-9 ]?[0-9][ -][A-Za-z]{3}[ -][0-9]{2,4}"
    rb"(?: +[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?: +(?:[-+][0-9]{4}|[A-Z]{1,4}))?(?: +\([A-Z]{1,5}\))?)?\s*"
)
"""A date as RFC 5322 3.3 or RFC 9051 (date, date-time) write it."""

_KEPT = frozenset((b"inbox", b"xxxxxxxx", b"nil", b"urlauth", b"vxnlcm5hbwu6", b"ugfzc3dvcmq6"))
"""INBOX means the same to everybody; what stands for a secret, and what asks for one, must be recognised."""

_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IP = (
    rb"(?P<ip4>(?<![0-9A-Za-z.])" + _OCTET + rb"(?:\." + _OCTET + rb"){3}(?![0-9A-Za-z]|\.[0-9]))"
    rb"|(?P<ip6>(?<![0-9A-Za-z])(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:]{2,39}(?![0-9A-Za-z:]))"
)
_ENCODED = rb"(?P<encoded>=\?[A-Za-z0-9_.*:+-]+\?[BbQq]\?[^?\s]*\?=)"
_UTF7 = rb"(?P<utf7>&[A-Za-z0-9+,]+-)"
_WORD = rb"(?P<word>[A-Za-z0-9\x80-\xff]+)"
_DOTTED = rb"(?P<dotted>(?<![A-Za-z0-9_-])[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+)"
"""The name of a host, or an item such as BODY.PEEK."""
_RUN = re.compile(rb"[A-Za-z0-9]+")
_CONTENT = re.compile(b"|".join((_IP, _ENCODED, _UTF7, _WORD)))
_FREE = re.compile(b"|".join((_IP, _ENCODED, _UTF7, _DOTTED, _WORD)))
_QP_LETTER = rb"=(?:[89A-F][0-9A-F]|3[0-9]|4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A])"
_QP = re.compile(
    b"|".join((_IP, rb"(?P<word>(?:[A-Za-z0-9\x80-\xff]|" + _QP_LETTER + rb")+)", rb"(?P<escape>=[0-9A-F]{2})"))
)
_QP_UNIT = re.compile(rb"=[0-9A-F]{2}|[\x00-\xff]", re.DOTALL)


class Text:
    """Replaces words under one mapping, and counts what kind of thing it replaced."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.counts: Counter[str] = Counter()

    def content(self, data: bytes, kind: str) -> bytes:
        """The text with every word replaced; ``kind`` is what it is, for the report."""
        if not data:
            return data
        made = _CONTENT.sub(self._content, data)
        if made != data:
            self.counts[kind] += 1
            self.counts["addresses"] += len(ADDRESS.findall(data))
        return made

    def free(self, data: bytes) -> bytes:
        """The text with every word replaced that is not the protocols' own; numbers stay, addresses do not."""
        made: list[bytes] = []
        at = 0
        for address in ADDRESS.finditer(data):
            made += (_FREE.sub(self._free, data[at : address.start()]), _CONTENT.sub(self._content, address[0]))
            self.counts["addresses"] += 1
            at = address.end()
        made.append(_FREE.sub(self._free, data[at:]))
        return b"".join(made)

    def encoded(self, data: bytes) -> bytes:
        """The same for text that may be quoted-printable (RFC 2045 6.7): a line of a body."""
        return _QP.sub(self._quoted, data)

    def _content(self, found: re.Match[bytes]) -> bytes:
        kind, token = found.lastgroup, found[0]
        if kind == "word":
            return token if token.lower() in _KEPT else self.names.word(token)
        if kind == "encoded":
            return self._encoded_word(token)
        return self._ip(kind, token) if kind in ("ip4", "ip6") else self.names.utf7(token)

    def _free(self, found: re.Match[bytes]) -> bytes:
        kind, token = found.lastgroup, found[0]
        if kind == "dotted":
            known = all(map(_is_known, _RUN.findall(token)))
            self.counts["names of hosts and of other dotted things"] += not known
            return token if known else _CONTENT.sub(self._content, token)
        if kind == "word":
            if _is_known(token):
                return token
            self.counts["words in commands and answers"] += 1
            return self.names.word(token)
        return self._content(found)

    def _quoted(self, found: re.Match[bytes]) -> bytes:
        kind, token = found.lastgroup, found[0]
        if kind == "escape":
            return token
        if kind in ("ip4", "ip6"):
            return self._ip(kind, token)
        if b"=" not in token:
            return self.names.word(token)
        units = _QP_UNIT.findall(token)
        word = self.names.word(bytes(int(unit[1:], 16) if len(unit) > 1 else unit[0] for unit in units))
        return b"".join(b"=%02X" % new if len(old) > 1 else bytes((new,)) for old, new in zip(units, word, strict=True))

    def _encoded_word(self, token: bytes) -> bytes:
        """An encoded word of a header (RFC 2047 2)."""
        start = token.index(b"?", token.index(b"?", 2) + 1) + 1
        payload = token[start:-2]
        is_base64 = token[start - 2 : start - 1] in b"Bb"
        return token[:start] + (self.names.base64(payload) if is_base64 else self.encoded(payload)) + b"?="

    def _ip(self, kind: str | None, token: bytes) -> bytes:
        if kind == "ip6":
            try:
                IPv6Address(token.decode())
            except ValueError:  # a time of the day, or anything else with colons
                return self._unlike_ip(token)
            self.counts["IP addresses"] += 1
            return self.names.ip6(token)
        self.counts["IP addresses"] += 1
        return self.names.ip4(token)

    def _unlike_ip(self, token: bytes) -> bytes:
        return re.sub(rb"[A-Za-z0-9]+", lambda w: w[0] if w[0].isdigit() else self.names.word(w[0]), token)


def _is_known(word: bytes) -> bool:
    """Whether a word in free text stays: a number, or one of the protocols' own."""
    return word.isdigit() or word.lower() in VOCABULARY or word.lower() in _KEPT
