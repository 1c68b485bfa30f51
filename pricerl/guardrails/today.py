"""Guardrails for one product's next price: each rule's bounds and objections, and the limits in force."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.arrays import DateArray, FloatArray
from pricerl.data.days import DAY, RECENT_DAYS, WEEK, steps_in
from pricerl.guardrails.config import LISTS, PERCENTAGES, GuardrailConfig
from pricerl.guardrails.fees import UnitCosts
from pricerl.guardrails.limits import (
    FIXED,
    MOVING,
    GuardedProduct,
    PriceLimits,
    RecentPrices,
    Rule,
    days_held,
    price_limits,
)
from pricerl.guardrails.limits_in_force import LimitsInForce
from pricerl.guardrails.price_grid import from_steps, in_steps, slack
from pricerl.guardrails.projection import PriceBand, feasible_band, nearest_on_grid, price_box, waits_for_pace

DIGITS = 4
"""Decimal places of reported prices: a hundredth of a cent."""

PAUSED = "the product is paused"
NEAREST = "the nearest price that may be charged"
FEES = "fees"
"""Name of the rule that no price lies in a gap; the costs have it, not the guardrails."""
OF_RECENT_PRICES = ("_band", "band", "bounds", "waits", "walks", "_words")
"""Parts that depend on settings, costs and recent prices alone; days on which these are equal share them."""


@dataclass(frozen=True)
class Edit:
    """A change that one rule made."""

    rule: str
    """The setting under ``guardrails``, or ``finite``, ``conflict`` or ``fault``."""
    before: float | None
    """Price before the rule, in money, or None if it was invalid."""
    after: float
    """Price after the rule, in money."""
    why: str
    """Reason, as a clause."""


class PriceLog(NamedTuple):
    """Prices charged, one per day up to today, and the prices that the history supports."""

    dates: DateArray
    """``(D,)`` ascending days; the rules look back 28 days and the minimum hold."""
    prices: FloatArray
    """``(D,)`` money; the last is the current price."""
    support: tuple[float, float]
    """Lowest and highest price that the history supports, in money; see ``support_box``."""
    moves_in_steps: bool = True
    """False for absolute actions, whose rules ignore past prices."""
    step_days: int = 1
    """Days from row to row."""


class Bound(NamedTuple):
    """One rule's lowest and highest price, in money."""

    rule: str
    low: float
    high: float
    template: str
    """Reason for an edit, with the names of settings and recent prices in braces; see `Today.explain`."""
    beyond: bool
    """Whether the current price is beyond the rule's limits, which were widened to include it."""

    def nearest(self, price: float) -> float:
        """Return the allowed price nearest to one, in money; infinite if the rule allows none."""
        return min(max(price, self.low), self.high)

    def widened(self, low: float, high: float) -> Bound:
        """Return the bound with a lowest price of at most ``low`` and a highest of at least ``high``."""
        return self._replace(low=min(self.low, low), high=max(self.high, high))


class Band(NamedTuple):
    """Prices that satisfy every limit, as ``projection.PriceBand`` holds them for a batch, in money."""

    low: float
    high: float
    feasible: bool
    keep: bool
    """Whether no bound forbids the current price."""


