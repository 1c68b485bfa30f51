"""What makes a simulated seller's history harder to read than its demand curve."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pricerl.data.history import FloatArray

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


class Disturbance(NamedTuple):
    """What happens beside demand, ``(D,)`` each."""

    price: FloatArray
    """Money charged, on the cents grid; the last days as before."""
    demand: FloatArray
    """Multiplier of expected units, 1 on average."""
    ad_reach: FloatArray
    """Multiplier of the ad conversion."""


def disturb(kind: str, price: FloatArray, generator: np.random.Generator) -> Disturbance:
    """Bend prices and demand the way ``kind`` does; any other kind leaves both as they are.

    Args:
        kind: ``reference``: buyers remember prices and mind losses; ``seasonal``: the seller raises the price in the
            season, which no column tells; ``ads``: advertised weeks sell more and are often discounted.
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
        weeks = -(-len(price) // 7)
        advertised = (generator.random(weeks) < AD_WEEKS).astype(float)
        discounted = advertised * (generator.random(weeks) < 0.7)
        on, cut = (np.repeat(values, 7)[: len(price)] for values in (advertised, discounted))
        return Disturbance(_moved(price, AD_PRICE * cut), _normalised(AD_SWING * on), 1 + on)
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


def _moved(price: FloatArray, log_change: FloatArray) -> FloatArray:
    """Prices changed for a whole week at a time; the price now, from its last change on, stays."""
    last = np.flatnonzero(price != price[-1])
    kept = last[-1] + 1 if len(last) else 0
    weekly = np.repeat(log_change[::7], 7)[: len(price)]
    weekly[kept:] = 0.0
    return np.round(price * np.exp(weekly), 2)


def _normalised(log_multiplier: FloatArray) -> FloatArray:
    multiplier = np.exp(log_multiplier)
    return np.asarray(multiplier / multiplier.mean())
