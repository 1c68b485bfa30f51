"""The last gate: every price that leaves passes it last, one at a time, and it says what each rule changed.

The rules are those of ``market/guardrails.py``, written a second time in plain Python: where the two agree, nothing
is left to change, and where anything is wrong the price now is kept. Order and conflicts: ``docs/guardrails.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from pricerl.errors import NonFiniteError
from pricerl.market.guardrail_config import TRAILING_DAYS, GuardrailConfig
from pricerl.market.price_menu import FLOAT32_SLACK, ROUNDING_SLACK, steps_per_unit

WEEK = 7
"""Days."""
DAY = np.timedelta64(1, "D")


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


@dataclass(frozen=True)
class Gated:
    """A price that passed the gate, money, with every edit in the order it was made."""

    price: float
    edits: tuple[Edit, ...] = ()


class PriceLog(NamedTuple):
    """What a product was charged, a day at a time up to today, and which prices its history supports."""

    dates: NDArray[np.datetime64]
    """``(D,)`` ascending days; 28 and the minimum hold are looked back to."""
    prices: NDArray[np.float64]
    """``(D,)`` money; the last is the price now."""
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


class Wall(NamedTuple):
    """One rule's lowest and highest price, money."""

    rule: str
    low: float
    high: float
    why: str


def pass_gate(proposed: object, price_now: object, log: PriceLog, costs: UnitCosts, config: GuardrailConfig) -> Gated:
    """Let a proposed price through, or the nearest one that every rule allows, or the price now.

    Args:
        proposed: whatever was proposed for the day after the log ends.
        price_now: price of the log's last day.
        log: recent prices.
        costs: what the margin is reckoned with.
        config: the product's own limits, ``GuardrailConfig.of``.

    Returns:
        A positive, finite price. Whatever is wrong, and whatever is raised inside, it is the price now, or the last
        one on the log where that is no price either.

    Raises:
        NonFiniteError: neither the price now nor the log holds a price that could be kept.
    """
    now = _price_to_keep(price_now, log)
    try:
        if not is_price(price_now):
            return Gated(now, (Edit("finite", None, now, "the price now is no price; the last one charged is kept"),))
        if not is_price(proposed):
            why = "the proposal is no positive, finite number; the price now is kept"
            return Gated(now, (Edit("finite", None, now, why),))
        _check_log(log, now)
        gated = _Gate(now, log, costs, config).apply(float(proposed))
        if not is_price(gated.price):
            raise ValueError(f"the rules made {gated.price} of it")
        return gated
    except Exception as error:  # fail closed, whatever went wrong
        return Gated(now, (Edit("fault", None, now, f"the price now is kept: {type(error).__name__}: {error}"),))


