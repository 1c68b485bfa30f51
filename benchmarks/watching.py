"""False alarms of `pricerl watch` on stable markets, and days until it reports a drop of demand by 20 %.

    python benchmarks/watching.py --sellers 60 --futures 8

Every seller has a year of history, to which a market is fitted, and a year that the monitor watches. True demand
differs from what the monitor assumes: curves of five families, three weekday patterns, a level that drifts (0.3 % per
day), noise that is not the assumed negative binomial, and a yearly season of random phase. `futures` years are drawn
per fitted market. A drop begins on a random day of the first half year. A delay of 1 is the first day with fewer sales;
futures with an alarm in the 40 days before are left out, and 120 days stand for a drop that is never found.

The last column is the least mean delay that any rule reaches with one false alarm per year, if it knows demand before
the drop, which neither drifts nor has a season.

The thresholds were chosen on other seeds, below 12,000.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from runner import Option, compute_alone, read_options
from scipy import stats
from shops.sellers import EARLY_WEEK, SATURDAYS, read_days

from pricerl.arrays import FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.days import weekday_of
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.evaluation.forecast import respond_on
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.operations.watching import demand_drift
from pricerl.operations.watching.new_days import doubts_of
from pricerl.simulation.true_demand import WEEKDAY_PATTERN, expected_units

DAYS = 365
FAMILIES = ("constant", "linear", "exponential", "logit", "kinked")
NOISES = {
    "Poisson": 1.0,
    "variance 1.5 x mean": 1.5,
    "log-normal days, sd 0.2": 0.2,
    "negative binomial, size 10": 10.0,
}
DRIFT_SD = 0.003
SEASONS = (0.0, 0.05, 0.10)
"""Amplitudes of the yearly season, as a share of demand."""
NEVER = 120


def draw_units(mean: FloatArray, noise: str, rng: np.random.Generator) -> FloatArray:
    """Draw units around an expectation."""
    number = NOISES[noise]
    if noise == "Poisson":
        rate = mean
    elif noise.startswith("variance"):
        shape = mean / (number - 1)
        rate = mean * rng.gamma(shape) / shape
    elif noise.startswith("log-normal"):
        rate = mean * np.exp(rng.normal(-(number**2) / 2, number, mean.shape))
    else:
        rate = mean * rng.gamma(number, 1 / number, mean.shape)
    return rng.poisson(rate).astype(np.float64)


def probabilities(mean: float, noise: str, units: FloatArray) -> FloatArray:
    """Return the probabilities of units that `draw_units` draws around an expectation."""
    number = NOISES[noise]
    if noise == "Poisson":
        return np.asarray(stats.poisson.pmf(units, mean))
    if noise.startswith("log-normal"):
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        rates = mean * np.exp(number * nodes - number**2 / 2)
        return np.asarray(weights / weights.sum() @ stats.poisson.pmf(units, rates[:, None]))
    size = mean / (number - 1) if noise.startswith("variance") else number
    return np.asarray(stats.nbinom.pmf(units, size, size / (size + mean)))


def log_ratios(mean: float, noise: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the log likelihood ratios of all units, a drop against none, and their probabilities before and after."""
    units = np.arange(8 * mean + 40)
    before, after = (probabilities(share * mean, noise, units) for share in (1.0, 0.8))
    known = (before > 1e-15) & (after > 1e-15)
    return np.log(after[known] / before[known]), before[known], after[known]


def best_delay(mean: float, noise: str, days: float = DAYS) -> float:
    """Return the least mean delay of a drop to 80 % that any rule reaches, in days, if demand before it is known.

    The best rule is the CUSUM of the true log likelihood ratios, in the worst case of its state (Moustakides 1986,
    Annals of Statistics 14). Lorden's (1971) ``ln(days) / KL`` is its limit for rare false alarms only: with one per
    year it can be 2.3 times this value.

    Args:
        mean: expected units per day before the drop.
        noise: key of `NOISES`.
        days: mean time between false alarms.
    """
    ratio, before, after = log_ratios(mean, noise)
    low, high = 0.0, 12.0
    for _ in range(20):
        limit = (low + high) / 2
        low, high = (low, limit) if mean_time(ratio, before, limit) >= days else (limit, high)
    return mean_time(ratio, after, high)


def mean_time(ratio: FloatArray, probability: FloatArray, limit: float, cells: int = 300) -> float:
    """Return the mean time until a CUSUM of ratios, which occur with their probabilities, reaches a limit.

    A Markov chain has the same time (Brook and Evans 1972, Biometrika 59).
    """
    moves, start = np.zeros((cells, cells)), np.arange(cells)
    for step, share in zip(np.rint(ratio * cells / limit).astype(int), probability, strict=True):
        end = np.maximum(start + step, 0)
        inside = end < cells
        moves[start[inside], end[inside]] += share
    return float(np.linalg.solve(np.eye(cells) - moves, np.ones(cells))[0])


