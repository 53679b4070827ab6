"""How fast does the viewer open a long recording? ``python benchmarks/web.py [--quick]``

Measures, in a real browser (Debian's chromium, by playwright), the time from the click on a conversation to its first
rows, the time until all of it has been read, and the viewer's memory then.

Knows: how recordings are made for this. Must not know: how the viewer works. Read orders of magnitude, not figures.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from rawlog.formats.dovecot import PairEncoder
from reading import STAMPED, fetches, write
from support import machine, table

KINDS = (("messages of 1 MB", 1_000_000, 200), ("messages of 20 kB", 20_000, 200), ("answers of 150 bytes", 77, 20))
"""What is said, bytes of a body, megabytes of the recording."""

PATIENCE = 600_000  # milliseconds
WHOLE = re.compile(r"^[^%]*[1-9][^%]*$")


def measured(name: str, body: int, size: int) -> list[str]:
    """One row of the table."""
    from playwright.sync_api import expect, sync_playwright

    with tempfile.TemporaryDirectory(prefix="rawlog-benchmark-") as place:
        write(Path(place), STAMPED.format(1), PairEncoder(stamps=True), fetches(size, body))
        command = [sys.executable, "-m", "rawlog", "web", "--no-cache", place]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as viewer, sync_playwright() as playwright:
            assert viewer.stdout is not None
            url = viewer.stdout.readline().strip()
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page()
            started = time.monotonic()
            page.goto(url)
            page.locator(".row").first.wait_for(timeout=PATIENCE)
            listed = time.monotonic() - started
            expect(page.locator(".state")).to_have_text("1", timeout=PATIENCE)
            noted = time.monotonic() - started
            started = time.monotonic()
            page.locator(".row:not(.empty)").first.click()
            page.locator(".row .status").first.wait_for(timeout=PATIENCE)
            first = time.monotonic() - started
            expect(page.locator(".state")).to_have_text(WHOLE, timeout=PATIENCE)
            whole = time.monotonic() - started
            rows = page.locator(".state").inner_text()
            started = time.monotonic()
            page.keyboard.press("G")
            page.keyboard.press("Enter")
            page.locator(".below .line").first.wait_for(timeout=PATIENCE)
            last = time.monotonic() - started
            memory = resident(viewer.pid)
            browser.close()
            viewer.terminate()
    times = [f"{seconds:.2f}" for seconds in (listed, noted, first, whole, last)]
    return [f"{name}, {size // 1_000_000} MB", rows, *times, f"{memory // 1024}"]


def resident(pid: int) -> int:
    """The memory of a process in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def main() -> None:
    """Measure, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    options = parser.parse_args()
    rows = [
        [
            "",
            "rows",
            "first row of the list, s",
            "all of it, s",
            "first rows, s",
            "all rows, s",
            "last row open, s",
            "MiB",
        ]
    ]
    print(machine() + "\n")
    for name, body, megabytes in KINDS:
        rows.append(measured(name, body, megabytes * 1_000_000 // (10 if options.quick else 1)))
    print(table(rows))


if __name__ == "__main__":
    main()
