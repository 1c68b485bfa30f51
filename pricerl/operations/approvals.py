"""Prices that a person approved or ordered: the content of ``prices.csv`` if approval is required."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pricerl.advice.exports import NewPrice
from pricerl.operations.decision_log import Entry
from pricerl.operations.orders import APPROVAL, PAUSE, active_order


def approved_prices(entries: Sequence[Entry], first_days: Mapping[str, str]) -> Iterator[NewPrice]:
    """Yield the ordered or last approved price of each product that has one.

    An approval holds until its day has passed; prices are then in the file.

    Args:
        entries: entries of the decision log.
        first_days: first day after the data of each product, in ISO format.
    """
    approvals = {entry["product"]: entry for entry in entries if entry["kind"] == APPROVAL}
    for product, first in first_days.items():
        order = active_order(entries, product, first)
        if order is not None:
            if order.kind != PAUSE and order.price is not None:
                yield NewPrice(product, first, order.price_on(first, order.price))
        elif product in approvals and approvals[product]["date"] >= first:
            yield NewPrice(product, approvals[product]["date"], approvals[product]["price"])
