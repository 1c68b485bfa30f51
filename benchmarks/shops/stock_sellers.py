"""Sellers with stock whose demand, seasons and suppliers are made by another maker than the env.

Demand follows the families of ``pricerl.simulation``, day by day; its level returns to its mean and may jump once;
seasons are bumps that the seller foresees with errors; deliveries may be a week late; units perish one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.stats import binom, nbinom

from pricerl.arrays import FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.days import WEEK
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.stock import MOST_LEAD_WEEKS, MOST_WEEKS, Stock
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.simulation.seller import SellerConfig, simulate, simulated_history
from pricerl.simulation.true_demand import ShopRanges, expected_units
from shops.sellers import join

KINDS = ("steady", "seasonal", "end of life", "perishable", "import")
FAMILIES = ("linear", "exponential", "logit", "kinked", "constant")
SHOP = ShopRanges((6.0, 90.0), (-3.0, -1.6), (0.02, 0.12), (5, 25), 0.15, 8.0)

KEPT, SHOCK = 0.9, 0.07
"""Share of the log level's distance from its mean kept per week, and the sd of its weekly shocks."""
JUMP, JUMPS = 0.25, 0.3
"""Log size of a jump of the level, up or down, and the share of futures that have one."""
LATE = 0.15
"""Share of deliveries that come a week late."""


@dataclass(frozen=True)
class StockSellerConfig(SellerConfig):
    """A seller whose shop is drawn from `SHOP`."""

    ranges: ClassVar[ShopRanges] = SHOP  # type: ignore[misc]  # a property of the parent


@dataclass(frozen=True)
class StockSeller:
    """One seller: what it knows of its stock, and the truth."""

    kind: str
    stock: Stock
    truth: Mapping[str, Any]
    season: FloatArray
    """``(26,)`` true demand of each week over today's."""


def draw_season(height: float, peak: float, width: float) -> FloatArray:
    """Return a bump of demand over the weeks, ``(26,)``, relative to today's."""
    weeks = np.arange(MOST_WEEKS)
    log_demand = height * np.exp(-0.5 * ((weeks - peak) / width) ** 2)
    return np.asarray(np.exp(log_demand - log_demand[0]))


def draw_seller(kind: str, units: float, truth: Mapping[str, Any], generator: np.random.Generator) -> StockSeller:
    """Draw the stock of a seller of a kind that sells ``units`` per day at its current price."""
    weekly = units * WEEK
    cost = truth["unit_cost"]
    lead = {"perishable": 1, "import": int(generator.integers(5, 7))}.get(kind, int(generator.integers(2, 5)))
    terms: dict[str, Any] = {"lead_weeks": lead, "storage_fee": cost * generator.uniform(0.002, 0.01)}
    season = expected = np.ones(MOST_WEEKS)
    if kind == "seasonal":
        shape = generator.uniform(0.4, 1.2), generator.uniform(8, 18), generator.uniform(2, 5)
        season = draw_season(*shape)
        expected = draw_season(shape[0] * generator.uniform(0.7, 1.3), shape[1] + generator.uniform(-1, 1), shape[2])
        terms |= {"leftover_value": cost * generator.uniform(0.3, 0.8)}
    if kind == "end of life":
        terms |= {"leftover_value": cost * generator.uniform(0, 0.5), "season_end": int(generator.integers(12, 21))}
    if kind == "perishable":
        terms |= {"spoilage": generator.uniform(0.05, 0.25), "leftover_value": 0.0}
    if kind == "import":
        pack = float(generator.choice([6, 12, 24]))
        terms |= {"pack_size": pack, "smallest_order": np.ceil(weekly * generator.uniform(1, 3) / pack) * pack}
    late = 0 if kind == "perishable" else lead - 1
    stock = Stock(
        on_hand=float(np.round(weekly * generator.uniform(0.5, 2 if kind == "perishable" else lead + 4))),
        inbound=tuple(np.round(weekly * generator.uniform(0.3, 1.3, late)).tolist()),
        season=tuple(expected.tolist()),
        **terms,
    )
    return StockSeller(kind, stock, truth, season)


