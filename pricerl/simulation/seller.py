"""Simulated seller with known demand, in the schema of a real file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import pandas as pd

from pricerl.arrays import DateArray, FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.days import WEEK, read_day, weekday_of
from pricerl.data.features import shifted_mean
from pricerl.data.history import History
from pricerl.data.reading import columns
from pricerl.data.reading.reader import history_from_text
from pricerl.errors import check_settings, did_you_mean, refuse
from pricerl.simulation.true_demand import ShopRanges, add_best_price, draw_truth, expected_units
from pricerl.simulation.varied import add_effects, draw_kind, lift_by_memory
from pricerl.writing import write_text

MarketFamily = Literal["constant", "linear", "exponential", "logit", "kinked", "optimal"]
"""Families of demand curves."""
MARKETS: tuple[str, ...] = get_args(MarketFamily)

FEWEST_DAYS = 8
MOST_DAYS = 20_000
MOST_PRODUCTS = 1_000
MOST_UNITS = 1e6

PROFIT_NOISE = 0.005
"""Standard deviation of the noise in profit, as a share of the mean revenue."""

ORGANIC_RATE = 0.12
"""Share of organic visitors who buy at the starting price."""
AD_RATE = 0.08
"""Share of visitors from advertising who buy at the starting price."""

FORECAST_NOISE = 0.1
"""Log standard deviation of the supplied forecast around the trailing 7-day mean."""


@dataclass(frozen=True)
class SellerConfig:
    """Settings of a simulated seller.

    Raises:
        UsageError: a setting is outside its range; the message names it.
    """

    market: MarketFamily | Literal["varied"] = "constant"
    """Family of demand: a curve; ``optimal``, a constant elasticity whose current price is the best; or ``varied``,
    which draws the whole shop of every product anew, its days and units included."""

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

    markets: ClassVar[tuple[str, ...]] = (*MARKETS, "varied")
    """Allowed markets."""

    def __post_init__(self) -> None:
        refuse(
            {
                f"market must be one of {', '.join(self.markets)}, found {self.market!r}"
                f"{did_you_mean(str(self.market), self.markets)}": self.market not in self.markets
            }
        )
        check_settings(
            "",
            self,
            {
                "days": (FEWEST_DAYS <= self.days <= MOST_DAYS, f"be {FEWEST_DAYS} to {MOST_DAYS:,}"),
                "units": (0 < self.units <= MOST_UNITS, f"be above 0 and at most {MOST_UNITS:,.0f}"),
                "products": (1 <= self.products <= MOST_PRODUCTS, f"be 1 to {MOST_PRODUCTS:,}"),
                "seed": (self.seed >= 0, "be 0 or more"),
            },
        )
        read_day(self.start, "start")

    @property
    def ranges(self) -> ShopRanges:
        """Ranges from which a shop is drawn."""
        return ShopRanges()

    @property
    def dates(self) -> DateArray:
        """Days of the history, ``(D,)``."""
        return np.datetime64(self.start, "D") + np.arange(self.days)

    def simulate_product(self, generator: np.random.Generator) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Draw the rows and the truth of one product; subclasses draw other sellers."""
        varied = self.market == "varied"
        drawn, ranges = draw_kind(generator) if varied else ({}, self.ranges)
        own = replace(self, **drawn)
        truth = draw_truth(own.market, own.units, ranges, generator)
        if varied:
            add_effects(truth, generator)
        add_best_price(truth)
        price = draw_prices(truth["current_price"], own.days, ranges, generator)
        weekday = np.array(truth["weekday_demand"])[weekday_of(own.dates.astype(np.int64))]
        demand = expected_units(truth, price) * lift_by_memory(truth, price) * weekday
        units = draw_units(demand, ranges, generator)
        sold = units, np.round(units * price, 2)
        return write_days(own, truth, price, sold, np.ones(own.days), generator), truth


