"""Kill switch: consecutive days of sales below their prediction, at prices that pricerl advised, stop the model."""

from __future__ import annotations

import numpy as np

from pricerl.advice.result import Alarm
from pricerl.arrays import FloatArray
from pricerl.data import ProductHistory


def find_alarm(history: ProductHistory, low: FloatArray, kill_days: int) -> Alarm | None:
    """Find consecutive days at the end of the history with sales below their predicted quantile.

    Days that were not observed, such as those out of stock, neither count nor end the run. A day without a prediction,
    such as one at a price of the seller's own choice, ends it.

    Args:
        history: history of one product.
        low: ``(D,)`` 5 % predictive quantiles of the sales, money; NaN without a prediction.
        kill_days: consecutive days that trigger an alarm; 0 turns it off.
    """
    below = history.sales < low
    other = np.flatnonzero(history.observed & ~below)
    start = int(other[-1]) + 1 if len(other) else 0
    run = start + np.flatnonzero(history.observed[start:])
    if kill_days == 0 or len(run) < kill_days:
        return None
    known = np.flatnonzero(history.observed[: run[0]])
    return Alarm(
        days=len(run),
        first_day=str(history.dates[run[0]]),
        last_good_price=float(history.prices_in_force[known[-1] if len(known) else run[0]]),
        sales=float(history.sales[run].mean()),
        low=float(low[run].mean()),
    )