def draw_prices(days: int, rng: np.random.Generator) -> FloatArray:
    """Draw prices around 20 that change every 5 to 20 days."""
    price, day = np.empty(days), 0
    while day < days:
        hold = int(rng.integers(5, 21))
        price[day : day + hold] = 20 * np.exp(rng.uniform(-0.12, 0.12))
        day += hold
    return np.round(price, 2)


def level_of(rows: int, season: float, rng: np.random.Generator) -> FloatArray:
    """Draw the log level of two years, 0 on the last day of the first, ``(rows, 730)``."""
    drift = np.cumsum(rng.normal(0, DRIFT_SD, (rows, 2 * DAYS)), 1)
    wave = season * np.sin(2 * np.pi * (np.arange(2 * DAYS) / DAYS + rng.random((rows, 1))))
    level = drift + wave
    return level - level[:, DAYS - 1 : DAYS]


def make_seller(units: float, noise: str, season: float, seed: int) -> tuple[Market, ProductHistory, FloatArray]:
    """Fit a market to a seller's first year; return it with prices and dates of two years, and the mean units."""
    rng = np.random.default_rng(seed)
    parameters = {"elasticity": -float(rng.uniform(1.5, 2.8)), "start_price": 20.0, "units": units, "kink": 1.03}
    truth = {"family": FAMILIES[seed % len(FAMILIES)], "parameters": parameters}
    dates = np.datetime64("2024-01-01", "D") + np.arange(2 * DAYS)
    weekday = np.array((WEEKDAY_PATTERN, EARLY_WEEK, SATURDAYS)[seed % 3])[weekday_of(dates.astype(np.int64))]
    price = draw_prices(2 * DAYS, rng)
    mean = expected_units(truth, price) * weekday
    sold = draw_units(mean[:DAYS] * np.exp(level_of(1, season, rng)[0, :DAYS]), noise, rng)
    prepared = DataPreprocessor.fit(read_days(DataConfig(), dates[:DAYS], price[:DAYS], sold), DataConfig())
    market = fit_market(prepared, DemandConfig(num_draws=64), seed=seed, conversions=False)
    return market, replace(prepared.products[0], price=price, dates=dates), mean


def watch(market: Market, history: ProductHistory, units: FloatArray) -> demand_drift.DriftDays:
    """Watch the second year of several futures, ``(F, 365)`` units."""
    day = np.arange(DAYS, 2 * DAYS)
    expected = respond_on(market, 0, history, day).expected_units.double().numpy()
    rows = len(units)
    level_sd, response_sd = (np.repeat(sd, rows, axis=0) for sd in doubts_of(expected))
    mean, size = np.broadcast_to(expected.mean(0), units.shape), np.full(rows, float(market.size[0]))
    return demand_drift.find_drift(
        units, mean, np.ones(units.shape, bool), size, level_sd, response_sd, market.products[0].ahead.shock
    )


def measure(units: float, noise: str, options: argparse.Namespace) -> str:
    """Return a row of the table."""
    alarms: dict[float, list[int]] = {season: [] for season in SEASONS}
    delays: list[int] = []
    for number in range(options.sellers):
        for place, season in enumerate(SEASONS):
            seed = options.seed + 7 * number + place
            market, history, mean = make_seller(units, noise, season, seed)
            rng = np.random.default_rng([seed, 1])
            due = mean[DAYS:] * np.exp(level_of(options.futures, season, rng)[:, DAYS:])
            alarms[season] += (watch(market, history, draw_units(due, noise, rng)).alarm != 0).sum(1).tolist()
            if season == SEASONS[1]:
                start = rng.integers(40, DAYS // 2, options.futures)
                dropped = due * np.where(np.arange(DAYS) >= start[:, None], 0.8, 1.0)
                found = watch(market, history, draw_units(dropped, noise, rng)).alarm
                for row, first in zip(found, start, strict=True):
                    if not (row[first - 40 : first] != 0).any():
                        after = np.flatnonzero(row[first : first + NEVER] < 0)
                        delays.append(int(after[0]) + 1 if len(after) else NEVER)
    rates = " | ".join(f"{np.mean(found):.2f}" for found in alarms.values())
    found = f"{np.median(delays):.0f} | {np.mean(delays):.0f} | {best_delay(units, noise):.0f}"
    return f"| {units:g} | {noise} | {rates} | {found} |"


def main() -> None:
    options = read_options(
        __doc__,
        sellers=60,
        futures=8,
        units=[5.0, 20.0, 100.0],
        noises=Option([*NOISES], choices=NOISES),
        seed=20_000,
    )
    compute_alone()
    rates = " | ".join(f"season ±{season:.0%}" for season in SEASONS)
    print(f"| units per day | noise | false alarms per year: {rates} | delay: median | mean | best |")
    print("|---|---|---|---|---|---|---|---|")
    for units in options.units:
        for noise in options.noises:
            print(measure(units, noise, options), flush=True)


if __name__ == "__main__":
    main()
