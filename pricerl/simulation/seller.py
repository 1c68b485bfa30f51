"""Simulated seller with known demand, in the schema of a real file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from pricerl.arrays import FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.days import WEEK, weekday_of
from pricerl.data.features import shifted_mean
from pricerl.data.history import History
from pricerl.data.reading import columns
from pricerl.data.reading.reader import history_from_text
from pricerl.errors import UsageError, did_you_mean
from pricerl.simulation.confounders import Disturbing, censor, disturb
from pricerl.simulation.true_demand import expected_profit, expected_units, find_optimal_price, local_elasticity
from pricerl.writing import write_together

MarketFamily = Literal["constant", "linear", "exponential", "logit", "kinked", "optimal", Disturbing]
"""Families of demand curves, and constant elasticities hidden by a confounder."""
MARKETS: tuple[str, ...] = get_args(MarketFamily)

FEWEST_DAYS, MOST_DAYS = 8, 20_000
MOST_PRODUCTS = 1_000
MOST_UNITS = 1e6

START_PRICES = (8.0, 40.0)
ELASTICITIES = (-2.6, -1.8)
"""Elasticity at the starting price; below -1 over the tried prices of every family, so the best price is finite."""

OPTIMUM_STEPS = (0.06, 0.12)
"""Log distance of the best price from the starting price, up or down; it determines the unit cost."""

SHARES_KEPT = (0.7, 0.9)
FIXED_COST_SHARE = 0.02
"""Daily fixed cost as a share of the mean revenue at the starting price."""

PRICE_RANGE = 0.2
"""Tried prices lie within exp(+-0.2) of the starting price."""

HOLD_DAYS = (3, 14)
"""Shortest and longest time between two price changes."""

WEEKDAY_PATTERN = np.array([0.90, 0.92, 0.95, 1.00, 1.08, 1.12, 1.03])
"""Demand by weekday, Monday first; the mean is 1."""

NOISE_SIZE = 10.0
"""Negative binomial: variance = mean + mean^2 / 10."""

PROFIT_NOISE = 0.005
"""Standard deviation of the noise in profit, as a share of the mean revenue."""

ORGANIC_RATE, AD_RATE = 0.12, 0.08
"""Share of visitors who buy at the starting price."""

FORECAST_NOISE = 0.1
"""Log standard deviation of the supplied forecast around the trailing 7-day mean."""


@dataclass(frozen=True)
class SellerConfig:
    """Settings of a simulated seller.

    Raises:
        UsageError: a setting is outside its range; the message names it.
    """

    market: MarketFamily = "constant"
    """Family of demand: a curve; ``optimal``, a constant elasticity whose current price is the best; or a constant
    elasticity with a confounder."""

    days: int = 365
    """Days of history."""

    units: float = 20.0
    """Mean daily units at the starting price."""

    seed: int = 0
    """Seed; the same seed gives the same file."""

    products: int = 1
    """Number of products; more than one add a ``Product`` column."""

    start: str = "2025-01-01"
    """First day, ISO."""

    def __post_init__(self) -> None:
        if self.market not in MARKETS:
            close = did_you_mean(str(self.market), MARKETS)
            raise UsageError(f"market must be one of {', '.join(MARKETS)}, found {self.market!r}{close}")
        limits = [
            (FEWEST_DAYS <= self.days <= MOST_DAYS, f"days must be {FEWEST_DAYS} to {MOST_DAYS:,}, found {self.days}"),
            (0 < self.units <= MOST_UNITS, f"units must be above 0 and at most {MOST_UNITS:,.0f}, found {self.units}"),
            (1 <= self.products <= MOST_PRODUCTS, f"products must be 1 to {MOST_PRODUCTS:,}, found {self.products}"),
            (self.seed >= 0, f"seed must be 0 or more, found {self.seed}"),
            (_is_date(self.start), f"start must be a date such as 2025-01-01, found {self.start!r}"),
        ]
        if problems := [text for holds, text in limits if not holds]:
            raise UsageError("; ".join(problems))


def simulate(config: SellerConfig) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Simulate a seller.

    Args:
        config: the seller.

    Returns:
        The seller's file, oldest day first, and its truth: ``family``, ``parameters``, ``unit_cost``, ``share_kept``,
        ``fixed_cost``, ``weekday_demand`` (multipliers, Monday first), ``current_price``, ``optimal_price``,
        ``oracle_profit`` and ``current_profit`` (money per day, averaged over weekdays); with several products one
        such dict per product under ``products``.
    """
    seeds = np.random.SeedSequence(config.seed).spawn(config.products)
    drawn = [_simulate_product(config, np.random.default_rng(seed)) for seed in seeds]
    sold = {f"product-{number}": product for number, product in enumerate(drawn, 1)}
    if config.products == 1:
        return drawn[0]
    frames = [frame.assign(**{columns.PRODUCT: name}) for name, (frame, _) in sold.items()]
    truths = {name: truth for name, (_, truth) in sold.items()}
    return pd.concat(frames, ignore_index=True), {"family": config.market, "products": truths}


def write_seller(config: SellerConfig, out: Path) -> dict[str, Any]:
    """Write a simulated seller's file and its truth, ``<out>.truth.json``.

    Args:
        config: the seller.
        out: CSV file to write; its folder is created if absent.

    Returns:
        The truth.

    Raises:
        UsageError: the file cannot be written.
    """
    frame, truth = simulate(config)
    write_together({out: _to_csv(frame), Path(f"{out}.truth.json"): json.dumps(truth, indent=2) + "\n"})
    return truth


