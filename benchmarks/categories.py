"""Profit of a category whose products are priced with their cross effects, over prices of each product alone.

    python benchmarks/categories.py --categories 12 --days 130 365 --units 5.5 20

Simulated categories of two to twelve products whose prices moved on their own. Buyers choose by a logit with an outside
option, a nested logit of two nests, an attraction model in which some pairs replace each other in one direction only,
or, in `none`, each product has buyers of its own; in `together` the prices of a logit moved together, in `stockouts`
its products are out of stock on a tenth of the days. Two days' shocks resemble each other, those of the category too.
Every product is decided on with and without cross effects; the prices after 14 days are valued by the true demand of
the whole category. Gains are in percent of the profit at present prices; harmed categories earn over 1 % less than
that. `shown` is the share of categories that show an effect. The other columns are about those: error of the share of
lost buyers who take another product, cover of its 90 % interval, joint claim of all changes with the cover of its
interval, and what they truly earn over the path.

With ``--shelves`` each product has .6 to 1.4 of what 20 weeks at present prices would sell, and no more: the decided
prices of these weeks are lived through day by day, by the same luck for all, and buyers of an empty shelf go next door.
Gains then are in percent of the profit of 20 weeks at present prices without a limit; ``plan`` has the planned prices
without the gate, where the search begins with the policy, at present prices, or for each product alone.
"""

from __future__ import annotations

import io
import itertools
from argparse import Namespace
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import pandas as pd
import torch
from pricebench import follow_plan
from runner import Option, compute_alone, read_options

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.days import WEEK
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.data.stock import Stock
from pricerl.decide.case import Case, Proposed
from pricerl.decide.category import Claim, claim_of, join_claims
from pricerl.decide.chain import decide_price
from pricerl.decide.decision import DecisionConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.env.stock.category import FEATURES
from pricerl.evaluation.stock.plan import plan_half_years
from pricerl.evaluation.stock.product import StockedProduct
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.cross_effects import CrossEffect, find_cross_effects
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.planner.rollout import Policy
from pricerl.training.saved_policy import act_on_shelves

KINDS = ("logit", "nested", "attraction", "together", "none", "stockouts")
SIZES = (2, 4, 6, 12)
HORIZON = 14
COLUMNS = ("shown", "alone", "together", "excess", "covered", "claimed", "earned", "held")
DISSIMILARITY = 0.5
"""Of a nest: buyers move twice as easily inside it."""
SOLD_OUT = 0.015
"""Chance per day that a product is out of stock from then on for 4 to 12 days."""
WEEKS = 20
"""Of a season with shelves."""
FUTURES = 16
AWAY = 10.0
"""Factor of the price at which a sold-out product sends its buyers next door."""
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


def decide(market: Market) -> tuple[FloatArray, list[Claim]]:
    """Return the decided path of each product ``(M, HORIZON)``, in money, and the claims of a shown category."""
    dynamics = Dynamics(market, RewardConfig("profit"), GuardrailConfig())
    plan = follow_plan()
    paths, claims = [], []
    for index in range(market.num_products):
        product = Product(dynamics, index)
        own = Proposed("policy", plan(product))
        case = Case(product, lambda *asked, own=own: own, DecisionConfig(), HORIZON)
        path = decide_price(case).path.price
        paths.append(path.numpy())
        claims.append(claim_of(product, case.keep, case.value(path)))
    return np.stack(paths), [claim for claim in claims if claim is not None]


def draw_stocks(category: Category, rng: np.random.Generator) -> list[Stock]:
    """Draw the shelf of each product."""
    size = len(category.price)
    cover = WEEKS * WEEK * rng.uniform(0.6, 1.4) * np.exp(rng.normal(0.0, 0.25, size))
    terms = {"season_end": WEEKS, "largest_order": 0.0}
    pairs = zip((category.units(category.price) * cover).round().tolist(), category.cost.tolist(), strict=True)
    return [Stock(units, storage_fee=0.004 * cost, leftover_value=0.3 * cost, **terms) for units, cost in pairs]


def never(product: Product, horizon: int) -> NoReturn:
    """Propose nothing: a shelf has its own plan."""
    raise NotImplementedError


def open_season(market: Market, stocks: list[Stock], policy: Policy = act_on_shelves) -> dict[int, StockedProduct]:
    """Return the planned shelves of a category."""
    products = tuple(replace(item, stock=stock) for item, stock in zip(market.products, stocks, strict=True))
    dynamics = Dynamics(replace(market, products=products), RewardConfig("profit"), GuardrailConfig())
    return plan_half_years(dynamics, policy)


def weeks_of(season: dict[int, StockedProduct], advised: bool) -> FloatArray:
    """Return the prices of every week ``(20, M)``, in money, as advised or as planned."""
    weeks = []
    for _, stocked in sorted(season.items()):
        if advised:
            case = Case(stocked.product, never, DecisionConfig(), HORIZON, stocked=stocked)
            stocked.charge(decide_price(case).path.price)
        weeks.append((stocked.charged if advised else stocked.planned)[:WEEKS, stocked.place].double().numpy())
    return np.stack(weeks, 1)


def live(category: Category, weeks: FloatArray, stocks: list[Stock]) -> float:
    """Return the mean profit of weekly prices ``(20, M)`` over some futures, in money."""
    rng = np.random.default_rng(0)
    first, fee, rest = np.array([(item.on_hand, item.storage_fee, item.leftover_value) for item in stocks]).T
    left = np.tile(first, (FUTURES, 1))
    level = 0.25 * rng.normal(size=left.shape)
    common = np.zeros((FUTURES, 1))
    money = -float(first @ category.cost)
    for price in weeks:
        level = 0.95 * level + 0.08 * rng.normal(size=left.shape)
        common = 0.6 * common + 0.12 * rng.normal(size=common.shape)
        for _ in range(WEEK):
            mean = category.units(np.where(left > 0, price, AWAY * category.price)) * np.exp(level + common)
            sold = np.minimum(rng.poisson(mean * rng.gamma(20, 1 / 20, mean.shape)), left)
            left -= sold
            money += float((sold @ price).mean())
        money -= float((left @ fee).mean())
    return money + float((left @ rest).mean())


