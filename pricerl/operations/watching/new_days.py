"""Checks of the days after those that a model was fitted to, each with a finding in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data.days import steps_in
from pricerl.data.history import ProductHistory
from pricerl.decide.standing import TrackRecord
from pricerl.evaluation.forecast import respond_on
from pricerl.formatting import Formatter, plural
from pricerl.market.market import Market
from pricerl.operations.track_record import Z90
from pricerl.operations.watching.demand_drift import CHANGE, DriftDays, find_drift
from pricerl.operations.watching.monitor_document import Finding
from pricerl.operations.watching.news import LATEST_DAYS, find_cause

FEWEST_DAYS = 7
"""Fewest observed new days from which demand is judged."""
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
    conversion_drop: float = 0.15
    """Smallest drop of a conversion that is reported, as a share of it."""


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
    def num_latest(self) -> int:
        """Number of rows of the file that count as the latest."""
        return steps_in(LATEST_DAYS, self.history.step_days)

    @property
    def latest(self) -> IntArray:
        """Positions of those new days that are among the latest of the file."""
        return self.day[self.day >= len(self.history.dates) - self.num_latest]

    @property
    def counted(self) -> BoolArray:
        """``(N,)`` True on observed days without a promotion, whose demand the market does not forecast."""
        observed = self.history.observed[self.day]
        return observed if self.history.promotion is None else observed & ~self.history.promotion[self.day]

    @property
    def few(self) -> str:
        """Words for too few new days."""
        return f"{plural(int(self.counted.sum()), f'new {self.formatter.period}')}: too few"

    def date(self, day: int) -> str:
        """Return a day, given by its position in the history, in words."""
        return self.formatter.date(str(self.history.dates[day]))

    def expect(self, day: IntArray) -> FloatArray:
        """Return the units that the market expects on days, ``(K, N)`` in every posterior draw."""
        return respond_on(self.market, self.index, self.history, day).expected_units.cpu().double().numpy()


def check_product(new: NewDays) -> list[Finding]:
    """Return the findings about one product."""
    expected = new.expect(new.day)
    drift = find_drift(
        new.history.units[new.day][None],
        np.maximum(expected.mean(0), 1e-6)[None],
        new.counted[None],
        new.market.size[new.index : new.index + 1].cpu().double().numpy(),
        *doubts_of(expected),
        new.market.products[new.index].ahead.shock,
    )
    return [check_gaps(new), check_drift(new, drift), *check_conversions(new), *check_followed(new)]


def check_delay(last_day: str, today: date, step_days: int, settings: WatchSettings) -> Finding:
    """Report data that end too long ago; a row of a week is expected when the week has passed."""
    age = float((today - date.fromisoformat(last_day)).days)
    limit = float(settings.late_after + (step_days if step_days > 1 else 0))
    if age < 0:
        return Finding("data", "warning", f"the file ends on {last_day}, after today", age, 0.0)
    text = f"the file ends on {last_day}, {plural(int(age), 'day')} ago"
    step = "Was nothing sold since then? If the shop was open and had stock, export a fresh file."
    return Finding("data", "alarm", text, age, limit, step) if age > limit else Finding("data", "ok", text, age, limit)


def check_gaps(new: NewDays) -> Finding:
    """Report latest days without price or sales."""
    observed = new.history.observed[-new.num_latest :]
    share = float(observed.mean())
    text = f"{int(observed.sum())} of the last {plural(len(observed), new.formatter.period)} have price and sales"
    return Finding("data", "ok" if share >= FEWEST_OBSERVED else "warning", text, share, FEWEST_OBSERVED)


def doubts_of(expected: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return sds over the draws of expectations ``(K, N)``, in logs: of their level ``(1,)``, of days ``(1, N)``."""
    logs = np.log(np.maximum(expected, 1e-9))
    level = logs.mean(1)
    return np.atleast_1d(level.std()), (logs - level[:, None]).std(0)[None]