def simulated_history(config: SellerConfig, data: DataConfig) -> History:
    """Return the history of a simulated seller, read and cleaned like a file.

    Args:
        config: the seller.
        data: settings of reading and cleaning.

    Returns:
        The history, with the source ``simulated seller``.

    Raises:
        DataError: too few sales for a history.
    """
    frame, _ = simulate(config)
    return history_from_text(_to_csv(frame), "simulated seller", data)


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except (TypeError, ValueError):
        return False


def _to_csv(frame: pd.DataFrame) -> str:
    return str(frame.to_csv(index=False, lineterminator="\n"))


def _simulate_product(config: SellerConfig, generator: np.random.Generator) -> tuple[pd.DataFrame, dict[str, Any]]:
    truth = _draw_truth(config, generator)
    days = np.datetime64(date.fromisoformat(config.start), "D") + np.arange(config.days)
    price = _draw_prices(truth["current_price"], config.days, generator)
    weekday = WEEKDAY_PATTERN[weekday_of(days.astype(np.int64))]
    price, swing, reach, reported = disturb(config.market, price, generator)
    mean_units = expected_units(truth, price) * weekday * swing
    units = generator.negative_binomial(NOISE_SIZE, NOISE_SIZE / (NOISE_SIZE + mean_units))
    units = censor(config.market, units, config.units)
    sales = np.round(units * price, 2)
    appeal = np.sqrt(expected_units(truth, price) / config.units)
    organic = _draw_conversion(ORGANIC_RATE * appeal, config.units, generator)
    ad = _draw_conversion(AD_RATE * appeal * reach, config.units, generator)
    profit = -truth["fixed_cost"] + truth["share_kept"] * sales - truth["unit_cost"] * units
    profit += generator.normal(0.0, PROFIT_NOISE * truth["current_price"] * config.units, config.days)
    forecast = shifted_mean(sales, 0.0) * np.exp(generator.normal(0.0, FORECAST_NOISE, config.days))
    forecast[:WEEK] = np.nan
    frame = {
        columns.REPORT_DATE: days.astype(str),
        columns.PRODUCT_PRICE: price,
        columns.ORGANIC_CONVERSION: organic,
        columns.AD_CONVERSION: ad,
        columns.TOTAL_PROFIT: np.round(profit, 2),
        columns.TOTAL_SALES: sales,
        columns.PREDICTED_SALES: np.round(forecast, 2),
        **reported,
    }
    return pd.DataFrame(frame), truth


def _draw_truth(config: SellerConfig, generator: np.random.Generator) -> dict[str, Any]:
    """Draw curve and costs; the unit cost ``c = k p (1 + 1/e)`` makes the drawn price ratio the best one."""
    start_price = round(generator.uniform(*START_PRICES), 2)
    elasticity = round(generator.uniform(*ELASTICITIES), 3)
    step = generator.uniform(*OPTIMUM_STEPS) * generator.choice([-1, 1])
    ratio = 1.0 if config.market == "optimal" else round(float(np.exp(step)), 3)
    share_kept = round(generator.uniform(*SHARES_KEPT), 3)
    parameters = {"elasticity": elasticity, "start_price": start_price, "units": float(config.units)}
    if config.market == "kinked":
        parameters["kink"] = ratio
    at_best = local_elasticity(config.market, parameters, ratio)
    truth: dict[str, Any] = {
        "family": config.market,
        "parameters": parameters,
        "unit_cost": round(share_kept * start_price * ratio * (1 + 1 / at_best), 6),
        "share_kept": share_kept,
        "fixed_cost": round(FIXED_COST_SHARE * start_price * config.units, 2),
        "weekday_demand": WEEKDAY_PATTERN.tolist(),
        "current_price": start_price,
    }
    truth["optimal_price"] = find_optimal_price(truth)
    truth["oracle_profit"] = float(expected_profit(truth, truth["optimal_price"]))
    truth["current_profit"] = float(expected_profit(truth, start_price))
    return truth


def _draw_prices(start_price: float, num_days: int, generator: np.random.Generator) -> FloatArray:
    """Draw piecewise constant prices in whole cents that begin and end at the starting price."""
    price = np.full(num_days, start_price)
    day, last_hold = (int(hold) for hold in generator.integers(*HOLD_DAYS, size=2, endpoint=True))
    while day < num_days - last_hold:
        hold = int(generator.integers(*HOLD_DAYS, endpoint=True))
        after = min(day + hold, num_days - last_hold)
        price[day:after] = start_price * np.exp(generator.uniform(-1, 1) * PRICE_RANGE)
        day += hold
    return np.round(price, 2)


def _draw_conversion(rate: FloatArray, units: float, generator: np.random.Generator) -> FloatArray:
    """Draw the percentage of visitors who buy, with the number of visitors implied by the mean units."""
    visitors = 1 + generator.poisson(units / ORGANIC_RATE, len(rate))
    buyers = generator.binomial(visitors, np.clip(rate, 0.0, 1.0))
    return np.asarray(np.round(100 * buyers / visitors, 2), dtype=np.float64)
