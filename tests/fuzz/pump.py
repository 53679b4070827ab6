"""Looks for what takes more than linear time: ``python -m tests.fuzz.pump [--kib 1024]``, part of ``make fuzz``.

Knows: framers, decoders and what a sender may repeat for hours. Must not know: why something is slow. It measures the
CPU time of n bytes and of 2n, in reads of 16 KiB, and tells what takes more than 2.5 times as long: promise P8. Times
on a busy machine lie, so what looks bad is measured again, and the smallest times count.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator

from rawlog.dialogue.exchange import Pairer
from rawlog.dialogue.inflate import InflateError, Inflater
from rawlog.dialogue.pseudonyms import pseudonymous
from rawlog.dialogue.pseudonyms_names import Names
from rawlog.dialogue.redact import Masker
from rawlog.events import Chunk, Direction, Event, Recording
from rawlog.formats.combined import CombinedDecoder
from rawlog.formats.dovecot import PairDecoder
from rawlog.formats.native import NativeDecoder
from rawlog.protocols.registry import framer_for
from rawlog.views.escape import neutral
from tests.fuzz import corpus

READ = 16 * 1024
RATIO = 2.5
NOISE = 0.02
"""Seconds: of less, no ratio means anything."""
TRIES = 4

Work = Callable[[bytes], None]

_UNITS = (
    *(bytes([byte]) for byte in b'a \t\r\n.()"\\*=\x00\x16\xff'),
    *(b"\r\n", b"\r\n.", b"..\r\n", b'\\"', b'"a" ', b"\r.\r", b"\n.\n", b"+ \r\n", b"* "),
    *(b"{1}", b"{1}\r\na", b"{1+}\r\na", b"{99999}", b"a LOGIN {1}\r\nb ", b"BDAT 1\r\nx", b"RCPT TO:<a>\r\n"),
    *(b'(SASL "', b"(SASL ", b'OK (SASL "a\\', b";urlauth=", b"FORWARD=", b"URL ", b"LOGIN ", b"AUTH "),
    *(b"<<<\n", b">>>\n", b">>>\n<<<\n", b"- mark gap {\n", b"- mark gap {}\n"),
    *(b"1795385217.427810 " + rest for rest in (b"", b"a\n", b"I> ", b"I: a\n", b"in 9\n")),
)
"""What is repeated."""

_HEADS = {
    "imap": b"a LOGIN |a LOGIN x |a AUTHENTICATE |a ID (|a SETMETADATA x (|a GENURLAUTH |a APPEND x CATENATE (",
    "pop3": b"USER |PASS |AUTH |XCLIENT |RETR ",
    "smtp": b"AUTH |AUTH PLAIN |DATA\r\n|BDAT |BURL |XCLIENT |RCPT ",
    "lmtp": b"LHLO |DATA\r\n",
    "managesieve": b'AUTHENTICATE |AUTHENTICATE "PLAIN" |PUTSCRIPT |XCLIENT ',
}
"""What a client has said of a line before it begins to repeat itself."""


def _framers() -> Iterator[tuple[str, Work]]:
    """Each protocol, behind each beginning, from either side, masked as it comes and read as it lies."""
    for protocol in corpus.PROTOCOLS:
        yield f"{protocol} out", _conversation(protocol, b"", Direction.OUT)
        for head in (b"", *_HEADS[protocol].split(b"|")):
            yield f"{protocol} in {head!r}", _conversation(protocol, head, Direction.IN)
        for kind in (_paired, _hidden):
            yield f"{protocol} {kind.__name__}", kind(protocol)


_GREETINGS = {
    "imap": b"* PREAUTH x\r\n",
    "pop3": b"+OK\r\n",
    "managesieve": b"OK\r\n",
    "smtp": b"220 x\r\n",
    "lmtp": b"220 x\r\n",
}


def _conversation(protocol: str, head: bytes, direction: Direction) -> Work:
    def work(data: bytes) -> None:
        masker = Masker(framer_for(protocol))
        masker.chunk(0, Direction.OUT, _GREETINGS[protocol])
        for at in range(0, len(data), READ):
            masker.chunk(at, direction, (head if at == 0 else b"") + data[at : at + READ])
        for ended in Direction:
            masker.end(ended)

    return work


def _events(protocol: str, data: bytes) -> list[Event]:
    parts = [data[at : at + READ] for at in range(0, len(data), READ)]
    return [Chunk(0, Direction.OUT, _GREETINGS[protocol]), *(Chunk(1, d, part) for part in parts for d in Direction)]


def _paired(protocol: str) -> Work:
    def work(data: bytes) -> None:
        pairer = Pairer(protocol)
        for event in _events(protocol, data):
            pairer.feed(event)
        pairer.end()

    return work


def _hidden(protocol: str) -> Work:
    names = Names(b"k" * 32)
    return lambda data: (
        list(pseudonymous(Recording("f", _events(protocol, data), protocol=protocol), names).recording.events) and None
    )


def _files() -> Iterator[tuple[str, Work]]:
    def decode(make: Callable[[], object]) -> Work:
        def work(data: bytes) -> None:
            decoder: object = make()
            for at in range(0, len(data), READ):
                decoder.feed(data[at : at + READ])  # type: ignore[attr-defined]
            decoder.end()  # type: ignore[attr-defined]

        return work

    def native() -> NativeDecoder:
        decoder = NativeDecoder()
        decoder.feed(b"rawlog 1 {}\n")
        return decoder

    for stamps, boundaries in itertools.product((True, False), (True, False)):
        yield f"pair {stamps=} {boundaries=}", decode(lambda s=stamps, b=boundaries: PairDecoder(Direction.IN, s, b))  # type: ignore[misc]
    yield "combined", decode(CombinedDecoder)
    yield "native", decode(native)
    yield "inflate", _inflate
    yield "escape", lambda data: neutral(data) and None


def _inflate(data: bytes) -> None:
    inflater = Inflater()
    for at in range(0, len(data), READ):
        try:
            for _ in inflater.inflate(data[at : at + READ]):
                pass
        except InflateError:
            return


def _seconds(work: Work, data: bytes) -> float:
    begun = time.process_time()
    work(data)
    return time.process_time() - begun


def _ratio(work: Work, unit: bytes, size: int) -> tuple[float, float]:
    """How much longer twice as much takes, at best, and the seconds of it."""
    once, twice = unit * (size // len(unit)), unit * (2 * size // len(unit))
    first = second = float("inf")
    for _ in range(TRIES):
        first, second = min(first, _seconds(work, once)), min(second, _seconds(work, twice))
        if second < NOISE or second <= (RATIO - 0.2) * first:
            break
    return second / max(first, 1e-6), second


def main() -> int:
    """Measures everything; 1 when something is not linear."""
    parser = argparse.ArgumentParser(description="Look for what takes more than linear time.")
    parser.add_argument("--kib", type=int, default=160, help="n; the second measurement takes twice as much")
    parser.add_argument("--only", default="", help="only what is called so")
    options = parser.parse_args()
    bad, count, worst = 0, 0, 0.0
    for name, work in itertools.chain(_framers(), _files()):
        if options.only not in name:
            continue
        for unit in _UNITS:
            ratio, seconds = _ratio(work, unit, options.kib * 1024)
            count += 1
            if seconds >= NOISE:
                worst = max(worst, ratio)
            if seconds >= NOISE and ratio > RATIO:
                bad += 1
                print(
                    f"BROKEN {name} {unit!r}: {ratio:.1f} times as long for twice as much, {seconds:.2f} s", flush=True
                )
    print(f"{count} kinds of input, {bad} not linear; the worst takes {worst:.2f} times as long for twice as much")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
