"""Orders and limits of people: which order counts, which limit it must not break, and whose limit is whose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import test_outbox

from pricerl.errors import DataError, NotAllowedError, UsageError
from pricerl.guardrails.limits_in_force import HardLimits, refuse_price
from pricerl.operations.log.decision_log import NOTHING, Head
from pricerl.operations.log.drafts import draft_limits, entry_cells
from pricerl.operations.log.orders import doubt_price, judged_orders, orders_of
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder

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
        *((price, "") for price in (8.25, 20.0, 9.95, 8.3)),
    ],
)
def test_a_price_that_breaks_a_hard_limit_is_refused_with_both_named(price: float, said: str) -> None:
    refusal = refuse_price(price, LIMITS)
    assert said in refusal and bool(refusal) == bool(said)


@pytest.mark.parametrize("step", [0.01, 0.05, 0.1, 0.25, 1.0])
@pytest.mark.parametrize("steps", [1, 7, 333, 123_457])
def test_every_whole_multiple_of_the_price_step_is_allowed(step: float, steps: int) -> None:
    limits = HardLimits(floor=step, ceiling=None, price_step=step)
    assert refuse_price(round(steps * step, 2), limits) == ""
    assert "not a multiple" in refuse_price(round((steps + 0.5) * step, 4), limits)


OTHERS = [_entry(9, "2025-12-31", product="Bowl"), {"id": 10, "kind": "advice", "product": "Mug"}]
END = {"id": 4, "kind": "resume", "product": "Mug", "ends": 3}


@pytest.mark.parametrize(
    ("entries", "first_day", "status"),
    [
        ([_entry(1, "2025-04-30")], "2025-04-30", {1: "active"}),
        ([_entry(1, "2025-04-30")], "2025-05-01", {1: "expired"}),
        ([_entry(5, "2025-06-30"), _entry(8, "2025-04-30", None), *OTHERS], "2025-04-01", {5: "replaced", 8: "active"}),
        ([_entry(3, "2025-01-31"), _entry(5, "2025-06-30")], "2025-04-01", {3: "expired", 5: "active"}),
        ([_entry(3, "2025-12-31"), _entry(5, "2025-04-01")], "2025-04-02", {3: "replaced", 5: "expired"}),
        ([_entry(3, "2025-12-31"), END, _entry(5, "2025-12-31")], "2025-04-01", {3: "ended", 5: "active"}),
    ],
    ids=["last day", "day after", "newest", "expired before", "expired, replaces though", "ended by a person before"],
)
def test_the_newest_order_counts_until_its_last_day(
    entries: list[dict[str, Any]], first_day: str, status: dict[int, str]
) -> None:
    assert {order.id: order.status for order in orders_of(entries, "Mug", first_day)} == status


@pytest.mark.parametrize(
    ("price", "current", "floor", "said"),
    [
        (9.0, 10.0, 8.235294, ""),
        (9.0, 10.0, 9.5, "9 is below the floor of 9.5"),
        (None, 9.02, 8.235294, ""),  # a pause need not keep to the price step
        (None, 8.0, 8.235294, "8 is below the floor of 8.23529"),
    ],
)
def test_an_order_that_breaks_a_limit_in_force_is_refused(
    price: float | None, current: float, floor: float, said: str
) -> None:
    limits = HardLimits(floor, 20.0, 0.05)
    (order,) = judged_orders([_entry(1, "2025-04-30", price)], "Mug", current, "2025-03-31", limits, "2025-04-01")
    assert (order.status, said in order.refusal) == ("refused" if said else "active", True)
    assert bool(order.refusal) == bool(said)


@pytest.mark.parametrize(
    ("price", "given", "doubt"),
    [
        (12.0, ((9.0, 13.0),), ""),
        (8.0, ((7.0, 13.0),), ""),
        (11.0, ((9.0, 11.0),), ""),
        (12.01, ((9.0, 13.0),), "12.01 is 20.1 % above the current price of 10 (--tolerance 0.2)"),
        (7.9, ((7.0, 13.0),), "7.9 is 21 % below the current price of 10 (--tolerance 0.2)"),
        (11.5, ((9.0, 11.0),), "11.5 is outside the prices tried, 9 to 11, so nothing can be forecast there"),
        (8.5, ((9.0, 11.0),), "8.5 is outside the prices tried, 9 to 11, so nothing can be forecast there"),
        (15.0, ((9.0, 16.0), 0.5), ""),
        (15.0, ((9.0, 16.0), 0.49), "15 is 50 % above the current price of 10 (--tolerance 0.49)"),
    ],
)
def test_a_price_far_from_the_current_or_the_tried_ones_must_be_confirmed(
    price: float, given: tuple[Any, ...], doubt: str
) -> None:
    """The prices tried and, where it is not the default, the tolerance are given."""
    assert doubt_price(price, 10.0, *given) == doubt


def advice(product: str, price: float, seen: int = 0, **own: Any) -> dict[str, Any]:
    """An advice to keep the price of a product, which has limits of its own."""
    guardrails = {"ceiling": 50, **({"products": {product: own}} if own else {})}
    limits = {"floor": 0.01, "ceiling": 50, "price_step": 0.01, "lowest": price, "highest": price, "costs": [0.85, 4.0]}
    known = {"current_price": price, "limits": limits, "terms": test_outbox.terms(since=seen, guardrails=guardrails)}
    return test_outbox.advice([price], product=product, seen=seen, **known)


def shop(*entries: dict[str, Any]) -> Shop:
    log = NOTHING.extended([{**entry, "id": at} for at, entry in enumerate(entries, 1)], Head())
    return Shop(RunFolder(Path("absent")), log, "")


def draft(state: Shop, limits: dict[str, Any], **more: Any) -> dict[str, Any]:
    return draft_limits(state, limits, "anna", "brand", **more)


MUG = advice("mug", 10.0, floor=8)
CAP = advice("cap", 30.0)


def test_a_limit_of_one_product_leaves_the_others_alone() -> None:
    entry = draft(shop(MUG, CAP), {"floor": 9}, product="mug")
    assert (entry["product"], entry["limits"], entry["instead_of"]) == ("mug", {"floor": 9}, {"floor": 8})
    after = shop(MUG, CAP, entry)
    assert after.guardrails["floor"] is None and after.guardrails["products"] == {"mug": {"floor": 9}}
    assert entry_cells({**entry, "id": 3}, after)[-1] == "mug: floor 9 instead of 8"
    with pytest.raises(UsageError, match="all products share it"):
        draft(shop(MUG, CAP), {"price_step": 0.05}, product="mug")
    with pytest.raises(UsageError, match="'hat' is unknown"):
        draft(shop(MUG, CAP), {"floor": 9}, product="hat")


def test_a_limit_for_all_names_each_product_whose_price_breaks_it_but_those_with_their_own() -> None:
    with pytest.raises(UsageError, match=r"^cap: your ceiling of 25.00 is below the current price 30.00; confirm"):
        draft(shop(MUG, CAP), {"ceiling": 25})
    with pytest.raises(NotAllowedError, match="only an approver may set a limit that the current price breaks"):
        draft(shop(MUG, CAP), {"ceiling": 25}, force=True, may_widen=False)
    assert draft(shop(MUG, CAP), {"ceiling": 25}, force=True)["confirmed"] == {"cap": 25}
    with pytest.raises(UsageError, match=r"mug: the price of your smallest margin, 10\.26, is above the current price"):
        draft(shop(MUG, CAP), {"min_margin": 0.46})
    assert draft(shop(MUG, CAP), {"floor": 9.5}, may_widen=False)["confirmed"] == {}  # not the cap's, nor the mug's


def test_a_product_that_a_file_leaves_out_keeps_its_own_limits_and_typed_ones_stay_in_force() -> None:
    typed = {"kind": "limits", "product": "", "limits": {"max_change": 0.02}, "instead_of": {"max_change": 0.05}}
    typed["confirmed"] = {}
    without = shop(MUG, CAP, typed, advice("cap", 30.0, seen=2))
    assert (without.guardrails["products"], without.guardrails["max_change"]) == ({"mug": {"floor": 8}}, 0.02)
    assert shop(MUG, CAP, typed, advice("cap", 30.0, seen=3)).guardrails["max_change"] == 0.05


def test_a_shop_without_advice_has_no_limits_to_change() -> None:
    assert (shop().guardrails, shop().lasting, shop().publishing) == ({}, {}, None)
    with pytest.raises(DataError, match="has no advice yet"):
        draft(shop(), {"floor": 9})