def check_drift(new: NewDays, drift: DriftDays) -> Finding:
    """Report a drop or a rise of demand found on the latest days."""
    if new.counted.sum() < FEWEST_DAYS:
        return Finding("drift", "unknown", f"{new.few} to judge demand")
    alarms = np.flatnonzero(drift.alarm[0])
    latest = alarms[np.isin(new.day[alarms], new.latest)]
    if len(latest):
        found = int(latest[-1])
        way, start = (int(values[0, found]) for values in (drift.alarm, drift.start))
        change, size = _size_of(new, drift, start)
        cause = find_cause(new.history, new.day[start:], change, new.formatter)
        text = (
            f"demand {'fell' if way < 0 else 'rose'} by about {size} around {new.date(new.day[start])}, found on "
            f"{new.date(new.day[found])}; {cause.words}"
        )
        return Finding("drift", "alarm" if way < 0 else "warning", text, float(way), 1.0, cause.step)
    level = float(drift.level[0, -1])
    if len(alarms) and abs(level - 1) > max(CHANGE / 2, Z90 * float(drift.level_sd[0, -1]) * level):
        text = f"demand is {100 * level:.0f} % of what the model expects since the change found on "
        return Finding("drift", "warning", f"{text}{new.date(new.day[alarms[-1]])}; retrain it", level, 1.0)
    evidence = float(drift.evidence[0, -1])
    text = f"demand is as expected; evidence of a change: {100 * evidence:.0f} % of the threshold"
    return Finding("drift", "ok", text, evidence, 1.0)


def _size_of(new: NewDays, drift: DriftDays, start: int) -> tuple[float, str]:
    """Return the change of demand since a day, as a share, and in percent with 90 % limits."""
    rows = new.day[start:]
    counted = new.counted[start:]
    due = new.expect(rows).mean(0)[counted] * float(drift.level[0, start])
    total = max(float(due.sum()), 1e-9)
    noise = float(np.sqrt((due + due**2 / float(new.market.size[new.index])).sum())) / total
    change = float(new.history.units[rows][counted].sum()) / total - 1
    reach = Z90 * float(np.hypot(noise, float(drift.level_sd[0, start])))
    ends = sorted((abs(change) - reach, abs(change) + reach))
    return change, f"{100 * abs(change):.0f} % (90 %: {100 * max(ends[0], 0):.0f} to {100 * ends[1]:.0f})"


def check_conversions(new: NewDays) -> Iterator[Finding]:
    """Report conversions that dropped against the weeks before, given the prices."""
    history = new.history
    first = len(history.dates) - new.num_latest
    day = np.arange(max(0, first - steps_in(REFERENCE_DAYS, history.step_days)), len(history.dates))
    day = day[history.observed[day]]
    limit = -new.settings.conversion_drop
    for name in ("organic", "ad"):
        fitted, actual = getattr(new.market.products[new.index], name), getattr(history, name)[day]
        if fitted is None or not np.isfinite(actual).all():
            continue
        response = respond_on(new.market, new.index, history, day)
        ratio = actual / np.maximum(getattr(response, name).cpu().double().numpy().mean(0), 1e-9)
        latest, before = (ratio[part] for part in (day >= first, day < first))
        if min(len(latest), len(before)) < FEWEST_DAYS or before.mean() <= 0:
            yield Finding("conversion", "unknown", f"{new.few} to judge the {name} conversion")
            continue
        change = float(latest.mean() / before.mean() - 1)
        error = float(np.hypot(*(part.std(ddof=1) / np.sqrt(len(part)) for part in (latest, before))) / before.mean())
        dropped = change <= limit and change < -CONVERSION_SDS * error
        text = f"{name} conversion {new.formatter.percent(change, plus='+')} against the weeks before, given the prices"
        yield Finding("conversion", "warning" if dropped else "ok", text, change, limit)


def check_followed(new: NewDays) -> Iterator[Finding]:
    """Report latest days on which another price than the advised one was charged."""
    f = new.formatter
    first = str(new.history.dates[-new.num_latest :][0])
    past = () if new.record is None else new.record.days
    days = [day for day in past if day.date >= first and day.outcome != "not observed"]
    other = [day for day in days if day.outcome == "not followed"]
    text = f"{len(days) - len(other)} of the last {plural(len(days), f'advised {f.period}')} at the advised price"
    for last in other[-1:]:
        text += f"; on {f.date(last.date)} {f.price(last.charged_price)} instead of {f.price(last.advised_price)}"
    if days:
        yield Finding("other price", "warning" if other else "ok", text, float(len(other)), 0.0)
