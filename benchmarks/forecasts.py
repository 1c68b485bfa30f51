"""Forecasts of units 7, 28 and 91 days ahead, next to AutoETS, on real and made series.

    pip install -e ".[bench]"
    python benchmarks/forecasts.py --origins 6 --accounts 8 --shops 12

Series are the files of ``../shared/data``, accounts of its cheese panel with more than a year, and simulated shops of
one to three years with a yearly season, shocks of some days, a slow walk, deals and bulk orders. Each is forecast from
several origins between a third of its rows and a week before its end, by a market fitted to the rows before the origin:
given the prices that were charged later, and with the one in force kept. AutoETS knows the units alone. An error is the
sum of absolute errors of the days up to the horizon over their units; a ratio is the geometric mean over series of that
to AutoETS's; a bias is the sum of errors over units, its median over series. Unobserved days do not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from runner import compute_alone, read_options
from shops.sellers import read_days

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.days import WEEK, YEAR, steps_in, weekday_of
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.columns import PROMOTION
from pricerl.data.reading.reader import read_history
from pricerl.evaluation.forecast import predict_units
from pricerl.market.fitting import fit_market
from pricerl.simulation.true_demand import WEEKDAY_PATTERN

HORIZONS = (7, 28, 91)
FEWEST_DAYS = 28
READING = DataConfig(suspicious="keep")
GIVEN, KEPT = "pricerl, prices given", "pricerl, price kept"
PEER = "AutoETS"
Scores = dict[str, dict[int, tuple[float, float, float]]]
"""Error, bias and coverage by forecaster and horizon, days."""


def real_series(folder: Path, accounts: int) -> Iterator[tuple[str, DataPreprocessor]]:
    """Yield the files of the shared data, and some accounts of the panel of cheese."""
    for path in sorted(folder.glob("*.csv")):
        yield path.stem, DataPreprocessor.fit(read_history(str(path), READING), READING)
    panel = pd.read_csv(folder / "cheese_panel.csv.gz")
    long = panel.groupby("retailer").filter(lambda rows: len(rows) > YEAR // WEEK)
    names = sorted(long["retailer"].unique())
    for retailer in names[:: max(1, len(names) // max(accounts, 1))][:accounts]:
        rows = long[long["retailer"] == retailer].sort_values("week")
        dates = np.datetime64("2023-01-02") + WEEK * np.arange(len(rows))
        promoted = np.where(rows["display_share"] >= 0.1, "yes", "no")
        yield f"cheese {retailer}", _read(dates, rows["price"].round(4), rows["units"].to_numpy(float), promoted)


def simulated_series(shops: int) -> Iterator[tuple[str, DataPreprocessor]]:
    """Yield simulated shops of one to three years in turn."""
    for seed in range(shops):
        rng = np.random.default_rng([77, seed])
        years = 1 + seed % 3
        days = np.arange(round(years * YEAR) + 45)
        dates = np.datetime64("2022-02-07") + days
        price = np.repeat(20 * np.exp(rng.uniform(-0.12, 0.12, len(days))), rng.integers(7, 29, len(days)))[: len(days)]
        deal = (np.convolve(rng.random(len(days)) < 0.02, np.ones(5))[: len(days)] > 0) & (seed % 4 == 1)
        level = 0.006 * rng.normal(size=len(days)).cumsum() * (seed % 2)
        phase = 2 * np.pi * (days / YEAR + rng.random())
        level += rng.uniform(0, 0.35) * np.sin(phase) + rng.uniform(0, 0.1) * np.cos(2 * phase)
        memory = rng.uniform(0.5, 0.9)
        shock = np.zeros(len(days))
        for day in days[1:]:
            shock[day] = memory * shock[day - 1] + np.sqrt(1 - memory**2) * rng.uniform(0.05, 0.25) * rng.normal()
        charged = np.round(price * np.where(deal, 0.85, 1.0), 2)
        log_mean = level + shock - rng.uniform(1.5, 3) * np.log(charged / 20) + 0.3 * deal
        mean = (6.0, 20.0, 80.0)[seed // 3 % 3] * np.exp(log_mean)
        mean *= np.array(WEEKDAY_PATTERN)[weekday_of(dates.astype(np.int64))]
        bulk = np.where(rng.random(len(days)) < 0.005, rng.uniform(2, 6, len(days)), 1.0)
        units = rng.poisson(mean * bulk * rng.gamma(15.0, 1 / 15.0, len(days))).astype(float)
        yield f"shop {seed}, {years} years", _read(dates, charged, units, None)


def _read(dates: Any, price: Any, units: FloatArray, promoted: Any) -> DataPreprocessor:
    more = {} if promoted is None else {PROMOTION: promoted}
    return DataPreprocessor.fit(read_days(READING, dates, price, units, **more), READING)


def windows(product: ProductHistory, count: int) -> list[int]:
    """Return the origins: numbers of known rows."""
    rows = len(product.dates)
    first = max(rows // 3, steps_in(FEWEST_DAYS, product.step_days), 9)
    last = rows - steps_in(HORIZONS[0], product.step_days)
    return sorted({int(origin) for origin in np.linspace(first, max(first, last), count)})


def forecast_ours(prepared: DataPreprocessor, origin: int) -> dict[str, FloatArray]:
    """Forecast the rows after an origin, ``(3, N)``: mean and 90 % limits."""
    product = prepared.products[0]
    rows = np.arange(origin, min(origin + steps_in(HORIZONS[-1], product.step_days), len(product.dates)))
    market = fit_market(prepared.first_days(0, origin), conversions=False)
    last = market.preprocessor.products[0]
    now = float((last.price if last.in_force is None else last.in_force)[-1])
    kept = replace(product, price=np.where(np.arange(len(product.dates)) < origin, product.price, now))
    if product.promotion is not None:
        kept = replace(kept, promotion=product.promotion & (np.arange(len(product.dates)) < origin))
    known = {GIVEN: product, KEPT: kept}
    return {name: predict_units(market, item, rows, torch.Generator().manual_seed(0)) for name, item in known.items()}


def forecast_peer(product: ProductHistory, origin: int) -> dict[str, FloatArray]:
    """Forecast by AutoETS; unobserved days before the origin have the units of the same weekday before."""
    from statsforecast.models import AutoETS

    week = steps_in(WEEK, product.step_days)
    units = product.units[:origin].copy()
    for row in np.flatnonzero(~product.observed[:origin]):
        units[row] = units[row - week] if row >= week else 0.0
    ahead = min(steps_in(HORIZONS[-1], product.step_days), len(product.dates) - origin)
    made = AutoETS(season_length=week).forecast(units, ahead, level=[90])
    return {PEER: np.stack([made["mean"], made["lo-90"], made["hi-90"]])}


def score(product: ProductHistory, made: dict[int, dict[str, FloatArray]]) -> Scores:
    """Score forecasts by origin."""
    scores: Scores = {}
    for name in next(iter(made.values())):
        for horizon in HORIZONS:
            steps = steps_in(horizon, product.step_days)
            parts = []
            for origin, found in made.items():
                if origin + steps <= len(product.dates):
                    seen: BoolArray = product.observed[origin : origin + steps]
                    parts.append(np.vstack([product.units[origin : origin + steps], found[name][:, :steps]])[:, seen])
            if parts and np.hstack(parts)[0].sum() > 0:
                units, mean, low, high = np.hstack(parts)
                inside = float(((units >= np.floor(low)) & (units <= high)).mean())
                total = units.sum()
                error = float(np.abs(mean - units).sum() / total), float((mean - units).sum() / total), inside
                scores.setdefault(name, {})[horizon] = error
    return scores


def table(scores: dict[str, Scores]) -> str:
    """Return the table of errors."""
    lines = [
        "| horizon | forecaster | error over AutoETS's | error | bias, median | covered |",
        "|---|---|---|---|---|---|",
    ]
    for horizon in HORIZONS:
        for name in (GIVEN, KEPT, PEER):
            rows = [item for item in scores.values() if horizon in item.get(name, {})]
            if not rows:
                continue
            error, bias, inside = np.array([item[name][horizon] for item in rows]).T
            ets = np.array([item[PEER][horizon][0] for item in rows])
            ratio = np.exp(np.log(error / ets).mean())
            found = f"{ratio:.2f} | {error.mean():.2f} | {np.median(bias):+.1%} | {inside.mean():.0%}"
            lines.append(f"| {horizon} | {name} | {found} |")
    return "\n".join(lines)


def main() -> None:
    options = read_options(
        __doc__,
        data=Path("../shared/data"),
        origins=6,
        accounts=8,
        shops=12,
    )
    compute_alone()
    found: dict[str, dict[str, Scores]] = {}
    every = {"real": real_series(options.data, options.accounts), "simulated": simulated_series(options.shops)}
    for part, series in every.items():
        found[part] = {}
        for name, prepared in series:
            product = prepared.products[0]
            origins = windows(product, options.origins)
            made = {at: forecast_ours(prepared, at) | forecast_peer(product, at) for at in origins}
            found[part][name] = score(product, made)
    for part, scored in found.items():
        if scored:
            print(f"\n{part}, {len(scored)} series\n\n{table(scored)}")


if __name__ == "__main__":
    main()
