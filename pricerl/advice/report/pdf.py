"""PDF files of the pages, printed on A4 with an installed browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pricerl.errors import UsageError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
"""Commands of browsers that print; the first one found is used."""


def find_browser() -> str:
    """Return the command of a browser that can print.

    Raises:
        UsageError: none is installed.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise UsageError("--pdf needs Chromium or Chrome on the PATH; install it, or open report.html and print it")
    return found


def print_pages(pages: Iterable[Path]) -> list[Path]:
    """Print HTML pages into PDF files of the same names next to them.

    Raises:
        UsageError: no browser, or it failed; the pages and earlier PDF files stay as they are.
    """
    browser = find_browser()
    return [_print(browser, page) for page in pages]


def _print(browser: str, page: Path) -> Path:
    printed = page.with_suffix(".pdf")
    flags = ["--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []  # the browser has no sandbox for root
    with tempfile.TemporaryDirectory(dir=page.parent) as folder:
        part = Path(folder) / "page.pdf"
        flags += [f"--user-data-dir={folder}/profile", f"--print-to-pdf={part.resolve()}", "--no-pdf-header-footer"]
        try:  # a page usually takes about a second
            subprocess.run([browser, *flags, page.resolve().as_uri()], capture_output=True, check=True, timeout=120)
            part.replace(printed)
        except (OSError, subprocess.SubprocessError) as error:
            raise UsageError(f"{printed}: {browser} could not print {page.name}; open and print it by hand") from error
    return printed
