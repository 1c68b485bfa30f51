"""How a history's prices were set: by hand, in promotions, by a repricer, or as averages of what buyers paid.

Whatever moved the price biases the slope of demand on it. The demand model reads the kind to choose its terms, the
decision to choose what it may claim. The price in force is what the shop asked on each day outside promotions.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, count_true
from pricerl.data.cleaning.calendar import carry_forward, find_runs
from pricerl.data.days import RECENT_DAYS

Kind = Literal["plain", "promotions", "averages", "repricer"]

COIN = 0.01
"""Smallest coin in money."""
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
"""Log distance from the regular price, and the smallest share of days within it, also around a fall from it."""
RETURNING_SHARE = 0.33
EXCESS = 0.15
"""Smallest share of falls that return, and its smallest excess over the share of rises that return."""
LEAST_EXCESS_SDS = 1.6
"""Smallest excess in standard errors: among prices drawn at random, as many rises return as falls, apart from chance.
2 would miss the deals of a third of simulated shops with four of them."""
LOPSIDED = 0.15
"""Excess of the share of days at the regular price over the share at its mirror image, the highest price that dips
reach, which shows deals by itself: a price that changes on most days has no other sign of a level."""

SHALLOW = 0.5
"""Share of the median depth of earlier deals below which a last fall is a new price: a cautious cut is no deal."""

WINDOWS = (9, 15, 43)
"""Longest deals of the filters for the regular price, days."""
WEEKLY_WINDOWS = (5, 9, 13)
"""The same in weeks."""

LOOK_BACK_DAYS = 2 * RECENT_DAYS
"""Calendar days that determine the price in force: 56 days hold at least 40 trading days, or eight weekly rows."""

HALF_LIFE_DAYS = 14.0
"""Age at which a day counts half. A new price that is seen as often as the old one is in force after two weeks."""

FEWEST_PRICES = 8
"""Fewest recorded prices to separate averages from posted prices; the last one is in force below that."""

CHANGING_SHARE = 0.5
"""Smallest share of rows on which averages differ from the row before. Posted prices stay: the 120 priced days of a
seller who changed them often changed on 49 %, the averages of two wholesalers on 94 and 97 %."""

FEWEST_SCATTERED = 16
"""Fewest recent rows that show averages by repetition alone. Of the eight weekly rows in 56 days, a high-low store may
have a new deal on most."""

REPEATED_SHARE = 0.10
"""Smallest share of recent rows at one price for it to be the posted price among averages. Two wholesalers
have 12 and 22 %; the most frequent of a hundred equally likely prices has 5 % of 56 days."""

FEWEST_REPEATS = 3
"""Fewest rows at that price: two averages may coincide."""

ONCE_SHARE = 0.5
"""Smallest share of the other recent rows whose price occurs once. In a price test, prices return."""


class PriceSetting(NamedTuple):
    """How the prices of one product were set."""

    kind: Kind
    promoted: bool
    """Whether prices dip below a regular price and return; true of promotions and of some averages."""
    changes: float
    """Share of days with a price change."""
    follows: float = 0.0
    """Log rise of a repricer's price per log demand, where the history proves such a rule; 0 for none."""


def classify_prices(price: FloatArray, step_days: int = 1) -> PriceSetting:
    """Classify how the prices ``(D,)`` of observed days, oldest first, were set.

    Averages come before promotions, and these before repricers: a calendar of deals may change the price on most rows,
    but returns to a regular one. Weekly prices change too rarely to show a repricer.
    """
    log_price = np.log(price)
    changes = count_true(np.abs(np.diff(log_price)) > CHANGE) / max(len(price) - 1, 1)
    promoted = _is_promoted(log_price, deal_windows(step_days)[1])
    coins = price / COIN
    kinds: dict[Kind, bool] = {
        "averages": bool(np.mean(np.abs(coins - np.round(coins)) > 1e-3) >= SUB_COIN_SHARE),
        "promotions": promoted,
        "repricer": step_days == 1 and changes >= REPRICED_SHARE and len(price) >= FEWEST_REPRICED,
    }
    return PriceSetting(next((kind for kind, holds in kinds.items() if holds), "plain"), promoted, changes)


