"""The last gate: every price that leaves passes it last, one at a time, and it says what each rule changed.

It applies the rules of ``guardrails/rulebook.py`` one after the other. A price that came through the batched projection
passes unchanged, and where anything is wrong the current price is kept. Order and conflicts: ``docs/guardrails.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TypeGuard

import numpy as np

from pricerl.errors import NonFiniteError
from pricerl.guardrails.config import GuardrailConfig
from pricerl.guardrails.price_grid import FLOAT32_SLACK
from pricerl.guardrails.rulebook import NEAREST, PAUSED, Bound, Edit, PriceLog, Rulebook, UnitCosts


@dataclass(frozen=True)
class Gated:
    """A price that passed the gate, money, with every edit in the order it was made."""

    price: float
    edits: tuple[Edit, ...] = ()


def pass_gate(
    proposed: object, current_price: object, log: PriceLog, costs: UnitCosts, config: GuardrailConfig
) -> Gated:
    """Let a proposed price through, or the nearest one that every rule allows, or the current price.

    Args:
        proposed: whatever was proposed for the day after the log ends.
        current_price: price of the log's last day.
        log: recent prices.
        costs: what the margin is reckoned with.
        config: the product's own limits, ``GuardrailConfig.of``.

    Returns:
        A positive, finite price. Whatever is wrong, and whatever is raised inside, it is the current price, or the last
        one on the log where that is no price either.

    Raises:
        NonFiniteError: neither the current price nor the log holds a price that could be kept.
    """
    now = _price_to_keep(current_price, log)
    try:
        if not is_price(current_price):
            return Gated(
                now, (Edit("finite", None, now, "the current price is no price; the last one charged is kept"),)
            )
        if not is_price(proposed):
            why = "the proposal is no positive, finite number; the current price is kept"
            return Gated(now, (Edit("finite", None, now, why),))
        _check_log(log, now)
        gated = _apply(Rulebook(now, log, costs, config), float(proposed))
        if not is_price(gated.price):
            raise ValueError(f"the rules made {gated.price} of it")
        return gated
    except Exception as error:  # fail closed, whatever went wrong
        return Gated(now, (Edit("fault", None, now, f"the current price is kept: {type(error).__name__}: {error}"),))


def is_price(value: object) -> TypeGuard[float]:
    """Whether a value is a positive, finite number."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value) and float(value) > 0
    except Exception:  # numbers too large for a float, and whatever else calls itself a number
        return False


def _price_to_keep(current_price: object, log: PriceLog) -> float:
    if is_price(current_price):
        return float(current_price)
    try:
        charged = [float(price) for price in log.prices if is_price(price)]
    except Exception:  # a log that is none
        charged = []
    if not charged:
        raise NonFiniteError("guardrails: neither the current price nor the price log holds a positive, finite price")
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
        raise ValueError(f"the price log ends at {prices[-1]:g}, not at the current price, {now:g}")


def _apply(rules: Rulebook, proposed: float) -> Gated:
    """Apply every rule in order."""
    if rules.config.pause:
        return _keep(rules, (), proposed, "pause", PAUSED)
    bounds = tuple(rules.bounds())
    if any(math.isnan(limit) for bound in bounds for limit in (bound.low, bound.high)):
        raise ValueError("a limit is no number")
    edits, price = _clip(rules, proposed, bounds)
    if why := rules.too_young():
        return _keep(rules, edits, price, "min_hold_days", why)
    may_stay = rules.may_stay(bounds)
    if may_stay and abs(proposed - rules.now) <= rules.slack(rules.now):
        return Gated(rules.now)
    lowest, highest = max(bounds, key=lambda bound: bound.low), min(bounds, key=lambda bound: bound.high)
    low, high = rules.inward(lowest.low, highest.high)
    if not low <= high or math.isinf(low):
        return _keep(rules, edits, price, "conflict", _conflict(rules, lowest, highest))
    allowed = rules.nearest(price, low, high)
    if abs(allowed - price) > rules.slack(price):
        edits = (*edits, Edit(rules.grid_rule(), price, allowed, NEAREST))
    if may_stay and (why := rules.too_small(allowed)):
        return _keep(rules, edits, allowed, "min_change", why)
    return Gated(allowed, edits)


def _clip(rules: Rulebook, price: float, bounds: tuple[Bound, ...]) -> tuple[tuple[Edit, ...], float]:
    """Move a price inside one bound after the other: inside all of them, unless they exclude each other."""
    edits: list[Edit] = []
    for bound in bounds:
        clipped = bound.nearest(price)
        if abs(clipped - price) > rules.slack(price) and math.isfinite(clipped):
            edits.append(Edit(bound.rule, price, float(clipped), bound.why))
            price = clipped
    return tuple(edits), price


def _keep(rules: Rulebook, edits: tuple[Edit, ...], price: float, rule: str, why: str) -> Gated:
    """Keep the current price; conflicts are told even where nothing else was proposed."""
    if rule != "conflict" and abs(price - rules.now) <= rules.slack(rules.now):
        return Gated(rules.now, edits)
    return Gated(rules.now, (*edits, Edit(rule, price, rules.now, why)))


def _conflict(rules: Rulebook, lowest: Bound, highest: Bound) -> str:
    """Name the two rules that leave no price."""
    if lowest.low > highest.high:
        bounds = f"{lowest.rule} asks for at least {lowest.low:g}, {highest.rule} for at most {highest.high:g}"
    else:
        between = f"{lowest.low:g} ({lowest.rule}) and {highest.high:g} ({highest.rule})"
        bounds = f"{rules.grid_rule()} has no price between {between}"
    return f"{bounds}; the current price is kept, and someone should look"
