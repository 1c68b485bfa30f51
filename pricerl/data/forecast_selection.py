"""Selection of the forecast behind "predicted sales": the one closest on the training days."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.features import shifted_mean
from pricerl.data.forecasters import OWN_MEAN, SalesForecast, find_forecaster
from pricerl.data.history import ProductHistory
from pricerl.data.quality import ProductReport
from pricerl.data.reading.columns import PREDICTED_SALES

SUPPLIED = "supplied"
"""Name of the file's own forecast."""

FEWEST_SCORED_DAYS = 7
"""Training days with a forecast and known sales that scoring requires."""

FUTURE_DAYS = 365
"""Forecast horizon, the longest of any advice; the own 7-day mean replaces the forecast beyond it and in its gaps."""


@dataclass(frozen=True, eq=False)
class PredictedSales:
    """Forecast used for a product."""

    source: str
    """``mean_7``, ``supplied`` or the name of a forecaster."""

    past: FloatArray
    """``(D,)`` revenue of each day of history; NaN where the own 7-day mean replaces it, which for ``mean_7`` is
    everywhere: an episode averages the sales that it has simulated."""

    future: FloatArray
    """``(H,)`` the same for the days after it."""

    errors: dict[str, float]
    """Mean absolute error on training days of every forecast scored, by name, money per day."""


def choose_forecast(
    history: ProductHistory, train_days: int, forecaster: str, chosen: str | None = None
) -> PredictedSales:
    """Score the forecaster, the supplied column and the own 7-day mean, and choose the closest.

    Args:
        history: one product, ``D`` days.
        train_days: number of first days that are scored if observed, except the very first.
        forecaster: name of the competing forecaster.
        chosen: name of the forecast chosen in training, used whatever its error; None to choose.

    Returns:
        The forecast, with the errors of all that exist on at least seven of these days. The own mean wins a tie.

    Raises:
        UsageError: the forecaster is unknown, or needs a package that is not installed.
    """
    forecasts = {
        OWN_MEAN: SalesForecast(shifted_mean(history.sales, 0.0), np.empty(0)),
        SUPPLIED: SalesForecast(history.predicted, history.future_predicted),
    }
    for name in (forecaster, chosen or OWN_MEAN):
        if name not in forecasts:
            forecasts[name] = find_forecaster(name)(history.sales, FUTURE_DAYS)
    scored = history.observed & (np.arange(len(history.dates)) < train_days)
    scored[0] = False
    errors = {}
    for name, (past, _) in forecasts.items():
        known = np.isfinite(past)
        if (scored & known).sum() >= FEWEST_SCORED_DAYS:
            filled = np.where(known, past, forecasts[OWN_MEAN].past)  # so that all are scored on the same days
            errors[name] = float(np.abs(filled - history.sales)[scored].mean())
    source = chosen or min(errors, key=lambda name: errors[name], default=OWN_MEAN)
    past, future = forecasts[source]
    return PredictedSales(source, np.full_like(past, np.nan) if source == OWN_MEAN else past, future, errors)


def report_forecast(report: ProductReport, forecast: PredictedSales) -> ProductReport:
    """Return the data report with the forecast used, all errors, and a note if the supplied one lost."""
    lost = SUPPLIED in forecast.errors and forecast.source != SUPPLIED
    note = f"{PREDICTED_SALES}: not used; on the training days {forecast.source} was closer."
    notes = (*report.notes, note) if lost else report.notes
    return replace(report, forecast_used=forecast.source, forecast_errors=forecast.errors, notes=notes)