@dataclass(frozen=True)
class Today:
    """Rules for the next price of one product."""

    log: PriceLog
    costs: UnitCosts
    config: GuardrailConfig
    """The product's own limits, ``GuardrailConfig.of``."""

    @property
    def now(self) -> float:
        """Price of the log's last day, in money."""
        return float(self.log.prices[-1])

    def charge(self, *prices: float) -> Today:
        """Return the rules one more day, or week, later per price in money, after these were charged."""
        if prices not in self._later:
            dates = self.log.dates[-1] + np.arange(1, len(prices) + 1) * (self.log.step_days * DAY)
            charged = np.append(self.log.prices, prices)
            later = replace(self, log=self.log._replace(dates=np.append(self.log.dates, dates), prices=charged))
            vars(later).update(_limits=self._limits, _alike=self._alike)
            known = vars(self._alike.setdefault(later.recent, later))
            vars(later).update((name, known[name]) for name in OF_RECENT_PRICES if name in known)
            self._later[prices] = later
        return self._later[prices]

    @cached_property
    def _later(self) -> dict[tuple[float, ...], Today]:
        """Rules after the prices that were charged, which every check of the same path walks through again."""
        return {}

    @cached_property
    def _alike(self) -> dict[RecentPrices, Today]:
        """Days with the same limits, by the past prices that these depend on."""
        return {self.recent: self}

    def objections(self, price: float) -> Iterator[Edit]:
        """Yield each rule's objection to a price, in money, on the next day: an edit to the nearest that it allows."""
        moves = not self.same(price, self.now)
        if moves and self.config.pause:
            yield Edit("pause", price, self.now, PAUSED)
        for bound in () if self.is_step(price) else self.bounds:
            nearest = bound.nearest(price)
            if not self.same(nearest, price):
                yield Edit(bound.rule, price, nearest, self.explain(bound))
        if moves and (why := self.too_young()):
            yield Edit("min_hold_days", price, self.now, why)
        allowed = self.on_grid(price)
        if moves and not self.same(allowed, price):
            yield self.grid_edit(price, allowed)
        if moves and (why := self.too_small(price)):
            yield Edit("min_change", price, self.now, why)

    def describe(self) -> LimitsInForce:
        """Return the limits on the next price and on later changes."""
        lowest, highest = self.tightest
        config = self.config
        in_steps = self.log.moves_in_steps
        return LimitsInForce(
            lowest=round(self.band.low, DIGITS),
            lowest_rule=lowest.rule,
            highest=round(self.band.high, DIGITS),
            highest_rule=highest.rule,
            conflict="" if self.band.feasible or self.waits else self.conflict(),
            beyond=tuple(bound.rule for bound in self.bounds if bound.beyond),
            max_rise=config.rise if in_steps else None,
            max_drop=config.drop if in_steps else None,
            max_week_change=config.max_week_change if in_steps else None,
            min_hold_days=self.min_hold_days,
            paused=config.pause,
            walks_to=round(self.hard_limit, DIGITS) if self.walks else None,
        )

    @cached_property
    def recent(self) -> RecentPrices:
        """Past prices used by the moving rules; the first price holds before the log begins."""
        step = self.log.step_days
        dates = self.log.dates[-1] - np.arange(steps_in(RECENT_DAYS, step) - 1, -1, -1) * (step * DAY)
        position = np.searchsorted(self.log.dates, dates, "right") - 1
        trail = self.log.prices[np.maximum(position, 0)].tolist()
        middle = None if self.config.max_above_median is None else median(trail)
        return RecentPrices(trail[-1], trail[-steps_in(WEEK, step)], middle)

    @cached_property
    def band(self) -> Band:
        """Prices allowed on the next day."""
        low, high, feasible, keep, _ = self._band
        return Band(low.item(), high.item(), bool(feasible), bool(keep))

    @cached_property
    def _band(self) -> PriceBand:
        """The same as a batch of one."""
        return (
            feasible_band(self._limits, self._recent)
            if self.log.moves_in_steps
            else price_box(self._limits, self._tensor(self.now))
        )

    @cached_property
    def bounds(self) -> tuple[Bound, ...]:
        """Each rule's limits in their order; soft ones include the current price if prices move in steps."""
        product = GuardedProduct(self.config, self.log.support, self.costs)
        fixed = [self._bound(rule, *rule.bounds(product)) for rule in FIXED]
        moving = MOVING if self.log.moves_in_steps else ()
        return (*fixed, *(self._bound(rule, *rule.bounds(self.config, self.recent)) for rule in moving))

    def _bound(self, rule: Rule, low: float, high: float) -> Bound:
        """Return the limits of a rule; soft ones contain the hard limits of the fixed rules and the current price."""
        if math.isnan(low) or math.isnan(high):
            raise ValueError(f"{rule.setting} is no number")
        bound = Bound(self.config.in_force(rule.setting), float(low), float(high), rule.why, False)
        if rule.soft and rule in FIXED:
            bound = bound.widened(self._limits.ceiling.item(), self._limits.floor.item())
        if rule.soft and self.log.moves_in_steps:
            beyond = not self.same(bound.nearest(self.now), self.now)
            bound = bound.widened(self.now, self.now)._replace(beyond=beyond)
        return bound

    def explain(self, bound: Bound) -> str:
        """Return the reason for an edit by one of the bounds."""
        return bound.template.format(**self._words)

    @cached_property
    def _words(self) -> dict[str, str]:
        """Settings and recent prices in words, by their names."""
        settings = {**vars(self.config), "max_rise": self.config.rise, "max_drop": self.config.drop}
        shares = {name: 100 * (settings[name] or 0.0) for name in PERCENTAGES}
        numbers = {**settings, **shares, **self.recent._asdict()}.items()
        return {name: f"{it:g}" for name, it in numbers if isinstance(it, (int, float))}

    @property
    def tightest(self) -> tuple[Bound, Bound]:
        """The bounds with the highest lower limit and with the lowest upper limit."""
        return max(self.bounds, key=lambda bound: bound.low), min(self.bounds, key=lambda bound: bound.high)

    @cached_property
    def waits(self) -> bool:
        """Whether only limits that later days lift keep the price from walking to the hard limits."""
        steps = self.log.moves_in_steps and not self.band.feasible
        return steps and bool(waits_for_pace(self._limits, self._recent))

    @cached_property
    def walks(self) -> bool:
        """Whether the current price is beyond a hard limit that one step does not reach."""
        tolerance = slack(self.now, self.config.price_step)
        low, high = self._limits.floor.item() - tolerance, self._limits.ceiling.item() + tolerance
        beyond = self.log.moves_in_steps and bool(self._limits.reachable) and not low <= self.now <= high
        one_step_misses = beyond and self.band.feasible and (self.band.high < low or self.band.low > high)
        return beyond and (self.waits or one_step_misses)

    @property
    def hard_limit(self) -> float:
        """Price of grid or menu inside the hard limits that is nearest to the current one, in money."""
        hard = self._limits._replace(support_low=self._limits.floor, support_high=self._limits.ceiling)
        inside = price_box(hard, self._tensor(self.now))
        return min(max(self.now, inside.low.item()), inside.high.item())

    @property
    def hard_rule(self) -> str:
        """Setting of the hard limit that the current price is beyond."""
        lowest, highest = self.tightest
        return lowest.rule if lowest.low > self.now else highest.rule

    def is_step(self, price: float) -> bool:
        """Return whether a price is the next step of a walk to the hard limits."""
        return self.walks and self.band.feasible and self.same(price, self.band.low)

    @property
    def min_hold_days(self) -> int:
        """Days for which a price stays; absolute actions may change it every day."""
        return self.config.min_hold_days if self.log.moves_in_steps else 1

    @property
    def grid_setting(self) -> str:
        """Setting that defines the prices that may be charged."""
        return next((name for name in LISTS if getattr(self.config, name) is not None), "price_step")

    def grid_edit(self, price: float, allowed: float) -> Edit:
        """Return the edit of a price that may not be charged to the nearest one that may."""
        steps = in_steps(price, self.config.price_step)
        if any(low < steps < high for low, high in self._band.limits.gaps_by_row):
            return Edit(FEES, price, allowed, f"after fees it leaves less than {allowed:g}")
        return Edit(self.grid_setting, price, allowed, NEAREST)

    def too_young(self) -> str:
        """Return why the current price must stay, empty if its minimum hold is over."""
        hold, held = self.min_hold_days, self._held
        return f"the current price has been charged for {held} of at least {hold} days" if held < hold else ""

    def too_small(self, price: float) -> str:
        """Return why a change to a price is skipped, empty unless it is smaller than ``min_change`` and not forced."""
        outward = price + math.copysign(slack(self.now, self.config.price_step), price - self.now)
        small = self.band.keep and abs(outward - self.now) < self.config.min_change * self.now
        return f"smaller than {100 * self.config.min_change:g} %" if small else ""

    def conflict(self) -> str:
        """Name the two conflicting rules."""
        lowest, highest = self.tightest
        if lowest.low > highest.high:
            return f"{lowest.rule} asks for at least {lowest.low:g}, {highest.rule} for at most {highest.high:g}"
        return (
            f"{self.grid_setting} has no price between {lowest.low:g} ({lowest.rule}) and {highest.high:g} "
            f"({highest.rule})"
        )

    def same(self, price: float, other: float) -> bool:
        """Return whether two prices differ by no more than the tolerance of a limit."""
        return abs(price - other) <= slack(other, self.config.price_step)

    def on_grid(self, price: float) -> float:
        """Return the price on the grid or menu nearest to one, in money; ties go to the lower one of a menu."""
        if self._limits.skips:
            return float(nearest_on_grid(self._tensor(price), self._band.limits))
        return from_steps(round(in_steps(price, self.config.price_step)), self.config.price_step)

    @cached_property
    def _held(self) -> int:
        """Days at the current price."""
        return days_held(self.log.dates, self.log.prices, self.log.step_days)

    @cached_property
    def _limits(self) -> PriceLimits:
        """The limits as a batch of one in double precision, for the arithmetic that all prices share."""
        return price_limits([GuardedProduct(self.config, self.log.support, self.costs)], dtype=torch.float64)

    @property
    def _recent(self) -> RecentPrices:
        """The same as a batch of one."""
        return RecentPrices(*(None if price is None else self._tensor(price) for price in self.recent))

    def _tensor(self, price: float) -> Tensor:
        return torch.tensor([price], dtype=torch.float64)
