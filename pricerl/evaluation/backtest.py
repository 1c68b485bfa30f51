"""Rolling-origin backtest: out-of-sample forecast errors of the market and of simpler forecasts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from hashlib import sha256
from math import ceil
from typing import NamedTuple

import numpy as np
import torch

from pricerl.arrays import FloatArray, IntArray
from pricerl.data.costs import CostConfig
from pricerl.data.days import WEEK, steps_in
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.evaluation.forecast import predict_units
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.pooling import Pool
from pricerl.market.fitting import fit_market

DAYS_AHEAD = (1, 7, 14)
"""Forecast horizons in days; the first day after the origin is one day ahead."""
MOST_ORIGINS = 4
"""Most markets fitted per product, in 0.1 s each: fewer than four scores would mean nothing."""
TESTED_SHARE = 0.1
"""Share of a catalogue's products whose forecasts are tested; testing one costs three quarters of advising on it."""
FEWEST_TESTED = 8
"""Fewest products tested: of a larger catalogue that takes two to three seconds."""
MOST_TESTED = 40
"""Most products tested: with four origins each, the standard error of a coverage of 90 % is 2.4 % of the days."""


def steps_ahead(step_days: int) -> tuple[int, ...]:
    """Return the forecast horizons in rows, ascending, for rows ``step_days`` apart."""
    return tuple(sorted({steps_in(days, step_days) for days in DAYS_AHEAD}))


class Forecasts(NamedTuple):
    """Forecasts of a product's units, ``(N,)`` each, made at several origins, with 90 % limits."""

    origin: IntArray
    """Number of known days of history."""
    day: IntArray
    """Index of the forecast day: ``origin + days_ahead - 1``."""
    mean: FloatArray
    low: FloatArray
    high: FloatArray


class HorizonScore(NamedTuple):
    """Errors of a product's forecasts at one horizon, on observed days and at the prices charged."""

    days_ahead: int
    """Horizon, days."""
    days: int
    """Number of forecast days: one per origin, if observed."""
    wape_market: float
    """Weighted absolute percentage error (WAPE) of daily units: sum of absolute errors over sum of units."""
    wape_mean_7: float
    """WAPE of the mean over the seven days before the origin."""
    coverage: float
    """Coverage of the 90 % predictive interval: share of the days inside it."""
    wape_supplied: float | None
    """WAPE of the supplied sales forecast over the price charged, on the days that have one, or None if no day has."""
    skill_supplied: float | None
    """Skill of the market against the supplied forecast on those days: 1 minus the ratio of their errors."""
    skill: float
    """Skill of the market against the 7-day mean: 1 minus the ratio of their errors; above 0 the market is better."""


class Backtest(NamedTuple):
    """Scores of one product's forecasts, made at several origins in its history."""

    origins: int
    """Number of markets fitted, each on the days before its origin."""
    scores: tuple[HorizonScore, ...]
    """One score per horizon with any sale, nearest first."""


def run_backtests(
    preprocessor: DataPreprocessor,
    demand: DemandConfig,
    cost: CostConfig,
    seed: int = 0,
    tested: Set[str] | None = None,
    pool: Pool | None = None,
) -> dict[str, Backtest]:
    """Forecast every product at several origins and score the forecasts 1, 7 and 14 days ahead.

    At each origin the market is refitted to the days before it and given the price charged on the forecast day, as an
    advice knows its price; the 7-day mean and the supplied forecast are not. A pooled prior excludes the product's own
    later days; the elasticities of the other products come from their whole histories.

    The products ``tested``, by default `tested_products`, get scores if they sold on a forecast day. If they are part
    of a larger catalogue, ``pool`` is its evidence on elasticities.
    """
    found = {}
    tested = tested_products(preprocessor.names) if tested is None else tested
    for index, product in enumerate(preprocessor.products):
        if product.product not in tested:
            continue
        latest = max(steps_ahead(product.step_days))
        origins = choose_origins(len(product.dates), preprocessor.config.window, latest)
        forecasts = forecast_units(preprocessor, index, origins, demand, cost, seed, pool)
        if scores := score_forecasts(product, forecasts):
            found[product.product] = Backtest(len(origins), scores)
    return found


