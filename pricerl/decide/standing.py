"""Standing of a product: all in log and shop that its next price depends on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, NamedTuple

import msgspec

from pricerl.arrays import Day, FloatArray, Interval
from pricerl.entry_parts import Count, Money
from pricerl.guardrails.relations import Bound

MEASURED_DAYS = 182
"""Days for which the result of a test stands for demand; later it may have changed."""


class MeasuredPair(NamedTuple):
    """Two prices of which a price test proved the better one, in money."""

    better: float
    worse: float


class EndedTest(NamedTuple):
    """Price test that has ended in the open quarter; prices and amounts are money."""

    price: float
    """Money."""
    against: float
    """The other price, in money."""
    last_day: str
    """Last day that counts, ISO format."""
    question: Literal["profit", "sales"]
    """Outcome that it compared."""
    estimate: float
    """Outcome per row at the price minus that at the other one, in money."""
    limits: tuple[float | None, float | None]
    """Its 95 % limits, in money, or None if infinite."""
    proven: bool
    """Whether they exclude that there is no difference."""


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Account of one product."""

    opened: Day
    """Last day of the history when it was opened, ISO format; it counts the days after."""
    price: Money
    """Price that would have been kept, in money."""


class AccountPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """State of an account and its end if the advised prices last; all amounts are money."""

    account: Account
    """The account."""
    target: Money
    """Last advised price."""
    so_far: Interval
    """Gain over keeping of the prices charged since it was opened."""
    at_end: Interval
    """The same at its end."""
    budget: float
    """Loss that it stays within with 90 % confidence."""
    probability_loss: float
    """Share of the posterior draws in which it ends more than 1 % of a quarter's profit below keeping."""
    ends: str = ""
    """Last day of its quarter, ISO format."""
    days_left: Count | None = None
    """Of entries of older versions: days until it ends; None in others."""
    inside_budget: bool = True
    """Of entries of older versions: whether that loss was inside a limit."""
    loss_weight: float | None = None
    """How much worse losing 1 counts than missing a gain of 1: ``decision.loss_weight``, or None if it is absent."""
    proposed: bool = False
    """Of entries of older versions: whether planner or policy proposed the target."""


class Alarm(NamedTuple):
    """Alarm: sales of the latest days were below the 5 % quantile of their prediction."""

    days: int
    """Length of the run of such days, at least ``decision.kill_days``."""
    first_day: str
    """First day of the run, ISO format."""
    last_good_price: float
    """Price on the last observed day before the run, in money."""
    sales: float
    """Mean daily sales of the run, in money."""
    low: float
    """5 % predictive quantile of these mean daily sales, in money."""


Status = Literal["active", "expired", "replaced", "refused", "ended", "suspended", "returning"]
"""Status of an order. One that is returning is a price test that has ended: its regular price holds until a file shows
that it is charged again."""

IN_FORCE = ("active", "returning")


@dataclass(frozen=True)
class Order:
    """Override, pause, price test or hold of a roll-out of one product, as recorded in the log."""

    id: int
    """Number of its entry in the decision log."""
    kind: Literal["override", "pause", "price_test", "roll_out"]
    """Kind of the order."""
    price: float | None
    """Money; None for a pause or a product that waits in a roll-out, which keep the current price; the regular price of
    a price test; the earlier price of a control."""
    until: str
    """Last day of the order."""
    actor: str
    """Person who gave it."""
    reason: str
    """Reason given."""
    status: Status
    """Status on the next day."""
    refusal: str = ""
    """Hard limit that the order breaks, with both numbers."""
    schedule: tuple[tuple[str, float], ...] = ()
    """Days of a price test in ISO format with their prices, in money."""

    @property
    def is_open(self) -> bool:
        """Whether the order is in force, or would be but for a limit."""
        return self.status in (*IN_FORCE, "refused")

    def price_on(self, day: str, current_price: float) -> float:
        """Return the price to charge on a day, in money: the scheduled or the ordered one."""
        return dict(self.schedule).get(day, current_price if self.price is None else self.price)


def scheduled_price(schedule: Iterable[Sequence[Any]], day: str, otherwise: float | None) -> float | None:
    """Return the price of a schedule on a day, by its last row of day and price until then; before it ``otherwise``."""
    return next((price for _, price in reversed([row for row in schedule if row[0] <= day])), otherwise)


