"""Effect of past advice: predictions compared with outcomes, and gains over the price before the first advice.

The gain is `valuation.gains_over` in the market fitted to all days. Its interval contains the uncertainty about
the price response, the costs, and the noise of the units sold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, Interval, grouped, interval_of
from pricerl.data.cleaning.calendar import find_runs
from pricerl.data.days import WEEK, day_texts, steps_in
from pricerl.data.history import ProductHistory
from pricerl.decide.standing import Check, Outcome, Overruled, PreviousAdvice, TrackDay, TrackRecord
from pricerl.evaluation.valuation import gains_over
from pricerl.guardrails.price_grid import same_price
from pricerl.market.market import Market
from pricerl.operations.log.decision_log import Entry, by_product
from pricerl.operations.log.orders import ADVICE, PRICE_TEST, RESUME, day_of, first_fault
from pricerl.operations.outbox import first_change, publishing_of

Z90 = 1.6449
"""Half-width of a normal distribution's 90 % interval, in standard deviations."""

FEWEST_OWN = WEEK
"""Fewest observed days in a row at advised prices for them to be the model's doing. Without this rule, 90 % intervals
of repricers that ignore the advice, on a price grid of 0.5 or 1 at prices near 20, covered the truth in 20 to 60 %."""

SAME_PRICES = 1.02
SAME_UNITS = 2.0
"""Largest factors by which later corrections of a file change the prices and the units of four weeks. The smallest tax
that may be included or not is several percent; late returns of most units would be no correction."""

FEWEST_COMPARED = 10
"""Fewest units of four weeks whose change says anything."""

MEASURES = ("units", "sales", "profit")

Predictions = dict[int, tuple[Entry, dict[str, Any]]]
"""Entry of an advice and its forecast of one day, by the day's position in the history, ascending."""


def find_predictions(entries: Iterable[Entry], history: ProductHistory) -> Predictions:
    """Return the last earlier advice on each day of a product's history, from the entries of the decision log.

    An entry counts only if its price on its last day of data matches the history: in force, or in the row itself. The
    schedule of a price test counts as advice without a forecast, until a person ends the test or predict follows it.
    """
    place = {date: at for at, date in enumerate(day_texts(history.dates))}
    found: list[tuple[int, Entry]] = []
    own = [entry for entry in entries if entry.get("product") == history.product]
    ends = {entry["ends"]: day_of(entry) for entry in own if entry["kind"] == RESUME}
    for entry in own:
        made = place.get(entry.get("history_end", ""))
        known_as = () if made is None else (history.prices_in_force[made], history.price[made])
        if made is not None and any(same_price(float(price), entry["current_price"]) for price in known_as):
            found.append((made, entry))
        elif found and entry["kind"] == PRICE_TEST:
            found.append((found[-1][0], _as_advice(entry, str(ends.get(entry["id"], entry["until"])))))
    found.sort(key=lambda pair: pair[0])  # of two made on the same day, the later entry counts
    days = ((entry, day) for _, entry in found for day in entry["days"])
    return dict(sorted({place[day["date"]]: (entry, day) for entry, day in days if day["date"] in place}.items()))


def _as_advice(test: Entry, last: str) -> Entry:
    """Return the entry of a price test as one of advice without a forecast on its days up to the last one."""
    unknown = dict.fromkeys((*MEASURES, "sd"))
    days = [{"date": row["date"], "price": row["price"], **unknown} for row in test["schedule"] if row["date"] <= last]
    return {"id": test["id"], "source": "price test", "current_price": test["regular_price"], "days": days}


