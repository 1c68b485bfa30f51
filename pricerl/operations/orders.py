"""What people ordered: a price until a day, or a pause; above the model, never above the hard limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pricerl.advice.result import Order, Status
from pricerl.guardrails.price_grid import FLOAT32_SLACK, ROUNDING_SLACK
from pricerl.operations.decision_log import Entry

if TYPE_CHECKING:
    from pricerl.env import Dynamics

OVERRIDE, PAUSE, APPROVAL, ADVICE = "override", "pause", "approval", "advice"
"""Kinds of entries, beside ``repair``."""


@dataclass(frozen=True)
class HardLimits:
    """Limits that nothing outranks, in money."""

    floor: float
    """The larger of ``guardrails.floor``, the price that leaves the minimum margin, and one price step."""
    ceiling: float | None
    price_step: float


def hard_limits_of(dynamics: Dynamics, product: int) -> HardLimits:
    """The limits of one product that nothing outranks.

    Args:
        dynamics: the market with its guardrails.
        product: product index.
    """
    floor, ceiling = (float(limit[product]) for limit in (dynamics.limits.floor, dynamics.limits.ceiling))
    step = dynamics.guardrails.price_step
    return HardLimits(round(max(floor, step), 6), None if ceiling == float("inf") else round(ceiling, 6), step)


def orders_of(entries: Iterable[Entry], product: str, first_day: str) -> list[Order]:
    """Every order on a product, oldest first; a newer one replaces those before it.

    Args:
        entries: of the log.
        product: its name.
        first_day: of the next days, ISO; an order whose last day lies before it has expired.
    """
    found = [entry for entry in entries if entry["kind"] in (OVERRIDE, PAUSE) and entry["product"] == product]
    orders: list[Order] = []
    for entry in found:
        status: Status = "expired" if entry["until"] < first_day else "replaced" if entry is not found[-1] else "active"
        orders.append(
            Order(
                id=entry["id"],
                kind=entry["kind"],
                price=entry.get("price"),
                until=entry["until"],
                actor=entry["actor"],
                reason=entry["reason"],
                status=status,
            )
        )
    return orders


def judge_orders(orders: Sequence[Order], current_price: float, limits: HardLimits) -> list[Order]:
    """Refuse the active order if its price breaks a hard limit: those can change after it was given."""
    judged = []
    for order in orders:
        refusal = ""
        if order.status == "active":
            refusal = refuse_price(current_price if order.price is None else order.price, limits, order.kind)
        judged.append(replace(order, status="refused", refusal=refusal) if refusal else order)
    return judged


def refuse_price(price: float, limits: HardLimits, what: str = OVERRIDE) -> str:
    """Say which hard limit a price breaks, naming both; nothing if it breaks none.

    Args:
        price: money.
        limits: of the product.
        what: the order's kind; a pause invents no price, so its price need not lie on the grid.
    """
    if price < limits.floor * (1 - FLOAT32_SLACK):
        return f"the {what} of {price:g} lies below the floor of {limits.floor:g} (floor, minimum margin or price step)"
    if limits.ceiling is not None and price > limits.ceiling * (1 + FLOAT32_SLACK):
        return f"the {what} of {price:g} lies above the ceiling of {limits.ceiling:g} (guardrails.ceiling)"
    steps = round(price / limits.price_step)
    off = abs(price / limits.price_step - steps)
    if what == OVERRIDE and off > max(ROUNDING_SLACK, FLOAT32_SLACK * steps):
        return f"the {what} of {price:g} is no whole multiple of the price step of {limits.price_step:g}"
    return ""
