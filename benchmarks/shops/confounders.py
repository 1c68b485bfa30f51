"""Confounders of a simulated seller: drivers of demand that obscure its elasticity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.days import WEEK
from pricerl.data.reading.columns import COMPETITOR_PRICE, PROMOTION

Disturbing = Literal[
    "reference",
    "seasonal",
    "stockouts",
    "ads",
    "promotions",
    "competitor",
    "repricer",
    "stockpiling",
    "averages",
    "closed",
    "thin",
    "jump",
    "late_stockouts",
    "two_competitors",
    "threshold",
    "slight_threshold",
    "endings",
    "slight_endings",
    "follower",
    "weekends",
    "bulk_orders",
]
"""Kinds of sellers with a constant elasticity and something that obscures it."""

REFERENCE_MEMORY = 0.9
"""Weight of yesterday's reference price in today's."""
LOSS, GAIN = 1.5, 0.5
"""Log change of demand per log price above and below the reference price: losses weigh three times as much."""

SEASON_SWING, SEASON_PRICE = 0.35, 0.12
"""Log amplitudes of seasonal demand and of the seller's price, which follows it."""
SEASON_DAYS = 90.0

AD_SWING, AD_PRICE = 0.5, -0.08
"""Log rise of demand in a week of advertising, and its frequent log discount."""

PROMOTION_RISE, PROMOTION_PRICE = 0.4, -0.1
"""Log rise of demand in a week of promotion, and its frequent log discount."""
BUSY_WEEKS = 0.3
"""Share of the weeks with advertising or promotion."""
DISCOUNTED = 0.7
"""Share of these weeks that are also discounted."""

CROSS_ELASTICITY, COMPETITOR_SWING, FOLLOWED = 0.8, 0.2, 0.5
"""Cross-price elasticity, log range of the competitor's price, and share of its log changes that the seller follows."""

DEMAND_SWING, DEMAND_MEMORY = 0.3, 0.6
"""Log standard deviation of a repricer's demand around its mean, and its autocorrelation from day to day."""
SAME_DAY, DAY_AFTER, REPRICING = 0.05, 0.05, 0.06
"""Log rise of a repricer's price per log demand of the day and of the day before, and the sd of its other changes."""

FOLLOWED_WEEK = (-0.2, -0.15, -0.1, 0.0, 0.1, 0.25, 0.1)
"""Log demand of each day of a follower's week."""
FOLLOWED_SHOCKS, FOLLOWED_MEMORY = 0.2, 0.75
"""Log standard deviation of shocks to its demand, and their autocorrelation from day to day."""
FOLLOWING, FOLLOWER_NOISE = 0.5, 0.06
"""Log rise of its price per log demand of the day before, and the sd of its other changes."""

WEEKEND_PRICE, WEEKEND_SWING = 0.29, 1.4
"""Log rise of price and of demand on two days of each week."""

BULK_SHARE, BULK_SIZE = 0.03, 6.0
"""Share of the days with a bulk order, and how many times the usual units are sold on them."""

DEAL_GAPS, DEAL_DAYS, DEAL_DEPTHS = (14, 35), (4, 8), (0.15, 0.35)
"""Days between two deals, days of a deal, and its log discount."""
DEAL_ELASTICITY, DEAL_APPEAL = -1.5, 0.25
"""Elasticity to the discount on top of that to the price, and log rise of demand in a deal of any depth."""
PANTRY_MEMORY, PANTRY_WEIGHT = 0.9, 0.06
"""Share of the units stored at home that is left a day later, and log fall of demand per stored day's units."""

JUMPS = (0.3, 0.9)
"""Log size of a jump of the demand level, up or down."""
JUMP_SPAN = (0.15, 0.85)
"""Share of the history in which a jump falls."""

RIVAL_SWINGS = (0.2, 0.3)
"""Log ranges of the prices of the reported and of the unreported competitor, who each set a new price every week."""
RIVAL_ELASTICITIES, RIVALS_FOLLOWED = (0.8, 0.7), (0.5, 0.35)
"""Cross-price elasticities, and shares of the competitors' log changes that the seller follows."""


class Disturbance(NamedTuple):
    """Effects of a confounder, ``(D,)`` each."""

    price: FloatArray
    """Money charged, in whole cents; the last price is unchanged."""
    demand: FloatArray
    """Multiplier of expected units: 1 on average, or 1 on days like the future ones if a column reports the cause."""
    ad_reach: FloatArray
    """Multiplier of the ad conversion."""
    columns: Mapping[str, Any] = {}
    """Columns of the seller's file that report the cause."""