def keep_record(predictions: Predictions, history: ProductHistory) -> TrackRecord | None:
    """Compare the predictions for a product's history with its outcomes, if there are any."""
    if not predictions:
        return None
    days = tuple(_track(at, entry, day, history) for at, (entry, day) in predictions.items())
    followed = [day for day in days if day.outcome == "followed"]
    checks = {name: [check for day in followed if (check := getattr(day, name))] for name in MEASURES}
    forecasts = [day for _, day in predictions.values()]
    return TrackRecord(
        days=days,
        followed=len(followed),
        inside={name: (sum(check.inside for check in found), len(found)) for name, found in checks.items()},
        total={name: sum_tested(list_tested(history.product, name, days, forecasts)) for name in MEASURES},
        overruled=_score_overruled(days),
    )


class Tested(NamedTuple):
    """Forecast of one measure on one day at the advised price, compared with the outcome."""

    product: str
    check: Check
    shared_sd: float
    """Sd of the part of its error that all days of the product share."""
    least: float
    """Smallest value that the measure can have."""


def list_tested(
    product: str, measure: str, days: Iterable[TrackDay], forecasts: Iterable[Mapping[str, Any]]
) -> list[Tested]:
    """Return the tested forecasts of a measure on some days of a product."""
    least = -math.inf if measure == "profit" else 0.0
    at = MEASURES.index(measure)
    return [
        Tested(product, check, forecast["sd"][at], least)
        for day, forecast in zip(days, forecasts, strict=True)
        if (check := getattr(day, measure)) and forecast["sd"] and forecast["sd"][at] is not None
    ]


def sum_tested(tested: Sequence[Tested]) -> Check | None:
    """Return the sum of tested forecasts, None of none: errors that a product's days share add up, others do not."""
    if not tested:
        return None
    shared = grouped((item.product, item.shared_sd) for item in tested)
    own = (max(((check.high - check.low) / (2 * Z90)) ** 2 - sd**2, 0.0) for _, check, sd, _ in tested)
    spread = Z90 * math.hypot(*map(sum, shared.values()), math.sqrt(sum(own)))
    predicted = sum(item.check.predicted for item in tested)
    actual = sum(item.check.actual for item in tested)
    low = max(predicted - spread, sum(item.least for item in tested))
    return Check(predicted, low, predicted + spread, actual, low <= actual <= predicted + spread)


class Reviewed(NamedTuple):
    """Days of one product and month, or of several, on which the advice was followed or was not."""

    product: str
    """Empty for a total."""
    month: str
    """Such as 2026-01; empty for a total."""
    followed: bool
    dates: frozenset[str]
    """Days in ISO format; on one of several products it is one day."""
    kept_price: float | None
    """Price in money before the first advice, except for totals of products."""
    tested: tuple[Tested, ...]
    """Forecasts of profit, or of sales where profit is unknown, on days that test them."""
    complete: bool
    """Whether all days test them."""
    happened: float
    """Profit, or sales where profit is unknown, in money."""
    gain: Interval
    """Gain over the kept price in money: of profit, or of sales if costs are unknown."""
    draws: FloatArray
    """Gain in every posterior draw, ``(K,)`` money."""
    to_change: bool
    """Whether the advice on any of the days was another price than its current one."""

    @property
    def days(self) -> int:
        """Number of days."""
        return len(self.dates)

    @property
    def predicted(self) -> Check | None:
        """Prediction and outcome; None unless all days test it."""
        return sum_tested(self.tested) if self.complete else None


def review_products(market: Market, entries: Sequence[Entry], seed: int) -> list[Reviewed]:
    """Review the advice in a decision log by product, whether it was followed, and month, in this order.

    The market is fitted to a history that reaches beyond the advice; the seed draws the noise of units.
    """
    found = []
    own = by_product(entries)
    for index, history in enumerate(market.preprocessor.products):
        predictions = find_predictions(own.get(history.product, ()), history)
        record = keep_record(predictions, history)
        if record is None:
            continue
        rng = np.random.default_rng([seed, index])
        kept = min((entry for entry, _ in predictions.values()), key=lambda entry: int(entry["id"]))["current_price"]
        parts = grouped(
            ((day.outcome == "not followed", day.date[:7]), (at, day))
            for at, day in zip(predictions, record.days, strict=True)
            if day.outcome != "not observed"
        )
        found += [_review(market, index, dict(parts[key]), predictions, float(kept), rng) for key in sorted(parts)]
    return found