def open_sellers(count: int, first_seed: int) -> tuple[list[StockSeller], Market]:
    """Return ``count`` sellers of each kind and the market that is fitted to their histories, costs known."""
    sellers = {}
    histories = {}
    for number in range(count * len(KINDS)):
        generator = np.random.default_rng([first_seed, number])
        kind = KINDS[number % len(KINDS)]
        units = float(np.round(np.exp(generator.uniform(np.log(2), np.log(60))), 1))
        family = FAMILIES[int(generator.integers(len(FAMILIES)))]
        config = StockSellerConfig(market=family, days=365, units=units, seed=first_seed + number)  # type: ignore[arg-type]
        name = f"{kind} {number}"
        sellers[name] = draw_seller(kind, units, simulate(config)[1], generator)
        histories[name] = simulated_history(config, DataConfig())
    known = ("unit_cost", "share_kept", "fixed_cost")
    costs = [{"product": name, **{key: one.truth[key] for key in known}} for name, one in sellers.items()]
    data = DataPreprocessor.fit(join(histories), DataConfig())
    market = fit_market(data, DemandConfig(num_draws=32), CostConfig(products=costs), conversions=False)
    return list(sellers.values()), market


class Futures:
    """The weeks ahead of sellers, ``R`` futures each, with the same luck for every policy; rows go seller by seller."""

    def __init__(self, sellers: list[StockSeller], futures: int, seed: int) -> None:
        self._rows = [seller for seller in sellers for _ in range(futures)]
        count = len(self._rows)
        generator = np.random.default_rng(seed)
        level = np.zeros((MOST_WEEKS, count))
        for week in range(1, MOST_WEEKS):
            level[week] = KEPT * level[week - 1] + SHOCK * generator.standard_normal(count)
        when = generator.integers(0, int(MOST_WEEKS / JUMPS), count)
        side = generator.choice([-1, 1], count)
        self._level = level + np.where(np.arange(MOST_WEEKS)[:, None] >= when, JUMP * side, 0.0)
        self._luck = generator.uniform(1e-9, 1 - 1e-9, (MOST_WEEKS, WEEK, count))
        self._late = generator.random((MOST_WEEKS, count)) < LATE
        self._perished = generator.uniform(1e-9, 1 - 1e-9, (MOST_WEEKS, count))
        self._weekday = np.array([seller.truth["weekday_demand"] for seller in self._rows]).T
        self._season = np.stack([seller.season for seller in self._rows], 1)

    def wanted(self, week: int, price: FloatArray) -> FloatArray:
        """Return the units that buyers want in a week at prices ``(B,)``."""
        return np.asarray(self.daily(week, price).sum(0))

    def daily(self, week: int, price: FloatArray) -> FloatArray:
        """Return the units that buyers want on each day of a week ``(7, B)`` at prices ``(B,)``."""
        daily = np.array([float(expected_units(row.truth, at)) for row, at in zip(self._rows, price, strict=True)])
        mean = np.maximum(daily * self._season[week] * np.exp(self._level[week]) * self._weekday, 1e-9)
        return np.asarray(nbinom.ppf(self._luck[week], SHOP.noise_size, 1 / (1 + mean / SHOP.noise_size)))

    def perished(self, week: int, left: FloatArray, share: FloatArray) -> FloatArray:
        """Return the units of those left that perish, ``(B,)``, each with its own luck."""
        return np.asarray(binom.ppf(self._perished[week], left.astype(int), share))

    def delay(self, week: int, inbound: FloatArray) -> FloatArray:
        """Return arrivals ``(6, B)`` after next week's may have been put off by a week."""
        moved = np.where(self._late[week], inbound[0], 0.0)
        later = inbound.copy()
        later[0] -= moved
        later[1] += moved
        assert len(later) == MOST_LEAD_WEEKS
        return later