def tested_products(names: Collection[str]) -> frozenset[str]:
    """Return the names of the products to test, of all of a catalogue."""
    return draw_products(names, max(FEWEST_TESTED, min(MOST_TESTED, round(TESTED_SHARE * len(names)))))


def draw_products(names: Iterable[str], most: int) -> frozenset[str]:
    """Return at most so many products: a random sample that stays the same from day to day."""
    drawn = sorted(names, key=lambda name: sha256(name.encode("utf-8", "backslashreplace")).digest())
    return frozenset(drawn[:most])


def choose_origins(num_days: int, fewest_known: int, latest: int = max(DAYS_AHEAD)) -> list[int]:
    """Return up to `MOST_ORIGINS` evenly spaced origins, ascending; an origin is a number of known days.

    In a long history they are in its last third, as earlier ones leave too little to fit a market, and leave room for
    the ``latest`` forecast. Their spacing is no multiple of a week, so that forecasts are for different weekdays.
    """
    first = max(round(num_days * (1 - 1 / 3)), fewest_known)
    last = max(first, num_days - latest)
    step = ceil((last - first + 1) / MOST_ORIGINS)
    step += step % WEEK == 0
    return list(range(last, first - 1, -step))[::-1]


def forecast_units(
    preprocessor: DataPreprocessor,
    index: int,
    origins: list[int],
    demand: DemandConfig,
    cost: CostConfig,
    seed: int,
    pool: Pool | None = None,
) -> Forecasts:
    """Forecast a product's units ``DAYS_AHEAD`` days ahead of each origin, at the prices charged."""
    product = preprocessor.products[index]
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for origin in origins:
        days = origin + np.array(steps_ahead(product.step_days)) - 1
        day = days[days < len(product.dates)]
        prior = None if pool is None else pool.with_history(product.first_days(origin)).prior(product.product)
        market = fit_market(preprocessor.first_days(index, origin), demand, cost, seed, False, [prior])
        parts.append(Forecasts(np.full_like(day, origin), day, *predict_units(market, product, day, generator)))
    return Forecasts(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def score_forecasts(product: ProductHistory, forecasts: Forecasts) -> tuple[HorizonScore, ...]:
    """Score a product's forecasts on observed days, per horizon with any sale on these days."""
    scores = []
    for steps in steps_ahead(product.step_days):
        kept = (forecasts.day - forecasts.origin + 1 == steps) & product.observed[forecasts.day]
        origin, day, mean, low, high = (array[kept] for array in forecasts)
        units = product.units[day]
        if units.sum() == 0:
            continue
        mean_7 = np.array([product.units[max(first - WEEK, 0) : first].mean() for first in origin])
        error = _wape(mean, units)
        error_mean_7 = _wape(mean_7, units)
        supplied = product.predicted[day] / product.price[day]
        given = np.isfinite(supplied)
        rival = _wape(supplied[given], units[given]) if units[given].sum() > 0 else None
        scores.append(
            HorizonScore(
                days_ahead=steps * product.step_days,
                days=len(units),
                wape_market=error,
                wape_mean_7=error_mean_7,
                coverage=float(((units >= low) & (units <= high)).mean()),
                wape_supplied=rival,
                skill_supplied=None if rival is None else _skill(_wape(mean[given], units[given]), rival),
                skill=_skill(error, error_mean_7),
            )
        )
    return tuple(scores)


def _wape(forecast: FloatArray, units: FloatArray) -> float:
    return float(np.abs(forecast - units).sum() / units.sum())


def _skill(error: float, rival: float) -> float:
    return 1 - error / rival if rival > 0 else 0.0
