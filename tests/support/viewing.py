"""A viewer for tests: the application with a client that has the cookie, and recordings to look at."""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.formats.base import Encoder
from rawlog.formats.dovecot import PairEncoder
from rawlog.formats.native import NativeEncoder
from rawlog.web.app import make_app
from rawlog.web.catalog import Catalog
from rawlog.web.desk import Desk
from rawlog.web.guard import LOOPBACK, Keys
from rawlog.web.server import Address, bound
from rawlog.web.server import Viewer as Server

IN, OUT = Direction.IN, Direction.OUT
HERE = "http://127.0.0.1:8000"
START = 1_795_385_217_000_000
NAME = "20261122-104500.1.{}"
PATIENCE = 20
ANY = Address("127.0.0.1", 0)


def eventually(true: Callable[[], bool]) -> None:
    """Waits until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def write(path: Path, events: Iterable[Event], encoder: Encoder | None = None) -> Path:
    """A recording: native, or a pair with stamps where the name is that of a pair. Gives what names it."""
    native = path.suffix == ".rawlog"
    encoder = encoder or (NativeEncoder({}) if native else PairEncoder(stamps=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    for event in events:
        if isinstance(event, Mark):
            append(path, IN, encoder.mark(event), native)
        else:
            append(path, event.direction, encoder.chunk(event.at, event.direction, event.data), native)
    return path


def append(path: Path, direction: Direction, data: bytes, native: bool) -> None:
    with open(path if native else f"{path}.{direction.value}", "ab") as file:
        file.write(data)


def talk(*lines: tuple[Direction, bytes], start: int = START, step: int = 1000) -> list[Event]:
    """Events, a step of microseconds apart."""
    return [Chunk(start + number * step, direction, data) for number, (direction, data) in enumerate(lines)]


def small(user: str = "alice", start: int = START) -> list[Event]:
    """A conversation with everything that is shown: marks, a login, a literal, a refusal, no answer."""
    return [
        Mark(start, "opened", {"client": "192.0.2.7:1234"}),
        *talk(
            (OUT, b"* OK ready\r\n"),
            (IN, b'a1 LOGIN "%b" "XXXXX"\r\n' % user.encode()),
            (OUT, b"a1 OK in\r\n"),
            (IN, b"a2 FETCH 1 BODY[]\r\n"),
            (OUT, b"* 1 FETCH (BODY[] {27}\r\nSubject: one\r\n\r\n<b>bold</b>)\r\na2 OK fetched\r\n"),
            (IN, b"a3 STORE 1 +FLAGS (\\Seen)\r\n"),
            (OUT, b"a3 NO read-only\r\n"),
            (IN, b"a4 NOOP\r\n"),
            start=start,
        ),
    ]


class Viewer:
    """The application at ``places``, asked by a client with the cookie."""

    def __init__(self, client: TestClient, catalog: Catalog, keys: Keys) -> None:
        self.client = client
        self.catalog = catalog
        self.keys = keys

    def get(self, path: str, **parameters: Any) -> Any:
        """What an address below /api gives; it must be well."""
        answer = self.client.get(f"/api{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def settled(self) -> None:
        """Until everything is read that was there."""
        eventually(lambda: self.catalog.reading is None)

    def ids(self, **parameters: Any) -> list[str]:
        return [row["id"] for row in self.get("/list", **parameters)["rows"]]

    def id(self) -> str:
        """The only conversation, when all of it is read."""
        self.settled()
        (found,) = self.ids()
        eventually(lambda: not self.get(f"/talk/{found}")["reading"])
        return found


@contextmanager
def viewer(*places: Path, login: bool = True) -> Iterator[Viewer]:
    """A viewer that runs."""
    keys = Keys(secure=False)
    catalog = Catalog([str(place) for place in places], None)
    app = make_app(Desk(catalog), keys, hosts=LOOPBACK, scheme="http")
    with TestClient(app, base_url=HERE) as client:
        if login:
            answer = client.post("/session", json={"token": keys.token}, headers={"origin": HERE})
            assert answer.status_code == 204
        yield Viewer(client, catalog, keys)


@contextmanager
def serving(place: Path, address: Address = ANY) -> Iterator[str]:
    """The address to open of a viewer that runs as the command runs it, in a thread."""
    with bound(address) as listening:
        server = Server(Catalog([str(place)], None), listening, address)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server.url
        finally:
            server.stop()
            thread.join(PATIENCE)
        assert not thread.is_alive()


def enter(url: str, context: ssl.SSLContext | None = None) -> tuple[str, str]:
    """The address of the page and the cookie."""
    page, _, token = url.partition("#token=")
    request = urllib.request.Request(
        f"{page}session",
        data=json.dumps({"token": token}).encode(),
        headers={"Origin": page.rstrip("/"), "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE, context=context) as answer:
        return page, answer.headers["Set-Cookie"].partition(";")[0]