def disturb(kind: str, price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Apply a confounder to planned prices and to demand; other kinds leave both unchanged.

    Args:
        kind: of seller.
        price: ``(D,)`` planned price.
        generator: source of randomness.
    """
    return KINDS.get(kind, _undisturbed)(price, generator)


def _undisturbed(price: FloatArray, generator: np.random.Generator) -> Disturbance:
    return Disturbance(price, np.ones(len(price)), np.ones(len(price)))


def _reference(price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Let buyers compare with past prices and weigh losses more."""
    return Disturbance(price, reference_effect(np.log(price)), np.ones(len(price)))


def _seasonal(price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Let the seller raise the price in the season, which no column reports."""
    wave = np.sin(2 * np.pi * (np.arange(len(price)) / SEASON_DAYS + generator.random()))
    return Disturbance(_moved(price, SEASON_PRICE * wave), _normalised(SEASON_SWING * wave), np.ones(len(price)))


def _ads(price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Add weeks of advertising, which sell more and are often discounted."""
    on, cut = _busy_weeks(len(price), generator)
    return Disturbance(_moved(price, AD_PRICE * cut), _normalised(AD_SWING * on), 1 + on)


def _promotions(price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Do the same with a column that reports it."""
    on, cut = _busy_weeks(len(price), generator)
    reported = {PROMOTION: np.where(on == 1, "yes", "no")}
    return Disturbance(_moved(price, PROMOTION_PRICE * cut), np.exp(PROMOTION_RISE * on), np.ones(len(price)), reported)


def _competitor(price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Let the seller half follow a competitor, whose price is reported in a column."""
    days = len(price)
    wander = _weekly(generator.uniform(-1, 1, days), days) * COMPETITOR_SWING
    reported = {COMPETITOR_PRICE: np.round(np.median(price) * np.exp(wander), 2)}
    demand = np.exp(CROSS_ELASTICITY * (wander - wander[-1]))
    return Disturbance(_moved(price, FOLLOWED * wander), demand, np.ones(days), reported)


def _two_competitors(price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Do the same with a second one, whom no column reports."""
    days = len(price)
    rivals = np.stack([swing * _weekly(generator.uniform(-1, 1, days), days) for swing in RIVAL_SWINGS])
    reported = {COMPETITOR_PRICE: np.round(np.median(price) * np.exp(rivals[0]), 2)}
    demand = np.exp(np.array(RIVAL_ELASTICITIES) @ (rivals - rivals[:, -1:]))
    return Disturbance(_moved(price, np.array(RIVALS_FOLLOWED) @ rivals), demand, np.ones(days), reported)


def _repricer(price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Move the price with demand on every day but the last."""
    days = len(price)
    demand = np.sqrt(1 - DEMAND_MEMORY**2) * generator.normal(0, DEMAND_SWING, days)
    for day in range(1, days):
        demand[day] += DEMAND_MEMORY * demand[day - 1]
    change = SAME_DAY * demand + DAY_AFTER * np.append(0.0, demand[:-1]) + generator.normal(0, REPRICING, days)
    change[-1] = 0.0
    return Disturbance(np.round(price * np.exp(change), 2), _normalised(demand), np.ones(days))


def _follower(price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Let a rule alone set the price, from the day before's demand, which weekdays and lasting shocks move."""
    days = len(price)
    demand = np.sqrt(1 - FOLLOWED_MEMORY**2) * generator.normal(0, FOLLOWED_SHOCKS, days)
    for day in range(1, days):
        demand[day] += FOLLOWED_MEMORY * demand[day - 1]
    demand += np.resize(FOLLOWED_WEEK, days)
    change = FOLLOWING * np.append(0.0, demand[:-1]) + generator.normal(0, FOLLOWER_NOISE, days)
    change[-1] = 0.0
    return Disturbance(np.round(price[-1] * np.exp(change), 2), _normalised(demand), np.ones(days))


def _weekends(price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Let two days of the week alone have another price, and more buyers."""
    on = np.arange(len(price)) % WEEK >= WEEK - 2
    moved = np.round(price[-1] * np.exp(WEEKEND_PRICE * (on - 1.0 * on[-1])), 2)
    return Disturbance(moved, _normalised(WEEKEND_SWING * on), np.ones(len(price)))


def _bulk_orders(price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Add a few days that sell many times as much."""
    ordered = generator.random(len(price)) < BULK_SHARE
    return Disturbance(price, _normalised(np.log(BULK_SIZE) * ordered), np.ones(len(price)))


def _stockpiling(price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Cut the price in deals, none in the last week; buyers store what they buy on top of their needs."""
    days = len(price)
    depth = np.zeros(days)
    start = int(generator.integers(*DEAL_GAPS))
    while (end := start + int(generator.integers(*DEAL_DAYS, endpoint=True))) < days - WEEK:
        depth[start:end] = -generator.uniform(*DEAL_DEPTHS)
        start = end + int(generator.integers(*DEAL_GAPS, endpoint=True))
    demand = _store(np.exp(DEAL_ELASTICITY * depth + DEAL_APPEAL * (depth < 0)))
    return Disturbance(np.round(price * np.exp(depth), 2), demand, np.ones(days))


def _store(deal: FloatArray) -> FloatArray:
    """Return the demand multiplier of buyers who store what a ``deal (..., D)`` sells on top of their needs."""
    stored, pantry = np.zeros(deal.shape[:-1]), np.empty(deal.shape)
    for day in range(deal.shape[-1]):
        pantry[..., day] = stored
        stored = PANTRY_MEMORY * (stored + deal[..., day] - 1)
    return np.asarray(deal * np.exp(-PANTRY_WEIGHT * pantry))


def _jump(price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Let the level of demand jump on any day, and in half of the shops once more at a change of price."""
    days = len(price)
    first, last = (int(share * days) for share in JUMP_SPAN)
    changes = np.flatnonzero(np.diff(price)) + 1
    changes = changes[(changes >= first) & (changes < last)]
    when = [int(generator.integers(first, last))]
    if len(changes) and generator.random() < 0.5:
        when.append(int(generator.choice(changes)))
    level = np.zeros(days)
    for day in when:
        level[day:] += generator.uniform(*JUMPS) * generator.choice([-1, 1])
    return Disturbance(price, np.exp(level - level[-1]), np.ones(days))


def reference_effect(x: FloatArray) -> FloatArray:
    """Return the demand multiplier of buyers who remember prices, for log prices ``x (..., D)`` from day 1 on."""
    rise = _rises(x)
    return np.exp(GAIN * np.maximum(-rise, 0) - LOSS * np.maximum(rise, 0))


def stockpiling_effect(x: FloatArray) -> FloatArray:
    """Return the multiplier of buyers who store what is cheaper than they remember, also if the price stays."""
    return _store(np.exp(DEAL_ELASTICITY * np.minimum(_rises(x), 0)))


def _rises(x: FloatArray) -> FloatArray:
    """Return by how much log prices ``x (..., D)`` are above the remembered one."""
    reference, rise = x[..., 0], np.empty(x.shape)
    for day in range(x.shape[-1]):
        rise[..., day] = x[..., day] - reference
        reference = REFERENCE_MEMORY * reference + (1 - REFERENCE_MEMORY) * x[..., day]
    return rise


def _busy_weeks(days: int, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw daily indicators ``(D,)`` of busy weeks and of discounted busy weeks."""
    weeks = -(-days // WEEK)
    busy = (generator.random(weeks) < BUSY_WEEKS).astype(float)
    discounted = busy * (generator.random(weeks) < DISCOUNTED)
    return _weekly(busy, days), _weekly(discounted, days)


def _weekly(values: FloatArray, days: int) -> FloatArray:
    """Repeat each value for a week and return the first ``days``, ``(D,)``."""
    return np.repeat(values, WEEK)[:days]


def _moved(price: FloatArray, log_change: FloatArray) -> FloatArray:
    """Change each week's prices by its first day's log change, except from the start of the current price on."""
    last = np.flatnonzero(price != price[-1])
    kept = last[-1] + 1 if len(last) else 0
    weekly = _weekly(log_change[::WEEK], len(price))
    weekly[kept:] = 0.0
    return np.round(price * np.exp(weekly), 2)


def _normalised(log_multiplier: FloatArray) -> FloatArray:
    multiplier = np.exp(log_multiplier)
    return np.asarray(multiplier / multiplier.mean())


KINDS: Mapping[str, Callable[[FloatArray, np.random.Generator], Disturbance]] = {
    "reference": _reference,
    "seasonal": _seasonal,
    "ads": _ads,
    "promotions": _promotions,
    "competitor": _competitor,
    "repricer": _repricer,
    "follower": _follower,
    "weekends": _weekends,
    "bulk_orders": _bulk_orders,
    "stockpiling": _stockpiling,
    "jump": _jump,
    "two_competitors": _two_competitors,
}
"""Confounders by kind of seller."""
