"""Objections of guardrails and relations to other products to a price on the next day, and the nearest allowed one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, partial
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


def object_along(prices: Iterable[float], product: Product, current: Mapping[str, float]) -> tuple[Objection, ...]:
    """Return every objection to ascending prices, in money, on the next day, once per run of them.

    Other products keep their ``current`` prices.
    """
    today = product.today
    related = product.dynamics.guardrails.related
    nearest = cache(partial(nearest_chargeable, product=product, current=current))
    found: list[Objection] = []
    running: dict[tuple[str, str, float], int] = {}
    for price in prices:
        before, running = running, {}
        edits = [(edit.rule, edit.why) for edit in today.objections(price)]
        for words in [*edits, *broken_by(related, product.name, price, current)]:
            said = *words, nearest(min(max(price, today.band.low), today.band.high))
            running[said] = before.get(said, len(found))
            if said not in before:
                found.append(Objection(*said, price, price))
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