class ApprovedChange(NamedTuple):
    """Recommended change that a person approved."""

    id: int
    """Number of the approval in the decision log."""
    date: str
    """First day, ISO format."""
    price: float
    """Money."""
    actor: str
    """Person who approved it."""


def active_of(orders: Iterable[Order]) -> Order | None:
    """Return the order in force, if any."""
    return next((order for order in orders if order.status in IN_FORCE), None)


def blocking_of(orders: Iterable[Order]) -> Order | None:
    """Return the order that keeps a price test from starting: one in force, or an override or pause that waits.

    One that a limit refuses waits until the limit changes, and suspends a test until then.
    """
    own = ("refused", "price_test")
    return next((order for order in orders if order.is_open and (order.status, order.kind) != own), None)


Outcome = Literal["followed", "not followed", "not observed"]


@dataclass(frozen=True)
class Check:
    """Outcome compared with the mean and the 90 % limits of its prediction."""

    predicted: float
    """Mean of the prediction."""
    low: float
    """5 % limit."""
    high: float
    """95 % limit."""
    actual: float
    """Outcome."""
    inside: bool
    """Whether the outcome lies inside the limits."""


@dataclass(frozen=True)
class TrackDay:
    """Past day for which advice had been given in advance; prices, sales and profit are money."""

    date: str
    """ISO format."""
    entry: int
    """Number of the last log entry before that day."""
    source: str
    """Source of the advised price."""
    advised_price: float
    """Money."""
    charged_price: float
    """Money."""
    outcome: Outcome
    """Only days at the advised price test the forecast."""
    units: Check | None
    """None on days that do not test the forecast, like sales and profit."""
    sales: Check | None
    """Money."""
    profit: Check | None
    """Money."""
    model_price: float | None
    """Price of the model, if a person, the kill switch or shadow mode kept it from being charged."""
    model_profit: float | None
    """Expected profit at that price."""
    actual_profit: float | None
    """None if unknown."""


@dataclass(frozen=True)
class Overruled:
    """Days on which another price than the model's was charged on purpose: both, daily means in money."""

    days: int
    """Number of days."""
    model_price: float
    """Money."""
    charged_price: float
    """Money."""
    model_profit: float | None
    """Profit that the model expected at its price, or None if profit is unknown."""
    actual_profit: float | None
    """Profit at the prices charged."""


@dataclass(frozen=True)
class TrackRecord:
    """Past days of one product for which advice had been given in advance."""

    days: tuple[TrackDay, ...]
    """The days, ascending."""
    followed: int
    """Number of days at the advised price."""
    inside: dict[str, tuple[int, int]]
    """Days inside the 90 % interval and days tested, per measure."""
    total: dict[str, Check | None]
    """Total over the tested days, per measure; posterior uncertainty correlates fully over days, noise does not."""
    overruled: Overruled | None
    """None if there was no such day."""


class PreviousAdvice(NamedTuple):
    """Last advice on a product before this one, by the number of its entry in the log; prices are money."""

    entry: int
    """Its number in the log."""
    current_price: float
    """Money, as the next."""
    recommended_price: float
    """Money."""
    grade: str
    """Grade of the evidence."""
    contradiction: str = ""
    """How the history contradicts the one that it knew, as a clause; empty if it does not. Then nothing that refers to
    earlier prices goes on: neither the account nor orders."""


class Standing(NamedTuple):
    """Facts of log and shop about one product for its next price; all are empty before its first advice."""

    today: date | None = None
    """The clock; the first day after the history if absent."""
    measured: MeasuredPair | None = None
    """Pair of prices of which a price test measured the better one."""
    account: Account | None = None
    """Open account of the quarter."""
    tests: tuple[EndedTest, ...] = ()
    """Price tests that have ended since the account was opened, oldest first."""
    advised_low: FloatArray | None = None
    """``(D,)`` predicted 5 % limit of sales on days at a price that the model advised, in money, else NaN."""
    orders: tuple[Order, ...] = ()
    """Orders, oldest first, with their status; one that breaks a hard limit is refused."""
    bound: Bound | None = None
    """Prices that relations to other products leave."""
    clears_by: str = ""
    """Last day of the clearance of its stock, ISO format; empty without one."""
    track_record: TrackRecord | None = None
    previous: PreviousAdvice | None = None


FIRST = Standing()
"""Standing of a product before its first advice."""