def simulate(config: SellerConfig) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Simulate a seller.

    Returns:
        The seller's file, oldest day first, and its truth: ``family``, ``parameters``, ``unit_cost``, ``share_kept``,
        ``fixed_cost``, ``weekday_demand`` (multipliers, Monday first), ``current_price``, ``optimal_price``,
        ``oracle_profit`` and ``current_profit`` (money per day, averaged over weekdays); with several products one
        such dict per product under ``products``.
    """
    seeds = np.random.SeedSequence(config.seed).spawn(config.products)
    drawn = [config.simulate_product(np.random.default_rng(seed)) for seed in seeds]
    if config.products == 1:
        return drawn[0]
    named = {f"product-{number}": item for number, item in enumerate(drawn, 1)}
    frames = [frame.assign(**{columns.PRODUCT: name}) for name, (frame, _) in named.items()]
    truths = {name: truth for name, (_, truth) in named.items()}
    return pd.concat(frames, ignore_index=True), {"family": config.market, "products": truths}


def write_seller(config: SellerConfig, out: Path) -> dict[str, Any]:
    """Write a seller's days, and the truth; return it, or raise a ``UsageError``."""
    frame, truth = simulate(config)
    write_text(out, _to_csv(frame))
    write_text(Path(f"{out}.truth.json"), json.dumps(truth, indent=2) + "\n")
    return truth


def simulated_history(config: SellerConfig, data: DataConfig) -> History:
    """Return the history of a simulated seller, read like a file; raise a ``DataError`` if sales are too few."""
    frame, _ = simulate(config)
    return history_from_text(_to_csv(frame), "simulated seller", data)


def _to_csv(frame: pd.DataFrame) -> str:
    return str(frame.to_csv(index=False, lineterminator="\n"))


def draw_prices(start_price: float, num_days: int, ranges: ShopRanges, generator: np.random.Generator) -> FloatArray:
    """Draw piecewise constant prices in whole cents that begin and end at the starting price."""
    price = np.full(num_days, start_price)
    day, last_hold = (int(hold) for hold in generator.integers(*ranges.hold_days, size=2, endpoint=True))
    while day < num_days - last_hold:
        hold = int(generator.integers(*ranges.hold_days, endpoint=True))
        after = min(day + hold, num_days - last_hold)
        price[day:after] = start_price * np.exp(generator.uniform(-1, 1) * ranges.price_range)
        day += hold
    return np.round(price, 2)


def draw_units(mean: FloatArray, ranges: ShopRanges, generator: np.random.Generator) -> FloatArray:
    """Draw daily units around ``mean (D,)``."""
    size = ranges.noise_size
    return generator.negative_binomial(size, size / (size + mean)).astype(np.float64)


def write_days(
    config: SellerConfig,
    truth: Mapping[str, Any],
    price: FloatArray,
    sold: tuple[FloatArray, FloatArray],
    reach: FloatArray,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Return the rows of a product's file, with noisy conversions, profit and forecast.

    ``price (D,)`` was charged, ``sold`` holds units and sales ``(D,)`` in money, and ``reach (D,)`` multiplies the ad
    conversion.
    """
    units, sales = sold
    organic, ad = draw_conversions(truth, price, reach, generator)
    profit = -truth["fixed_cost"] + truth["share_kept"] * sales - truth["unit_cost"] * units
    profit += generator.normal(0.0, PROFIT_NOISE * truth["current_price"] * config.units, config.days)
    forecast = shifted_mean(sales, 0.0) * np.exp(generator.normal(0.0, FORECAST_NOISE, config.days))
    forecast[:WEEK] = np.nan
    return pd.DataFrame(
        {
            columns.REPORT_DATE: config.dates.astype(str),
            columns.PRODUCT_PRICE: price,
            columns.ORGANIC_CONVERSION: organic,
            columns.AD_CONVERSION: ad,
            columns.TOTAL_PROFIT: np.round(profit, 2),
            columns.TOTAL_SALES: sales,
            columns.PREDICTED_SALES: np.round(forecast, 2),
        }
    )


def draw_conversions(
    truth: Mapping[str, Any], price: FloatArray, reach: FloatArray, generator: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Draw percentages of organic and advertised visitors who buy, ``(D,)`` each; ``reach (D,)`` lifts the latter."""
    units = truth["parameters"]["units"]
    appeal = np.sqrt(expected_units(truth, price) / units)

    def draw(rate: FloatArray) -> FloatArray:
        visitors = 1 + generator.poisson(units / ORGANIC_RATE, len(rate))
        return np.round(100 * generator.binomial(visitors, np.clip(rate, 0.0, 1.0)) / visitors, 2)

    return draw(ORGANIC_RATE * appeal), draw(AD_RATE * appeal * reach)
