"""Orders: overrides and pauses, which take precedence over the model but not over hard limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pricerl.advice.result import Order, Status
from pricerl.guardrails.price_grid import FLOAT32_SLACK, from_steps, in_steps, slack
from pricerl.operations.decision_log import Entry

if TYPE_CHECKING:
    from pricerl.data import ProductHistory
    from pricerl.env import Dynamics

OVERRIDE, PAUSE, RESUME, APPROVAL, ADVICE, ROLLBACK = "override", "pause", "resume", "approval", "advice", "rollback"
RETRAIN, PRICE_TEST, TEST_RESULT = "retrain", "price_test", "price_test_result"
"""Kinds of entries; ``repair`` is the only other one."""

TOLERANCE = 0.20
"""Largest difference between an ordered price and the current one that needs no ``--force``, as a share: four of the
largest changes that the guardrails allow by default."""


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

    Orders that end before ``first_day``, the first day after the data in ISO format, have expired. Those that a person
    ended earlier have ended, and so has a price test with a result. An override or a pause suspends a price test; the
    test goes on after it.
    """
    kinds = (OVERRIDE, PAUSE, RESUME, PRICE_TEST, TEST_RESULT)
    own = [entry for entry in entries if entry["kind"] in kinds and entry["product"] == product]
    ended = {entry["ends"] for entry in own if entry["kind"] == RESUME}
    ended |= {entry["test"] for entry in own if entry["kind"] == TEST_RESULT}
    orders: list[Order] = []
    for group in ((OVERRIDE, PAUSE), (PRICE_TEST,)):
        found = [entry for entry in own if entry["kind"] in group]
        for entry in found:
            late = entry["until"] < first_day
            status: Status = "expired" if late else "replaced" if entry is not found[-1] else "active"
            status = "ended" if entry["id"] in ended and status == "active" else status
            suspended = entry["kind"] == PRICE_TEST and any(order.status == "active" for order in orders)
            orders.append(_read_order(entry, "suspended" if suspended and status == "active" else status))
    return sorted(orders, key=lambda order: order.id)


def _read_order(entry: Entry, status: Status) -> Order:
    days = tuple((day["date"], day["price"]) for day in entry.get("schedule", ()))
    price = entry["regular_price"] if days else entry.get("price")
    about = (entry["id"], entry["kind"], price, entry["until"], entry["actor"], entry["reason"], status)
    return Order(*about, schedule=days)


def active_order(entries: Iterable[Entry], product: str, first_day: str) -> Order | None:
    """Return the order in force on a product from ``first_day`` on, in ISO format, before any hard limit is checked."""
    return next((order for order in orders_of(entries, product, first_day) if order.status == "active"), None)


def judge_orders(orders: Sequence[Order], current_price: float, limits: HardLimits) -> list[Order]:
    """Refuse the active order if its price breaks a hard limit; limits can change after the order."""
    judged = []
    for order in orders:
        refusal = ""
        if order.status == "active":
            prices = sorted({price for _, price in order.schedule} or {order.price or current_price})
            refusals = (refuse_price(price, limits, order.kind.replace("_", " ")) for price in prices)
            refusal = next(filter(None, refusals), "")
        judged.append(replace(order, status="refused", refusal=refusal) if refusal else order)
    return judged


def doubt_price(price: float, current_price: float, tried: Sequence[float], tolerance: float = TOLERANCE) -> str:
    """Return why a person must confirm an ordered price, money, as a sentence; empty if nobody need.

    Args:
        price: the ordered price.
        current_price: the price in force.
        tried: lowest and highest price ever charged, money; empty if unknown, as in older entries.
        tolerance: largest difference from the current price, as a share of it.
    """
    doubts, change = [], price / current_price - 1
    if abs(change) > tolerance + FLOAT32_SLACK:
        way = "above" if change > 0 else "below"
        far = f"{100 * abs(change):.3g} % {way} the current price of {current_price:g}"
        doubts.append(f"{far} (--tolerance {tolerance:g})")
    if is_untried(price, tried):
        low, high = tried
        doubts.append(f"outside the prices tried, {low:g} to {high:g}, so nothing can be forecast there")
    return f"{price:g} is {' and '.join(doubts)}" if doubts else ""


def is_untried(price: float, tried: Sequence[float]) -> bool:
    """Return whether a price, money, is below the lowest or above the highest price ever charged."""
    return bool(tried) and not tried[0] * (1 - FLOAT32_SLACK) <= price <= tried[1] * (1 + FLOAT32_SLACK)


def tried_prices(history: ProductHistory) -> tuple[float, float]:
    """Return the lowest and the highest price ever charged, money."""
    tried = history.price[history.observed]
    return round(float(tried.min()), 6), round(float(tried.max()), 6)


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
