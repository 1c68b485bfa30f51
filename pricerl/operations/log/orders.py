"""Orders: overrides and pauses, which take precedence over the model but not over hard limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta

from pricerl.data.reading.columns import LARGEST_NUMBER
from pricerl.decide.standing import Order, Status, active_of
from pricerl.errors import UsageError
from pricerl.guardrails.limits_in_force import HardLimits, refuse_price
from pricerl.guardrails.price_grid import FLOAT32_SLACK, is_outside, same_price
from pricerl.operations.log.decision_log import Entry

OVERRIDE = "override"
PAUSE = "pause"
RESUME = "resume"
APPROVAL = "approval"
ADVICE = "advice"
ROLLBACK = "rollback"
RETRAIN = "retrain"
PRICE_TEST = "price_test"
TEST_RESULT = "price_test_result"
STAGED = "staged"
REJECTION = "rejection"
COSTS = "costs"
PUBLISHING = "publishing"
LIMITS = "limits"
"""Kinds of entries; ``repair`` is the only other one."""

TOLERANCE = 0.20
"""Largest difference between an ordered price and the current one that needs no ``--force``, as a share: four of the
largest changes that the guardrails allow by default."""

RETURN_DAYS = 14
"""Days for which the regular price of an ended price test is charged from each day on, as long as an advice reaches."""


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
            status: Status = "active" if entry is found[-1] else "replaced"
            status = "expired" if entry["until"] < first_day else "ended" if entry["id"] in ended else status
            suspended = entry["kind"] == PRICE_TEST and any(order.status == "active" for order in orders)
            status = "suspended" if suspended and status == "active" else status
            days = tuple((day["date"], day["price"]) for day in entry.get("schedule", ()))
            price = entry["regular_price"] if days else entry.get("price")
            prepared = f"approved as an agent prepared it, entry {entry['staged']}" if entry.get("staged") else ""
            reason = entry["reason"] or prepared
            about = (entry["id"], entry["kind"], price, entry["until"], entry["actor"], reason, status)
            orders.append(Order(*about, schedule=days))
    return sorted(orders, key=lambda order: order.id)


def _returns(test: Entry, own: Sequence[Entry], current_price: float, history_end: str) -> bool:
    """Return whether the regular price of the last price test, which has ended, is still to be charged again.

    It is unless the test showed that the other price is better, a person decided on the price since, or a file that
    ends later shows a price that is not the test's. ``own`` are the product's entries, oldest first.
    """
    over = first_day = ""
    for entry in own:
        if entry["kind"] == ADVICE:
            first_day = entry["days"][0]["date"]
        elif entry["kind"] == TEST_RESULT and entry["test"] == test["id"]:
            if entry["verdict"] == "higher":
                return False
            over = over or min(_day_of(entry), test["until"])
        elif entry["kind"] == RESUME and entry["ends"] == test["id"]:
            if over or max(_day_of(entry), first_day) > test["until"]:
                return False
            over = _day_of(entry)
    over = over or test["until"]
    ended = {entry["ends"] for entry in own if entry["kind"] == RESUME}
    later = (entry for entry in own if entry["kind"] in (OVERRIDE, PAUSE) and entry["id"] > test["id"])
    if over < test["first_day"] or any(entry["until"] > over for entry in later if entry["id"] not in ended):
        return False
    known = [(entry["history_end"], entry["current_price"]) for entry in own if entry["kind"] == ADVICE]
    shown = [price for day, price in (*known, (history_end, current_price)) if day >= over]
    tried = [row["price"] for row in test["schedule"] if row["date"] <= over]
    others = {price for price in tried if not same_price(price, test["regular_price"])}
    return all(any(same_price(price, other) for other in others) for price in shown or tried[-1:])


def _day_of(entry: Entry) -> str:
    return str(entry.get("today") or entry["time"][:10])


def judged_orders(
    entries: Sequence[Entry],
    product: str,
    current_price: float,
    history_end: str,
    limits: HardLimits,
    first_day: str,
    currency: str | None = None,
    restarts: str = "",
) -> list[Order]:
    """Return all orders on a product, oldest first, the active one refused if its price may not be charged any more.

    The hard limits in force can have changed since the order. The current price is from the last day of the data,
    ``history_end``, and ``first_day`` is the next one that is open, both in ISO format. ``currency`` is the file's,
    if known. ``restarts`` states how the file contradicts the one that the last advice knew; it is empty
    if it does not. A price test that has ended is in force until the shop is back at its regular price.
    """
    currencies = {entry["id"]: entry.get("currency") for entry in entries if entry["kind"] == OVERRIDE}
    contradicted = [entry["id"] for entry in entries if entry.get("restarts") and entry["product"] == product]
    orders = orders_of(entries, product, first_day)
    test = next((order for order in reversed(orders) if order.kind == PRICE_TEST), None)
    if test is not None and test.status in ("ended", "expired") and active_of(orders) is None:
        own = [entry for entry in entries if entry.get("product") == product]
        (started,) = (entry for entry in own if entry["id"] == test.id)
        if _returns(started, own, current_price, history_end):
            until = (date.fromisoformat(first_day) + timedelta(days=RETURN_DAYS - 1)).isoformat()
            back = replace(test, status="returning", until=until, schedule=())
            orders = [back if other is test else other for other in orders]
    order = active_of(orders)
    if order is None:
        return orders
    kind = order.kind.replace("_", " ")
    given = currencies.get(order.id)
    if None not in (given, currency) and given != currency:
        refusal = f"the {kind} is in {given or 'no currency'}, the file in {currency or 'no currency'}"
    elif restarts or any(order.id < number for number in contradicted):
        refusal = f"the {kind} was ordered before the prices in the file changed their unit"
    else:
        refusals = (  # the regular price of a test may lie between two steps, as it was charged before
            refuse_price(price, limits, "price" if order.schedule and price != order.price else kind)
            for price in sorted({price for _, price in order.schedule} or {order.price or current_price})
        )
        refusal = next(filter(None, refusals), "")
    refused = replace(order, status="refused", refusal=refusal) if refusal else order
    return [refused if other is order else other for other in orders]


def doubt_price(price: float, current_price: float, tried: Sequence[float], tolerance: float = TOLERANCE) -> str:
    """Return why a person must confirm an ordered price in money, as a sentence; empty if nobody need.

    ``tried`` is the lowest and the highest price ever charged, ``tolerance`` the largest difference from the current
    price, as a share of it.
    """
    doubts = []
    change = price / current_price - 1
    if abs(change) > tolerance + FLOAT32_SLACK:
        way = "above" if change > 0 else "below"
        far = f"{100 * abs(change):.3g} % {way} the current price of {current_price:g}"
        doubts.append(f"{far} (--tolerance {tolerance:g})")
    if is_outside(price, *tried):
        low, high = tried
        doubts.append(f"outside the prices tried, {low:g} to {high:g}, so nothing can be forecast there")
    return f"{price:g} is {' and '.join(doubts)}" if doubts else ""


def positive_price(price: float) -> float:
    """Return the value of ``--price``; refuse one that is not positive, or larger than a number of a file may be."""
    if not 0 < price <= LARGEST_NUMBER:
        raise UsageError(f"--price: must be a positive number up to {LARGEST_NUMBER:g}, found {price:g}")
    return price
