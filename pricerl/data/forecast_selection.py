"""Selection of the forecast for "predicted sales" by mean absolute error on the training days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricerl.arrays import FloatArray, count_true
from pricerl.data.days import WEEK, steps_in
from pricerl.data.features import shifted_mean
from pricerl.data.forecasters import OWN_MEAN, SalesForecast, find_forecaster
from pricerl.data.history import ProductHistory
from pricerl.data.quality import ProductReport
from pricerl.data.reading.columns import PREDICTED_SALES

SUPPLIED = "supplied"
"""Name of the forecast supplied in the file."""

FUTURE_DAYS = 365
"""Days forecast, the longest horizon of any advice; beyond them and in gaps the trailing 7-day mean is used."""


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
    """Mean absolute error on training days of every forecast scored, by name, money per day."""


def choose_forecast(
    history: ProductHistory, train_days: int, forecaster: str, chosen: str | None = None
) -> PredictedSales:
    """Choose the most accurate of three forecasts: the forecaster, the supplied column and the trailing 7-day mean.

    Args:
        history: one product, ``D`` days.
        train_days: number of training days; the observed ones, except the first, are scored.
        forecaster: name of the competing forecaster.
        chosen: name of the forecast chosen in training, used regardless of its error; None to choose.

    Returns:
        The forecast, with the errors of all that are available on at least a week of scored days. The 7-day mean wins
        ties.

    Raises:
        UsageError: the forecaster is unknown, or needs a package that is not installed.
    """
    forecasts = {
        OWN_MEAN: SalesForecast(shifted_mean(history.sales, 0.0), np.empty(0)),
        SUPPLIED: SalesForecast(history.predicted, history.future_predicted),
    }
    for name in (forecaster, chosen or OWN_MEAN):
        if name not in forecasts:
            forecasts[name] = find_forecaster(name)(history.sales, FUTURE_DAYS, steps_in(WEEK, history.step_days))
    scored = history.observed & (np.arange(len(history.dates)) < train_days)
    scored[0] = False
    errors = {}
    for name, (past, _) in forecasts.items():
        known = np.isfinite(past)
        if count_true(scored & known) >= WEEK:
            filled = np.where(known, past, forecasts[OWN_MEAN].past)  # so that all are scored on the same days
            errors[name] = float(np.add.reduce(np.abs(filled - history.sales)[scored])) / count_true(scored)
    source = chosen or min(errors, key=lambda name: errors[name], default=OWN_MEAN)
    past, future = forecasts[source]
    return PredictedSales(source, np.full_like(past, np.nan) if source == OWN_MEAN else past, future, errors)


def report_forecast(report: ProductReport, forecast: PredictedSales) -> ProductReport:
    """Return the data report with the forecast used, all errors, and a note if the supplied one lost."""
    lost = SUPPLIED in forecast.errors and forecast.source != SUPPLIED
    note = f"{PREDICTED_SALES}: not used; on the training days {forecast.source} was closer."
    notes = (*report.notes, note) if lost else report.notes
    changed = {"forecast_used": forecast.source, "forecast_errors": forecast.errors, "notes": notes}
    return ProductReport(**{**vars(report), **changed})  # faster than dataclasses.replace
