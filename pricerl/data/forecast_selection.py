"""Which forecast stands in the feature "predicted sales": the one that was closest on the training days."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

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
"""Training days on which a forecast must stand beside sales before it is scored."""

COMING_DAYS = 365
"""Days ahead; no advice looks further. Beyond them, and where a forecast has a gap, stands the own 7-day mean."""


@dataclass(frozen=True, eq=False)
class PredictedSales:
    """The forecast used for a product."""

    source: str
    """``mean_7``, ``supplied`` or the name of a forecaster."""

    past: FloatArray
    """``(D,)`` revenue of each day of history; NaN where the own 7-day mean stands instead, as all of ``mean_7``'s are:
    an episode must average the sales it has simulated."""

    coming: FloatArray
    """``(H,)`` the same for the days after it, the first one first."""

    def first_days(self, days: int) -> PredictedSales:
        """Return the forecast for the first ``days`` days of history; what was to come after them was another one."""
        return PredictedSales(self.source, self.past[:days], self.coming[:0])


class ForecastChoice(NamedTuple):
    """The forecast used and what the others were worth."""

    forecast: PredictedSales
    """The one used."""

    errors: dict[str, float]
    """Mean absolute error by name, money a day; empty where too few days could be scored."""


def choose_forecast(
    history: ProductHistory, train_days: int, forecaster: str, chosen: str | None = None
) -> ForecastChoice:
    """Score the forecaster, the supplied column and the own 7-day mean, and take the closest.

    Where a forecast has a gap, it is scored with the own 7-day mean that stands there instead, so all are scored on the
    same days.

    Args:
        history: one product, ``D`` days.
        train_days: only the first so many days count.
        forecaster: name of the forecaster that competes.
        chosen: take this one, whatever its error, as training did.

    Returns:
        The forecast and the errors of all that could be scored. The own mean wins a tie.

    Raises:
        UsageError: the forecaster is unknown, or needs a package that is not installed.
    """
    forecasts = {
        OWN_MEAN: SalesForecast(shifted_mean(history.sales, 0.0), np.empty(0)),
        SUPPLIED: SalesForecast(history.predicted, history.future_predicted),
    }
    for name in (forecaster, chosen or OWN_MEAN):
        if name not in forecasts:
            forecasts[name] = find_forecaster(name)(history.sales, COMING_DAYS)
    errors = score_forecasts(history, train_days, {name: item.past for name, item in forecasts.items()})
    best = min(errors, key=lambda name: errors[name], default=OWN_MEAN)
    source = best if chosen is None else chosen
    past, coming = forecasts[source]
    unknown = np.full_like(past, np.nan)
    return ForecastChoice(PredictedSales(source, unknown if source == OWN_MEAN else past, coming), errors)


def score_forecasts(history: ProductHistory, train_days: int, past: dict[str, FloatArray]) -> dict[str, float]:
    """Return the mean absolute error of each forecast on observed training days, money a day.

    Args:
        history: one product, ``D`` days.
        train_days: only the first so many days count, the very first of them not.
        past: ``(D,)`` forecasts by name, NaN where there is none; ``mean_7`` is among them and fills the others' gaps.

    Returns:
        The errors, without those of forecasts that stand on fewer than seven of these days.
    """
    scored = history.observed & (np.arange(len(history.dates)) < train_days)
    scored[0] = False
    errors = {}
    for name, forecast in past.items():
        if (scored & np.isfinite(forecast)).sum() >= FEWEST_SCORED_DAYS:
            filled = np.where(np.isfinite(forecast), forecast, past[OWN_MEAN])
            errors[name] = float(np.abs(filled - history.sales)[scored].mean())
    return errors


def report_forecast(report: ProductReport, choice: ForecastChoice) -> ProductReport:
    """Return the data report with the forecast used, all errors, and a note where the supplied one lost."""
    used, errors = choice.forecast.source, choice.errors
    lost = SUPPLIED in errors and used != SUPPLIED
    note = f"{PREDICTED_SALES}: not used; on the training days {used} was closer."
    notes = (*report.notes, note) if lost else report.notes
    return replace(report, forecast_used=used, forecast_errors=errors, notes=notes)
