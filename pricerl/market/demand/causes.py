"""Causes of demand that not every history tells of: competitor's price, promotions, public holidays, yearly waves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data import ProductHistory, day_types
from pricerl.data.holidays import DAY_BEFORE, FEWEST_HOLIDAYS, HOLIDAY
from pricerl.market.demand.similar_prices import DAYS_PER_YEAR, RECENT_DAYS, YEARLY_HARMONICS

COMPETITOR_PRIOR = (0.26, 0.5)
"""Mean and sd of the cross-price elasticity: 7,264 estimates have a mean of 0.26, most of them lie between -0.5 and 1
(Auer and Papies 2020)."""

PROMOTION_PRIOR = (0.0, 0.5)
"""Mean and sd of a promotion's log effect beside its price: it seldom doubles demand, and may do nothing."""

HOLIDAY_PRIOR = (0.0, 0.3)
"""Mean and sd of a holiday's and of the day before's log effect: up or down by about a third."""
HOLIDAY_CAUSES = {"day_before_holiday": DAY_BEFORE, "holiday": HOLIDAY}

WAVE_PRIOR = (0.0, 0.3)
"""Mean and sd of a yearly wave's log amplitude: as for the season beside it, whose many turns it replaces."""
FEWEST_WAVE_DAYS = 730
"""A wave that is not seen twice is no yearly one."""

ANSWER_SHARE = 0.9
"""A competitor's price of which our own explains more than this share is an answer to it."""
ANSWER_DAYS = 7
"""Days within which a competitor answers."""


class Cause(NamedTuple):
    """One more cause of a product's demand; its coefficient is the change of log units with one unit of it."""

    name: str
    values: FloatArray
    """``(D,)`` on every day of the history."""
    now: float
    """On the next days."""
    mean: float
    """Of the coefficient's prior."""
    sd: float
    """Of the coefficient's prior."""


def optional_causes(product: ProductHistory) -> list[Cause]:
    """Collect what the product's file tells beside prices and sales; what never varied is left out.

    A competitor who does nothing but answer our price is left out, too: raising the price then raises theirs, so the
    price's own slope shall hold both effects. Yearly waves take out of the price's work what comes every year; the
    next days keep those of the last weeks, since waves that are carried on lead astray where the season is none.

    Args:
        product: its whole history.
    """
    causes = []
    if product.competitor is not None and not _is_answer(product.competitor, product.price):
        log_price = np.log(product.competitor)
        values = log_price - np.median(log_price[-RECENT_DAYS:])
        causes.append(Cause("competitor", values, float(values[-1]), *COMPETITOR_PRIOR))
    if product.promotion is not None:
        causes.append(Cause("promotion", product.promotion.astype(np.float64), 0.0, *PROMOTION_PRIOR))
    kinds = day_types(product.dates, product.holidays)
    for name, kind in HOLIDAY_CAUSES.items():
        if (product.observed & (kinds == kind)).sum() >= FEWEST_HOLIDAYS:
            causes.append(Cause(name, (kinds == kind).astype(np.float64), 0.0, *HOLIDAY_PRIOR))
    causes += _yearly_waves(product)
    return [cause for cause in causes if np.ptp(cause.values[product.observed]) > 0]


def past_multiplier(product: ProductHistory, effects: Mapping[str, float]) -> FloatArray:
    """What the optional causes made of each day of the history, over the next days, ``(D,)``.

    Args:
        product: its whole history.
        effects: coefficients by the causes' names; causes without one count for nothing.
    """
    log_multiplier = np.zeros(len(product.dates))
    for cause in optional_causes(product) if effects else ():
        log_multiplier += effects.get(cause.name, 0.0) * (cause.values - cause.now)
    return np.asarray(np.exp(log_multiplier))


def holiday_factors(effects: Mapping[str, float]) -> FloatArray:
    """Demand by kind of date over that of an ordinary one, ``(3,)`` in the order of ``day_types``.

    Args:
        effects: coefficients by the causes' names.
    """
    factors = np.ones(1 + len(HOLIDAY_CAUSES))
    for name, kind in HOLIDAY_CAUSES.items():
        factors[kind] = np.exp(effects.get(name, 0.0))
    return factors


def _yearly_waves(product: ProductHistory) -> list[Cause]:
    days = len(product.dates)
    if days < FEWEST_WAVE_DAYS:
        return []
    phase = 2 * np.pi * np.arange(1 - days, 1) / DAYS_PER_YEAR
    waves = [wave(turn * phase) for turn in range(1, YEARLY_HARMONICS + 1) for wave in (np.sin, np.cos)]
    return [
        Cause(f"yearly_wave_{number}", wave, float(wave[-RECENT_DAYS:].mean()), *WAVE_PRIOR)
        for number, wave in enumerate(waves, start=1)
    ]


def _is_answer(competitor: FloatArray, price: FloatArray) -> bool:
    """Whether our price of the day and of the week before explains nearly all of the competitor's price."""
    x, y = np.log(price), np.log(competitor)
    lags = [x[np.maximum(np.arange(len(x)) - lag, 0)] for lag in range(ANSWER_DAYS + 1)]
    design = np.stack([np.ones_like(x), *lags], axis=1)
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return bool(residual.var() < (1 - ANSWER_SHARE) * y.var())
