"""Lines about what was ordered before."""

from __future__ import annotations

from pricerl.advice.overrides import Order, shown
from pricerl.advice.result import ProductAdvice


def past_lines(item: ProductAdvice) -> list[str]:
    """Say what became of orders that are not followed.

    Args:
        item: the advice.
    """
    return [_order_line(order) for order in item.orders if order.status in ("expired", "refused")]


def _order_line(order: Order) -> str:
    what = "the price was kept" if order.price is None else f"{order.price:g}"
    start = f"{order.kind} of entry {order.id} by {shown(order.actor, 40)} ({what} until {order.until})"
    return f"{start} has expired" if order.status == "expired" else f"{start} is not followed: {order.refusal}"
