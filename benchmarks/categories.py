"""Profit of a category whose products are priced with their cross effects, over prices of each product alone.

    python benchmarks/categories.py --categories 12 --days 130 365 --units 5.5 20

Simulated categories of two to twelve products whose prices moved on their own. Buyers choose by a logit with an outside
option, a nested logit of two nests, an attraction model in which some pairs replace each other in one direction only,
or, in `none`, each product has buyers of its own; in `together` the prices of a logit moved together, in `stockouts`
its products are out of stock on a tenth of the days. Two days' shocks resemble each other, those of the category too.
Every product is decided on with and without cross effects; the prices after 14 days are valued by the true demand of
the whole category. Gains are in percent of the profit at present prices; harmed categories earn over 1 % less than
that. `shown` is the share of categories that show an effect; the other columns on it are the error of the share of lost
buyers who take another product, and the cover of its 90 % interval.
"""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pricebench import follow_plan
from runner import Option, compute_alone, read_options

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.decide.case import Case, Proposed
from pricerl.decide.chain import decide_price
from pricerl.decide.decision import DecisionConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.cross_effects import find_cross_effects
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig

KINDS = ("logit", "nested", "attraction", "together", "none", "stockouts")
SIZES = (2, 4, 6, 12)
HORIZON = 14
DISSIMILARITY = 0.5
"""Of a nest: buyers move twice as easily inside it."""
SOLD_OUT = 0.015
"""Chance per day that a product is out of stock from then on for 4 to 12 days."""
WEEKDAYS = 1 + 0.25 * np.sin(2 * np.pi * np.arange(7) / 7)


@dataclass(frozen=True)
class Category:
    """Products ``M`` with their true demand."""

    kind: str
    price: FloatArray
    """``(M,)`` of today, in money."""
    cost: FloatArray
    appeal: FloatArray
    """``(M,)`` log of a product's share over that of buying nothing, at today's prices."""
    slope: float
    """Loss of appeal per log price."""
    pairs: FloatArray
    """``(M, M)`` gain of a row's log units per log price of the column, of the attraction model."""
    buyers: float
    """Per day."""

    @classmethod
    def draw(cls, kind: str, size: int, units: float, rng: np.random.Generator) -> Category:
        """Draw a category that sells some units per day and product."""
        price = np.round(np.exp(rng.normal(3, 0.25, size)), 2)
        elasticity = rng.uniform(1.8, 4.4)
        shares = rng.dirichlet(np.full(size, 4.0)) * rng.uniform(0.3, 0.8)
        apart = kind in ("none", "attraction")
        slope = elasticity / (1 - (0.0 if apart else float(shares.mean())))
        chance = rng.random((size, size)) < 1.5 / size
        pairs = np.where(chance, rng.uniform(0.2, 1.0, (size, size)), 0.0) * (kind == "attraction")
        np.fill_diagonal(pairs, 0.0)
        cost = np.round(price * (1 - 1 / elasticity) * np.exp(rng.normal(0.0, 0.12, size)), 2)
        buyers = units * size / float(shares.sum())
        return cls(kind, price, cost, np.log(shares / (1 - shares.sum())), slope, pairs, buyers)

    def units(self, price: FloatArray, sold_out: BoolArray | None = None) -> FloatArray:
        """Return expected units per day at prices ``(..., M)``; of a logit, some products may be ``sold_out``."""
        moved = np.log(price / self.price)
        appeal = self.appeal - self.slope * moved
        if self.kind in ("none", "attraction"):
            return np.asarray(self.buyers * np.exp(appeal + moved @ self.pairs.T) / (1 + np.exp(self.appeal).sum()))
        if self.kind != "nested":
            chosen = np.exp(appeal) if sold_out is None else np.where(sold_out, 0.0, np.exp(appeal))
            return np.asarray(self.buyers * chosen / (1 + chosen.sum(-1, keepdims=True)))
        nest = np.arange(len(self.price)) % 2
        inner = np.exp(appeal / DISSIMILARITY)
        sums = np.stack([(inner * (nest == one)).sum(-1) for one in (0, 1)], -1)
        value = sums**DISSIMILARITY
        share = value / (1 + value.sum(-1, keepdims=True))
        return np.asarray(self.buyers * inner / sums[..., nest] * share[..., nest])

    def profit(self, price: FloatArray) -> float:
        """Return the category's profit per day at prices ``(M,)``, in money."""
        return float(((price - self.cost) * self.units(price)).sum())

    def diversion(self, row: int) -> float:
        """Return the share of the buyers of a product, lost by a higher price, who take another one."""
        dearer = np.where(np.arange(len(self.price)) == row, 1.001 * self.price, self.price)
        change = self.units(dearer) - self.units(self.price)
        return float((change.sum() - change[row]) / -change[row])

    def sell(self, days: int, rng: np.random.Generator) -> pd.DataFrame:
        """Return the rows of some days of sales at prices that move every one to three weeks; today's come last."""
        size = len(self.price)
        moved = np.zeros((days, size))
        for column in moved.T:
            level, day = 0.0, 0
            while day < days:
                level = 0.6 * level + rng.normal(0, 0.07)
                lasts = rng.integers(8, 22)
                column[day : day + lasts] = level
                day += lasts
        if self.kind == "together":
            moved = 0.85 * moved.mean(1, keepdims=True) * size**0.5 + 0.35 * moved
        price = np.round(self.price * np.exp(moved - moved[-1]), 2)
        shock = np.zeros((days, size + 1))
        for day in range(1, days):
            shock[day] = 0.8 * shock[day - 1] + rng.normal(size=size + 1) * ([0.10] * size + [0.12])
        sold_out = np.zeros((days, size), dtype=bool)
        if self.kind == "stockouts":
            for row, column in zip(*np.nonzero(rng.random((days - 20, size)) < SOLD_OUT), strict=True):
                sold_out[row : row + rng.integers(4, 13), column] = True
        mean = (
            self.units(price, sold_out) * np.exp(shock[:, :-1] + shock[:, -1:]) * WEEKDAYS[np.arange(days) % 7][:, None]
        )
        units = rng.poisson(mean * rng.gamma(20, 1 / 20, mean.shape))
        dates = pd.date_range("2025-01-06", periods=days).strftime("%Y-%m-%d")
        columns = {
            "Report Date": np.repeat(dates.to_numpy(), size),
            "Product": np.tile([f"p{row:02}" for row in range(size)], days),
            "Group": "tea",
            "Product Price": price.ravel(),
            "Organic Conversion Percentage": 10.0,
            "Ad Conversion Percentage": 8.0,
            "Total Profit": np.round((price - self.cost) * units, 2).ravel(),
            "Total Sales": np.round(price * units, 2).ravel(),
            "In Stock": np.where(sold_out, "no", "yes").ravel(),
        }
        return pd.DataFrame(columns)

    def history(self, days: int, rng: np.random.Generator) -> DataPreprocessor:
        """Return the history of some days of sales."""
        text = io.StringIO()
        self.sell(days, rng).to_csv(text, index=False)
        reading = DataConfig(suspicious="keep")  # prices that move together look like a tax
        return DataPreprocessor.fit(history_from_text(text.getvalue(), "category", reading), reading)


