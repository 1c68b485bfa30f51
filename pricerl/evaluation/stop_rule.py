"""Stop rule of a price change: units so low, so many days in a row, that the seller takes the change back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pricerl.arrays import BoolArray, FloatArray
from pricerl.guardrails.price_grid import same_price
from pricerl.guardrails.today import DIGITS

FALSE_ALARM = 0.05
"""Largest probability that the rule stops a change whose sales follow the forecast."""

RUNS = (3, 5, 7, 10, 14)
"""Lengths of runs, days or weekly rows: the shortest whose threshold is above zero sales is taken."""


@dataclass(frozen=True)
class StopRule:
    """Rule to go back to the former price after consecutive days with few units."""

    price: float
    """Price to go back to, in money."""
    units: int
    """The change is taken back after days with fewer units than this."""
    days: int
    """Number of such days in a row, or weeks for weekly rows; days on which the shop is closed do not count."""
    false_alarm: float
    """Probability that the rule stops a change within the forecast horizon although sales follow the forecast."""


def find_stop_rule(
    units: FloatArray, prices: Sequence[float], current_price: float, trades: BoolArray
) -> StopRule | None:
    """Return the stop rule of a path of prices with the largest threshold whose false alarms are rare enough.

    The prices are in money; ``units (N, H)`` are samples over posterior draws and daily noise, ``trades (H,)`` the days
    on which the shop is open. There is no rule if the price is kept, or if sales are so few that even a run without a
    sale is no alarm.
    """
    changed = [row for row, price in enumerate(prices) if not same_price(price, current_price)]
    if not changed:
        return None
    counted = trades.copy()
    counted[: changed[0]] = False
    sold = units[:, counted]
    lengths = dict.fromkeys(min(run, sold.shape[1]) for run in RUNS)
    for run in filter(None, lengths):
        windows = np.lib.stride_tricks.sliding_window_view(sold, run, axis=1)
        best_days = windows.max(2).min(1)  # a run stops the change if even its best day is below the threshold
        below = int(np.quantile(best_days, FALSE_ALARM, method="lower"))
        alarms = float((best_days < below).mean())
        if below > 0 and alarms <= FALSE_ALARM:
            return StopRule(round(current_price, DIGITS), below, run, alarms)
    return None
