"""Orders: which one counts, and which limit it must not break."""

from __future__ import annotations

from typing import Any

import pytest

from pricerl.guardrails.limits_in_force import HardLimits, refuse_price
from pricerl.operations.log.orders import doubt_price, judged_orders, orders_of

LIMITS = HardLimits(floor=8.235294, ceiling=20.0, price_step=0.05)


def _entry(number: int, until: str, price: float | None = 9.0, product: str = "Mug") -> dict[str, Any]:
    kind = "pause" if price is None else "override"
    entry = {"id": number, "kind": kind, "product": product, "until": until, "actor": "anna", "reason": "sale"}
    return entry if price is None else {**entry, "price": price}


@pytest.mark.parametrize(
    ("price", "said"),
    [
        (8.20, "8.2 is below the floor of 8.23529"),
        (0.0, "0 is below the floor"),
        (20.05, "20.05 is above the ceiling of 20 "),
        (9.02, "9.02 is not a multiple of the price step of 0.05"),
    ],
)
def test_a_price_that_breaks_a_hard_limit_is_refused_with_both_named(price: float, said: str) -> None:
    assert said in refuse_price(price, LIMITS)


@pytest.mark.parametrize("price", [8.25, 20.0, 9.95, 8.3])
def test_a_price_inside_the_hard_limits_is_not_refused(price: float) -> None:
    assert refuse_price(price, LIMITS) == ""


@pytest.mark.parametrize("step", [0.01, 0.05, 0.1, 0.25, 1.0])
@pytest.mark.parametrize("steps", [1, 7, 333, 123_457])
def test_every_whole_multiple_of_the_price_step_is_allowed(step: float, steps: int) -> None:
    limits = HardLimits(floor=step, ceiling=None, price_step=step)
    assert refuse_price(round(steps * step, 2), limits) == ""
    assert "not a multiple" in refuse_price(round((steps + 0.5) * step, 4), limits)


def test_the_newest_order_replaces_older_ones_and_past_ones_have_expired() -> None:
    entries = [_entry(3, "2025-01-31"), _entry(5, "2025-06-30"), _entry(8, "2025-04-30", None)]
    others = [_entry(9, "2025-12-31", product="Bowl"), {"id": 10, "kind": "advice", "product": "Mug"}]
    orders = orders_of([*entries, *others], "Mug", "2025-04-01")
    assert [(order.id, order.status) for order in orders] == [(3, "expired"), (5, "replaced"), (8, "active")]
    assert orders[2].price is None


def test_an_order_that_ended_ends_those_it_replaced() -> None:
    orders = orders_of([_entry(3, "2025-12-31"), _entry(5, "2025-04-01")], "Mug", "2025-04-02")
    assert [order.status for order in orders] == ["replaced", "expired"]


def test_an_order_that_a_person_ended_is_not_called_replaced_once_another_follows() -> None:
    end = {"id": 4, "kind": "resume", "product": "Mug", "ends": 3}
    orders = orders_of([_entry(3, "2025-12-31"), end, _entry(5, "2025-12-31")], "Mug", "2025-04-01")
    assert [order.status for order in orders] == ["ended", "active"]


@pytest.mark.parametrize(("first_day", "status"), [("2025-04-30", "active"), ("2025-05-01", "expired")])
def test_the_last_day_counts(first_day: str, status: str) -> None:
    assert orders_of([_entry(1, "2025-04-30")], "Mug", first_day)[0].status == status


def test_a_floor_that_rose_above_an_order_refuses_it() -> None:
    entries = [_entry(1, "2025-04-30", 9.0)]
    (kept,) = judged_orders(entries, "Mug", 10.0, "2025-03-31", LIMITS, "2025-04-01")
    (refused,) = judged_orders(entries, "Mug", 10.0, "2025-03-31", HardLimits(9.5, None, 0.05), "2025-04-01")
    assert (kept.status, kept.refusal) == ("active", "")
    assert refused.status == "refused" and "9 is below the floor of 9.5" in refused.refusal


def test_a_pause_at_a_forbidden_price_is_refused_but_not_for_the_price_step() -> None:
    entries = [_entry(1, "2025-04-30", None)]
    assert judged_orders(entries, "Mug", 9.02, "2025-03-31", LIMITS, "2025-04-01")[0].status == "active"
    assert judged_orders(entries, "Mug", 8.0, "2025-03-31", LIMITS, "2025-04-01")[0].status == "refused"


@pytest.mark.parametrize(
    ("price", "tried", "doubt"),
    [
        (12.0, (9.0, 13.0), ""),
        (8.0, (7.0, 13.0), ""),
        (12.01, (9.0, 13.0), "12.01 is 20.1 % above the current price of 10 (--tolerance 0.2)"),
        (7.9, (7.0, 13.0), "7.9 is 21 % below the current price of 10 (--tolerance 0.2)"),
        (11.5, (9.0, 11.0), "11.5 is outside the prices tried, 9 to 11, so nothing can be forecast there"),
        (8.5, (9.0, 11.0), "8.5 is outside the prices tried, 9 to 11, so nothing can be forecast there"),
        (11.0, (9.0, 11.0), ""),
    ],
)
def test_a_price_far_from_the_current_or_the_tried_ones_must_be_confirmed(
    price: float, tried: tuple[float, ...], doubt: str
) -> None:
    assert doubt_price(price, 10.0, tried) == doubt


def test_the_tolerance_is_a_setting() -> None:
    tried = (9.0, 16.0)
    assert doubt_price(15.0, 10.0, tried, 0.5) == "" and "50 % above" in doubt_price(15.0, 10.0, tried, 0.49)
