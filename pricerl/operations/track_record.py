"""Track record: past predictions compared with outcomes, and the coverage of their 90 % intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pricerl.advice.result import Check, Outcome, Overruled, TrackDay, TrackRecord
from pricerl.arrays import FloatArray
from pricerl.data import ProductHistory
from pricerl.operations.decision_log import Entry

Z90 = 1.6449
"""Half-width of a normal distribution's 90 % interval, in standard deviations."""

SAME_PRICE = 5e-4
"""Tolerance of equal prices, money: the log holds more digits than files, which hold cents."""

MEASURES = ("units", "sales", "profit")


Predictions = dict[int, tuple[Entry, dict[str, Any]]]


def find_predictions(entries: Iterable[Entry], history: ProductHistory) -> Predictions:
    """Return, by day of a history, the last earlier advice's entry and its forecast of that day.

    An entry counts only if its price on its last day of data matches the history.

    Args:
        entries: entries of the decision log.
        history: history of one product.
    """
    place = {str(date): at for at, date in enumerate(history.dates)}
    known: dict[int, tuple[int, Entry, dict[str, Any]]] = {}
    for entry in entries:
        made = place.get(entry.get("history_end", "")) if entry.get("product") == history.product else None
        if made is None or abs(float(history.price[made]) - entry["current_price"]) > SAME_PRICE:
            continue
        for day in entry["days"]:
            at = place.get(day["date"])
            if at is not None and (at not in known or made >= known[at][0]):
                known[at] = (made, entry, day)
    return {at: (entry, day) for at, (_, entry, day) in sorted(known.items())}


def keep_record(predictions: Predictions, history: ProductHistory) -> TrackRecord | None:
    """Compare predictions with outcomes.

    Args:
        predictions: entries and forecasts, by day of the history.
        history: history of the product.
    """
    if not predictions:
        return None
    days = tuple(_track(at, entry, day, history) for at, (entry, day) in predictions.items())
    tested = [(day, predictions[at][1]) for at, day in zip(predictions, days, strict=True) if day.outcome == "followed"]
    checks = {name: [check for day, _ in tested if (check := getattr(day, name))] for name in MEASURES}
    return TrackRecord(
        days=days,
        followed=len(tested),
        inside={name: (sum(check.inside for check in found), len(found)) for name, found in checks.items()},
        total={name: _total(tested, at) for at, name in enumerate(MEASURES)},
        overruled=_score_overruled(days),
    )


def advised_low(predictions: Predictions, history: ProductHistory, low: FloatArray) -> FloatArray:
    """Return 5 % limits of sales; on days at the advised price, those of the advice.

    Args:
        predictions: entries and forecasts, by day of the history.
        history: history of the product.
        low: ``(L,)`` limits of the last days from a current fit, money.
    """
    first, limits = len(history.dates) - len(low), low.copy()
    for at, (_, day) in predictions.items():
        if at >= first and day["sales"] is not None and _is_same(history.price[at], day["price"]):
            limits[at - first] = day["sales"][1]
    return limits


def _track(at: int, entry: Entry, day: dict[str, Any], history: ProductHistory) -> TrackDay:
    charged, observed = float(history.price[at]), bool(history.observed[at])
    outcome: Outcome = "not observed"
    if observed:
        outcome = "followed" if _is_same(charged, day["price"]) else "not followed"
    happened = {name: float(getattr(history, name)[at]) if observed else None for name in ("units", "sales")}
    happened["profit"] = float(history.profit[at]) if history.profit_known[at] else None
    tested = {name: happened[name] if outcome == "followed" else None for name in MEASURES}
    model = next((row for row in entry.get("model_days", ()) if row["date"] == day["date"]), None)
    return TrackDay(
        date=day["date"],
        entry=entry["id"],
        source=entry["source"],
        advised_price=day["price"],
        charged_price=charged,
        outcome=outcome,
        **{name: _check(day[name], tested[name]) for name in MEASURES},
        model_price=None if model is None else model["price"],
        model_profit=None if model is None or model["profit"] is None else model["profit"][0],
        actual_profit=happened["profit"],
    )


def _check(predicted: Sequence[float] | None, actual: float | None) -> Check | None:
    if predicted is None or actual is None:
        return None
    mean, low, high = predicted
    return Check(mean, low, high, actual, low <= actual <= high)


def _total(tested: Sequence[tuple[TrackDay, dict[str, Any]]], measure: int) -> Check | None:
    """Sum one measure over the tested days: shared sds add linearly, daily noise in quadrature."""
    found = [
        (check, day["sd"][measure])
        for tracked, day in tested
        if (check := getattr(tracked, MEASURES[measure])) and day["sd"] and day["sd"][measure] is not None
    ]
    if not found:
        return None
    shared = sum(sd for _, sd in found)
    own = sum(max(((check.high - check.low) / (2 * Z90)) ** 2 - sd**2, 0.0) for check, sd in found)
    spread = Z90 * float(np.sqrt(shared**2 + own))
    predicted, actual = sum(check.predicted for check, _ in found), sum(check.actual for check, _ in found)
    low = predicted - spread if measure == MEASURES.index("profit") else max(predicted - spread, 0.0)
    return Check(predicted, low, predicted + spread, actual, low <= actual <= predicted + spread)


def _score_overruled(days: Sequence[TrackDay]) -> Overruled | None:
    found = [day for day in days if day.model_price is not None and day.outcome != "not observed"]
    if not found:
        return None
    both = [day for day in found if day.model_profit is not None and day.actual_profit is not None]
    return Overruled(
        days=len(found),
        model_price=float(np.mean([day.model_price for day in found if day.model_price is not None])),
        charged_price=float(np.mean([day.charged_price for day in found])),
        model_profit=_mean([day.model_profit for day in both]),
        actual_profit=_mean([day.actual_profit for day in both]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _is_same(charged: float, advised: float) -> bool:
    return abs(charged - advised) < SAME_PRICE
