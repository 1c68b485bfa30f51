"""Rules of a shop's limits and advice, as the simulation knows them, without any of the shop's code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

Entry = dict[str, Any]

USUAL: Entry = {
    **{"floor": None, "ceiling": None, "min_margin": 0.0, "max_change": 0.05, "max_week_change": 0.10},
    **{"min_hold_days": 3, "price_step": 0.01},
}
"""Limits of a shop in which nobody has typed any."""
WIDER_IF_LARGER = ("ceiling", "max_change", "max_week_change")
ON_CHANGES = {"max_change", "max_week_change", "min_hold_days"}
LOOSER = ("shadow", "manual", "auto")
ORDERS = ("override", "pause")
DAY = timedelta(days=1)
WORST_STEP = 1e-3
"""Part of a step of price that rounding may leave."""


class BrokenRuleError(AssertionError):
    """A rule that a shop broke."""


def demand(holds: bool, *about: Any) -> None:
    """Raise `BrokenRuleError` unless something holds."""
    if not holds:
        raise BrokenRuleError(" ".join(map(str, about)))


@dataclass
class Item:
    """What is known of a product."""

    advice: Entry
    order: Entry | None = None
    ended: bool = False
    """Whether a person ended the order."""
    restarted: int = 0
    """Last advice that found prices in another unit."""
    approvals: dict[str, Entry] = field(default_factory=dict)
    """By generation: approval of the change that its newest advice holds."""
    agreed: dict[int, tuple[str, float]] = field(default_factory=dict)
    """By approval: setting and money of the limit that forced the change."""
    confirmed: set[float] = field(default_factory=set)
    test: Entry | None = None
    """The price test that was started last."""
    stopped: str = ""
    """Day on which a person or a result ended it; empty until then."""
    settled: bool = False
    """Whether its regular price need not come back: it was proved the worse one, or a person said so."""
    later: dict[int, str] = field(default_factory=dict)
    """Last days of the orders given since, by their numbers, without those that a person ended."""
    shown: list[tuple[str, float]] = field(default_factory=list)
    """Last day and current price of each file."""

    def returns(self) -> bool:
        """Return whether the regular price of the last test, which is over, is still to come back."""
        test = self.test
        if test is None or self.settled:
            return False
        over = self.stopped or test["until"]
        if over < test["first_day"] or any(until > over for until in self.later.values()):
            return False
        tried = [row["price"] for row in test["schedule"] if row["date"] <= over]
        found = [price for day, price in self.shown if day >= over] or tried[-1:]
        regular = test["regular_price"]
        return all(any(abs(price - other) < 1e-4 for other in tried if abs(other - regular) > 1e-4) for price in found)

    @property
    def follows(self) -> int | None:
        """Number of the order or the test that the advice follows."""
        return self.advice.get("order") or self.advice.get("test")

    @property
    def change(self) -> Entry | None:
        """First day with another price than the current one."""
        return change_of(self.advice)

    @property
    def last(self) -> str:
        """Last day of the advice: of its last week, where rows are weeks."""
        return self.end_of(self.advice["days"][-1]["date"])

    def end_of(self, day: str) -> str:
        """Return the last day of a row that begins on a day."""
        days = [date.fromisoformat(row["date"]) for row in self.advice["days"][:2]]
        return str(date.fromisoformat(day) + (days[1] - days[0] if len(days) > 1 else DAY) - DAY)


def change_of(advice: Entry) -> Entry | None:
    """Return the first day of an advice with another price than the current one."""
    return next((day for day in advice["days"] if day["price"] != advice["current_price"]), None)


def generation_of(advice: Entry) -> str:
    """Return the generation that an advice names."""
    return str(advice["checkpoint"]).split("/", maxsplit=1)[0]


def lows(settings: Mapping[str, Any], costs: Sequence[float] | None) -> dict[str, float]:
    """Return the lowest price that each setting allows."""
    kept, cost = costs or (1.0, 0.0)
    room = kept - settings["min_margin"]
    margin = cost / room if room > 0 else math.inf
    return {"floor": settings["floor"] or 0.0, "price_step": settings["price_step"], "min_margin": margin}


def broken_limit(price: float, settings: Mapping[str, Any], costs: Sequence[float] | None) -> tuple[str, float] | None:
    """Return setting and money of the hard limit that a price breaks, apart from the step."""
    low = lows(settings, costs)
    rule = max(low, key=lambda name: low[name])
    slack = WORST_STEP * settings["price_step"]
    if price < low[rule] - slack:
        return rule, low[rule]
    ceiling = settings["ceiling"]
    return ("ceiling", ceiling) if ceiling is not None and price > ceiling + slack else None


def on_grid(price: float, step: float) -> bool:
    """Return whether a price is a multiple of the step."""
    return abs(price / step - round(price / step)) < WORST_STEP


def forcing(advice: Entry) -> float:
    """Return the limit that forces the change of an advice."""
    limits = advice["limits"]
    return float(limits["floor"] if limits["floor"] > advice["current_price"] else limits["ceiling"])


def is_wider(name: str, value: float | None, before: float | None) -> bool:
    """Return whether a limit allows what the one before did not."""
    if value is None or before is None:
        return value is None and before is not None
    if name == "price_step":
        return not on_grid(value, before)
    return value > before if name in WIDER_IF_LARGER else value < before
