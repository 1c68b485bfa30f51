"""The advice as plain values, shown by the table, the JSON and the report."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pricerl.arrays import Interval

if TYPE_CHECKING:  # the commands about orders need these records without torch
    from pricerl.advice.decision import Decision
    from pricerl.advice.final_check import DayEdit
    from pricerl.advice.report_data import Details
    from pricerl.evaluation import (
        Backtest,
        BaselineRow,
        DailyOutcome,
        OffPolicyValue,
        Raising,
        Sensitivity,
        Uplift,
    )


@dataclass(frozen=True)
class DayAdvice:
    """One row of ``advice.csv``; None is an empty cell."""

    date: str
    recommended_price: float
    price_low: float
    price_high: float
    units: Interval | None
    """Limits include the day's own noise; so do those of sales and profit."""
    sales: Interval | None
    profit: Interval | None
    organic: Interval | None
    """Percent; limits over the posterior draws, without the day's own noise; so are those of ``ad``."""
    ad: Interval | None
    note: str
    market_sd: tuple[float, float, float | None] | None = None
    """Sds of expected units, sales and profit over the posterior draws: the part of the limits that does not average
    out over the days."""


class Alarm(NamedTuple):
    """The last days sold less than the 5 % quantile of what was predicted."""

    days: int
    """Days of the run, at least ``decision.kill_days``."""
    first_day: str
    last_good_price: float
    """Money: charged on the last observed day before the run."""
    sales: float
    """Of the run, a day, money."""
    low: float
    """5 % predictive quantile of the run, a day, money."""


Status = Literal["active", "expired", "replaced", "refused"]


@dataclass(frozen=True)
class Order:
    """An override or a pause of one product, as the log holds it."""

    id: int
    kind: Literal["override", "pause"]
    price: float | None
    """Money; None for a pause, which keeps the current price."""
    until: str
    """Its last day."""
    actor: str
    reason: str
    status: Status
    """On the first of the next days."""
    refusal: str = ""
    """Which hard limit it breaks, with both numbers."""


Outcome = Literal["followed", "not followed", "not observed"]


@dataclass(frozen=True)
class Check:
    """One number held against its prediction."""

    predicted: float
    low: float
    high: float
    actual: float
    inside: bool


@dataclass(frozen=True)
class TrackDay:
    """A day that was advised before it came."""

    date: str
    entry: int
    """Of the log: the last one before that day."""
    source: str
    advised_price: float
    charged_price: float
    outcome: Outcome
    """Only a day at the advised price tests the forecast."""
    units: Check | None
    sales: Check | None
    profit: Check | None
    model_price: float | None
    """Wanted by the model, where a person or the kill switch decided otherwise."""
    model_profit: float | None
    """Expected by the model of that price."""
    actual_profit: float | None


@dataclass(frozen=True)
class Overruled:
    """Days on which the model was overruled: what it wanted against what was charged, means a day in money."""

    days: int
    model_price: float
    charged_price: float
    model_profit: float | None
    """Expected by the model at its own price; None where profit is unknown."""
    actual_profit: float | None


@dataclass(frozen=True)
class TrackRecord:
    """All days of one product that were advised before they came."""

    days: tuple[TrackDay, ...]
    followed: int
    inside: dict[str, tuple[int, int]]
    """By measure: days inside the 90 % interval, of so many tested."""
    total: dict[str, Check | None]
    """By measure, over the tested days. The part of a day's limits that the posterior draws disagree on is taken to be
    the same on all days, the rest to be independent."""
    overruled: Overruled | None


@dataclass(frozen=True)
class ModelAdvice:
    """The model's own advice, where a person or the kill switch decided otherwise."""

    recommended_price: float
    settled_price: float
    decision: Decision
    recommended: DailyOutcome
    uplift: Uplift | None
    days: tuple[DayAdvice, ...]


@dataclass(frozen=True)
class PolicyPath:
    """The policy's own path, before any gate."""

    prices: tuple[float, ...]
    """Day by day, money."""
    outcome: DailyOutcome
    over_keep: Uplift
    """Over keeping the price."""
    over_log: Uplift
    """Over the seller's own last prices, charged again."""


@dataclass(frozen=True)
class ProductAdvice:
    """Everything the outputs show about one product."""

    product: str
    current_price: float
    recommended_price: float
    """The price after the recommended path's first change, or the current price."""
    settled_price: float
    """End of the path that the decision is about: the policy's own, or the way to the lower bound."""
    decision: Decision
    num_draws: int
    """Posterior draws behind every interval and probability."""
    keep: DailyOutcome
    """Of keeping the price, over the forecast horizon."""
    recommended: DailyOutcome
    """Of the recommended path."""
    uplift: Uplift | None
    """Of the recommended path over keeping the price; None where the price is kept."""
    policy: PolicyPath
    baselines: tuple[BaselineRow, ...]
    """Prices of the other rules."""
    elasticity: Interval
    """Percent of units gained by a price 1 % higher, around the current price (negative)."""
    raising: Raising | None
    """Whether a slightly higher price than the current one earns more; None where costs are unknown."""
    days: tuple[DayAdvice, ...]
    off_policy: dict[str, OffPolicyValue]
    """Off-policy estimates of the ``settled`` and of the ``current`` price."""
    sensitivity: Sensitivity | None
    """To unobserved confounders, of a change to the settled price; None where that is the current price or costs are
    unknown."""
    planner_gap: float | None
    """Profit before fixed cost lost at the policy's last price against the best constant price, as a share."""
    backtest: Backtest | None
    """Skill of such markets on this product's past; None where no day of it could be scored."""
    costs: str
    data_quality: dict[str, Any]
    data_lines: tuple[str, ...]
    effective_days: float
    """Effective days at prices similar to the recommended one."""
    reason: str
    details: Details | None = None
    """Data that only the report shows."""
    asked_price: float | None = None
    """Asked for on the first day on which a guardrail changed something, unclipped; None if none did."""
    guardrails: tuple[DayEdit, ...] = ()
    """Changes by each guardrail on the way to the prices advised, in order."""
    orders: tuple[Order, ...] = ()
    """Orders for this product, oldest first, with their status."""
    alarm: Alarm | None = None
    """The run of bad days that stopped the model."""
    model: ModelAdvice | None = None
    """The model's own advice, where the advice is not the model's."""
    track_record: TrackRecord | None = None
    """Predictions of days that have come since; None where there are none."""

    @property
    def order(self) -> Order | None:
        """The order that is followed."""
        return next((order for order in self.orders if order.status == "active"), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values for ``advice.json``."""
        return {**_plain(self), "chain": list(self.decision.chain)}


def _plain(value: Any) -> Any:
    """Turn dataclasses and named tuples into dictionaries, whatever they lie in."""
    if isinstance(value, Interval):
        return list(value)
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
