"""How a history's prices were set: by hand, in promotions, by a repricer, or as averages of what buyers paid.

Whatever moved the price biases the slope of demand on it. The demand model reads the kind to choose its terms, the
decision to choose what it may claim.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.cleaning.calendar import find_runs

Kind = Literal["plain", "promotions", "averages", "repricer"]

COIN = 0.01
"""Smallest coin, money."""
SUB_COIN_SHARE = 0.30
"""Smallest share of prices with digits below the smallest coin for the prices to be averages. In files of averages it
is 39 to 91 %, on price ladders at most 17 %."""

CHANGE = 0.002
"""Smallest relative change that counts as a price change."""
REPRICED_SHARE = 0.50
"""Smallest share of days with a price change for prices to be set by a repricer; others change on at most 33 %."""
FEWEST_REPRICED = 28
"""Fewest days for that share to mean anything."""

DEAL_DEPTH = 0.03
"""Smallest discount of a deal from the regular price, in logs."""
FALL = 0.04
"""Smallest log fall or rise that may begin a promotion."""
FEWEST_FALLS = 4
REGULAR_BAND = 0.01
REGULAR_SHARE = 0.40
"""Log distance from the regular price, and the smallest share of days within it."""
RETURNING_SHARE = 0.33
EXCESS = 0.15
"""Smallest share of falls that return, and its smallest excess over the share of rises that return."""

WINDOWS = (9, 15, 43)
"""Longest deals of the filters for the regular price, days."""
WEEKLY_WINDOWS = (5, 9, 13)
"""The same in weeks."""


class PriceSetting(NamedTuple):
    """How the prices of one product were set."""

    kind: Kind
    promoted: bool
    """Whether prices dip below a regular price and return; true of promotions and of some averages."""
    changes: float
    """Share of days with a price change."""


def classify_prices(price: FloatArray, step_days: int = 1) -> PriceSetting:
    """Classify how the prices ``(D,)`` of observed days, oldest first, were set.

    Averages come before repricers, and these before promotions. Weekly prices, ``step_days`` 7 apart, change too rarely
    to recognise a repricer.
    """
    log_price = np.log(price)
    move = np.diff(log_price)
    changes = float((np.abs(move) > CHANGE).mean()) if len(move) else 0.0
    window = deal_windows(step_days)[1]
    near = float((np.abs(log_price - regular_prices(log_price, window)) <= REGULAR_BAND).mean())
    falls, fallen = _returns(log_price, window)
    _, risen = _returns(-log_price, window)
    # promotions are falls that return to where they began, more often than rises do
    returning = falls >= FEWEST_FALLS and fallen >= max(RETURNING_SHARE, risen + EXCESS)
    promoted = returning and near >= REGULAR_SHARE
    coins = price / COIN
    if np.mean(np.abs(coins - np.round(coins)) > 1e-3) >= SUB_COIN_SHARE:
        return PriceSetting("averages", promoted, changes)
    if step_days == 1 and changes >= REPRICED_SHARE and len(price) >= FEWEST_REPRICED:
        return PriceSetting("repricer", False, changes)
    return PriceSetting("promotions" if promoted else "plain", promoted, changes)


def deal_windows(step_days: int) -> tuple[int, ...]:
    """Return the longest deals of the filters for the regular price, in rows of ``step_days`` days, ascending."""
    return WINDOWS if step_days == 1 else WEEKLY_WINDOWS


def regular_prices(log_price: FloatArray, window: int) -> FloatArray:
    """Return the log regular price of each day ``(D,)``: the grey closing of the log price.

    ``r_t = min over s in [t - K + 1, t] of max over j in [s, s + K - 1] of p_j`` bridges dips shorter than the window
    of K days. The last price counts as regular once it has lasted longer than any dip before it.
    """
    days = len(log_price)
    changed = np.flatnonzero(np.abs(np.diff(log_price)) > CHANGE)
    last = int(changed[-1]) + 1 if len(changed) else 0
    before = _closing(log_price[:last], window) if last else log_price[:0]
    longest = int(np.diff(find_runs(before - log_price[:last] > DEAL_DEPTH), axis=1).max(initial=0))
    ongoing = last > 0 and days - last <= longest and before[-1] - log_price[-1] > DEAL_DEPTH
    padded = np.append(log_price, np.full(window, before[-1] if ongoing else log_price[-1]))
    return _closing(padded, window)[:days]


def _closing(values: FloatArray, window: int) -> FloatArray:
    from scipy.ndimage import maximum_filter1d, minimum_filter1d  # imported late, as cleaning needs the constants only

    ahead = maximum_filter1d(values, window, mode="nearest", origin=-((window - 1) // 2))
    return np.asarray(minimum_filter1d(ahead, window, mode="nearest", origin=(window - 1) // 2))


def _returns(log_price: FloatArray, window: int) -> tuple[int, float]:
    """Return the number of falls of the log price, and the share that returns within ``window`` days."""
    falls = np.flatnonzero(np.diff(log_price) < -FALL)
    after = [log_price[day + 1 : day + 1 + window] - log_price[day] for day in falls]
    back = [bool((np.abs(rise) <= REGULAR_BAND).any()) for rise in after]
    return len(falls), float(np.mean(back)) if back else 0.0
