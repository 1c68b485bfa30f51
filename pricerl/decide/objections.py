"""Objections of guardrails and relations to other products to a price on the next day, and the nearest allowed one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pricerl.env.product import Product
from pricerl.guardrails.gate import apply_rules
from pricerl.guardrails.relations import broken_by, span_between
from pricerl.guardrails.today import DIGITS


class Objection(NamedTuple):
    """Objection of a guardrail or relation on the next day to the prices of the curves from ``low`` to ``high``."""

    rule: str
    """Setting under ``guardrails``, or kind of the relation."""
    why: str
    """Reason, as a clause."""
    nearest: float | None
    """Nearest price that all rules and relations allow, in money; None in records of older versions."""
    low: float
    """Money."""
    high: float
    """Money."""


def find_objections(price: float, product: Product, current: Mapping[str, float]) -> list[Objection]:
    """Return the objections to a price, in money, on the next day, while other products keep their ``current`` ones."""
    said = [(edit.rule, edit.why) for edit in product.today.objections(price)]
    said += broken_by(product.dynamics.guardrails.related, product.name, price, current)
    nearest = nearest_chargeable(price, product, current) if said else None
    return [Objection(rule, why, nearest, price, price) for rule, why in said]


def object_along(prices: Iterable[float], product: Product, current: Mapping[str, float]) -> tuple[Objection, ...]:
    """Return every objection to ascending prices, in money, once per run of them."""
    found: list[Objection] = []
    running: dict[Objection, int] = {}
    for price in prices:
        before, running = running, {}
        for item in find_objections(price, product, current):
            said = item._replace(low=0.0, high=0.0)
            running[said] = before.get(said, len(found))
            if said not in before:
                found.append(item)
            found[running[said]] = found[running[said]]._replace(high=price)
    return tuple(found)


def nearest_chargeable(price: float, product: Product, current: Mapping[str, float]) -> float:
    """Return the nearest price in money that guardrails and relations allow on the next day, else the current one."""
    guardrails = product.dynamics.guardrails
    low, high = span_between(guardrails.related, product.name, current)
    inside = max(min(price, high), low)
    step = guardrails.price_step
    for wanted in (inside, inside + step, inside - step):  # the edge of a multipack may lie between two steps
        allowed = round(apply_rules(product.today, wanted).price, DIGITS)
        if not broken_by(guardrails.related, product.name, allowed, current):
            return allowed
    return product.current_price
