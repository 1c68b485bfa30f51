"""Checks of the days after those that a model was fitted to, each with a finding in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy.special import bdtr

from pricerl.arrays import LIMITS, BoolArray, FloatArray, IntArray
from pricerl.data.days import RECENT_DAYS, steps_in
from pricerl.data.history import ProductHistory
from pricerl.decide.standing import TrackRecord
from pricerl.evaluation.forecast import respond_on
from pricerl.formatting import Formatter, plural
from pricerl.guardrails.price_grid import is_outside
from pricerl.market.market import Market
from pricerl.operations.track_record import Z90
from pricerl.operations.watching.demand_drift import CHANGE, DriftDays, find_drift
from pricerl.operations.watching.monitor_document import Finding, Severity

LATEST_DAYS = 14
"""Days at the end of the file on which a finding counts as present."""
FEWEST_DAYS = 7
"""Fewest observed new days from which demand is judged."""
COVERAGE_DAYS = 91
"""Days over which the coverage of intervals is judged."""
COVERAGE_LEVEL = 0.001
"""Probability of so few days inside their intervals, if those are right, below which coverage is reported."""
REFERENCE_DAYS = 56
"""Days before the latest with which conversions are compared."""
CONVERSION_SDS = 3.0
"""Standard errors by which conversion must have dropped."""
FEWEST_OBSERVED = 0.7
"""Share of the latest days whose price and sales must be known."""


@dataclass(frozen=True)
class WatchSettings:
    """Limits beyond which a watch reports something."""

    late_after: int = 2
    """Days without data, up to today, after which the data are late."""
    old_after: int = 90
    """Days since the last one that the model was fitted to after which it is old."""
    conversion_drop: float = 0.15
    """Smallest drop of a conversion that is reported, as a share of it."""
    competitor_move: float = 0.05
    """Smallest change of a competitor's price against its median of four weeks that is reported, as a share of it."""


@dataclass(frozen=True)
class NewDays:
    """New days of one product, with the market that was fitted before them."""

    history: ProductHistory
    """History of the fresh file."""
    market: Market
    index: int
    """Number of the product in the market."""
    day: IntArray
    """``(N,)`` positions of the new days in the history."""
    record: TrackRecord | None
    """Past advice compared with outcomes."""
    settings: WatchSettings
    formatter: Formatter

    @property
    def latest(self) -> IntArray:
        """Positions of those new days that are among the latest of the file."""
        first = len(self.history.dates) - steps_in(LATEST_DAYS, self.history.step_days)
        return self.day[self.day >= first]

    @property
    def counted(self) -> BoolArray:
        """``(N,)`` True on observed days without a promotion, whose demand the market does not forecast."""
        observed = self.history.observed[self.day]
        return observed if self.history.promotion is None else observed & ~self.history.promotion[self.day]


def check_product(new: NewDays) -> list[Finding]:
    """Return the findings about one product."""
    drift = drift_of(new)
    return [
        check_gaps(new),
        check_drift(new, drift),
        check_coverage(new, drift),
        *check_conversions(new),
        check_tried(new),
        *check_followed(new),
        *check_competitor(new),
    ]


def check_delay(last_day: str, today: date, step_days: int, settings: WatchSettings) -> Finding:
    """Report data that end too long ago; a row of a week is expected when the week has passed."""
    age = (today - date.fromisoformat(last_day)).days
    limit = settings.late_after + (step_days if step_days > 1 else 0)
    text = f"the file ends on {last_day}, {plural(max(age, 0), 'day')} ago"
    if age < 0:
        return Finding("data", "warning", f"the file ends on {last_day}, after today", float(age), 0.0)
    return Finding("data", "alarm" if age > limit else "ok", text, float(age), float(limit))


def check_age(last_fitted: str, today: date, settings: WatchSettings) -> Finding:
    """Report a model that was fitted to no recent days."""
    age = (today - date.fromisoformat(last_fitted)).days
    limit = settings.old_after
    text = f"the model was fitted to days until {last_fitted}, {plural(max(age, 0), 'day')} ago"
    return Finding("age", "warning" if age > limit else "ok", text, float(age), float(limit))