def deal_windows(step_days: int) -> tuple[int, ...]:
    """Return the longest deals of the filters for the regular price, in rows of ``step_days`` days, ascending."""
    return WINDOWS if step_days == 1 else WEEKLY_WINDOWS


def regular_prices(log_price: FloatArray, window: int) -> FloatArray:
    """Return the log regular price of each day ``(D,)``: the grey closing of the log price.

    ``r_t = min over s in [t - K + 1, t] of max over j in [s, s + K - 1] of p_j`` bridges dips shorter than the window
    of K days. The last price counts as regular once it has lasted longer than any dip before it.
    """
    days = len(log_price)
    last = int(np.flatnonzero(np.abs(np.diff(log_price)) > CHANGE).max(initial=-1)) + 1
    before = _closing(log_price[:last], window) if last else log_price[:0]
    longest = int(np.diff(find_runs(before - log_price[:last] > DEAL_DEPTH), axis=1).max(initial=0))
    ongoing = last > 0 and days - last <= longest and before[-1] - log_price[-1] > DEAL_DEPTH
    padded = np.append(log_price, np.full(window, before[-1] if ongoing else log_price[-1]))
    return _closing(padded, window)[:days]


def _closing(values: FloatArray, window: int) -> FloatArray:
    from scipy.ndimage import grey_closing  # imported late, as cleaning needs no filters

    return np.asarray(grey_closing(values, (window,), mode="nearest", origin=(window - 1) // 2))


def _is_promoted(log_price: FloatArray, window: int) -> bool:
    """Return whether falls of the log price return within ``window`` days to a level that is charged most of the time.

    Prices drawn at random return now and then as well, but from above as often as from below.
    """
    move = np.diff(log_price)
    at = np.flatnonzero(np.abs(move) > FALL)
    fall = move[at] < 0
    around = np.pad(log_price, window, constant_values=np.nan)[at[:, None] + np.arange(2 * window + 1)]
    near = _is_near(around, log_price[at, None])
    back = near[:, window + 1 :].any(axis=1)
    falls, rises = (max(count_true(flags), 1) for flags in (fall, ~fall))
    fallen, risen = count_true(back & fall) / falls, count_true(back & ~fall) / rises
    if falls < FEWEST_FALLS or fallen < max(RETURNING_SHARE, risen + EXCESS):
        return False
    regular, mirrored = (float(_is_near(log, regular_prices(log, window)).mean()) for log in (log_price, -log_price))
    if regular < REGULAR_SHARE or regular - mirrored >= LOPSIDED:
        return regular >= REGULAR_SHARE
    level = near.sum(axis=1) >= REGULAR_SHARE * np.isfinite(around).sum(axis=1)
    chance = float(back.mean())
    sds = (fallen - risen) / np.sqrt(chance * (1 - chance) * (1 / falls + 1 / rises))
    return bool(count_true(back & fall & level) / falls >= RETURNING_SHARE and sds >= LEAST_EXCESS_SDS)


def _is_near(log_price: FloatArray, level: FloatArray) -> BoolArray:
    return np.asarray(np.abs(log_price - level) <= REGULAR_BAND)


def find_prices_in_force(
    recorded: FloatArray,
    step_days: int = 1,
    promotion: BoolArray | None = None,
    regular: BoolArray | None = None,
) -> FloatArray | None:
    """Return the price in force at the end of each row, ``(D,)`` money, or None if it is the recorded one on all.

    A posted price is in force unless its row is a promotion: then the regular price is. Rows with a ``promotion (D,)``
    are; where a file reports none, those below the regular price, if prices fall and return as in promotions. The last
    row is none where the file marks it as ``regular (D,)``.

    Among averages it is the most frequent price of the last 56 days without promotions, recent days counting more, if
    at least three rows and a tenth of them have it; otherwise the weighted median of these days. Both are rounded to
    the smallest coin. Of the ``recorded (D,)`` prices, NaN where the file has none, at least one is known.
    """
    known = np.flatnonzero(np.isfinite(recorded))
    price = recorded[known]
    reported = np.zeros(len(known), dtype=bool) if promotion is None else promotion[known]
    deal = reported if 0 < count_true(reported) < len(known) else _find_deals(np.log(price), deal_windows(step_days)[1])
    deal[-1] &= regular is None or not regular[known[-1]]
    recent = known > known[-1] - LOOK_BACK_DAYS / step_days
    # below prices of 1 the smallest coin is a hundredth of the price's leading digit
    coin = COIN if price.min() >= 1 else min(COIN, float(10.0 ** (math.floor(math.log10(np.median(price))) - 2)))
    coins = np.round(price / coin)
    below_coin = np.abs(price - coins * coin) > 1e-6 * price
    averages = (below_coin.mean() >= SUB_COIN_SHARE and _keeps_changing(price)) or _scatters(coins[recent & ~deal])
    if not averages and not deal.any():
        return None
    asked = np.round(coins * coin, 10) if averages else price
    found = np.full(len(recorded), np.nan)
    rows = known[~deal]
    found[rows] = price[~deal]
    paid = coins[~deal]
    for place, row in enumerate(rows if averages else ()):
        first = int(np.searchsorted(rows, row - LOOK_BACK_DAYS / step_days, side="right"))
        age = step_days * (row - rows[first : place + 1])
        found[row] = coin * _centre(paid[first : place + 1], 0.5 ** (age / HALF_LIFE_DAYS))
    found = np.round(carry_forward(found), 10)
    found[known[deal]] = np.maximum(found[known[deal]], asked[deal])
    return found


def _find_deals(log_price: FloatArray, window: int) -> BoolArray:
    """Return the rows ``(D,)`` of deals shorter than a window, if any return; a shallow last fall is none."""
    if not _is_promoted(log_price, window):
        return np.zeros(len(log_price), dtype=bool)
    depth = regular_prices(log_price, window) - log_price
    deal = depth > DEAL_DEPTH
    last = int(np.flatnonzero(~deal)[-1]) + 1
    if deal[:last].any() and (depth[last:] < SHALLOW * np.median(depth[:last][deal[:last]])).all():
        deal[last:] = False
    return deal


def _scatters(coins: FloatArray) -> bool:
    """Return whether prices change on most rows and scatter around one that repeats: averages rounded to a coin."""
    if len(coins) < FEWEST_SCATTERED or not _keeps_changing(coins):
        return False
    count = np.unique(coins, return_counts=True)[1]
    others = count[count < count.max()]
    repeats = count.max() >= _least_repeats(len(coins))
    return bool(repeats and count_true(others == 1) >= ONCE_SHARE * others.sum())


def _least_repeats(rows: int) -> float:
    return max(FEWEST_REPEATS, REPEATED_SHARE * rows)


def _keeps_changing(price: FloatArray) -> bool:
    return len(price) >= FEWEST_PRICES and count_true(np.diff(price) != 0) > CHANGING_SHARE * (len(price) - 1)


def _centre(coins: FloatArray, weight: FloatArray) -> float:
    """Return the price of the largest weight if it repeats, else the weighted median."""
    price, where, count = np.unique(coins, return_inverse=True, return_counts=True)
    total = np.bincount(where, weight)
    repeated = np.where(count >= _least_repeats(len(coins)), total, 0.0)
    if repeated.any():
        return float(price[repeated.argmax()])
    return float(price[np.searchsorted(np.cumsum(total), 0.5 * total.sum())])
