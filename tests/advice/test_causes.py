"""Covariates in a seller's file change the units expected on the next days."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from advice_outputs import read_outputs
from command_line import run, write_lines

CROSS = 0.8
HELD = ["--decision.min_days", "1000"]
"""Too few days to advise a change: the forecast is that of the current price."""


def rivalled_lines(last_competitor_price: float) -> list[str]:
    """A seller of 60 units per day; the competitor's price is 11.00 or 9.00 for weeks, and on the last day as given."""
    rng = np.random.default_rng(3)
    price, competitor = (np.repeat(rng.choice(levels, 40), 7) for levels in ((9.5, 10.0, 10.5), (9.0, 11.0)))
    price[-7:], competitor[-7:], competitor[-1] = 10.0, 11.0, last_competitor_price
    units = rng.poisson(60 * (price / 10) ** -2 * (competitor / 11) ** CROSS)
    dates = np.datetime64("2025-01-01") + np.arange(len(price))
    lines = ["Report Date,Product Price,Total Sales,Competitor Price"]
    columns = (dates, price, price * units, competitor)
    return [
        *lines,
        *(f"{day},{own:.2f},{sales:.2f},{other:.2f}" for day, own, sales, other in zip(*columns, strict=True)),
    ]


def expected_units(folder: Path, checkpoint: Path, lines: list[str]) -> float:
    write_lines(folder / "sales.csv", lines)
    words = ["--ckpt_path", str(checkpoint), "--data.path", "sales.csv", "--out", "advice", *HELD]
    assert run(folder, "predict", *words).code == 4
    rows = read_outputs(folder / "advice").rows
    assert {row["Recommended Price"] for row in rows} == {"10.00"}
    return float(np.mean([float(row["Expected Units"]) for row in rows]))


@pytest.mark.slow
def test_advice_expects_fewer_units_where_the_competitor_has_just_cut_the_price(trained: Path, tmp_path: Path) -> None:
    kept, cut = (expected_units(tmp_path, trained / "best.ckpt", rivalled_lines(price)) for price in (11.0, 9.0))
    assert cut / kept == pytest.approx((9 / 11) ** CROSS, abs=0.04)
