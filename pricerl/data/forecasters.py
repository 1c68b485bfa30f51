"""Sales forecasters by name: one-day-ahead forecasts of the history, and forecasts of the days after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pricerl.arrays import FloatArray, count_true
from pricerl.data.days import WEEK, steps_in
from pricerl.data.features import shifted_mean
from pricerl.data.history import ProductHistory
from pricerl.errors import did_you_mean, refuse

OWN_MEAN = "mean_7"
"""Name of the trailing 7-day mean, the baseline of all other forecasts."""

SUPPLIED = "supplied"
"""Name of the forecast supplied in the file."""

FUTURE_DAYS = 365
"""Days forecast, the longest horizon of any advice; beyond them and in gaps the trailing 7-day mean is used."""

LEVEL_WEEKS = 4
PATTERN_WEEKS = 8
PRIOR_WEEKS = 4.0
"""Weeks averaged for the level and for the weekday pattern, which changes more slowly; and weight, in weeks, of the
prior of equal weekdays, as a weekday's mean is mostly noise with few sales."""


class SalesForecast(NamedTuple):
    """Predicted revenue of a product; NaN without a forecast."""

    past: FloatArray
    """``(D,)`` money for every day of history, based on earlier days only."""
    future: FloatArray
    """``(H,)`` money for the days after the history."""


Forecaster = Callable[[FloatArray, int, int], SalesForecast]
"""Function of the sales ``(D,)`` of a contiguous calendar, the number of days to forecast after it, and the rows per
week: 7, or 1 for weekly rows. Each day of the history is predicted from earlier days."""


def forecast_last_week(sales: FloatArray, days: int, week: int = WEEK) -> SalesForecast:
    """Predict the sales of the same weekday one week earlier (seasonal naive)."""
    padded = np.concatenate([np.full(week, np.nan), sales])
    return SalesForecast(padded[:-week], np.resize(padded[-week:], days))


def forecast_weekday_mean(sales: FloatArray, days: int, week: int = WEEK) -> SalesForecast:
    """Predict the four-week mean times the weekday's factor over eight weeks, shrunk to 1."""
    span = week * PATTERN_WEEKS
    padded = np.concatenate([np.full(span, np.nan), sales])
    before = sliding_window_view(padded, span).reshape(-1, PATTERN_WEEKS, week)  # (D + 1, weeks, days, own first)
    known = np.isfinite(before)
    value = np.where(known, before, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # an empty mean is NaN
        level = value[:, -LEVEL_WEEKS:].sum((1, 2)) / known[:, -LEVEL_WEEKS:].sum((1, 2))
        average = (value.sum((1, 2)) / known.sum((1, 2)))[:, None]
        weekday = (value.sum(1) + PRIOR_WEEKS * average) / (known.sum(1) + PRIOR_WEEKS)
        share = np.where(average > 0, weekday / average, 1.0)
    return SalesForecast(level[:-1] * share[:-1, 0], level[-1] * np.resize(share[-1], days))


FORECASTERS: dict[str, Forecaster] = {
    "last_week": forecast_last_week,
    "weekday_mean": forecast_weekday_mean,
}
"""Forecasters by name, in addition to the mean; add new ones here."""


def check_forecaster(name: str) -> None:
    """Raise a ``UsageError`` if no forecaster has that name."""
    known = (OWN_MEAN, *FORECASTERS)
    refuse(
        {f"forecaster must be one of {', '.join(known)}, found {name!r}{did_you_mean(name, known)}": name not in known}
    )


@dataclass(frozen=True, eq=False)
class PredictedSales:
    """Forecast used for a product."""

    source: str
    """``mean_7``, ``supplied`` or the name of a forecaster."""
    past: FloatArray
    """``(D,)`` predicted revenue of each day of history; NaN where the trailing 7-day mean is used. For ``mean_7`` that
    is everywhere: an episode averages its simulated sales."""
    future: FloatArray
    """``(H,)`` the same for the days after the history."""
    errors: dict[str, float]
    """Mean absolute error in money per day of every forecast scored, by name, on training days."""


def choose_forecast(
    history: ProductHistory, train_days: int, forecaster: str, chosen: str | None = None
) -> PredictedSales:
    """Choose the most accurate of three forecasts: the forecaster, the supplied column and the trailing 7-day mean.

    Scored are the observed training days except the first; the 7-day mean wins ties. A forecast chosen in training is
    used regardless of its error.
    """
    forecasts = {
        OWN_MEAN: SalesForecast(shifted_mean(history.sales, 0.0), np.empty(0)),
        SUPPLIED: SalesForecast(history.predicted, history.future_predicted),
        **{
            name: FORECASTERS[name](history.sales, FUTURE_DAYS, steps_in(WEEK, history.step_days))
            for name in (forecaster, chosen)
            if name in FORECASTERS
        },
    }
    scored = history.observed & (np.arange(len(history.dates)) < train_days)
    scored[0] = False
    own = forecasts[OWN_MEAN].past  # fills the gaps of others, so that all are scored on the same days
    errors = {
        name: float(np.abs(np.where(np.isfinite(past), past, own) - history.sales)[scored].mean())
        for name, (past, _) in forecasts.items()
        if count_true(scored & np.isfinite(past)) >= WEEK
    }
    source = chosen or min(errors, key=lambda name: errors[name], default=OWN_MEAN)
    past, future = forecasts[source]
    return PredictedSales(source, np.full_like(past, np.nan) if source == OWN_MEAN else past, future, errors)
