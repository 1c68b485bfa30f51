"""Run pricerl's command line inside the test process, on sellers made for it."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch

from pricerl.cli.main import main
from pricerl.data.days import DAY
from pricerl.operations.log.decision_log import LOG_FILE, read_log

CONFIGS = Path(__file__).parents[1] / "configs"
SHARED = Path(__file__).parents[2] / "shared" / "data"

HEADER = [
    "Report Date",
    "Product Price",
    "Total Sales",
    "Total Profit",
    "Organic Conversion Percentage",
    "Ad Conversion Percentage",
]
SMALL_NETWORK = [
    *("--model.network.hidden", "[32,32]", "--model.algorithm.warmup_steps", "256", "--model.init", "scratch"),
    *("--model.algorithm.buffer_capacity", "4096"),
]
FAST = [
    *SMALL_NETWORK,
    *("--trainer.max_steps", "20", "--data.eval_every", "20", "--trainer.enable_progress_bar", "false"),
    *("--data.market.num_draws", "16", "--data.num_envs", "16"),
    *("--decision.compare_plan", "false", "--model.algorithm.actor_horizon", "0"),
]
CERTAIN = ("--decision.min_chance", "0.95")
OUTPUTS = ("advice.csv", "advice.json", "prices.csv", "report.html")


class Result(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def run(folder: Path, *words: str) -> Result:
    """Run a command in a folder; one thread, since many small tests share few cores, and few rows per comparison."""
    torch.set_num_threads(1)
    out, err = io.StringIO(), io.StringIO()
    few_rows = patch("pricerl.planner.plan_benchmark.MOST_ROWS", 256)
    today = patch("pricerl.operations.shop.system_day", lambda: date(2025, 4, 1))  # the day after a seller's last
    with few_rows, today, inside(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(words))
    torch.set_flush_denormal(False)  # hypothesis refuses to draw numbers without the smallest ones
    return Result(code, out.getvalue(), err.getvalue())


def seller_lines(
    days: int = 90, columns: int = 6, price: float | None = None, seed: int = 1, product: str | None = None
) -> list[str]:
    """CSV of a seller whose price changes every week and whose demand has elasticity -2; unit cost 4, fees 15 %.

    Whatever the ``days``, the first 90 are the same.
    """
    rng, later = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    tried = [9.5, 10.0, 10.5, 11.0]
    if price is None:
        weeks = [*rng.choice(tried, min(days, 90) // 7 + 1), *later.choice(tried, max(days // 7 - 12, 0))]
    else:
        weeks = [price] * (days // 7 + 1)
    prices = np.repeat(weeks, 7)[:days]
    lines = [",".join((["Product"] if product else []) + HEADER[:columns])]
    for day, charged in enumerate(prices):
        units = rng.poisson(20 * (charged / 10) ** -2)
        cells = [str(np.datetime64("2025-01-01") + day * DAY), f"{charged:.2f}", f"{charged * units:.2f}"]
        cells += [f"{0.85 * charged * units - 4 * units:.2f}", f"{12 + rng.integers(3)}", f"{8 + rng.integers(3)}"]
        lines.append(",".join(([product] if product else []) + cells[:columns]))
    return lines


def write_lines(path: Path, lines: list[str]) -> Path:
    """Write lines of text."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")
    return path


def listing(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, and every folder with none."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def train(folder: Path) -> Path:
    """Fit the 90-day seller once into ``folder`` and return its run's folder; no change is certain enough."""
    done = folder / "checkpoints" / "seller"
    if not (done / "report.html").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_lines(folder / "seller.csv", seller_lines())
        result = run(folder, "fit", "--data.path", "seller.csv", "--run_name", "seller", *FAST, *CERTAIN)
        assert result.code in (0, 4), result.err
    return done


def fresh_shop(trained: Path, folder: Path) -> Path:
    """Give a folder the trained run and its file, with one advice in its log."""
    shutil.copytree(trained, folder / "checkpoints" / "seller")
    write_lines(folder / "seller.csv", seller_lines())
    keep_first_entry(folder)
    return folder


def keep_first_entry(shop: Path) -> None:
    """Cut the log of a shop after its first entry."""
    (first, *_) = entries_of(shop)
    edit(
        shop / "checkpoints" / "seller" / LOG_FILE,
        "DELETE FROM advice WHERE entry > 1",
        "DELETE FROM entry WHERE id > 1",
        "UPDATE fact SET value = '1' WHERE name = 'entries'",
        f"UPDATE fact SET value = '{first['hash']}' WHERE name = 'hash'",
    )


def edit(path: Path, *statements: str) -> None:
    """Change a database behind the back of the program."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def entries_of(shop: Path, run_name: str = "seller") -> list[dict[str, Any]]:
    """The entries in the log of a shop."""
    return [*read_log(shop / "checkpoints" / run_name / LOG_FILE).entries]


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
