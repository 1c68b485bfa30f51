"""Seconds of a first visit in a real browser: from the drop of a file to its reading, and from there to the price.

    python benchmarks/first_visit.py

The file is a sample shop's. A person would type costs in between, which is left out. Printed are the seconds of each
visit until what was read is on the screen, and from the click on Advise until the work list with its price is. Needs
playwright and a Chromium.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from datetime import date
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from runner import read_options, served

from pricerl.simulation.samples import SAMPLES, write_sample

TODAY = date(2025, 12, 26)


def visit(page: Page, address: str, file: Path) -> tuple[float, float]:
    """Drop a file on the first page of a new server, ask for its advice, and return the seconds of both."""
    page.goto(address)
    field = page.locator("input[type=file]").first
    begun = time.perf_counter()
    field.set_input_files(file)
    advise = page.get_by_role("button", name=re.compile("Advise"))
    advise.wait_for()
    read = time.perf_counter()
    advise.click()
    page.locator("table.list .row").first.wait_for(timeout=120_000)
    return read - begun, time.perf_counter() - read


def measure_visit(chromium: str) -> tuple[float, float]:
    """Serve an empty folder, visit it, and return the seconds of `visit`."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "export.csv")
        file.write_text(write_sample(next(iter(SAMPLES)), TODAY), encoding="utf-8")
        folder = Path(name, "shop")
        folder.mkdir()
        with served(folder, TODAY.isoformat()) as (address, token), sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which(chromium), args=["--no-sandbox"])
            seconds = visit(browser.new_page(), f"{address}?token={token}", file)
            browser.close()
        return seconds


if __name__ == "__main__":
    options = read_options(__doc__, visits=3, chromium="chromium")
    for _ in range(options.visits):
        print("read {:.1f} s, price {:.1f} s later".format(*measure_visit(options.chromium)))
