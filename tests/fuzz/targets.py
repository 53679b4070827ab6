"""All targets by name, each with the inputs it begins with.

Knows: which target takes which corpus. Must not know: how a target is run (run.py, test_targets.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.fuzz import corpus, targets_formats, targets_framers, targets_texts
from tests.fuzz.shape import CUT, SIGN, TURN


@dataclass(frozen=True)
class Target:
    """``check`` raises when a promise is broken for an input; ``seeds`` are inputs to begin with."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]


def _recorded() -> Sequence[bytes]:
    """Golden recordings, with the signs of shape.py taken out."""
    files = corpus.recorded(".in", ".out", ".log")
    return [*_NATIVE, *(data.translate(None, bytes((SIGN, TURN, CUT))) for data in files)]


def _texts(*texts: bytes) -> Callable[[], Sequence[bytes]]:
    return lambda: texts


_NATIVE = (
    b'rawlog 1 {"name": "x"}\n1795385217.427810 in 9\na2 NOOP\r\n\n- out 1\n+\n\n- mark gap {"cause": "x"}\n',
    b"1795385217.427810 I: a NOOP\r\n1795385217.427811 O> * OK\n1795385217.427812 O: \r\n",
    b"<<<\n1795385217.427810 a\n>>>\n<<<\nb\n>>>\n",
)
_EXPRESSIONS = _texts(
    b'user:alice command:FETCH latency>1s not "BODY.PEEK"',
    b"(status:NO or is:error) and /al+ice/i",
    b'in:word out:"two words" bytes>=1M ip:192.0.2.* name:*x',
)
_SETTINGS = _texts(
    b"protocols = imap\nprotocol imap {\n  rawlog_dir = /tmp/%u # x\n}\nssl = no\n",
    b"service imap-login {\n  inet_listener imap {\n    port = 143\n  }\n  executable = imap-login -R x\n}\n",
    b'userdb { driver = static\n args = uid=vmail home=/home/%d/%n }\nrawlog_backend = "imaps://h"\nlisten = *, ::\n',
    b"local 10.0.0.0/8 {\n}\nrawlog_keep = 7days\nrawlog_max_total_size = 10%\nx = a\\\n b\n",
    b"protocol !smtp {\n rawlog_secrets = keep\n}\nservice postlogin {\n executable = script-login -d rawlog -t\n"
    b" unix_listener postlogin {\n mode = 0600\n }\n}\n",
)
_TEMPLATES = _texts(
    b"%u\xfealice",
    b"%d/%n\xfea@b",
    b"%{sha1:user}-%2.256Nu\xfe..",
    b"%-3.0Lu%{md5;truncate=8:user}%h\xfe/",
    b"%{env:A}",
)
_HEADERS = _texts(
    b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 143\r\n* OK",
    b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n",
    b"PROXY UNKNOWN\r\nx",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x10\0\0\x8fhello",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8/run/a" + bytes(102) + b"/run/b" + bytes(102),
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xc0\0\x02\x01\xc0\0\x02\x02\x10\0\0\x8f\x01\0\x02h2",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
)
_REQUESTS = _texts(
    b"VERSION\tscript-login\t1\t0\n127.0.0.1\t192.0.2.1\talice\tuid=1000\tgid=1000\thome=/home/a\tx\x01tb\n",
    b"VERSION\trawlog-dropin\t1\t0\nalice\tbt\tin\t/tmp/x.in\tout\t/tmp/x.out\n",
)
_ORDERS = _texts(b"1\x002\x003\x004\x005\0in out\x00192.0.2.1\0/home/a", b"alice")


def _targets() -> dict[str, Target]:
    made = {}
    for protocol in corpus.PROTOCOLS:
        seeds = partial(corpus.talks, protocol)
        made[protocol] = Target(partial(targets_framers.framer, protocol), seeds)
        made[f"mask-{protocol}"] = Target(partial(targets_framers.masker, protocol), seeds)
        made[f"held-{protocol}"] = Target(partial(targets_framers.held, protocol), seeds)
        made[f"pair-{protocol}"] = Target(partial(targets_framers.pairing, protocol), seeds)
        made[f"share-{protocol}"] = Target(partial(targets_texts.pseudonyms, protocol), seeds)
    for name in ("dovecot_decoder", "combined", "native"):
        made[name.replace("_", "-")] = Target(getattr(targets_formats, name), _recorded)
    made["dovecot-encoder"] = Target(targets_formats.dovecot_encoder, partial(corpus.talks, "imap"))
    made["inflate"] = Target(targets_formats.inflate, partial(corpus.talks, "imap"))
    made["sealed"] = Target(targets_formats.sealed_file, _texts(b"age-encryption.org/v1\n-> X25519 AAAA\n", b"\0" * 99))
    made["names"] = Target(targets_formats.names, corpus.names)
    made["search"] = Target(targets_texts.search_expression, _EXPRESSIONS)
    made["settings"] = Target(targets_texts.settings_syntax, _SETTINGS)
    made["variables"] = Target(targets_texts.variables, _TEMPLATES)
    made["proxy"] = Target(targets_texts.proxy_header, _HEADERS)
    made["postlogin"] = Target(targets_texts.postlogin_message, _REQUESTS)
    made["keeper"] = Target(targets_texts.keeper_order, _ORDERS)
    made["escape"] = Target(targets_texts.escaping, partial(corpus.recorded, ".in", ".out"))
    return made


TARGETS = _targets()
