"""Seconds of a first visit in a real browser: from the drop of a file to its reading, and from there to the price.

    python benchmarks/first_visit.py

The file is a sample shop's. A person would type costs in between, which is left out. Printed are the seconds of each
visit until what was read is on the screen, and from the click on Advise until the work list with its price is; and the
CPU seconds of the whole server, its commands included. Needs playwright and a Chromium.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from runner import MAIN, read_options

from pricerl.simulation.samples import SAMPLES, write_sample

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
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


def measure_visit(sample: str, chromium: str) -> tuple[float, float, float]:
    """Serve an empty folder, visit it, and return the seconds of `visit` and the server's CPU seconds."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "export.csv")
        file.write_text(write_sample(sample, TODAY), encoding="utf-8")
        folder = Path(name, "shop")
        folder.mkdir()
        words = [str(MAIN), "serve", str(folder), "--port", "0", "--no-browser", "--today", TODAY.isoformat()]
        with subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True) as server:
            try:
                assert server.stderr is not None
                (address,) = re.findall(r"(http://\S+\?token=\S+)", server.stderr.readline())
                with sync_playwright() as driver:
                    browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                    seconds = visit(browser.new_page(), address, file)
                    browser.close()
            finally:
                server.terminate()
                usage = os.wait4(server.pid, 0)[2]
        return *seconds, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    options = read_options(__doc__, visits=3, sample=next(iter(SAMPLES)))
    found = next(filter(None, map(shutil.which, BROWSERS)))
    for _ in range(options.visits):
        read, advised, cpu = measure_visit(options.sample, found)
        print(f"read {read:.1f} s, price {advised:.1f} s later, {cpu:.1f} CPU seconds")