def is_price(value: object) -> TypeGuard[float]:
    """Whether a value is a positive, finite number."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value) and float(value) > 0
    except Exception:  # numbers too large for a float, and whatever else calls itself a number
        return False


def _price_to_keep(price_now: object, log: PriceLog) -> float:
    if is_price(price_now):
        return float(price_now)
    try:
        charged = [float(price) for price in log.prices if is_price(price)]
    except Exception:  # a log that is none
        charged = []
    if not charged:
        raise NonFiniteError("guardrails: neither the price now nor the price log holds a positive, finite price")
    return charged[-1]


def _check_log(log: PriceLog, now: float) -> None:
    prices, dates = np.asarray(log.prices), np.asarray(log.dates)
    if prices.shape != dates.shape or prices.ndim != 1:
        raise ValueError("the price log has not one price a date")
    if not (np.isfinite(prices) & (prices > 0)).all():
        raise ValueError("the price log holds something that is no price")
    if not (np.diff(dates) > np.timedelta64(0, "D")).all():
        raise ValueError("the dates of the price log do not ascend")
    if abs(prices[-1] - now) > FLOAT32_SLACK * now:
        raise ValueError(f"the price log ends at {prices[-1]:g}, not at the price now, {now:g}")


@dataclass(frozen=True)
class _Gate:
    """The rules around one price now."""

    now: float
    log: PriceLog
    costs: UnitCosts
    config: GuardrailConfig

    def apply(self, proposed: float) -> Gated:
        """Apply every rule in order."""
        config, now = self.config, self.now
        if config.pause:
            return self._keep((), proposed, "pause", "the product is paused")
        walls = tuple(self._walls())
        if any(math.isnan(bound) for wall in walls for bound in (wall.low, wall.high)):
            raise ValueError("a limit is no number")
        edits, price = self._clip(proposed, walls)
        if self.log.moves_in_steps and (days := self._days_held()) < config.min_hold_days:
            why = f"the price now has been charged for {days} of at least {config.min_hold_days} days"
            return self._keep(edits, price, "min_hold_days", why)
        keep = all(wall.low - self._slack(now) <= now <= wall.high + self._slack(now) for wall in walls)
        if keep and abs(proposed - now) <= self._slack(now):
            return Gated(now)
        lowest, highest = max(walls, key=lambda wall: wall.low), min(walls, key=lambda wall: wall.high)
        low, high = self._inward(lowest.low, highest.high)
        if not low <= high or math.isinf(low):
            return self._keep(edits, price, "conflict", self._conflict(lowest, highest))
        allowed = self._money(min(max(config.menu.nearest(self._in_steps(price)), low), high))
        if abs(allowed - price) > self._slack(price):
            edits = (*edits, Edit(self._grid_rule(), price, allowed, "the nearest price that may be charged"))
        if keep and abs(allowed - now) < config.min_change * now - self._slack(now):
            return self._keep(edits, allowed, "min_change", f"smaller than {100 * config.min_change:g} %")
        return Gated(allowed, edits)

    def _walls(self) -> Iterator[Wall]:
        """Each rule's limits in the order in which they are applied; soft ones leave the price now alone."""
        config, now = self.config, self.now
        yield self._soft("support_margin", *self.log.support, "near the prices that were tried")
        if self.costs.known:
            kept = self.costs.share_kept - config.min_margin
            lowest = self.costs.unit_cost / kept if kept > 0 else math.inf
            yield Wall("min_margin", lowest, math.inf, f"a margin of {100 * config.min_margin:g} % after fees and cost")
        yield Wall("price_step", config.price_step, math.inf, "a price is at least one price step")
        for rule in ("min_advertised_price", "floor"):
            if (value := getattr(config, rule)) is not None:
                yield Wall(rule, value, math.inf, f"at least {value:g}")
        yield Wall("ceiling", 0.0, config.highest, f"at most {config.highest:g}")
        if not self.log.moves_in_steps:
            return
        if config.max_above_median is not None:
            median = float(np.median(self._back_to(TRAILING_DAYS)))
            why = f"at most {100 * config.max_above_median:g} % above {median:g}, its median of {TRAILING_DAYS} days"
            yield self._soft("max_above_median", 0.0, median * (1 + config.max_above_median), why)
        drop, rise = config.drop, config.rise
        yield Wall(config.drop_setting, now * (1 - drop), math.inf, f"at most {100 * drop:g} % below the price now")
        yield Wall(config.rise_setting, 0.0, now * (1 + rise), f"at most {100 * rise:g} % above the price now")
        week, change = float(self._back_to(WEEK)[0]), config.max_week_change
        why = f"at most {100 * change:g} % from {week:g}, the price of {WEEK} days before"
        yield self._soft("max_week_change", week * (1 - change), week * (1 + change), why)

    def _clip(self, price: float, walls: tuple[Wall, ...]) -> tuple[tuple[Edit, ...], float]:
        """Move a price inside one wall after the other: inside all of them, unless they exclude each other."""
        edits: list[Edit] = []
        for wall in walls:
            clipped = min(max(price, wall.low), wall.high)
            if abs(clipped - price) > self._slack(price) and math.isfinite(clipped):
                edits.append(Edit(wall.rule, price, float(clipped), wall.why))
                price = clipped
        return tuple(edits), price

    def _soft(self, rule: str, low: float, high: float, why: str) -> Wall:
        """A wall that moves out of the way of the price now, where prices move in steps."""
        if not self.log.moves_in_steps:
            return Wall(rule, low, high, why)
        return Wall(rule, min(low, self.now), max(high, self.now), why)

    def _keep(self, edits: tuple[Edit, ...], price: float, rule: str, why: str) -> Gated:
        """Keep the price now; conflicts are told even where nothing else was proposed."""
        if rule != "conflict" and abs(price - self.now) <= self._slack(self.now):
            return Gated(self.now, edits)
        return Gated(self.now, (*edits, Edit(rule, price, self.now, why)))

    def _conflict(self, lowest: Wall, highest: Wall) -> str:
        """Name the two rules that leave no price."""
        if lowest.low > highest.high:
            bounds = f"{lowest.rule} asks for at least {lowest.low:g}, {highest.rule} for at most {highest.high:g}"
        else:
            between = f"{lowest.low:g} ({lowest.rule}) and {highest.high:g} ({highest.rule})"
            bounds = f"{self._grid_rule()} has no price between {between}"
        return f"{bounds}; the price now is kept, and someone should look"

    def _grid_rule(self) -> str:
        """The setting that says which prices may be charged at all."""
        lists = ("price_ladder", "charm_endings")
        return next((name for name in lists if getattr(self.config, name) is not None), "price_step")

    def _days_held(self) -> int:
        """Days for which the price now has been charged."""
        changed = np.flatnonzero(self.log.prices != self.log.prices[-1])
        first = changed[-1] + 1 if len(changed) else 0
        return int((self.log.dates[-1] - self.log.dates[first]) / DAY) + 1

    def _back_to(self, days: int) -> NDArray[np.float64]:
        """Prices of the days from ``days`` before the coming one on, ``(days,)``; the first price holds before it."""
        dates = self.log.dates[-1] - np.arange(days - 1, -1, -1) * DAY
        position = np.searchsorted(self.log.dates, dates, "right") - 1
        return np.asarray(self.log.prices[np.maximum(position, 0)])

    def _inward(self, low: float, high: float) -> tuple[float, float]:
        """First and last allowed price inside a band, in price steps."""
        menu = self.config.menu
        return (
            menu.at_or_above(self._in_steps(low) * (1 - FLOAT32_SLACK) - ROUNDING_SLACK),
            menu.at_or_below(self._in_steps(high) * (1 + FLOAT32_SLACK) + ROUNDING_SLACK),
        )

    def _slack(self, price: float) -> float:
        """How far beyond a limit a price still counts as on it, money."""
        return FLOAT32_SLACK * price + ROUNDING_SLACK * self.config.price_step

    def _in_steps(self, price: float) -> float:
        per_unit = steps_per_unit(self.config.price_step)
        return price / self.config.price_step if per_unit is None else price * per_unit

    def _money(self, steps: float) -> float:
        per_unit = steps_per_unit(self.config.price_step)
        return steps * self.config.price_step if per_unit is None else steps / per_unit