def measure_shelves(
    category: Category, prepared: DataPreprocessor, effects: dict[str, CrossEffect], rng: np.random.Generator
) -> dict[str, float]:
    """Return what one category earns on its shelves, in percent of the usual profit."""
    stocks = draw_stocks(category, rng)
    alone = open_season(fit_market(prepared, conversions=False), stocks)
    market = fit_market(prepared, conversions=False, cross=effects)
    together = open_season(market, stocks)
    searched = open_season(market, stocks, lambda seen: torch.zeros(len(seen), 2 * seen.shape[1] // len(FEATURES)))
    weeks = {
        "alone": weeks_of(alone, advised=True),
        "together": weeks_of(together, advised=True),
        "plan": weeks_of(together, advised=False),
        "no policy": weeks_of(searched, advised=False),
        "plan alone": weeks_of(alone, advised=False),
    }
    usual = category.profit(category.price) * WEEK * WEEKS
    kept = live(category, np.tile(category.price, (WEEKS, 1)), stocks)
    gains = {name: 100 * (live(category, prices, stocks) - kept) / usual for name, prices in weeks.items()}
    return {"shown": float(bool(effects)), **gains}


def measure(kind: str, days: int, units: float, seed: int, shelves: bool = False) -> dict[str, float]:
    """Return what one category earns with and without cross effects, in percent of its profit, and what it claims."""
    rng = np.random.default_rng([seed, days, round(10 * units), KINDS.index(kind)])
    category = Category.draw(kind, SIZES[seed % len(SIZES)], units, rng)
    prepared = category.history(days, rng)
    effects = find_cross_effects(prepared.products, DemandConfig(), CostConfig(), "profit")
    if shelves:
        return measure_shelves(category, prepared, effects, rng)
    alone, _ = decide(fit_market(prepared, conversions=False))
    together = alone
    kept = category.profit(category.price)
    row = {"shown": float(bool(effects))}
    if effects:
        market = fit_market(prepared, conversions=False, cross=effects)
        together, claims = decide(market)
        drawn = np.stack([item.diversion.share for item in market.products if item.diversion is not None])
        truth = np.array([category.diversion(number) for number in range(len(drawn))])
        low, high = np.quantile(drawn, [0.05, 0.95], axis=1)
        row["excess"] = float((drawn.mean(1) - truth).mean())
        row["covered"] = float(((low <= truth) & (truth <= high)).mean())
        claimed = 100 * join_claims(claims) / sum(float(claim.kept.mean()) for claim in claims)
        earned = 100 * (np.mean([category.profit(price) for price in together.T]) / kept - 1)
        row["claimed"] = float(claimed.mean())
        row["earned"] = float(earned)
        row["held"] = float(np.quantile(claimed, 0.05) <= earned <= np.quantile(claimed, 0.95))
    for name, paths in (("alone", alone), ("together", together)):
        row[name] = 100 * (category.profit(paths[:, -1]) / kept - 1)
    return row


def main() -> None:
    options = read_options(
        __doc__,
        categories=Option(12, "categories per row"),
        seed=Option(0, "seed of the first"),
        kinds=Option([*KINDS], choices=KINDS),
        shelves=Option(False, "whether each product has a shelf that is not refilled"),
        days=[130, 365],
        units=[5.5, 20.0],
    )
    compute_alone()
    print_shelves(options) if options.shelves else print_gains(options)


def print_gains(options: Namespace) -> None:
    """Print a row per kind, days and units."""
    print("| buyers | days | units | shown | alone | together | harmed | worse | excess | covered | claimed | earned |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for kind, days, units in itertools.product(options.kinds, options.days, options.units):
        seeds = range(options.seed, options.seed + options.categories)
        rows = pd.DataFrame([measure(kind, days, units, seed) for seed in seeds]).reindex(columns=COLUMNS)
        harmed = [int((rows[name] < -1).sum()) for name in ("alone", "together")]
        worse = int((rows["together"] < rows["alone"] - 1).sum())
        shown, alone, together, excess, covered, claimed, earned, held = rows.mean()
        print(
            f"| {kind} | {days} | {units:g} | {shown:.0%} | {alone:+.2f} % | {together:+.2f} % "
            f"| {harmed[0]}, {harmed[1]} | {worse} | {excess:+.2f} | {covered:.0%} "
            f"| {claimed:+.2f} %, covers {held:.0%} | {earned:+.2f} % |",
            flush=True,
        )


def print_shelves(options: Namespace) -> None:
    """Print a row per kind, days and units: advice with and without cross effects, then plans without the gate."""
    print("| buyers | days | units | shown | alone | together | harmed | plan | without policy | plan alone |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for kind, days, units in itertools.product(options.kinds, options.days, options.units):
        seeds = range(options.seed, options.seed + options.categories)
        rows = pd.DataFrame([measure(kind, days, units, seed, shelves=True) for seed in seeds])
        harmed = [int((rows[name] < -1).sum()) for name in ("alone", "together")]
        shown, alone, together, *plans = rows.mean()
        print(
            f"| {kind} | {days} | {units:g} | {shown:.0%} | {alone:+.2f} % | {together:+.2f} % "
            f"| {harmed[0]}, {harmed[1]} | {' | '.join(f'{gain:+.2f} %' for gain in plans)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
