"""The viewer in a real browser: Debian's chromium, led by playwright."""

from __future__ import annotations

import imaplib
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rawlog.demo import DemoServer
from rawlog.events import Chunk, Direction, Event, Mark
from rawlog.formats.native import NativeEncoder
from rawlog.views.escape import neutral
from tests.support.browsing import PATIENCE, PHONE, Seen, looking, shown, started, why_missing
from tests.support.gateway import tap_process
from tests.support.payloads import PAYLOADS
from tests.support.viewing import NAME, START, append, small, talk, write

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.live

IN, OUT = Direction.IN, Direction.OUT


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if (reason := why_missing()) is not None:
        pytest.skip(reason)
    with started() as running:
        yield running


# -- coming in ---------------------------------------------------------------------------------------------------------


def test_the_token_goes_and_a_cookie_stays(browser: Browser, tmp_path: Path) -> None:
    write(tmp_path / "one.rawlog", small())
    with looking(browser, tmp_path) as seen:
        seen.row("alice").wait_for()
        assert "token" not in seen.page.url
        (cookie,) = seen.page.context.cookies()
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        assert seen.page.evaluate("document.cookie") == ""
        token = seen.url.partition("=")[2]
        assert not any(token in address.partition("#")[0] for address in seen.requests)
        seen.page.reload()
        seen.row("alice").wait_for()


def test_without_the_token_there_is_a_sentence(browser: Browser, tmp_path: Path) -> None:
    with looking(browser, tmp_path) as seen:
        seen.page.context.clear_cookies()
        seen.page.reload()
        shown(seen, ".problem").to_contain_text("open the address that rawlog web printed")
        assert all("403" in trouble for trouble in seen.troubles)
        seen.troubles.clear()


# -- live --------------------------------------------------------------------------------------------------------------


def test_a_conversation_is_seen_while_it_happens(browser: Browser, demo_server: DemoServer, tmp_path: Path) -> None:
    backend = f"imaps://localhost:{demo_server.ports['imaps']}"
    words = (backend, "--ca", str(demo_server.ca_file), "--listen", "127.0.0.1:0")
    trust = ssl._create_unverified_context()  # the gateway's certificate is made for the day
    with tap_process(*words, directory=tmp_path) as tap, looking(browser, tmp_path) as seen:
        shown(seen, ".nothing").to_contain_text("They appear as they are made")
        with imaplib.IMAP4("127.0.0.1", tap.ports[0], timeout=30) as client:
            client.starttls(trust)
            client.login(demo_server.user, demo_server.password)
            seen.row(demo_server.user).wait_for()
            shown(seen, ".row .live").to_be_visible()
            client.select("INBOX")
            seen.open(demo_server.user)
            seen.row("SELECT INBOX").wait_for()
            client.noop()
            seen.row("NOOP").wait_for()
            client.send(b"w1 IDLE\r\n")
            client.readline()
            shown(seen, ".row .axis.waits").to_contain_text("no answer")
            client.send(b"DONE\r\n")
            client.readline()
            shown(seen, ".row:has-text('w1 IDLE') .status").to_have_text("OK")
            assert seen.page.locator(".axis.waits").count() == 0
        seen.row("LOGOUT").wait_for()
        assert demo_server.password not in seen.page.content()


def test_the_end_stays_in_view(browser: Browser, tmp_path: Path) -> None:
    encoder = NativeEncoder({})
    lines = [(OUT, b"* PREAUTH\r\n")]
    for number in range(100):
        lines += [(IN, b"a%d NOOP\r\n" % number), (OUT, b"a%d OK\r\n" % number)]
    path = write(tmp_path / "one.rawlog", talk(*lines), encoder)
    with looking(browser, tmp_path) as seen:
        seen.open("imap")
        seen.press("f")
        seen.row("a99 NOOP").wait_for()
        for number in range(100, 103):
            event = Chunk(START + number * 10**6, IN, b"a%d CHECK\r\na%d LIST\r\n" % (number, number))
            append(path, event.direction, encoder.chunk(event.at, event.direction, event.data), native=True)
            row = seen.row(f"a{number} LIST")
            row.wait_for()
            assert row.evaluate("e => e.getBoundingClientRect().bottom <= innerHeight")


