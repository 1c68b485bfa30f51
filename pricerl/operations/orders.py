"""Orders: overrides and pauses, which take precedence over the model but not over hard limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pricerl.advice.result import Order, Status
from pricerl.guardrails.price_grid import from_steps, in_steps, slack
from pricerl.operations.decision_log import Entry

if TYPE_CHECKING:
    from pricerl.env import Dynamics

OVERRIDE, PAUSE, APPROVAL, ADVICE = "override", "pause", "approval", "advice"
"""Kinds of entries; ``repair`` is the only other one."""


@dataclass(frozen=True)
class HardLimits:
    """Hard limits on a price, in money, which no order can break."""

    floor: float
    """Largest of ``guardrails.floor``, the price that leaves the minimum margin, and one price step."""
    ceiling: float | None
    price_step: float


def hard_limits_of(dynamics: Dynamics, product: int) -> HardLimits:
    """Return the hard limits of one product."""
    floor, ceiling = (float(limit[product]) for limit in (dynamics.limits.floor, dynamics.limits.ceiling))
    step = dynamics.guardrails.price_step
    return HardLimits(round(max(floor, step), 6), None if ceiling == float("inf") else round(ceiling, 6), step)


def orders_of(entries: Iterable[Entry], product: str, first_day: str) -> list[Order]:
    """Return all orders on a product, oldest first; a newer one replaces the earlier ones.

    Orders that end before ``first_day``, the first day after the data in ISO format, have expired.
    """
    found = [entry for entry in entries if entry["kind"] in (OVERRIDE, PAUSE) and entry["product"] == product]
    orders: list[Order] = []
    for entry in found:
        status: Status = "expired" if entry["until"] < first_day else "replaced" if entry is not found[-1] else "active"
        about = (entry["id"], entry["kind"], entry.get("price"), entry["until"], entry["actor"], entry["reason"])
        orders.append(Order(*about, status))
    return orders


def judge_orders(orders: Sequence[Order], current_price: float, limits: HardLimits) -> list[Order]:
    """Refuse the active order if its price breaks a hard limit; limits can change after the order."""
    judged = []
    for order in orders:
        refusal = ""
        if order.status == "active":
            refusal = refuse_price(current_price if order.price is None else order.price, limits, order.kind)
        judged.append(replace(order, status="refused", refusal=refusal) if refusal else order)
    return judged


def refuse_price(price: float, limits: HardLimits, what: str = OVERRIDE) -> str:
    """Return the hard limit that a price, money, breaks, in words, or an empty string.

    ``what`` is the kind of the order; a pause keeps the current price, which may be off the price grid.
    """
    tolerance = slack(price, limits.price_step)
    if price < limits.floor - tolerance:
        return f"the {what} of {price:g} is below the floor of {limits.floor:g} (floor, minimum margin or price step)"
    if limits.ceiling is not None and price > limits.ceiling + tolerance:
        return f"the {what} of {price:g} is above the ceiling of {limits.ceiling:g} (guardrails.ceiling)"
    nearest = from_steps(round(in_steps(price, limits.price_step)), limits.price_step)
    if what == OVERRIDE and abs(price - nearest) > tolerance:
        return f"the {what} of {price:g} is not a multiple of the price step of {limits.price_step:g}"
    return ""
