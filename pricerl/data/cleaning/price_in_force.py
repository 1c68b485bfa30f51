"""Price in force: the price that the shop asked on each day, where the file holds averages of what buyers paid."""

from __future__ import annotations

import math

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, IntArray, count_true
from pricerl.data.cleaning.calendar import carry_forward
from pricerl.data.cleaning.product_rows import Segments
from pricerl.data.days import RECENT_DAYS
from pricerl.data.price_setting import COIN, SUB_COIN_SHARE

LOOK_BACK_DAYS = 2 * RECENT_DAYS
"""Calendar days that determine the price in force: 56 days hold at least 40 trading days, or eight weekly rows."""

HALF_LIFE_DAYS = 14.0
"""Age at which a day counts half. A new price that is seen as often as the old one is in force after two weeks."""

FEWEST_PRICES = 8
"""Fewest recorded prices to separate averages from posted prices; the last one is in force below that."""

CHANGING_SHARE = 0.5
"""Smallest share of rows on which averages differ from the row before. Posted prices stay: the 120 priced days of a
seller who changed them often changed on 49 %, the averages of two wholesalers on 94 and 97 %."""

REPEATED_SHARE = 0.10
"""Smallest share of recent rows at one price for it to be the posted price among averages. Those of two wholesalers
have 12 and 22 %; the most frequent of a hundred equally likely prices has 5 % of 56 days."""

FEWEST_REPEATS = 3
"""Fewest rows at that price: two averages may coincide."""

ONCE_SHARE = 0.5
"""Smallest share of the other recent rows whose price occurs once. In a price test, prices return."""


def find_prices_in_force(recorded: FloatArray, step_days: int = 1) -> FloatArray | None:
    """Return the price in force at the end of each row, ``(D,)`` money, or None if the recorded prices are posted.

    Among averages it is the most frequent price of the last 56 days, recent days counting more, if at least three rows
    and a tenth of them have it; otherwise the weighted median of these days. Both are rounded to the smallest coin
    and depend on no later row.

    Args:
        recorded: ``(D,)`` prices by row, money, NaN where the file has none; at least one is known.
        step_days: days from row to row.
    """
    known = np.flatnonzero(np.isfinite(recorded))
    price = recorded[known]
    recent = known > known[-1] - LOOK_BACK_DAYS / step_days
    # below prices of 1 the smallest coin is a hundredth of the price's leading digit
    coin = min(COIN, float(10.0 ** (math.floor(math.log10(np.median(price))) - 2)))
    coins = np.round(price / coin)
    below_coin = float((np.abs(price - coins * coin) > 1e-6 * price).mean())
    if not (_keeps_changing(price) and below_coin >= SUB_COIN_SHARE) and not _scatters(coins[recent]):
        return None
    found = np.full(len(recorded), np.nan)
    for place, row in enumerate(known):
        first = int(np.searchsorted(known, row - LOOK_BACK_DAYS / step_days, side="right"))
        age = step_days * (row - known[first : place + 1])
        found[row] = coin * _centre(coins[first : place + 1], 0.5 ** (age / HALF_LIFE_DAYS))
    return np.round(carry_forward(found), 10)


def find_changing(recorded: FloatArray, rows: Segments, step_days: IntArray) -> BoolArray:
    """Return the products ``(P,)`` whose ``recorded (N,)`` prices change on most rows, of all or of the last 56 days.

    Rows without a price are NaN; those of each product are ``step_days (P,)`` apart.
    """
    known = np.flatnonzero(np.isfinite(recorded))
    price = recorded[known]
    changed = np.append(price[1:] != price[:-1], False)
    found = np.zeros(len(rows), dtype=bool)
    ends = np.searchsorted(known, rows.edges)
    changes = np.append(0, np.cumsum(changed))
    recent = rows.last(np.isfinite(recorded)) - LOOK_BACK_DAYS / step_days
    for first in (ends[:-1], np.maximum(np.searchsorted(known, recent, side="right"), ends[:-1])):
        count = ends[1:] - first
        found |= _are_most(count, changes[np.maximum(ends[1:] - 1, 0)] - changes[np.minimum(first, len(price))])
    return found


def _scatters(coins: FloatArray) -> bool:
    """Return whether prices change on most rows and scatter around one that repeats: averages rounded to a coin."""
    if not _keeps_changing(coins):
        return False
    _, where, count = np.unique(coins, return_inverse=True, return_counts=True)
    most = int(count.max())
    others = count[where][count[where] < most]
    repeats = most >= _least_repeats(len(coins))
    return repeats and int((others == 1).sum()) >= ONCE_SHARE * len(others)


def _least_repeats(rows: int) -> float:
    return max(FEWEST_REPEATS, REPEATED_SHARE * rows)


def _keeps_changing(price: FloatArray) -> bool:
    return bool(_are_most(np.array(len(price)), np.array(count_true(price[1:] != price[:-1]))))


def _are_most(rows: IntArray, changes: IntArray) -> BoolArray:
    """Return where there are enough rows, and prices change on most of them."""
    return np.asarray((rows >= FEWEST_PRICES) & (changes > CHANGING_SHARE * (rows - 1)))


def _centre(coins: FloatArray, weight: FloatArray) -> float:
    """Return the price of the largest weight if it repeats, else the weighted median."""
    price, where, count = np.unique(coins, return_inverse=True, return_counts=True)
    total = np.bincount(where, weight)
    repeated = np.where(count >= _least_repeats(len(coins)), total, 0.0)
    if repeated.any():
        return float(price[repeated.argmax()])
    return float(price[np.searchsorted(np.cumsum(total), 0.5 * total.sum())])
