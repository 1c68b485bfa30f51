"""Kill switch: consecutive days of sales below their prediction stop the model at the last good price."""

from __future__ import annotations

import numpy as np
import torch

from pricerl.advice.result import Alarm
from pricerl.arrays import FloatArray
from pricerl.data import DataPreprocessor, ProductHistory
from pricerl.evaluation.forecast import predict_units
from pricerl.market import CostConfig, DemandConfig, fit_market

FEWEST_KNOWN_DAYS = 28
"""Fewest days of data behind a prediction that may trigger an alarm."""


def find_alarm(history: ProductHistory, low: FloatArray, kill_days: int) -> Alarm | None:
    """Find consecutive days at the end of the history with sales below their predicted quantile.

    Days that were not observed, such as those out of stock, neither count nor end the run.

    Args:
        history: history of one product.
        low: ``(L,)`` 5 % predictive quantiles of the sales of the last ``L`` days, money.
        kill_days: consecutive days that trigger an alarm; 0 turns it off.
    """
    days = len(history.dates)
    window = np.arange(days - len(low), days)
    observed = history.observed[window]
    below = history.sales[window] < low
    good = np.flatnonzero(observed & ~below)
    start = int(good[-1]) + 1 if len(good) else 0
    run = window[start:][observed[start:]]
    if kill_days == 0 or len(run) < kill_days:
        return None
    before = int(run[0]) - 1
    known = np.flatnonzero(history.observed[: before + 1])
    return Alarm(
        days=len(run),
        first_day=str(history.dates[run[0]]),
        last_good_price=float(history.price[known[-1] if len(known) else run[0]]),
        sales=float(history.sales[run].mean()),
        low=float(low[run - window[0]].mean()),
    )


def predict_low(
    preprocessor: DataPreprocessor, index: int, kill_days: int, settings: tuple[DemandConfig, CostConfig, int]
) -> FloatArray:
    """Predict the 5 % quantile of the last days' sales at the charged prices, from earlier days only.

    Args:
        preprocessor: preprocessor with the full histories.
        index: position of the product.
        kill_days: consecutive days that trigger an alarm; about twice as many are predicted.
        settings: settings of demand and costs, and the seed.

    Returns:
        ``(L,)`` money; empty if too few days remain for the fit.
    """
    history, (similar, cost, seed) = preprocessor.products[index], settings
    days = len(history.dates)
    origin = days - (2 * kill_days + 1)
    if kill_days == 0 or origin < max(FEWEST_KNOWN_DAYS, preprocessor.config.window):
        return np.zeros(0)
    market = fit_market(preprocessor.first_days(index, origin), similar, cost, seed, conversions=False)
    coming = np.arange(origin, days)
    _, low, _ = predict_units(market, history, coming, torch.Generator().manual_seed(seed))
    return np.asarray(low * history.price[coming], dtype=np.float64)
