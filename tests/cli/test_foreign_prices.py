"""Command ``reconcile``: a price that somebody else set is shown, held back, and decided by an override."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import write_lines
from saying import says

from pricerl.advice.files import read_advice
from pricerl.advice.sentences.verdict import exception_words
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import RUNS


@pytest.mark.parametrize("chosen", ["12.00", "10.50"])
def test_a_foreign_price_is_held_back_until_an_override_decides(shop: Path, chosen: str) -> None:
    said = "--until 2025-04-20 --reason x --force"
    says(shop, f"override 10.5 {said}", code=0)
    write_lines(shop / "listings.csv", ["seller-sku,price", "seller,12.00"])
    found = "seller: somebody else set 12.00; the shop decided 10.50, before it 10.00. Nothing overwrites it"
    says(shop, "reconcile listings.csv", "listings.csv: 1 product, 1 not as decided", found, code=0)
    says(shop, "reconcile listings.csv", found, code=0)
    held = says(shop, "prices --as amazon", "somebody else set 12 (entry 3); override it, to that or 10.5", code=0)
    assert "0 prices of today" in held and "seller\t" not in (shop / "amazon.txt").read_text(encoding="utf-8")
    says(shop, "history", "12.00 on the platform, 10.5 decided, 10 before", code=0)
    assert look_at(shop) == "somebody else set another price on the platform"
    says(shop, f"override {chosen} {said}", code=0)
    assert look_at(shop) == ""
    says(shop, "prices --as amazon", "1 price of today", code=0)
    assert f"seller\t{chosen}\t" in (shop / "amazon.txt").read_text(encoding="utf-8")
    says(shop, "reconcile listings.csv", "0 not as decided", code=0)


def look_at(shop: Path) -> str:
    """Return why a person should look at the shop's product, as its page and the work list say it."""
    opened = Shop.open(RunFolder(shop / RUNS / "seller"), "2025-04-11")
    document = read_advice(opened.folder.path)
    assert document is not None
    return exception_words(opened.decided(document)["products"][0])


def test_an_export_without_the_shops_products_is_refused(shop: Path) -> None:
    write_lines(shop / "listings.csv", ["seller-sku,price", "mug,12.00"])
    says(shop, "reconcile listings.csv", "has no price of 'seller'", code=3)
