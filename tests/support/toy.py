"""A toy grammar for the framer's machine.

Knows: just enough lines to make the machine do everything it can. Must not know: any real protocol.
"""

from __future__ import annotations

from typing import ClassVar

from rawlog.protocols.framing import Framer, Lane, Span


class Toy(Framer):
    """Client: ``LIT n``, ``SECRETLIT n``, ``BLOCK``, ``SECRETBLOCK``, ``ASK``, ``TLS``, ``COMPRESS``, ``PASS word``,
    ``NAME n`` (a literal that is secret when the next line is ``yes``), ``FAIL``. The server's ``ok`` goes on."""

    protocol: ClassVar[str] = "toy"

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.lines: list[bytes] = []
        self.literals: list[bytes | None] = []
        self.blocks = 0
        self.silent = 0
        self.asked = b""

    def on_client_line(self, line: bytes, start: int) -> list[Span]:
        self.lines.append(line)
        word, _, rest = line.rstrip().rpartition(b" ") if b" " in line else (line.rstrip(), b"", b"")
        pinned, self.client.pin = self.client.pin, None
        if word.endswith(b"LIT"):
            self.expect_literal(self.client, int(rest), secret=word == b"SECRETLIT", keep=4)
        elif word == b"NAME":
            self.client.pin = self.client.tape.start
            self.expect_literal(self.client, int(rest), keep=100)
        elif word.endswith(b"BLOCK"):
            self.expect_block(self.client, secret=word == b"SECRETBLOCK")
        elif word in (b"ASK", b"TLS", b"COMPRESS"):
            self.asked = word
            self.hold()
        elif word == b"FAIL":
            raise ZeroDivisionError
        elif word == b"PASS":
            return [(start + 5, start + len(line.rstrip()))]
        return [(pinned, start)] if pinned is not None and word == b"yes" else []

    def on_server_line(self, line: bytes, start: int) -> list[Span]:
        self.lines.append(line)
        if line.startswith(b"FAIL"):
            raise ZeroDivisionError
        if line.startswith(b"ok"):
            asked, self.asked = self.asked, b""
            if asked == b"TLS":
                self.tls_accepted()
            elif asked == b"COMPRESS":
                self.compress_accepted()
            else:
                self.release()
        return []

    def on_literal(self, lane: Lane, data: bytes | None) -> None:
        self.literals.append(data)

    def on_block(self, lane: Lane) -> None:
        self.blocks += 1

    def on_server_silent(self) -> None:
        self.silent += 1

    def long_line_is_secret(self, lane: Lane, head: bytes) -> bool:
        return head.startswith(b"PASS")

    def is_harmless(self, lane: Lane, head: bytes) -> bool:
        if head.startswith(b"fail"):
            raise ZeroDivisionError
        return head.startswith(b"harmless")
