"""What makes a simulated seller's history harder to read than its demand curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.reading.columns import COMPETITOR_PRICE, PROMOTION

Disturbing = Literal["reference", "seasonal", "stockouts", "ads", "promotions", "competitor"]
"""Sellers with a constant elasticity that something hides."""

REFERENCE_MEMORY = 0.9
"""Share of yesterday's reference price in today's."""
LOSS, GAIN = 1.5, 0.5
"""Buyers mind a price above the one they are used to three times as much as they enjoy one below."""

SEASON_SWING, SEASON_PRICE = 0.35, 0.12
"""Log amplitude of a season in demand, and of the price that the seller raises with it."""
SEASON_DAYS = 90.0

STOCK_DAYS = 7
STOCK_SHARE = 0.85
"""A delivery covers this share of an average week: what is left of the week then sells nothing."""

AD_SWING, AD_PRICE = 0.5, -0.08
"""Log rise of demand in a week of advertising, and the discount that often goes with it."""
AD_WEEKS = 0.3
"""Share of the weeks that are advertised."""

PROMOTION_RISE, PROMOTION_PRICE = 0.4, -0.1
"""Log rise of demand in a week of promotion, and the discount that often goes with it."""
PROMOTION_WEEKS = 0.3
"""Share of the weeks with a promotion."""
DISCOUNTED = 0.7
"""Share of the advertised or promoted weeks that are discounted, too."""

CROSS_ELASTICITY, COMPETITOR_SWING, FOLLOWED = 0.8, 0.2, 0.5
"""Elasticity of demand with the competitor's price, how far that wanders in logs, how much of it the seller follows."""


class Disturbance(NamedTuple):
    """What happens beside demand, ``(D,)`` each."""

    price: FloatArray
    """Money charged, on the cents grid; the last days as before."""
    demand: FloatArray
    """Multiplier of expected units: 1 on average, or on days like the coming ones where a column tells of it."""
    ad_reach: FloatArray
    """Multiplier of the ad conversion."""
    columns: Mapping[str, Any] = {}
    """What the seller's file tells of it."""


def disturb(kind: str, price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Bend prices and demand the way ``kind`` does; any other kind leaves both as they are.

    Args:
        kind: ``reference``: buyers remember prices and mind losses; ``seasonal``: the seller raises the price in the
            season, which no column tells; ``ads``: advertised weeks sell more and are often discounted;
            ``promotions``: so do promoted ones, and a column tells; ``competitor``: the seller half follows a
            competitor, whose price a column tells.
        price: ``(D,)`` money as planned.
        generator: owner of the randomness.
    """
    ones = np.ones(len(price))
    if kind == "reference":
        return Disturbance(price, _reference_effect(np.log(price)), ones)
    if kind == "seasonal":
        wave = np.sin(2 * np.pi * (np.arange(len(price)) / SEASON_DAYS + generator.random()))
        return Disturbance(_moved(price, SEASON_PRICE * wave), _normalised(SEASON_SWING * wave), ones)
    if kind == "ads":
        on, cut = _busy_weeks(len(price), AD_WEEKS, generator)
        return Disturbance(_moved(price, AD_PRICE * cut), _normalised(AD_SWING * on), 1 + on)
    if kind == "promotions":
        on, cut = _busy_weeks(len(price), PROMOTION_WEEKS, generator)
        told = {PROMOTION: np.where(on == 1, "yes", "no")}
        return Disturbance(_moved(price, PROMOTION_PRICE * cut), np.exp(PROMOTION_RISE * on), ones, told)
    if kind == "competitor":
        wander = _weekly(generator.uniform(-1, 1, len(price)), len(price)) * COMPETITOR_SWING
        told = {COMPETITOR_PRICE: np.round(np.median(price) * np.exp(wander), 2)}
        demand = np.exp(CROSS_ELASTICITY * (wander - wander[-1]))
        return Disturbance(_moved(price, FOLLOWED * wander), demand, ones, told)
    return Disturbance(price, ones, ones)


def censor(kind: str, units: FloatArray, mean_units: float) -> FloatArray:
    """Cut the units of a week to what was delivered for it, where ``kind`` is ``stockouts``."""
    if kind != "stockouts":
        return units
    sold = units.copy()
    delivered = round(STOCK_SHARE * STOCK_DAYS * mean_units)
    for first in range(0, len(units), STOCK_DAYS):
        week = units[first : first + STOCK_DAYS]
        sold[first : first + STOCK_DAYS] = np.diff(np.minimum(np.cumsum(week), delivered), prepend=0)
    return sold


def _reference_effect(x: FloatArray) -> FloatArray:
    reference, effect = x[0], np.empty(len(x))
    for day, now in enumerate(x):
        effect[day] = -LOSS * max(now - reference, 0) + GAIN * max(reference - now, 0)
        reference = REFERENCE_MEMORY * reference + (1 - REFERENCE_MEMORY) * now
    return np.exp(effect)


def _busy_weeks(days: int, share: float, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw 1 on the days of some weeks and 0 on others, and the same for those that are discounted, ``(D,)`` each."""
    weeks = -(-days // 7)
    busy = (generator.random(weeks) < share).astype(float)
    discounted = busy * (generator.random(weeks) < DISCOUNTED)
    return _weekly(busy, days), _weekly(discounted, days)


def _weekly(values: FloatArray, days: int) -> FloatArray:
    """Repeat each value for a week, ``(D,)``."""
    return np.repeat(values, 7)[:days]


def _moved(price: FloatArray, log_change: FloatArray) -> FloatArray:
    """Prices changed for a whole week at a time; the current price, from its last change on, stays."""
    last = np.flatnonzero(price != price[-1])
    kept = last[-1] + 1 if len(last) else 0
    weekly = _weekly(log_change[::7], len(price))
    weekly[kept:] = 0.0
    return np.round(price * np.exp(weekly), 2)


def _normalised(log_multiplier: FloatArray) -> FloatArray:
    multiplier = np.exp(log_multiplier)
    return np.asarray(multiplier / multiplier.mean())
