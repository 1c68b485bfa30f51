"""Each guardrail on its own: which prices it allows on a day, and what it has against one.

The rules are those of ``guardrails/limits.py``, written a second time in plain Python for one price; the last gate
(``guardrails/gate.py``) applies them one after the other. Order and conflicts: ``docs/guardrails.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pricerl.arrays import DateArray, FloatArray
from pricerl.guardrails.config import TRAILING_DAYS, GuardrailConfig
from pricerl.guardrails.price_grid import FLOAT32_SLACK, ROUNDING_SLACK, steps_per_unit

WEEK = 7
"""Days."""
DAY = np.timedelta64(1, "D")
PAUSED = "the product is paused"
NEAREST = "the nearest price that may be charged"


@dataclass(frozen=True)
class Edit:
    """What one rule changed."""

    rule: str
    """The setting under ``guardrails``, or ``finite``, ``conflict`` or ``fault``."""
    before: float | None
    """Price that came to the rule, money; None where it was no price."""
    after: float
    """Price that it left, money."""
    why: str


class PriceLog(NamedTuple):
    """What a product was charged, a day at a time up to today, and which prices its history supports."""

    dates: DateArray
    """``(D,)`` ascending days; 28 and the minimum hold are looked back to."""
    prices: FloatArray
    """``(D,)`` money; the last is the current price."""
    support: tuple[float, float]
    """Lowest and highest price that the history supports, money; see ``support_box``."""
    moves_in_steps: bool = True
    """Without, as with absolute actions, no rule looks at past prices."""

    def charge(self, price: float) -> PriceLog:
        """Return the log with one more day at ``price``."""
        return self._replace(
            dates=np.append(self.dates, self.dates[-1] + DAY),
            prices=np.append(self.prices, price),
        )


class UnitCosts(NamedTuple):
    """What is left of a price."""

    share_kept: float
    """Share of the price after fees."""
    unit_cost: float
    """Money."""
    known: bool


class Bound(NamedTuple):
    """One rule's lowest and highest price, money."""

    rule: str
    low: float
    high: float
    why: str

    def nearest(self, price: float) -> float:
        """The price nearest to one that the rule allows, money; infinite where it allows none."""
        return min(max(price, self.low), self.high)


