"""A page of the viewer in a real browser, Debian's chromium, led by playwright; and all that goes on around it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.viewing import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
PATIENCE = 120_000  # milliseconds: the machine may be busy
DESK = {"width": 1200, "height": 700}
PHONE = {"width": 360, "height": 700}


def why_missing() -> str | None:
    """Why no browser can be started here, as the reason of a skipped test; None when it can."""
    if CHROMIUM is None:
        return "chromium is not installed (make test installs it on Debian and Ubuntu)"
    if find_spec("playwright") is None:
        return "playwright is not installed: pip install playwright"
    return None


@contextmanager
def started() -> Iterator[Browser]:
    """The browser."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Seen:
    """A page, and everything that went on around it."""

    page: Page
    url: str
    requests: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    received: int = 0

    def row(self, text: str) -> Any:
        return self.page.locator(".row", has_text=text).first

    def open(self, text: str) -> None:
        """From the list to a conversation."""
        self.row(text).click()
        self.page.locator(".talk .row:not(.empty)").first.wait_for()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


@contextmanager
def looking(browser: Browser, place: Path, size: dict[str, int] | None = None, **words: Any) -> Iterator[Seen]:
    """A viewer and a page of it. Whatever happens, no request leaves the origin of the page, and no rule is broken."""
    with serving(place) as url:
        context = browser.new_context(viewport=size or DESK, **words)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        seen = Seen(page, url)
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("response", lambda response: count(seen, response))
        page.on("console", lambda message: seen.troubles.append(message.text))
        page.on("pageerror", lambda error: seen.troubles.append(str(error)))
        page.on("dialog", lambda dialog: (seen.troubles.append(dialog.message), dialog.dismiss()))
        page.goto(url)
        page.locator(".page").wait_for()
        try:
            yield seen
            origin = url.partition("#")[0]
            assert [address for address in seen.requests if not address.startswith((origin, "blob:"))] == []
            assert seen.troubles == []
        finally:
            context.close()


def count(seen: Seen, response: Any) -> None:
    seen.received += int(response.headers.get("content-length", 0))


def shown(seen: Seen, what: str) -> Any:
    from playwright.sync_api import expect

    return expect(seen.page.locator(what).first)
