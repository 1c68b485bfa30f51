"""Final gate: the last check of every outgoing price, with a reason for every edit.

It evaluates the rules of ``guardrails/limits.py`` in double precision for one price. Prices from the batched projection
pass unchanged; on any error the current price is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TypeGuard

import numpy as np

from pricerl.errors import NonFiniteError, refuse
from pricerl.guardrails.today import PAUSED, Edit, PriceLog, Today

HELD = "the current price is kept, and someone should look"
FLAGS = (bool, np.bool_)
NO_PRICE = "the proposal is no positive, finite number; the current price is kept"


@dataclass(frozen=True)
class Gated:
    """A price that passed the gate, in money, with every edit in the order it was made."""

    price: float
    edits: tuple[Edit, ...] = ()


def pass_gate(proposed: object, today: Today) -> Gated:
    """Return the price, of any type, proposed for the day after the log, else the nearest that every rule allows.

    On any error it is the current price, or the last valid one of the log.

    Raises:
        NonFiniteError: the log contains no valid price to keep.
    """
    now = _last_price(today.log)
    try:
        if not is_price(proposed):
            return Gated(now, (Edit("finite", None, now, NO_PRICE),))
        _check_log(today.log)
        gated = apply_rules(today, float(proposed))
        if not is_price(gated.price):
            raise ValueError(f"the rules made {gated.price} of it")
        return gated
    except Exception as error:  # fail closed on any error
        return Gated(now, (Edit("fault", None, now, f"the current price is kept: {type(error).__name__}: {error}"),))


def is_price(value: object) -> TypeGuard[float]:
    """Return whether a value is a positive, finite number."""
    try:
        return not isinstance(value, FLAGS) and isinstance(value, Real) and math.isfinite(value) and float(value) > 0
    except Exception:  # numbers too large for a float, and objects that fail as numbers
        return False


def _last_price(log: PriceLog) -> float:
    try:
        return next(float(price) for price in np.ravel(log.prices)[::-1] if is_price(price))
    except Exception:  # an invalid log, or one without a price
        raise NonFiniteError("guardrails: the price log holds no positive, finite price") from None


def _check_log(log: PriceLog) -> None:
    prices, dates = np.asarray(log.prices), np.asarray(log.dates)
    faults = {
        "the price log needs one price per date": prices.shape != dates.shape or prices.ndim != 1,
        "the price log holds something that is no price": not (np.isfinite(prices) & (prices > 0)).all(),
        "the dates of the price log do not ascend": not (np.diff(dates) > np.timedelta64(0, "D")).all(),
    }
    refuse(faults, ValueError)


def apply_rules(today: Today, proposed: float) -> Gated:
    """Apply every rule in order, unless a price is kept that all of them allow."""
    if today.same(proposed, today.now) and today.band.keep:
        return Gated(today.now)
    if today.config.pause:
        return _keep(today, (), proposed, "pause", PAUSED)
    edits, price = _clip(today, proposed)
    if why := today.too_young():
        return _keep(today, edits, price, "min_hold_days", why)
    if today.waits:
        return Gated(today.now, edits)
    if not today.band.feasible:
        return _keep(today, edits, price, "conflict", f"{today.conflict()}; {HELD}")
    allowed = min(max(today.on_grid(price), today.band.low), today.band.high)
    if not today.same(allowed, price):
        edits = (*edits, today.grid_edit(price, allowed))
    if why := today.too_small(allowed):
        return _keep(today, edits, allowed, "min_change", why)
    return Gated(allowed, edits)


def _clip(today: Today, price: float) -> tuple[tuple[Edit, ...], float]:
    """Clip a price to one bound after the other; the result satisfies all of them unless they conflict."""
    edits: list[Edit] = []
    for bound in () if today.is_step(price) else today.bounds:
        clipped = bound.nearest(price)
        if not today.same(clipped, price) and math.isfinite(clipped):
            edits.append(Edit(bound.rule, price, clipped, today.explain(bound)))
            price = clipped
    return tuple(edits), price


def _keep(today: Today, edits: tuple[Edit, ...], price: float, rule: str, why: str) -> Gated:
    """Keep the current price; conflicts are reported even if no other price was proposed."""
    if rule != "conflict" and today.same(price, today.now):
        return Gated(today.now, edits)
    return Gated(today.now, (*edits, Edit(rule, price, today.now, why)))
