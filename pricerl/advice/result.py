"""What an advice holds: plain values that the table, the JSON and the report show."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:  # the commands about orders need these records without torch
    from pricerl.advice.decision import Decision
    from pricerl.advice.final_check import DayEdit
    from pricerl.advice.report_data import Details
    from pricerl.evaluation import Backtest, BaselineRow, OffPolicyValue, PolicyValue, Raising, Sensitivity


@dataclass(frozen=True)
class Gain:
    """Profit a day against keeping the price, money, over the horizon; 90 % limits over the posterior draws."""

    mean: float
    low: float
    high: float
    probability_better: float


@dataclass(frozen=True)
class DayAdvice:
    """One row of ``advice.csv``; None is an empty cell."""

    date: str
    recommended_price: float
    price_low: float
    price_high: float
    units: tuple[float, float, float] | None
    sales: tuple[float, float, float] | None
    profit: tuple[float, float, float] | None
    organic: float | None
    ad: float | None
    note: str
    market_sd: tuple[float, float, float | None] | None = None
    """How far expected units, sales and profit differ between the posterior draws: the part of the limits that does not
    average out over the days."""
    organic_limits: tuple[float, float] | None = None
    """90 % limits of the expected conversion over the posterior draws, without the day's own noise."""
    ad_limits: tuple[float, float] | None = None


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

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


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
    """What the model wanted, where a person or the kill switch decided otherwise."""
    model_profit: float | None
    """What it expected of that price."""
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
    """What the model alone advised, where a person or the kill switch decided otherwise."""

    recommended_price: float
    settled_price: float
    decision: Decision
    gain: Gain | None
    expected: dict[str, float | None]
    days: tuple[DayAdvice, ...]


@dataclass(frozen=True)
class ProductAdvice:
    """Everything the outputs show about one product."""

    product: str
    current_price: float
    recommended_price: float
    """The price at the end of the recommended path's first change, or the current price."""
    settled_price: float
    """Where the policy's own path ends."""
    decision: Decision
    gain: Gain | None
    """Of the recommended path; None where it is the current price or costs are unknown."""
    proposed_gain: Gain | None
    """Of the policy's own path, before the gate; None where costs are unknown."""
    elasticity: tuple[float, float, float]
    """Around the current price: mean and 90 % limits."""
    raising: Raising | None
    """Whether a slightly higher price than the one now earns more; None where costs are unknown."""
    days: tuple[DayAdvice, ...]
    keep: dict[str, float | None]
    """Expected units, sales and profit a day when keeping the price."""
    expected: dict[str, float | None]
    """The same for the recommended path."""
    policy_value: PolicyValue | None
    """Of the policy's own path; None where costs are unknown."""
    off_policy: dict[str, OffPolicyValue]
    """What the log alone says of the price at which the path ends, ``settled``, and of the price ``now``."""
    sensitivity: Sensitivity | None
    """To causes that no column tells, of the price at which the path ends; None where that is the current price or
    costs
    are unknown."""
    baselines: tuple[BaselineRow, ...]
    planner_gap: float | None
    """Profit before fixed cost lost at the settled price against the best constant price of its market, as a share."""
    backtest: Backtest | None
    """How well such markets forecast this product's past; None where no day of it could be scored."""
    costs: str
    data_quality: dict[str, Any]
    data_lines: tuple[str, ...]
    effective_days: float
    """Effective days at prices similar to the recommended one."""
    reason: str
    details: Details | None = None
    """What only the report shows; None where no report is wanted."""
    asked_price: float | None = None
    """What was asked for on the first day on which a guardrail changed something, unclipped; None if none did."""
    guardrails: tuple[DayEdit, ...] = ()
    """What each guardrail changed on the way to the prices advised, in order; empty where nothing was changed."""
    proposed_prices: tuple[float, ...] = ()
    """The policy's own path, day by day, before any gate."""
    orders: tuple[Order, ...] = ()
    """What people ordered for this product, oldest first, with what became of it."""
    alarm: Alarm | None = None
    """The run of bad days that stopped the model."""
    model: ModelAdvice | None = None
    """The model's own advice, where the advice is not the model's."""
    track_record: TrackRecord | None = None
    """What was predicted of days that have come since; None where none was."""

    @property
    def order(self) -> Order | None:
        """The order that is followed."""
        return next((order for order in self.orders if order.status == "active"), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values for ``advice.json``."""
        values: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        plain: dict[str, Any] = {name: _plain(value) for name, value in values.items()}
        plain["chain"] = list(self.decision.chain)
        plain["backtest"] = None if self.backtest is None else self.backtest.to_dict()
        return plain


def _plain(value: Any) -> Any:
    """Turn dataclasses and named tuples into dictionaries, whatever they lie in."""
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
