"""Records of a simulated seller: what a file shows of orders, stock and opening days."""

from __future__ import annotations

import numpy as np

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.days import WEEK

STOCK_SHARE = 0.85
"""Share of an average week's demand that a delivery covers; the rest of the week sells nothing."""

MORNING_STOCK, STOCK_SPREAD = 0.15, 0.2
"""Mean and standard deviation of the log of the stock of a morning over mean daily units."""

ORDER_SIZES = (1, 2, 4, 8)
"""Units of an order."""
SIZE_SHARES = (0.55, 0.2, 0.15, 0.1)
"""Share of the orders of each size."""
SIZE_DISCOUNTS = (0.0, 0.0, 0.06, 0.14)
"""Quantity discount of each size, as a share of the posted price."""

SUNDAY, CLOSED_WITH_SUNDAY = 6, (0, 5)
"""Weekday that is always closed, Monday 0, and weekdays of which half of the shops also close one."""


def censor(kind: str, units: FloatArray, mean_units: float, generator: np.random.Generator) -> FloatArray:
    """Limit units ``(D,)`` to the stock.

    Args:
        kind: ``stockouts``, each week sells at most its delivery; ``late_stockouts``, each day at most the morning's
            stock; other kinds are unlimited.
        units: ``(D,)`` demanded.
        mean_units: mean daily units at the starting price.
        generator: source of randomness.
    """
    if kind == "late_stockouts":
        stock = mean_units * np.exp(generator.normal(MORNING_STOCK, STOCK_SPREAD, len(units)))
        return np.minimum(units, np.ceil(stock))
    if kind != "stockouts":
        return units
    weeks = np.pad(units, (0, -len(units) % WEEK)).reshape(-1, WEEK)
    delivered = round(STOCK_SHARE * WEEK * mean_units)
    return np.diff(np.minimum(np.cumsum(weeks, axis=1), delivered), prepend=0).ravel()[: len(units)]


def average_share() -> float:
    """Return the mean price per unit over the posted price, with quantity discounts."""
    units = np.array(ORDER_SIZES) * SIZE_SHARES
    return float((units * (1 - np.array(SIZE_DISCOUNTS))).sum() / units.sum())


def fill_orders(
    posted: FloatArray, units: FloatArray, generator: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Replace each day's units by orders of about as many units, the larger ones at a quantity discount.

    Args:
        posted: ``(D,)`` posted price.
        units: ``(D,)`` demanded.
        generator: source of randomness.

    Returns:
        Units, revenue (money, in cents) and its quotient, the realised average price (four decimals; not a number on
        days without an order), ``(D,)`` each.
    """
    orders = generator.poisson(units / np.dot(ORDER_SIZES, SIZE_SHARES))
    sizes = np.stack([generator.multinomial(count, SIZE_SHARES) for count in orders]) * ORDER_SIZES
    sold = sizes.sum(1).astype(np.float64)
    revenue = np.round(posted * (sizes * (1 - np.array(SIZE_DISCOUNTS))).sum(1), 2)
    average = np.round(np.divide(revenue, sold, out=np.full(len(sold), np.nan), where=sold > 0), 4)
    return sold, revenue, average


def closed_weekdays(kind: str, generator: np.random.Generator) -> FloatArray:
    """Draw the weekdays without sales, ``(7,)`` with 1 for closed, Monday first; none unless ``kind`` is ``closed``."""
    closed = np.zeros(WEEK)
    if kind == "closed":
        closed[SUNDAY] = 1
        if generator.random() < 0.5:
            closed[generator.choice(CLOSED_WITH_SUNDAY)] = 1
    return closed


def shown_days(kind: str, demand: FloatArray, generator: np.random.Generator) -> BoolArray:
    """Return the days ``(D,)`` that the file has a row for: half of the ``closed`` shops leave their closed days out.

    Args:
        kind: kind of seller.
        demand: ``(D,)`` multiplier of each day's demand, 0 on closed days.
        generator: source of randomness.
    """
    left_out = kind == "closed" and generator.random() < 0.5
    return np.asarray((demand > 0) | (not left_out))
