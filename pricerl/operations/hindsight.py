"""Review of past advice: predictions, outcomes, and the gain over keeping the price from before the first advice.

The gain is that of `valuation.gains_over` in the market fitted to all days. Its interval contains the uncertainty about
the price response, the costs, and the noise of the units sold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray, Interval, interval_of
from pricerl.decide.standing import Check
from pricerl.evaluation.valuation import gains_over
from pricerl.market import Market
from pricerl.operations.decision_log import Entry
from pricerl.operations.track_record import MEASURES, Predictions, find_predictions, keep_record


class Reviewed(NamedTuple):
    """Days of one product and month, or of several, on which the advice was followed or was not."""

    product: str
    """Empty for a total."""
    month: str
    """Such as 2026-01; empty for a total."""
    followed: bool
    days: int
    kept_price: float | None
    """Price before the first advice, money; None for totals of products."""
    predicted: Check | None
    """Prediction and outcome of profit, or of sales where profit is unknown; None on days that do not test it."""
    happened: float | None
    """Profit, or sales where profit is unknown, money."""
    gain: Interval
    """Gain over the kept price, money, of profit, or of sales if costs are unknown."""
    cumulated: FloatArray
    """Gain until each of its days, in every posterior draw, ``(K, N)`` money."""
    dates: tuple[str, ...]


def review_products(market: Market, entries: Sequence[Entry], seed: int) -> list[Reviewed]:
    """Review the advice in a decision log, by product, month and whether it was followed, in this order.

    Args:
        market: market fitted to a history that reaches beyond the advice.
        entries: entries of the log.
        seed: seed of the noise of units.
    """
    found = []
    for index, history in enumerate(market.preprocessor.products):
        predictions = find_predictions(entries, history)
        if not predictions:
            continue
        rng = np.random.default_rng([seed, index])
        kept = min((entry for entry, _ in predictions.values()), key=lambda entry: int(entry["id"]))["current_price"]
        record = keep_record(predictions, history)
        days_of = () if record is None else record.days
        outcomes = {at: day.outcome for at, day in zip(predictions, days_of, strict=True)}
        for followed, outcome in ((True, "followed"), (False, "not followed")):
            days = [at for at, name in outcomes.items() if name == outcome]
            for month in sorted({str(history.dates[at])[:7] for at in days}):
                part = {at: predictions[at] for at in days if str(history.dates[at])[:7] == month}
                found.append(_review(market, index, part, (month, followed, float(kept)), rng))
    return found


def _review(
    market: Market, index: int, part: Predictions, place: tuple[str, bool, float], rng: np.random.Generator
) -> Reviewed:
    """Review some days of a product; the place is month, whether the advice was followed, and the kept price."""
    history, fitted, (month, followed, kept) = market.preprocessor.products[index], market.products[index], place
    at = np.array(list(part))
    gains = gains_over(history, fitted, at, kept, "profit" if fitted.cost.known else "sales")
    record = keep_record(part, history)
    known = fitted.cost.known and bool(history.profit_known[at].all())
    measure = MEASURES[2] if known else MEASURES[1]
    happened = float(getattr(history, measure)[at].sum())
    sold = float(history.units[at].sum())
    size = float(market.size[index])
    weight = max(sold / (1 + sold / len(at) / size), 1.0)
    cumulated = gains.cumsum(1) * rng.gamma(weight, 1 / weight, (len(gains), 1))
    predicted = None if record is None or not followed else record.total[measure]
    dates = tuple(map(str, history.dates[at]))
    gain = interval_of(cumulated[:, -1])
    return Reviewed(history.product, month, followed, len(at), kept, predicted, happened, gain, cumulated, dates)


def total_of(rows: Iterable[Reviewed], product: str = "") -> Reviewed | None:
    """Return the sum of rows that were all followed, or all not; None if there are none.

    Draws of one product belong together; those of different products are independent, so that sums of draws hold for
    both.
    """
    parts = list(rows)
    if not parts:
        return None
    checks = [row.predicted for row in parts if row.predicted is not None]
    predicted = None
    if checks:
        mean, low, high, actual = (
            sum(getattr(item, name) for item in checks) for name in ("predicted", "low", "high", "actual")
        )
        predicted = Check(mean, low, high, actual, low <= actual <= high)
    known = [row.happened for row in parts if row.happened is not None]
    draws = sum((row.cumulated[:, -1] for row in parts), np.zeros(len(parts[0].cumulated)))
    days, happened = sum(row.days for row in parts), sum(known) if known else None
    kept = parts[0].kept_price if product else None
    return Reviewed(
        product, "", parts[0].followed, days, kept, predicted, happened, interval_of(draws), draws[:, None], ()
    )


def cumulate(rows: Iterable[Reviewed]) -> tuple[list[str], FloatArray]:
    """Return the days of rows, ascending, and mean and 90 % limits of the gain until each of them, ``(3, N)`` money."""
    parts = list(rows)
    dates = sorted({date for row in parts for date in row.dates})
    total = np.zeros((len(parts[0].cumulated), len(dates)))
    place = {date: at for at, date in enumerate(dates)}
    for row in parts:
        daily = np.diff(row.cumulated, prepend=0.0)
        for column, date in enumerate(row.dates):
            total[:, place[date]] += daily[:, column]
    sums = total.cumsum(1)
    return dates, np.array([interval_of(column) for column in sums.T]).T
