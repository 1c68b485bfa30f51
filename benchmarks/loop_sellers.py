"""Sellers in the product's weekly loop: a simulated market, what the loop adds to it, and their true profit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import nbinom
from shops.confounders import (
    AD_SWING,
    BUSY_WEEKS,
    DEMAND_MEMORY,
    DEMAND_SWING,
    PROMOTION_RISE,
    reference_effect,
    stockpiling_effect,
)
from shops.confounders import CROSS_ELASTICITY as CROSS
from shops.records import MORNING_STOCK, STOCK_SPREAD, average_share, fill_orders
from shops.sellers import ShopConfig, ranges_of
from shops.shocks import draw_shocks

from pricerl.arrays import FloatArray
from pricerl.data.days import WEEK, weekday_of
from pricerl.data.reading import columns
from pricerl.simulation.seller import draw_conversions, simulate
from pricerl.simulation.true_demand import expected_units

LEVEL_SD = 0.02
"""Standard deviation of the weekly change of the log demand level."""

STEEPEST_MARGIN = -1.1
"""Elasticity nearest to -1 that an informed seller believes in."""

TEMPORARY = {"reference": reference_effect, "stockpiling": stockpiling_effect}
"""Responses to changes of the price that pass, by market."""

RETURNED = 0.15
"""Share of a week's units that buyers send back in one bundle."""

Swing = Callable[[np.random.Generator, int, int], FloatArray]
"""Draws the multiplier of demand ``(D + H,)`` from generator, days of history ``D`` and days of the loop ``H``."""