def check_gaps(new: NewDays) -> Finding:
    """Report latest days without price or sales."""
    observed = new.history.observed[-steps_in(LATEST_DAYS, new.history.step_days) :]
    share = float(observed.mean())
    text = f"{int(observed.sum())} of the last {plural(len(observed), new.formatter.period)} have price and sales"
    return Finding("data", "ok" if share >= FEWEST_OBSERVED else "warning", text, share, FEWEST_OBSERVED)


def drift_of(new: NewDays) -> DriftDays:
    """Return the drift of demand on the new days, in one row."""
    expected = respond_on(new.market, new.index, new.history, new.day).expected_units.cpu().double().numpy()
    size = new.market.size[new.index : new.index + 1].cpu().double().numpy()
    units = new.history.units[new.day][None]
    counted = new.counted[None]
    return find_drift(units, np.maximum(expected.mean(0), 1e-6)[None], counted, size, *doubts_of(expected))


def doubts_of(expected: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return sds over the draws of expectations ``(K, N)``, in logs: of their level ``(1,)``, of days ``(1, N)``."""
    logs = np.log(np.maximum(expected, 1e-9))
    level = logs.mean(1)
    return np.atleast_1d(level.std()), (logs - level[:, None]).std(0)[None]


def check_drift(new: NewDays, drift: DriftDays) -> Finding:
    """Report a drop or a rise of demand found on the latest days."""
    if new.counted.sum() < FEWEST_DAYS:
        return Finding("drift", "unknown", f"{_few(new)} to judge demand")
    alarms = np.flatnonzero(drift.alarm[0])
    latest = alarms[np.isin(new.day[alarms], new.latest)]
    evidence = float(drift.evidence[0, -1])
    if not len(latest):
        level = float(drift.level[0, -1])
        sd = float(drift.level_sd[0, -1])
        if len(alarms) and abs(level - 1) > max(CHANGE / 2, Z90 * sd * level):
            since = _date(new, int(new.day[alarms[-1]]))
            text = f"demand is {100 * level:.0f} % of what the model expects since the change found on {since}"
            return Finding("drift", "warning", f"{text}; retrain it", level, 1.0)
        text = f"demand is as expected; evidence of a change: {100 * evidence:.0f} % of the threshold"
        return Finding("drift", "ok", text, evidence, 1.0)
    day = int(latest[-1])
    dates = new.history.dates[new.day]
    way = int(drift.alarm[0, day])
    start = int(drift.start[0, day])
    what = "fell" if way < 0 else "rose"
    since = new.formatter.date(str(dates[start]))
    found = new.formatter.date(str(dates[day]))
    text = f"demand {what} by about {_size_of(new, drift, start)} around {since}, found on {found}"
    return Finding("drift", "alarm" if way < 0 else "warning", text, float(way), 1.0)


def _size_of(new: NewDays, drift: DriftDays, start: int) -> str:
    """Return the change of demand since a day in percent, with 90 % limits."""
    rows = new.day[start:]
    counted = new.counted[start:]
    due = respond_on(new.market, new.index, new.history, rows).expected_units.cpu().double().numpy().mean(0)
    level = float(drift.level[0, start])
    sd = float(drift.level_sd[0, start])
    due = due[counted] * level
    sold = new.history.units[rows][counted]
    total = max(float(due.sum()), 1e-9)
    noise = float(np.sqrt((due + due**2 / float(new.market.size[new.index])).sum())) / total
    change = float(sold.sum()) / total - 1
    reach = Z90 * float(np.hypot(noise, sd))
    ends = sorted((abs(change) - reach, abs(change) + reach))
    return f"{100 * abs(change):.0f} % (90 %: {100 * max(ends[0], 0):.0f} to {100 * ends[1]:.0f})"


def check_coverage(new: NewDays, drift: DriftDays) -> Finding:
    """Report one-day-ahead intervals that contain too few days."""
    scores = drift.score[0][-steps_in(COVERAGE_DAYS, new.history.step_days) :]
    scores = scores[np.isfinite(scores)]
    if len(scores) < 2 * FEWEST_DAYS:
        return Finding("coverage", "unknown", f"{_few(new)} to judge the intervals")
    inside = int((np.abs(scores) <= Z90).sum())
    probability = float(bdtr(inside, len(scores), LIMITS[1] - LIMITS[0]))
    text = f"{inside} of {plural(len(scores), new.formatter.period)} inside their 90 % interval, one day ahead"
    severity: Severity = "warning" if probability < COVERAGE_LEVEL else "ok"
    return Finding("coverage", severity, text, inside / len(scores), LIMITS[1] - LIMITS[0])


def check_conversions(new: NewDays) -> Iterator[Finding]:
    """Report conversions that dropped against the weeks before, given the prices."""
    history = new.history
    fitted = new.market.products[new.index]
    known = {"organic": fitted.organic is not None, "ad": fitted.ad is not None}
    recent = steps_in(LATEST_DAYS, history.step_days)
    day = np.arange(
        max(0, len(history.dates) - recent - steps_in(REFERENCE_DAYS, history.step_days)), len(history.dates)
    )
    day = day[history.observed[day]]
    for name in (name for name, is_known in known.items() if is_known):
        actual = getattr(history, name)[day]
        if not np.isfinite(actual).all():
            continue
        response = respond_on(new.market, new.index, history, day)
        ratio = actual / np.maximum(getattr(response, name).cpu().double().numpy().mean(0), 1e-9)
        latest = day >= len(history.dates) - recent
        yield _compare_conversion(name, ratio[latest], ratio[~latest], new)


def _compare_conversion(name: str, latest: FloatArray, before: FloatArray, new: NewDays) -> Finding:
    if min(len(latest), len(before)) < FEWEST_DAYS or before.mean() <= 0:
        return Finding("conversion", "unknown", f"{_few(new)} to judge the {name} conversion")
    change = float(latest.mean() / before.mean() - 1)
    error = float(np.hypot(*(part.std(ddof=1) / np.sqrt(len(part)) for part in (latest, before))) / before.mean())
    limit = -new.settings.conversion_drop
    dropped = change <= limit and change < -CONVERSION_SDS * error
    text = f"{name} conversion {new.formatter.percent(change, plus='+')} against the weeks before, given the prices"
    return Finding("conversion", "warning" if dropped else "ok", text, change, limit)


def check_tried(new: NewDays) -> Finding:
    """Report prices outside those that the model was fitted to."""
    tried = new.market.preprocessor.products[new.index].tried_prices
    latest = new.latest[new.history.observed[new.latest]]
    outside = [day for day in latest if is_outside(float(new.history.price[day]), *tried)]
    span = f"{new.formatter.price(tried[0])} to {new.formatter.price(tried[1])}"
    if not outside:
        return Finding("untried price", "ok", f"all latest prices lie within those tried, {span}")
    price = float(new.history.price[outside[-1]])
    text = f"{new.formatter.price(price)} on {_date(new, outside[-1])} is outside the prices tried, {span}"
    return Finding("untried price", "warning", text, price, tried[0] if price < tried[0] else tried[1])


def check_followed(new: NewDays) -> Iterator[Finding]:
    """Report latest days on which another price than the advised one was charged."""
    if new.record is None:
        return
    first = str(new.history.dates[-steps_in(LATEST_DAYS, new.history.step_days) :][0])
    days = [day for day in new.record.days if day.date >= first and day.outcome != "not observed"]
    other = [day for day in days if day.outcome == "not followed"]
    if not days:
        return
    f = new.formatter
    kept = len(days) - len(other)
    text = f"{kept} of the last {plural(len(days), f'advised {f.period}')} at the advised price"
    if other:
        last = other[-1]
        text += f"; on {f.date(last.date)} {f.price(last.charged_price)} instead of {f.price(last.advised_price)}"
    yield Finding("other price", "warning" if other else "ok", text, float(len(other)), 0.0)


def check_competitor(new: NewDays) -> Iterator[Finding]:
    """Report a competitor's price that has moved."""
    prices = new.history.competitor
    if prices is None:
        return
    before = prices[-1 - steps_in(RECENT_DAYS, new.history.step_days) : -1]
    if not len(before):
        return
    usual = float(np.median(before))
    last = float(prices[-1])
    change = last / usual - 1
    limit = new.settings.competitor_move
    text = (
        f"the competitor charges {new.formatter.price(last)}, {new.formatter.percent(change, plus='+')} in four weeks"
    )
    yield Finding("competitor", "warning" if abs(change) >= limit else "ok", text, change, limit)


def _few(new: NewDays) -> str:
    return f"{plural(int(new.counted.sum()), f'new {new.formatter.period}')}: too few"


def _date(new: NewDays, day: int) -> str:
    return new.formatter.date(str(new.history.dates[day]))
