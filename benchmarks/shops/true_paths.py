"""Expected profit of price paths under a simulated seller's true demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pricerl.arrays import DateArray, FloatArray
from pricerl.data.days import weekday_of
from pricerl.simulation.true_demand import expected_profit
from shops.confounders import reference_effect


def expected_path_profit(truth: Mapping[str, Any], past: FloatArray, paths: FloatArray, dates: DateArray) -> FloatArray:
    """Return the mean daily profit of price paths after a history, before fixed cost.

    Buyers who remember prices (family ``reference``) compare each day's price with those of the history and of the
    path. Stock suffices, and hidden drivers of demand stay as they are.

    Args:
        truth: one product's truth, with costs, family and parameters.
        past: ``(D,)`` prices of the history, money.
        paths: ``(N, H)`` prices of the days after it, money.
        dates: ``(H,)`` these days.

    Returns:
        ``(N,)`` money per day.
    """
    daily = expected_profit(truth, paths) + truth["fixed_cost"]
    if truth["family"] == "reference":
        seen = np.broadcast_to(past, (len(paths), len(past)))
        daily = daily * reference_effect(np.log(np.hstack([seen, paths])))[:, len(past) :]
    weekday = weekday_of(dates.astype("datetime64[D]").astype(np.int64))
    return np.asarray((daily * np.asarray(truth["weekday_demand"])[weekday]).mean(1))