# -- what is hostile ---------------------------------------------------------------------------------------------------


def hostile() -> list[Event]:
    events: list[Event] = [Mark(START, "opened", {"client": PAYLOADS[0], "note": PAYLOADS[9]})]
    lines = [(OUT, b"* PREAUTH ready\r\n")]
    for number, payload in enumerate(PAYLOADS):
        text = payload.encode() + b" \x1b[31m\xe2\x80\xae\x00"
        lines.append((IN, b"a%d SELECT %b\r\n" % (number, text)))
        lines.append((OUT, b"* LIST () %b\r\na%d NO %b\r\n" % (text, number, text)))
    body = b"Subject: %b\r\n\r\n" % PAYLOADS[3].encode() + b"\r\n".join(each.encode() for each in PAYLOADS)
    lines.append((IN, b"b1 FETCH 1 BODY[]\r\n"))
    lines.append((OUT, b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\nb1 OK\r\n" % (len(body), body)))
    lines.append((IN, b'b2 ID ("name" "%b")\r\n' % PAYLOADS[4].encode().replace(b'"', b"'")))
    lines.append((OUT, b"b2 OK\r\n"))
    return [*events, *talk(*lines)]


def test_nothing_that_was_recorded_comes_to_life(browser: Browser, tmp_path: Path) -> None:
    name = "<img src=x onerror='window.pwned=1'>\u202e.rawlog"
    write(tmp_path / name, hostile())
    with looking(browser, tmp_path) as seen:
        page = seen.page
        seen.row("imap").wait_for()
        seen.row("imap").click()
        for number, payload in enumerate(PAYLOADS):
            if number % 40 == 0:
                page.locator(".scroller").evaluate(f"e => e.scrollTop = {number} * 30")
                command = f"a{number} SELECT {payload} \\x1b[31m\\u{{202e}}\\x00"
                text = page.locator(".row .said.c", has_text=re.compile(rf"^a{number} ")).first
                text.wait_for()
                assert text.text_content() == neutral(command.encode()).replace("\\\\x", "\\x").replace("\\\\u", "\\u")
        seen.press("G", "k", "Enter")
        page.locator(".below .fold").first.click()
        page.locator(".body pre").last.wait_for()
        shown(seen, ".body pre:last-of-type").to_contain_text(PAYLOADS[0])
        page.locator("#filter").fill('"' + PAYLOADS[0])
        shown(seen, ".problem").to_be_visible()
        assert page.evaluate("window.pwned") is None
        strange = "script, img, iframe, object, embed, form, style, link, meta, base, a:not([download]), video, audio"
        assert page.locator(f"#view :is({strange})").count() == 0
        handlers = (
            "e => [...e.querySelectorAll('*')].filter(e => [...e.attributes].some(a => /^on/.test(a.name))).length"
        )
        assert page.locator("#view").evaluate(handlers) == 0
        words = page.locator("#view").evaluate("e => e.innerText")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", words)
        troubles = [trouble for trouble in seen.troubles if "400" not in trouble]
        seen.troubles[:] = troubles


def test_a_huge_line_is_folded(browser: Browser, tmp_path: Path) -> None:
    line = b"* LIST " + b"y<b>" * 1_000_000
    write(tmp_path / "one.rawlog", talk((OUT, b"* PREAUTH\r\n"), (IN, b"a1 LIST\r\n"), (OUT, line + b"\r\na1 OK\r\n")))
    with looking(browser, tmp_path) as seen:
        seen.open("imap")
        seen.press("G", "Enter")
        seen.page.locator(".below .fold").first.click()
        shown(seen, ".body pre").to_contain_text("y<b>y<b>")
        seen.page.locator(".body .more").click()
        shown(seen, ".body .more").to_be_visible()
        assert len(seen.page.locator(".body").inner_text()) < 400_000
        assert seen.received < 2_000_000


def test_two_hundred_megabytes(browser: Browser, tmp_path: Path) -> None:
    """It shows its first rows and its last ones, and what is sent is what is seen. Speed: benchmarks/web.py."""
    text = (b"x" * 70 + b" mail\r\n") * 13_000
    events: list[Event] = talk((OUT, b"* PREAUTH ready\r\n"))
    for number in range(200):
        events += talk((IN, b"a%d FETCH %d BODY[]\r\n" % (number, number)), start=START + number * 10**6)
        answer = b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\na%d OK fetched\r\n" % (len(text), text, number)
        events += talk((OUT, answer), start=START + number * 10**6 + 5000)
    path = write(tmp_path / NAME.format(1), events)
    assert Path(f"{path}.out").stat().st_size > 200_000_000
    del events
    with looking(browser, tmp_path) as seen:
        seen.page.locator(".row:not(.empty)").first.click()
        seen.row("a0 FETCH").wait_for()
        shown(seen, ".state").to_have_text("201", timeout=PATIENCE)
        seen.press("G", "Enter")
        seen.row("a199 FETCH").wait_for()
        seen.page.locator(".below .fold").first.click()
        shown(seen, ".body pre").to_contain_text("mail")
        assert seen.received < 2_000_000


# -- using it ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """Some conversations, a minute apart; carol's is slow."""
    for number, user in enumerate(("alice", "bob", "carol", "dave")):
        events = small(user, START + number * 60 * 10**6)
        if user == "carol":
            events += [Chunk((events[-1].at or 0) + 3 * 10**6, OUT, b"a4 OK done\r\n")]
        write(tmp_path / f"{user}.rawlog", events)
    return tmp_path


def test_keys(browser: Browser, several: Path) -> None:
    with looking(browser, several) as seen:
        page = seen.page
        seen.row("alice").wait_for()
        seen.press("j", "j", "j", "k")
        shown(seen, ".row.chosen").to_contain_text("carol")
        seen.press("Enter")
        shown(seen, ".talk h1").to_have_text("carol")
        seen.press("G")
        shown(seen, ".row.chosen").to_contain_text("NOOP")
        seen.press("k", "k", "Enter")
        shown(seen, ".below .line").to_contain_text("a2 FETCH 1 BODY[]")
        seen.press("Escape")
        assert page.locator(".below").count() == 0
        seen.press("r")
        shown(seen, ".row time").to_have_text("+0.000")
        seen.press("/")
        page.keyboard.type("is:error")
        seen.press("Enter")
        shown(seen, ".state").to_contain_text("1 of")
        seen.press("Escape")
        shown(seen, "#filter").to_have_value("")
        seen.press("?")
        shown(seen, "dialog").to_be_visible()
        seen.press("Escape")
        shown(seen, "dialog").not_to_be_visible()
        seen.press("Escape")
        shown(seen, ".list .row").to_be_visible()


def test_what_is_chosen_stays_chosen(browser: Browser, several: Path) -> None:
    with looking(browser, several) as seen:
        seen.row("bob").wait_for()
        seen.press("j", "j", "j")
        shown(seen, ".row.chosen").to_contain_text("bob")
        write(several / "erin.rawlog", small("erin", START + 3600 * 10**6))
        seen.row("erin").wait_for()
        shown(seen, ".row.chosen").to_contain_text("bob")
        seen.press("Enter")
        shown(seen, ".talk h1").to_have_text("bob")


def test_filters_and_sorting(browser: Browser, several: Path) -> None:
    with looking(browser, several) as seen:
        page = seen.page
        seen.row("alice").wait_for()
        page.locator("#filter").fill("user:bob or user:carol")
        shown(seen, ".state").to_have_text("2 of 4")
        page.locator("#filter").fill("latency>2s")
        shown(seen, ".row").to_contain_text("carol")
        page.locator("#filter").fill("user:(")
        shown(seen, ".problem").to_contain_text("search expression")
        page.locator("#filter").fill("")
        shown(seen, ".state").to_have_text("4")
        page.locator(".titles button", has_text="Slowest").click()
        shown(seen, ".row").to_contain_text("carol")
        assert "sort=slowest" in page.url
        page.locator(".chip", has_text="slow").first.click()
        shown(seen, ".state").to_have_text("1 of 4")
        seen.open("carol")
        shown(seen, "#filter").to_have_value("slowest>1s")
        seen.troubles[:] = [trouble for trouble in seen.troubles if "400" not in trouble]


def test_the_plot_and_the_strip(browser: Browser, several: Path) -> None:
    with looking(browser, several) as seen:
        page = seen.page
        over = page.locator(".u-over")
        over.wait_for()
        box = over.bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] * 0.55, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.8, middle, steps=5)
        page.mouse.up()
        shown(seen, ".state").to_have_text("1 of 4")
        shown(seen, ".row").to_contain_text("carol")
        seen.press("Escape")
        shown(seen, ".state").to_have_text("4")
        seen.open("carol")
        strip = page.locator(".strip canvas")
        strip.wait_for()
        box = strip.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 4, box["y"] + 20)
        shown(seen, ".strip .note").to_contain_text("row")
        strip.click(position={"x": 3, "y": 20})
        shown(seen, ".row.chosen").to_contain_text("opened")


