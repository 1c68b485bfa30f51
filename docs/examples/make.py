"""Make the example pages: two simulated sellers, one whose history is clear and one whose history cannot say yet.

    python docs/examples/make.py                  # both anew: simulate, train, advise
    python docs/examples/make.py --pages          # only the pages, from the advice that lies here

Writes ``NAME.json`` (the advice) and ``NAME.html`` (its page) next to this file, and README's picture, the first screen
of the clear page, if Chromium or Chrome is installed; a minute or two. Real files are no part of the repository, so no
page is made of them.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from pricerl.advice.report.render import render_pages
from pricerl.cli.main import main

HERE = Path(__file__).resolve().parent
PICTURE = HERE.parent / "images" / "report.png"
BROWSERS = ("chromium", "google-chrome")
"""Commands of browsers; the first one found is used."""
SCREEN = "1000,1000"
"""Width and height of the picture, CSS pixels."""


class Example(NamedTuple):
    """A simulated seller and the name of its product."""

    product: str
    market: str
    days: int
    units: float
    seed: int


EXAMPLES = {
    "clear": Example("Garlic press (simulated)", "linear", 365, 60.0, 1),
    "unsure": Example("Wool felt balls (simulated)", "constant", 90, 3.0, 7),
}


def make_example(name: str, example: Example) -> None:
    """Simulate, train and keep the advice with its page."""
    with tempfile.TemporaryDirectory() as folder, _inside(Path(folder)):
        seller = {"market": example.market, "days": example.days, "units": example.units, "seed": example.seed}
        words = [word for option, value in seller.items() for word in (f"--{option}", str(value))]
        run(["simulate", "--out", f"{name}.csv", *words])
        _name_product(Path(f"{name}.csv"), example.product)
        words = ["fit", "--data.path", f"{name}.csv", "--run_name", name, "--trainer.max_steps", "1000", "--out", "."]
        run([*words, "--today", _day_after(Path(f"{name}.csv"))])
        for made, kept in (("advice.json", f"{name}.json"), ("report.html", f"{name}.html")):
            (HERE / kept).write_bytes(Path(made).read_bytes())


def run(words: list[str]) -> None:
    """Run a command; that the advice is to keep the price (4) is no failure."""
    if (code := main(words)) not in (0, 4):
        raise SystemExit(code)


def _name_product(path: Path, product: str) -> None:
    """Put a ``Product`` column before the others, and name the currency."""
    head, *rows = path.read_text(encoding="utf-8").replace("Product Price", "Product Price (USD)", 1).splitlines()
    lines = [f"Product,{head}", *(f"{product},{row}" for row in rows)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _day_after(path: Path) -> str:
    """Return the day after the last one of a file, ISO format."""
    with path.open(newline="", encoding="utf-8") as file:
        last = max(row["Report Date"] for row in csv.DictReader(file))
    return str(date.fromisoformat(last) + timedelta(days=1))


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def render_example(name: str) -> None:
    """Make the page of the advice that lies here."""
    document = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    (HERE / f"{name}.html").write_text(dict(render_pages(document))["report.html"], encoding="utf-8", newline="")


def take_picture() -> None:
    """Take README's picture of the clear page."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("no Chromium or Chrome: the picture stays as it is")
        return
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={SCREEN}"]
    page = (HERE / "clear.html").as_uri()
    subprocess.run([browser, *flags, f"--screenshot={PICTURE}", page], check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    for name, example in EXAMPLES.items():
        if sys.argv[1:] == ["--pages"]:
            render_example(name)
        else:
            make_example(name, example)
    take_picture()