@dataclass(frozen=True)
class Rulebook:
    """The rules around one price now."""

    now: float
    """Price of the log's last day, money."""
    log: PriceLog
    """Recent prices."""
    costs: UnitCosts
    """What the margin is reckoned with."""
    config: GuardrailConfig
    """The product's own limits, ``GuardrailConfig.of``."""

    def objections(self, price: float) -> Iterator[Edit]:
        """What each rule on its own has against charging a price on the day after the log ends.

        Args:
            price: positive, finite, money.

        Yields:
            One edit a rule that objects, in the order of the rules: from the price to the nearest that this rule
            allows, which is infinite where it allows none.
        """
        bounds, moves = tuple(self.bounds()), abs(price - self.now) > self.slack(self.now)
        if moves and self.config.pause:
            yield Edit("pause", price, self.now, PAUSED)
        for bound in bounds:
            nearest = bound.nearest(price)
            if abs(nearest - price) > self.slack(price):
                yield Edit(bound.rule, price, nearest, bound.why)
        if moves and (why := self.too_young()):
            yield Edit("min_hold_days", price, self.now, why)
        allowed = self.nearest(price)
        if moves and abs(allowed - price) > self.slack(price):
            yield Edit(self.grid_rule(), price, allowed, NEAREST)
        if moves and self.may_stay(bounds) and (why := self.too_small(price)):
            yield Edit("min_change", price, self.now, why)

    def bounds(self) -> Iterator[Bound]:
        """Each rule's limits in the order in which they are applied; soft ones leave the current price alone."""
        config, now = self.config, self.now
        yield self._soft("support_margin", *self.log.support, "near the prices that were tried")
        if self.costs.known:
            kept = self.costs.share_kept - config.min_margin
            lowest = self.costs.unit_cost / kept if kept > 0 else math.inf
            yield Bound(
                "min_margin", lowest, math.inf, f"a margin of {100 * config.min_margin:g} % after fees and cost"
            )
        yield Bound("price_step", config.price_step, math.inf, "a price is at least one price step")
        for rule in ("min_advertised_price", "floor"):
            if (value := getattr(config, rule)) is not None:
                yield Bound(rule, value, math.inf, f"at least {value:g}")
        yield Bound("ceiling", 0.0, config.highest, f"at most {config.highest:g}")
        if not self.log.moves_in_steps:
            return
        if config.max_above_median is not None:
            median = float(np.median(self._back_to(TRAILING_DAYS)))
            why = f"at most {100 * config.max_above_median:g} % above {median:g}, its median of {TRAILING_DAYS} days"
            yield self._soft("max_above_median", 0.0, median * (1 + config.max_above_median), why)
        drop, rise = config.drop, config.rise
        yield Bound(
            config.drop_setting, now * (1 - drop), math.inf, f"at most {100 * drop:g} % below the current price"
        )
        yield Bound(config.rise_setting, 0.0, now * (1 + rise), f"at most {100 * rise:g} % above the current price")
        week, change = float(self._back_to(WEEK)[0]), config.max_week_change
        why = f"at most {100 * change:g} % from {week:g}, the price of {WEEK} days before"
        yield self._soft("max_week_change", week * (1 - change), week * (1 + change), why)

    def _soft(self, rule: str, low: float, high: float, why: str) -> Bound:
        """A bound that moves out of the way of the current price, where prices move in steps."""
        if not self.log.moves_in_steps:
            return Bound(rule, low, high, why)
        return Bound(rule, min(low, self.now), max(high, self.now), why)

    def may_stay(self, bounds: tuple[Bound, ...]) -> bool:
        """Whether no bound forbids the current price."""
        slack = self.slack(self.now)
        return all(bound.low - slack <= self.now <= bound.high + slack for bound in bounds)

    def too_young(self) -> str:
        """Why the current price has to stay, if its minimum hold is not over."""
        if not self.log.moves_in_steps:
            return ""
        changed = np.flatnonzero(self.log.prices != self.log.prices[-1])
        first = changed[-1] + 1 if len(changed) else 0
        held, hold = int((self.log.dates[-1] - self.log.dates[first]) / DAY) + 1, self.config.min_hold_days
        return f"the current price has been charged for {held} of at least {hold} days" if held < hold else ""

    def too_small(self, price: float) -> str:
        """Why a change to a price is left out, if it is smaller than the smallest one."""
        least = self.config.min_change
        small = abs(price - self.now) < least * self.now - self.slack(self.now)
        return f"smaller than {100 * least:g} %" if small else ""

    def grid_rule(self) -> str:
        """The setting that says which prices may be charged at all."""
        lists = ("price_ladder", "charm_endings")
        return next((name for name in lists if getattr(self.config, name) is not None), "price_step")

    def _back_to(self, days: int) -> FloatArray:
        """Prices of the days from ``days`` before the coming one on, ``(days,)``; the first price holds before it."""
        dates = self.log.dates[-1] - np.arange(days - 1, -1, -1) * DAY
        position = np.searchsorted(self.log.dates, dates, "right") - 1
        return np.asarray(self.log.prices[np.maximum(position, 0)])

    def nearest(self, price: float, low: float = -math.inf, high: float = math.inf) -> float:
        """The allowed price nearest to one, money, between ``low`` and ``high``, which are in price steps."""
        return self._money(min(max(self.config.menu.nearest(self._in_steps(price)), low), high))

    def inward(self, low: float, high: float) -> tuple[float, float]:
        """First and last allowed price inside a band, in price steps."""
        menu = self.config.menu
        return (
            menu.at_or_above(self._in_steps(low) * (1 - FLOAT32_SLACK) - ROUNDING_SLACK),
            menu.at_or_below(self._in_steps(high) * (1 + FLOAT32_SLACK) + ROUNDING_SLACK),
        )

    def slack(self, price: float) -> float:
        """How far beyond a limit a price still counts as on it, money."""
        return FLOAT32_SLACK * price + ROUNDING_SLACK * self.config.price_step

    def _in_steps(self, price: float) -> float:
        per_unit = steps_per_unit(self.config.price_step)
        return price / self.config.price_step if per_unit is None else price * per_unit

    def _money(self, steps: float) -> float:
        per_unit = steps_per_unit(self.config.price_step)
        return steps * self.config.price_step if per_unit is None else steps / per_unit