def busy_weeks(rise: float, centred: bool) -> Swing:
    """Return weeks, at random, in which log demand rises; if centred, with a mean of about 1."""

    def draw(rng: np.random.Generator, past: int, days: int) -> FloatArray:
        busy = np.repeat(rng.random(-(-(past + days) // WEEK)) < BUSY_WEEKS, WEEK)[: past + days]
        return np.exp(rise * busy) / (1 + BUSY_WEEKS * (np.exp(rise) - 1) if centred else 1)

    return draw


def supply_gaps(rng: np.random.Generator, past: int, days: int) -> FloatArray:
    """Return the share of each day in stock: in three of ten weeks stock runs out until the week ends."""
    weeks = -(-(past + days) // WEEK)
    end = np.where(rng.random(weeks) < 0.3, rng.uniform(0, WEEK, weeks), WEEK)
    return np.clip(end[:, None] - np.arange(WEEK), 0, 1).ravel()[: past + days]


def holiday(rng: np.random.Generator, past: int, days: int) -> FloatArray:
    """Return a peak of demand by 80 % in the history and one in the loop, each some three weeks wide."""
    day, peaks = np.arange(past + days), (rng.uniform(20, past), past + rng.uniform(0, days))
    return 1 + 0.8 * np.exp(-(((day - np.array(peaks)[:, None]) / 12) ** 2)).sum(0)


def collapse(rng: np.random.Generator, past: int, days: int) -> FloatArray:
    """Return a fall of demand by 30 % between the fourth and the ninth week of the loop."""
    return np.where(np.arange(past + days) >= past + rng.integers(21, 63), 0.7, 1.0)


def wavering(rng: np.random.Generator, past: int, days: int) -> FloatArray:
    """Return demand that wavers from day to day as for repricers."""
    log = rng.normal(0, DEMAND_SWING * np.sqrt(1 - DEMAND_MEMORY**2), past + days)
    for day in range(1, len(log)):
        log[day] += DEMAND_MEMORY * log[day - 1]
    return np.exp(log - DEMAND_SWING**2 / 2)


def rival_noise(rng: np.random.Generator, past: int, days: int) -> FloatArray:
    """Return the effect of a rival's own weekly price changes by at most 10 %."""
    return np.exp(CROSS * np.repeat(rng.uniform(-0.1, 0.1, -(-(past + days) // WEEK)), WEEK)[: past + days])


@dataclass(frozen=True)
class Kind:
    """Kind of seller."""

    market: str = "constant"
    """Simulated market of its history."""
    swing: Swing | None = None
    """Changes of demand that no price causes."""
    in_history: bool = False
    """Whether the swing must be added to the history, because the simulated market lacks it."""
    follow: float = 0.0
    """Share of the seller's log price changes that a rival copies a week later."""
    report: str = ""
    """Column of the file that reports the cause: In Stock, Promotion or Competitor Price."""
    costs_known: bool = True
    """Whether the seller states unit cost and fees; otherwise they are estimated from the reported profit."""
    belief_sd: float | None = None
    """If given, the first price is best for a log elasticity that misses the true one by this sd."""
    returns: bool = False
    """Whether a bundle of returned units is booked on the last day of each week."""


KINDS: dict[str, Kind] = {
    **{name: Kind(name) for name in ("constant", "linear", "exponential", "logit", "kinked", "optimal", "thin")},
    "repricer": Kind("repricer", wavering),
    **{name: Kind(name) for name in ("reference", "averages", "jump", "late_stockouts", "stockpiling")},
    "informed": Kind(belief_sd=0.35),
    "stockouts": Kind(swing=supply_gaps, in_history=True, report=columns.IN_STOCK),
    "unmarked": Kind(swing=supply_gaps, in_history=True),
    "holiday": Kind(swing=holiday, in_history=True),
    "collapse": Kind(swing=collapse),
    "followed": Kind(swing=rival_noise, in_history=True, follow=0.5, report=columns.COMPETITOR_PRICE),
    "undercut": Kind(swing=rival_noise, in_history=True, follow=1.0),
    "costs": Kind(costs_known=False),
    "ads": Kind("ads", busy_weeks(AD_SWING, True)),
    "promotions": Kind("promotions", busy_weeks(PROMOTION_RISE, False), report=columns.PROMOTION),
    "returns": Kind(returns=True),
}
"""Kinds by name, in the order in which they take turns."""


@dataclass
class Shop:
    """A seller in the loop."""

    frame: pd.DataFrame
    truth: dict[str, Any]
    kind: Kind
    rng: np.random.Generator
    """Of the sales."""
    swing: FloatArray
    """Multiplier of expected units ``(D + H,)`` that no price causes."""
    level: FloatArray
    """Multiplier of the demand level ``(H,)``, which drifts and has the shocks of `shops.shocks`."""
    stock: FloatArray
    """Units in stock ``(H,)`` on each morning of the loop; infinite unless mornings limit sales."""
    first: float
    """Posted price that keeping means."""
    past: FloatArray
    """Prices ``(D,)`` of the history."""
    charged: list[float] = field(default_factory=list)
    """Prices posted in the loop."""

    @property
    def averages(self) -> bool:
        """Whether the file has averages of what buyers paid rather than posted prices."""
        return self.kind.market == "averages"

    @property
    def paid(self) -> float:
        """Mean price that buyers pay, as a share of the posted one."""
        return average_share() if self.averages else 1.0

    @property
    def size(self) -> float:
        """Size of the negative binomial of units."""
        return ranges_of(self.kind.market).noise_size

    def demand(self, prices: FloatArray) -> FloatArray:
        """Return expected units demanded on the first days of the loop at price paths ``(N, H)``."""
        days, past = prices.shape[1], len(self.past)
        last = np.datetime64(self.frame[columns.REPORT_DATE].iloc[past - 1])
        weekday = weekday_of((last + 1 + np.arange(days)).astype(np.int64))
        units = expected_units(self.truth, prices * self.paid) * np.array(self.truth["weekday_demand"])[weekday]
        path = np.log(np.hstack([np.broadcast_to(self.past, (len(prices), past)), prices]))
        if self.kind.market in TEMPORARY:
            units = units * TEMPORARY[self.kind.market](path)[:, past:]
        units = units * np.exp(CROSS * _copied(path, self.kind.follow, self.first))[:, past:]
        return np.asarray(units * self.swing[past:][:days] * self.level[:days])

    def sold(self, demand: FloatArray, stock: FloatArray) -> FloatArray:
        """Return expected units sold: ``E[min(D, S)] = m P(D' <= S - 2) + S P(D >= S)``, ``D'`` of one size more."""
        chance = self.size / (self.size + demand)
        limit = np.where(np.isfinite(stock), stock, 0)
        limited = demand * nbinom.cdf(limit - 2, self.size + 1, chance) + limit * nbinom.sf(
            limit - 1, self.size, chance
        )
        return np.where(np.isfinite(stock), limited, demand)

    def profit(self, prices: FloatArray) -> FloatArray:
        """Return true expected profit before fixed cost ``(N,)`` of price paths ``(N, H)`` from the first day on."""
        units = self.sold(self.demand(prices), self.stock[: prices.shape[1]])
        return np.asarray(((self.truth["share_kept"] * self.paid * prices - self.truth["unit_cost"]) * units).sum(1))

    def gains(self) -> tuple[float, float]:
        """Return the gain of the prices charged over keeping the first price, and what keeping earns."""
        charged = np.array(self.charged)
        gained, kept = self.profit(np.stack([charged, np.full(len(charged), self.first)]))
        return float(gained - kept), float(kept)

    def sell(self, prices: FloatArray) -> None:
        """Sell for a week at ``prices (7,)`` and add its rows."""
        last = np.datetime64(self.frame[columns.REPORT_DATE].iloc[-1])
        self.charged += list(prices)
        mean = self.demand(np.array(self.charged)[None])[0, -WEEK:]
        sold = self.rng.negative_binomial(self.size, self.size / (self.size + mean)).astype(float)
        sold = np.minimum(sold, self.stock[len(self.charged) - WEEK :][:WEEK])
        shown, sales = np.round(prices, 2), np.round(sold * prices, 2)
        if self.averages:
            sold, sales, shown = fill_orders(shown, sold, self.rng)
        rows = pd.DataFrame(
            {
                columns.REPORT_DATE: (last + 1 + np.arange(WEEK)).astype(str),
                columns.PRODUCT_PRICE: shown,
                columns.TOTAL_SALES: sales,
                columns.TOTAL_PROFIT: np.round(
                    self.truth["share_kept"] * sales - self.truth["unit_cost"] * sold - self.truth["fixed_cost"], 2
                ),
            }
        )
        path = np.append(self.past, self.charged)
        swing = self.swing[len(path) - WEEK :][:WEEK]
        reach = 1 + (swing > 1) if self.kind.market == "ads" else np.ones(WEEK)
        rates = draw_conversions(self.truth, prices, reach, self.rng)
        rows[columns.ORGANIC_CONVERSION], rows[columns.AD_CONVERSION] = rates
        rows = _report(rows, self.kind, path, self.swing[: len(path)], self.first)
        if self.kind.returns:
            rows = _take_back(rows, self.truth, self.rng)
        self.frame = pd.concat([self.frame, rows], ignore_index=True)


def open_shop(name: str, units: float, seed: int, past: int, days: int) -> Shop:
    """Open a shop with a history of ``past`` days, for a loop of ``days``."""
    kind = KINDS[name]
    streams = [np.random.default_rng([seed, stream]) for stream in range(77, 81)]
    swing = kind.swing(streams[2], past, days) if kind.swing else np.ones(past + days)
    frame, truth = simulate(ShopConfig(kind.market, past, units, seed, shocked=True))  # type: ignore[arg-type]
    first = float(frame[columns.PRODUCT_PRICE].dropna().iloc[-1])
    price = frame[columns.PRODUCT_PRICE].ffill().bfill().to_numpy(float)
    if kind.in_history:
        effect = swing[:past] * np.exp(CROSS * _copied(np.log(price)[None], kind.follow, first)[0])
        peak = float(effect.max())
        frame, truth = simulate(ShopConfig("constant", past, units * peak, seed, shocked=True))  # type: ignore[arg-type]
        frame, swing = _thin_out(frame, truth, effect / peak, streams[3]), swing / peak
        frame = _report(frame, kind, price, swing[:past], first)
    if kind.belief_sd is not None:
        frame = _misbelieve(frame, truth, kind.belief_sd, streams[2])
    if kind.returns:
        weeks = [frame[start : start + WEEK].copy() for start in range(0, past, WEEK)]
        frame = pd.concat([_take_back(week, truth, streams[3]) for week in weeks])
    level = np.exp(np.repeat(np.cumsum(streams[1].normal(0, LEVEL_SD, -(-days // WEEK))), WEEK))[:days]
    level *= draw_shocks(past, days, seed)[past:]
    stock = np.full(days, np.inf)
    if kind.market == "late_stockouts":
        stock = np.ceil(units * np.exp(streams[2].normal(MORNING_STOCK, STOCK_SPREAD, days)))
    shop = Shop(frame, truth, kind, streams[0], swing, level, stock, first, price)
    if shop.averages:
        shop.first = round(truth["current_price"] / shop.paid, 2)
    return shop


def _copied(path: FloatArray, follow: float, first: float) -> FloatArray:
    """Return what a rival copies of log price paths ``(N, T)`` a week later, relative to the first price."""
    late = np.hstack([np.repeat(path[:, :1], WEEK, axis=1), path])[:, : path.shape[1]]
    return np.asarray(follow * (late - np.log(first)))


def _report(frame: pd.DataFrame, kind: Kind, path: FloatArray, swing: FloatArray, first: float) -> pd.DataFrame:
    """Add the column that reports the cause to the rows of the last days of a path, ``(T,)`` like its swing."""
    rows = slice(len(path) - len(frame), None)
    if kind.report == columns.IN_STOCK:
        frame[kind.report] = np.where(swing[rows] < swing.max(), "no", "yes")
    elif kind.report == columns.PROMOTION:
        frame[kind.report] = np.where(swing[rows] > 1, "yes", "no")
    elif kind.report:
        rival = np.log(swing) / CROSS + _copied(np.log(path)[None], kind.follow, first)[0]
        frame[kind.report] = np.round(first * np.exp(rival[rows]), 2)
    return frame


def _thin_out(frame: pd.DataFrame, truth: dict[str, Any], kept: FloatArray, rng: np.random.Generator) -> pd.DataFrame:
    """Keep each unit of a history with a probability ``(D,)``; the seller's forecast is left out."""
    price = frame[columns.PRODUCT_PRICE].to_numpy()
    units = np.round(frame[columns.TOTAL_SALES].to_numpy() / price)
    lost = units - rng.binomial(units.astype(int), kept)
    frame[columns.TOTAL_SALES] = np.round((units - lost) * price, 2)
    margin = truth["share_kept"] * price - truth["unit_cost"]
    frame[columns.TOTAL_PROFIT] = np.round(frame[columns.TOTAL_PROFIT] - margin * lost, 2)
    return frame.drop(columns=columns.PREDICTED_SALES)


def _misbelieve(frame: pd.DataFrame, truth: dict[str, Any], sd: float, rng: np.random.Generator) -> pd.DataFrame:
    """Change the unit cost, and the profit with it, so that the first price is best for a mistaken elasticity."""
    believed = min(truth["parameters"]["elasticity"] * float(np.exp(rng.normal(0, sd))), STEEPEST_MARGIN)
    cost = truth["share_kept"] * truth["current_price"] * (1 + 1 / believed)
    units = np.round(frame[columns.TOTAL_SALES] / frame[columns.PRODUCT_PRICE])
    frame[columns.TOTAL_PROFIT] = np.round(frame[columns.TOTAL_PROFIT] + (truth["unit_cost"] - cost) * units, 2)
    truth["unit_cost"] = cost
    return frame


def _take_back(week: pd.DataFrame, truth: dict[str, Any], rng: np.random.Generator) -> pd.DataFrame:
    """Book a week's returned units on its last day: their price is refunded, and they are sold again."""
    price, last = week[columns.PRODUCT_PRICE].to_numpy(), week.index[-1]
    units = rng.binomial(np.round(week[columns.TOTAL_SALES].to_numpy() / price).astype(int), RETURNED)
    refund = float((units * price).sum())
    earned = truth["share_kept"] * refund - truth["unit_cost"] * units.sum()
    week.loc[last, columns.TOTAL_SALES] = round(week.loc[last, columns.TOTAL_SALES] - refund, 2)
    week.loc[last, columns.TOTAL_PROFIT] = round(week.loc[last, columns.TOTAL_PROFIT] - earned, 2)
    return week
