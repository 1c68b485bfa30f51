"""Prices on a platform against those that the shop decided: edits by somebody else, and prices not taken over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from pricerl.guardrails.price_grid import same_price
from pricerl.operations.log.decision_log import Entry, by_product
from pricerl.operations.log.drafts import typed_stamp
from pricerl.operations.log.orders import ADVICE, DECIDING, PLATFORM_PRICE, day_of, open_edit
from pricerl.operations.outbox import first_change, open_day, orders_on
from pricerl.operations.shop import Shop


class Listed(NamedTuple):
    """Price of a product on a platform, in money, as all prices here."""

    product: str
    price: float
    due: float
    """Price that the shop decided."""
    before: float
    """Current price as the shop's days show it."""
    foreign: bool
    """Whether it is neither, nor another one that the shop has asked for."""
    since: str
    """First day on which the decided price could be taken over and was not; empty if it is, or could only today."""


def compare(shop: Shop, prices: Mapping[str, float]) -> list[Listed]:
    """Return the products of a shop with ``prices`` on a platform."""
    due = {row.product: row.price for row in shop.outbox.rows if row.date <= shop.today.isoformat()}
    own = by_product(shop.entries())
    return [
        _compare(price, due.get(name), shop, [*own[name], *own.get(None, ())])
        for name, price in prices.items()
        if name in shop.newest
    ]


def _compare(price: float, due: float | None, shop: Shop, entries: Sequence[Entry]) -> Listed:
    *_, advice = advised = [entry for entry in entries if entry["kind"] == ADVICE]
    now, today = advice["current_price"], shop.today.isoformat()
    edit = open_edit(advice, entries)
    due = due or (edit["due"] if edit else now)
    seen = [entry for entry in entries if entry["kind"] == PLATFORM_PRICE]
    asked = [
        *((today, value) for value in (due, now)),
        *((today, entry["price"]) for entry in seen[-1:] if entry != edit),  # a person has decided on it
        *((day["date"], day["price"]) for day in advice["days"]),
    ]
    for order in orders_on(advice, entries, open_day(advice, shop.today), shop.log.entries)[-1:]:
        asked += [(today, order.price or now), *order.schedule]
    run = takewhile(lambda item: same_price(item["current_price"], now), reversed(advised))
    decided = [day_of(entry) for entry in entries if entry["kind"] in DECIDING]
    since = max(min((day["date"] for day in map(first_change, run) if day), default=""), *decided[-1:], "")
    foreign = not any(day <= today and same_price(price, value) for day, value in asked)
    late = not foreign and not same_price(price, due) and since < today
    return Listed(advice["product"], price, due, now, foreign, since if late else "")


def draft_seen(shop: Shop, found: Sequence[Listed]) -> list[Entry]:
    """Draft what is new: edits by somebody else, and prices of products that had one, once each."""
    seen = {entry["product"]: entry for entry in shop.log.entries if entry["kind"] == PLATFORM_PRICE}
    return [
        {**typed_stamp(PLATFORM_PRICE, None, ""), **about}
        for item in found
        for about in [{key: value for key, value in item._asdict().items() if key != "since"}]
        if (item.foreign or item.product in seen) and not about.items() <= seen.get(item.product, {}).items()
    ]
