"""Simulated chains whose stores set their regular prices apart: the response to these prices is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from pricerl.arrays import FloatArray
from pricerl.data.days import WEEK

STORES, DAYS = 12, 182
"""Stores of a chain, and days of their histories."""
ELASTICITY, BETWEEN_CHAINS, BETWEEN_STORES = -1.9, 0.8, 0.3
"""Mean elasticity, and its sds: between the mean of published ones, -2.62, and -1.48, that of regular prices of 54
grocery products (2026)."""
FLATTEST = -0.3
"""Elasticity of the least responsive store."""
UNITS = (5.0, 80.0)
"""Range of the daily units of a store, drawn evenly in logs."""
SIZE = 12.0
"""Negative-binomial size of a day's units."""
WEEK_SD, WEEK_MEMORY = 0.12, 0.7
"""Log sd of the chain's demand from week to week, and its autocorrelation."""
HOLDS = (14, 56)
"""Days for which a store keeps a regular price."""
RANGE = 0.12
"""Largest log distance of a regular price from its centre."""


class Chain(NamedTuple):
    """One product at the stores of a chain."""

    rows: pd.DataFrame
    """Panel: store, day, price, units and, where the file reports them, promotion."""
    elasticity: FloatArray
    """``(S,)`` elasticity to the regular price by store."""


class Setting(NamedTuple):
    """Departures from the regular price and their effect on demand, ``(S, D)`` each, in logs."""

    price: FloatArray
    """Posted price over the regular one."""
    demand: FloatArray
    """Demand that this brings beyond the response to the price."""
    paid: FloatArray | None = None
    """Average price paid over the posted one; None if buyers pay the posted price."""


def _plain(week: FloatArray, rng: np.random.Generator) -> Setting:
    """Regular prices only."""
    none = np.zeros((STORES, DAYS))
    return Setting(none, none)


def _promotions(week: FloatArray, rng: np.random.Generator) -> Setting:
    """A week's deal of the whole chain every three to six weeks; displays and leaflets lift its demand further."""
    depth = _spells(rng, (7, 7), (14, 35), (0.15, 0.35))
    part = rng.random((STORES, 1)) < 0.9  # some stores never take part
    return Setting(-depth * part, (1.0 * depth + 0.25 * (depth > 0)) * part)


def _campaigns(week: FloatArray, rng: np.random.Generator) -> Setting:
    """Lower prices for two to seven weeks, advertised by the chain: too long and too rare to be taken for deals."""
    depth = _spells(rng, (14, 49), (21, 70), (0.04, 0.12))
    return Setting(-depth, 1.0 * depth + 0.05 * (depth > 0))


def _repricer(week: FloatArray, rng: np.random.Generator) -> Setting:
    """Each store's price follows the demand of the day, which wanders by itself as well."""
    own = rng.normal(0, 0.25, (STORES, DAYS))
    for day in range(1, DAYS):
        own[:, day] = 0.6 * own[:, day - 1] + 0.8 * own[:, day]
    return Setting(0.1 * (own + week) + rng.normal(0, 0.06, own.shape), own)


def _coupons(week: FloatArray, rng: np.random.Generator) -> Setting:
    """Coupons in some weeks bring buyers who pay less: the file holds the average price of all."""
    depth = _spells(rng, (7, 14), (14, 42), (0.02, 0.1)) * rng.uniform(0.5, 1.5, (STORES, 1))
    return Setting(0 * depth, 3.0 * depth, -depth)


CHAINS: Mapping[str, Callable[[FloatArray, np.random.Generator], Setting]] = {
    "plain": _plain,
    "promotions": _promotions,
    "campaigns": _campaigns,
    "repricer": _repricer,
    "coupons": _coupons,
}
"""Chains by what moves their prices in addition to the stores."""


def simulate_chain(kind: str, seed: int) -> Chain:
    """Draw a chain of a kind of `CHAINS`; its demand weeks are common to all stores."""
    rng = np.random.default_rng([seed, *kind.encode()])
    centre = min(rng.normal(ELASTICITY, BETWEEN_CHAINS), FLATTEST)
    elasticity = np.minimum(rng.normal(centre, BETWEEN_STORES, STORES), FLATTEST)
    weekly = rng.normal(0, WEEK_SD, DAYS // WEEK)
    for number in range(1, len(weekly)):
        weekly[number] = WEEK_MEMORY * weekly[number - 1] + np.sqrt(1 - WEEK_MEMORY**2) * weekly[number]
    week = np.repeat(weekly, WEEK)
    regular = np.stack([_regular(rng) for _ in range(STORES)])
    setting = CHAINS[kind](week, rng)
    weekday = np.resize(rng.normal(0, 0.15, WEEK), DAYS)
    level = rng.uniform(*np.log(UNITS), (STORES, 1))
    log_units = level + week + weekday + elasticity[:, None] * (regular + setting.price) + setting.demand
    units = rng.negative_binomial(SIZE, SIZE / (SIZE + np.exp(log_units)))
    list_price = float(np.round(rng.uniform(3, 40), 2))
    posted = np.round(list_price * np.exp(regular + setting.price), 2)
    rows = {
        "store": np.repeat([f"store {number:02}" for number in range(STORES)], DAYS),
        "day": np.tile(np.arange(DAYS), STORES),
        "price": (posted if setting.paid is None else posted * np.exp(setting.paid)).ravel(),
        "units": units.ravel(),
    }
    return Chain(pd.DataFrame(rows), elasticity)


def _regular(rng: np.random.Generator) -> FloatArray:
    """Draw a store's log regular price over its list price, ``(D,)``."""
    found = np.zeros(DAYS)
    day = 0
    while day < DAYS:
        found[day:] = rng.uniform(-RANGE, RANGE)
        day += int(rng.integers(*HOLDS))
    return found


def _spells(
    rng: np.random.Generator, days: tuple[int, int], gaps: tuple[int, int], depths: tuple[float, float]
) -> FloatArray:
    """Draw the chain's spells of lower prices: their log discount, ``(D,)``, 0 between them."""
    depth = np.zeros(DAYS)
    start = int(rng.integers(*gaps))
    while start < DAYS:
        end = start + int(rng.integers(*days, endpoint=True))
        depth[start:end] = rng.uniform(*depths)
        start = end + int(rng.integers(*gaps, endpoint=True))
    return depth
