"""Round prices, such as 10, 15 or 20, at which demand may fall at once, and sellers who price just below them."""

from __future__ import annotations

import numpy as np

from pricerl.arrays import BoolArray, FloatArray

ROUND = np.array([10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 75, 80, 90])
"""Round prices from 10 to 99; other sizes have the same times a power of ten."""
CHARMS = np.array([0.001, 0.01, 0.02, 0.05, 0.1])
"""Usual distances of a price just below a whole one, as a share of the unit: 19.99, 19.98, 19.95 and 19.90, or 199."""
WHOLE_ERROR = 1e-5
"""Largest error of a price by the rounding of single precision, in whole units."""
NO_UNIT = 1e30
"""Money above any price, in place of a whole unit where buyers see all of a price."""
JUST_BELOW = 0.01
"""Largest distance of a price just below a round one, as a share of it."""


def rounds_between(low: float, high: float) -> FloatArray:
    """Return the round prices ``(N,)`` from ``low`` to ``high``, positive money, ascending."""
    decades = np.arange(np.floor(np.log10(low)) - 1, np.floor(np.log10(high)))
    found = np.concatenate([ROUND * 10.0**decade for decade in decades])
    return np.asarray(found[(found >= low) & (found <= high)])


def next_round_price(price: float) -> float:
    """Return the lowest round price above a price, in money; a whole one if the price ends just below it."""
    if ends_below_whole(price):
        return float(np.ceil(price / whole_unit(price)) * whole_unit(price))
    return float(rounds_between(price * (1 + 1e-6), 2 * price)[0])


def charms_between(low: float, high: float) -> FloatArray:
    """Return the prices ``(N,)`` just below a half or whole one, from ``low`` to ``high``, positive money, ascending.

    They end as far below as ``low`` or ``high`` does if that is a charm price, else by the usual hundredth.
    """
    own = next((price for price in (low, high) if ends_below_whole(price)), None)
    unit = float(whole_unit(high))
    below = 0.01 * unit if own is None else -own % unit
    places = np.arange(np.floor(low / unit), np.ceil(high / unit) + 1, 0.5) * unit - below
    return np.asarray(places[(places >= low) & (places <= high)])


def whole_unit(price: FloatArray | float) -> FloatArray:
    """Return the distance of whole prices, in money: 0.1 for prices below 1, 1 below 100, 10 below 1,000."""
    size = np.floor(np.log10(price))
    return np.asarray(10.0 ** np.where(size >= 0, np.maximum(size - 1, 0), size))


def overlooked(price: FloatArray, unit: float) -> FloatArray:
    """Return the logs of prices, in money, over their whole ``unit``, and 0 below the first."""
    units = price / unit
    return np.asarray(np.maximum(np.log(units / np.maximum(np.floor(units + WHOLE_ERROR), 1)), 0.0))


def ends_below_whole(price: FloatArray | float) -> BoolArray:
    """Return whether prices, in money, end just below a whole one."""
    below = -np.asarray(price) / whole_unit(price) % 1.0
    return np.asarray((np.abs(below[..., None] - CHARMS) < 1e-6).any(-1))