def _review(
    market: Market,
    index: int,
    days: Mapping[int, TrackDay],
    predictions: Predictions,
    kept: float,
    rng: np.random.Generator,
) -> Reviewed:
    """Return the sum of some days of a product, by their positions in the history, all followed or all not."""
    history = market.preprocessor.products[index]
    fitted = market.products[index]
    at = np.array(list(days))
    counted = replace(market, measure="profit" if fitted.cost.known else "sales").counted(index)
    gains = gains_over(history, counted, at, kept)
    measure = "profit" if fitted.cost.known and bool(history.profit_known[at].all()) else "sales"
    known = [predictions[row] for row in days]
    tested = list_tested(history.product, measure, days.values(), [forecast for _, forecast in known])
    sold = float(history.units[at].sum())
    weight = max(sold / (1 + sold / len(at) / float(market.size[index])), 1.0)
    draws = gains.sum(1) * rng.gamma(weight, 1 / weight, len(gains))
    first = next(iter(days.values()))
    return Reviewed(
        product=history.product,
        month=first.date[:7],
        followed=first.outcome == "followed",
        dates=frozenset(day.date for day in days.values()),
        kept_price=kept,
        tested=tuple(tested),
        complete=len(tested) == len(days),
        happened=float(getattr(history, measure)[at].sum()),
        gain=interval_of(draws),
        draws=draws,
        to_change=any(forecast["price"] != entry["current_price"] for entry, forecast in known),
    )


def total_of(rows: Sequence[Reviewed], product: str = "") -> Reviewed:
    """Return the sum of one or more rows that were all followed, or all not.

    Draws of one product belong together; different products' are independent, so that sums of draws hold for
    both.
    """
    draws = sum((row.draws for row in rows), np.zeros(len(rows[0].draws)))
    return rows[0]._replace(
        product=product,
        month="",
        dates=frozenset().union(*(row.dates for row in rows)),
        kept_price=rows[0].kept_price if product else None,
        tested=tuple(item for row in rows for item in row.tested),
        complete=all(row.complete for row in rows),
        happened=sum(row.happened for row in rows),
        gain=interval_of(draws),
        draws=draws,
    )


def last_advice(entries: Sequence[Entry], history: ProductHistory) -> PreviousAdvice | None:
    """Return the last advice on the product of a history among the entries of the decision log, if any."""
    own = (item for item in reversed(entries) if item["kind"] == ADVICE and item["product"] == history.product)
    if (entry := next(own, None)) is None:
        return None
    now = entry["current_price"]
    advised = (first_change(entry) or {"price": now})["price"]
    return PreviousAdvice(entry["id"], now, advised, entry["grade"], find_contradiction(entry, history))


def find_contradiction(entry: Entry, history: ProductHistory) -> str:
    """Return how a history contradicts the one that an advice knew, as a clause; empty if it does not.

    Compared are the mean price and the units of the last four weeks that the advice knew. A tax that is included now,
    another currency or another unit changes them all by one factor.
    """
    known = entry["known"]
    end = entry["history_end"]
    if str(history.dates[0]) > known["since"] or str(history.dates[-1]) < end:
        return ""
    seen = (history.dates >= np.datetime64(known["since"])) & (history.dates <= np.datetime64(end)) & history.observed
    if not seen.any():
        return ""
    price = float(history.price[seen].mean()) / known["price"]
    units = float(history.units[seen].sum()) / known["units"] if known["units"] >= FEWEST_COMPARED else 1.0
    return first_fault(
        {
            f"the {name} from {known['since']} to {end} are {ratio:.3g} times those that the last advice knew": (
                not 1 / most <= ratio <= most
            )
            for name, ratio, most in (("prices", price, SAME_PRICES), ("units sold", units, SAME_UNITS))
        }
    )


