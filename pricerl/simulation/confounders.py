"""Confounders of a simulated seller: drivers of demand that obscure its elasticity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.days import WEEK
from pricerl.data.reading.columns import COMPETITOR_PRICE, PROMOTION

Disturbing = Literal["reference", "seasonal", "stockouts", "ads", "promotions", "competitor"]
"""Families with a constant elasticity and a confounder or stock-outs."""

REFERENCE_MEMORY = 0.9
"""Weight of yesterday's reference price in today's."""
LOSS, GAIN = 1.5, 0.5
"""Log change of demand per log price above and below the reference price: losses weigh three times as much."""

SEASON_SWING, SEASON_PRICE = 0.35, 0.12
"""Log amplitudes of seasonal demand and of the seller's price, which follows it."""
SEASON_DAYS = 90.0

STOCK_SHARE = 0.85
"""Share of an average week's demand that a delivery covers; the rest of the week sells nothing."""

AD_SWING, AD_PRICE = 0.5, -0.08
"""Log rise of demand in a week of advertising, and the log discount that often accompanies it."""

PROMOTION_RISE, PROMOTION_PRICE = 0.4, -0.1
"""Log rise of demand in a week of promotion, and the log discount that often accompanies it."""
BUSY_WEEKS = 0.3
"""Share of the weeks with advertising or promotion."""
DISCOUNTED = 0.7
"""Share of these weeks that are also discounted."""

CROSS_ELASTICITY, COMPETITOR_SWING, FOLLOWED = 0.8, 0.2, 0.5
"""Cross-price elasticity, log range of the competitor's price, and share of its log changes that the seller follows."""


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
        kind: ``reference``: buyers compare with past prices and weigh losses more; ``seasonal``: the seller raises the
            price in the season, which no column reports; ``ads``: weeks of advertising sell more and are often
            discounted; ``promotions``: the same, reported in a column; ``competitor``: the seller half follows a
            competitor, whose price is reported in a column.
        price: ``(D,)`` planned money per unit.
        generator: source of randomness.
    """
    ones = np.ones(len(price))
    if kind == "reference":
        return Disturbance(price, reference_effect(np.log(price)), ones)
    if kind == "seasonal":
        wave = np.sin(2 * np.pi * (np.arange(len(price)) / SEASON_DAYS + generator.random()))
        return Disturbance(_moved(price, SEASON_PRICE * wave), _normalised(SEASON_SWING * wave), ones)
    if kind == "ads":
        on, cut = _busy_weeks(len(price), generator)
        return Disturbance(_moved(price, AD_PRICE * cut), _normalised(AD_SWING * on), 1 + on)
    if kind == "promotions":
        on, cut = _busy_weeks(len(price), generator)
        reported = {PROMOTION: np.where(on == 1, "yes", "no")}
        return Disturbance(_moved(price, PROMOTION_PRICE * cut), np.exp(PROMOTION_RISE * on), ones, reported)
    if kind == "competitor":
        wander = _weekly(generator.uniform(-1, 1, len(price)), len(price)) * COMPETITOR_SWING
        reported = {COMPETITOR_PRICE: np.round(np.median(price) * np.exp(wander), 2)}
        demand = np.exp(CROSS_ELASTICITY * (wander - wander[-1]))
        return Disturbance(_moved(price, FOLLOWED * wander), demand, ones, reported)
    return Disturbance(price, ones, ones)


def censor(kind: str, units: FloatArray, mean_units: float) -> FloatArray:
    """Limit the units of each week to its delivery if ``kind`` is ``stockouts``."""
    if kind != "stockouts":
        return units
    weeks = np.pad(units, (0, -len(units) % WEEK)).reshape(-1, WEEK)
    delivered = round(STOCK_SHARE * WEEK * mean_units)
    return np.diff(np.minimum(np.cumsum(weeks, axis=1), delivered), prepend=0).ravel()[: len(units)]


def reference_effect(x: FloatArray) -> FloatArray:
    """Return the demand multiplier of buyers who remember prices, for log prices ``x (..., D)`` from day 1 on."""
    reference, effect = x[..., 0], np.empty(x.shape)
    for day in range(x.shape[-1]):
        rise = x[..., day] - reference
        effect[..., day] = GAIN * np.maximum(-rise, 0) - LOSS * np.maximum(rise, 0)
        reference = REFERENCE_MEMORY * reference + (1 - REFERENCE_MEMORY) * x[..., day]
    return np.exp(effect)


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