@pytest.mark.parametrize("kind", ["masked", "pseudonyms"])
def test_downloads(browser: Browser, tmp_path: Path, kind: str) -> None:
    lines = (
        (OUT, b"* OK ready\r\n"),
        (IN, b"a1 LOGIN alice hunter2\r\n"),
        (OUT, b"a1 OK in\r\n"),
        (IN, b"a2 NOOP\r\n"),
    )
    write(tmp_path / "one.rawlog", talk(*lines, (OUT, b"a2 OK\r\n")))
    with looking(browser, tmp_path, accept_downloads=True) as seen:
        seen.open("alice")
        seen.page.locator(".menu summary").click()
        with seen.page.expect_download() as waiting:
            seen.page.locator(f".menu a[href$='{kind}']").click()
        data = waiting.value.path().read_bytes()
        assert waiting.value.suggested_filename.startswith(f"rawlog-{kind}-")
        assert data.startswith(b"rawlog 1 ")
        assert b"hunter2" not in data
        assert (b"alice" in data) == (kind == "masked")


def test_a_telephone(browser: Browser, several: Path) -> None:
    with looking(browser, several, PHONE, is_mobile=True, has_touch=True) as seen:
        page = seen.page
        seen.row("alice").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        seen.row("carol").tap()
        page.locator(".talk .row .status").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        row = seen.row("FETCH")
        heights = [row.locator(part).bounding_box()["y"] for part in (".axis", ".said.c", ".said.s")]
        assert heights == sorted(set(heights))
        row.tap()
        page.locator(".below .fold").tap()
        shown(seen, ".body pre:last-of-type").to_contain_text("<b>bold</b>")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_dark_and_light(browser: Browser, several: Path) -> None:
    def ground(seen: Seen) -> int:
        colour = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    with looking(browser, several, color_scheme="dark") as seen:
        assert ground(seen) < 150
        seen.press("t", "t")
        assert ground(seen) > 600
        seen.page.reload()
        seen.row("alice").wait_for()
        assert ground(seen) > 600
        seen.press("t")
        assert ground(seen) < 150
    with looking(browser, several, color_scheme="light") as seen:
        assert ground(seen) > 600
        seen.page.locator("button[aria-label^='Dark']").click()
        assert ground(seen) < 150