def decide(market: Market) -> FloatArray:
    """Return the price of each product ``(M,)`` at the end of the decided path, in money."""
    dynamics = Dynamics(market, RewardConfig("profit"), GuardrailConfig())
    plan = follow_plan()
    prices = []
    for index in range(market.num_products):
        product = Product(dynamics, index)
        own = Proposed("policy", plan(product))
        course = decide_price(Case(product, lambda *asked, own=own: own, DecisionConfig(), HORIZON))
        prices.append(float(course.path.price[-1]))
    return np.array(prices)


def measure(kind: str, days: int, units: float, seed: int) -> dict[str, float]:
    """Return what one category earns with and without cross effects, in percent of its profit."""
    rng = np.random.default_rng([seed, days, round(10 * units), KINDS.index(kind)])
    category = Category.draw(kind, SIZES[seed % len(SIZES)], units, rng)
    prepared = category.history(days, rng)
    effects = find_cross_effects(prepared.products, DemandConfig(), CostConfig(), "profit")
    alone = decide(fit_market(prepared, conversions=False))
    together, share, covered = alone, float("nan"), float("nan")
    if effects:
        market = fit_market(prepared, conversions=False, cross=effects)
        together = decide(market)
        drawn = np.stack([item.diversion.share for item in market.products if item.diversion is not None])
        truth = np.array([category.diversion(row) for row in range(len(drawn))])
        low, high = np.quantile(drawn, [0.05, 0.95], axis=1)
        share = float((drawn.mean(1) - truth).mean())
        covered = float(((low <= truth) & (truth <= high)).mean())
    kept = category.profit(category.price)
    gains = [100 * (category.profit(price) / kept - 1) for price in (alone, together)]
    return {"shown": float(bool(effects)), "alone": gains[0], "together": gains[1], "excess": share, "covered": covered}


def main() -> None:
    options = read_options(
        __doc__,
        categories=Option(12, "categories per row"),
        kinds=Option([*KINDS], choices=KINDS),
        days=[130, 365],
        units=[5.5, 20.0],
    )
    compute_alone()
    print("| buyers | days | units | shown | alone | together | harmed | worse | excess | covered |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for kind, days, units in itertools.product(options.kinds, options.days, options.units):
        rows = pd.DataFrame([measure(kind, days, units, seed) for seed in range(options.categories)])
        harmed = [int((rows[name] < -1).sum()) for name in ("alone", "together")]
        worse = int((rows["together"] < rows["alone"] - 1).sum())
        shown, alone, together, excess, covered = rows.mean()[["shown", "alone", "together", "excess", "covered"]]
        print(
            f"| {kind} | {days} | {units:g} | {shown:.0%} | {alone:+.2f} % | {together:+.2f} % "
            f"| {harmed[0]}, {harmed[1]} | {worse} | {excess:+.2f} | {covered:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