def find_own_prices(entries: Mapping[str | None, Sequence[Entry]], history: ProductHistory) -> BoolArray | None:
    """Return the days ``(D,)`` whose price the model set, as its last advice on each states, if any.

    The ``entries`` of the log are by product.
    They count in runs of a week or more: a seller whose own rule returns to the same few prices charges the advised
    one now and then, on days that demand chose. Days that were not observed neither count nor end a run.
    """
    own = np.zeros(len(history.dates), dtype=bool)
    for at, (entry, day) in find_predictions(entries.get(history.product, ()), history).items():
        own[at] = history.observed[at] and _is_own(history.price[at], entry, day)
    observed = np.flatnonzero(history.observed)
    for start, end in find_runs(own[observed]):
        own[observed[start:end]] = end - start >= steps_in(FEWEST_OWN, history.step_days)
    return own if own.any() else None


def advised_low(predictions: Predictions, history: ProductHistory) -> FloatArray:
    """Return the predicted 5 % limits of sales on days at a price that the model advised, ``(D,)`` money; else NaN."""
    low = np.full(len(history.dates), np.nan)
    for at, (entry, day) in predictions.items():
        if day["sales"] is not None and _is_own(history.price[at], entry, day):
            low[at] = day["sales"][1]
    return low


def _track(at: int, entry: Entry, day: dict[str, Any], history: ProductHistory) -> TrackDay:
    charged = float(history.price[at])
    advised = _advised_price(entry, day, charged)
    known = {"units": history.observed[at], "sales": history.observed[at], "profit": history.profit_known[at]}
    happened = {name: float(getattr(history, name)[at]) for name in MEASURES if known[name]}
    seen: Outcome = "followed" if same_price(charged, advised) else "not followed"
    outcome = seen if history.observed[at] else "not observed"
    tested = outcome == "followed" and same_price(charged, day["price"])
    checks = {
        name: Check(mean, low, high, actual, low <= actual <= high)
        for name, actual in happened.items()
        if tested and day[name] is not None
        for mean, low, high in [day[name]]
    }
    shadow = outcome == "not followed" and "terms" in entry and publishing_of(entry) == "shadow"
    own = (row for row in entry.get("model_days", ()) if row["date"] == day["date"])
    model = next(own, day if shadow else None)
    return TrackDay(
        date=day["date"],
        entry=entry["id"],
        source=entry["source"],
        advised_price=advised,
        charged_price=charged,
        outcome=outcome,
        **{**dict.fromkeys(MEASURES), **checks},
        model_price=None if model is None else model["price"],
        model_profit=None if model is None or model["profit"] is None else model["profit"][0],
        actual_profit=happened.get("profit"),
    )


def _advised_price(entry: Entry, day: dict[str, Any], charged: float) -> float:
    """Return the price advised for a day in money: the path's, or the first step's, which the outbox publishes."""
    step = None if entry["source"] == "price test" else first_change(entry)
    stays = step is not None and step["date"] <= day["date"] and same_price(charged, step["price"])
    return float(step["price"] if step is not None and stays else day["price"])


def _score_overruled(days: Sequence[TrackDay]) -> Overruled | None:
    found = [day for day in days if day.model_price is not None and day.outcome != "not observed"]
    if not found:
        return None
    prices = (
        float(np.mean(side)) for side in zip(*((day.model_price, day.charged_price) for day in found), strict=True)
    )
    profits = ((day.model_profit, day.actual_profit) for day in found)
    known = [(model, actual) for model, actual in profits if model is not None and actual is not None]
    means = [sum(side) / len(known) for side in zip(*known, strict=True)] or [None, None]
    return Overruled(len(found), *prices, *means)


def _is_own(charged: float, entry: Entry, day: dict[str, Any]) -> bool:
    """Return whether the model set a day's price: it was advised for the day, and not by a person's order."""
    return "order" not in entry and same_price(charged, day["price"])
