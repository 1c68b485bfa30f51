"""Limits that people type for a shop of several products: one product's own, and those of all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pricerl.errors import DataError, NotAllowedError, UsageError
from pricerl.operations.log.decision_log import Log
from pricerl.operations.log.drafts import draft_limits, entry_cells
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder


def advice(product: str, price: float, seen: int = 0, **own: Any) -> dict[str, Any]:
    """An advice to keep the price of a product, which has limits of its own."""
    terms = {"approval": "auto", "currency": "EUR", "price_decimals": 2, "relations": [], "since": seen}
    terms["guardrails"] = {"ceiling": 50, **({"products": {product: own}} if own else {})}
    limits = {"floor": 0.01, "ceiling": 50, "price_step": 0.01, "lowest": price, "highest": price, "costs": [0.85, 4.0]}
    entry = {"kind": "advice", "product": product, "current_price": price, "history_end": "2025-12-31", "seen": seen}
    return {
        **entry,
        "days": [{"date": "2026-01-01", "price": price}],
        "checkpoint": None,
        "limits": limits,
        "terms": terms,
    }


def shop(*entries: dict[str, Any]) -> Shop:
    return Shop(RunFolder(Path("absent")), Log([{**e, "id": at} for at, e in enumerate(entries, 1)], b""), "")


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
