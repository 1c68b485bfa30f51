"""Lines about what was said and ordered before: orders and track record."""

from __future__ import annotations

from pricerl.advice.reasons import signed
from pricerl.advice.result import Check, Order, ProductAdvice, TrackRecord
from pricerl.operations.decision_log import shown

MOST_DAYS = 5
"""Days listed by name that were not charged as advised."""


def past_lines(item: ProductAdvice, digits: int) -> list[str]:
    """Say what became of orders, and what of earlier predictions.

    Args:
        item: the advice.
        digits: of a price, after the point.
    """
    orders = [_order_line(order) for order in item.orders if order.status in ("expired", "refused")]
    return [*orders, *([] if item.track_record is None else track_lines(item.track_record, digits))]


def track_lines(record: TrackRecord, digits: int) -> list[str]:
    """Say what was predicted, what happened, and whether it lay inside.

    Args:
        record: of one product.
        digits: of a price, after the point.
    """
    told = ", ".join(f"{name} {held} of {days}" for name, (held, days) in record.inside.items() if days)
    head = f"track record: {len(record.days)} days advised before have come, {record.followed} at the advised price"
    lines = [head + (f"; inside the 90 % interval: {told}" if told else "")]
    lines += [f"  {name} in total: {_check(check)}" for name, check in record.total.items() if check is not None]
    lines += [
        f"  {name} a day: predicted {check.predicted / days:.2f}, came to {check.actual / days:.2f}"
        for name, check in record.total.items()
        if check is not None and (days := record.inside[name][1]) > 1
    ]
    lines += _deviations(record, digits)
    overruled = record.overruled
    if overruled is not None:
        earned = _difference(overruled.model_profit, overruled.actual_profit)
        lines.append(
            f"  model overruled on {overruled.days} days: it wanted {overruled.model_price:.{digits}f} on average, "
            f"{overruled.charged_price:.{digits}f} was charged{earned}"
        )
    return lines


def _deviations(record: TrackRecord, digits: int) -> list[str]:
    off = [day for day in record.days if day.outcome == "not followed"]
    blank = [day for day in record.days if day.outcome == "not observed"]
    lines = []
    if off:
        listed = ", ".join(
            f"{day.date} ({day.advised_price:.{digits}f} advised, {day.charged_price:.{digits}f} charged)"
            for day in off[:MOST_DAYS]
        )
        more = f" and {len(off) - MOST_DAYS} more" if len(off) > MOST_DAYS else ""
        lines.append(f"  not followed, so no test of the forecast: {listed}{more}")
    return [*lines, f"  without recorded sales: {len(blank)} days"] if blank else lines


def _difference(expected: float | None, actual: float | None) -> str:
    if expected is None or actual is None:
        return ""
    return (
        f"; profit a day {actual:.2f} against the {expected:.2f} that the model expected of its own price "
        f"({signed(actual - expected, 2)})"
    )


def _check(check: Check) -> str:
    where = "inside" if check.inside else "outside"
    return f"predicted {check.predicted:.2f} ({check.low:.2f} to {check.high:.2f}), came to {check.actual:.2f}: {where}"


def _order_line(order: Order) -> str:
    what = "the price was kept" if order.price is None else f"{order.price:g}"
    start = f"{order.kind} of entry {order.id} by {shown(order.actor, 40)} ({what} until {order.until})"
    return f"{start} has expired" if order.status == "expired" else f"{start} is not followed: {order.refusal}"
