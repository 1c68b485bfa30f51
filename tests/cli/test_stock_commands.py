"""Three commands in a row for a seller with stock: advise, predict with a newer count, and approve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import FAST, run, seller_lines, write_lines

TODAY = ("--today", "2025-05-01")
"""The day after the history, so that a count without a day counts its end."""


@pytest.mark.slow
def test_price_and_order_follow_the_newest_stock(tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines(120, product="Mug"))
    write_lines(tmp_path / "costs.csv", ["Product,Unit Cost", "Mug,4.00"])
    terms = "Lead Time,Storage Fee,Smallest Order,Pack Size"
    write_lines(tmp_path / "stock.csv", [f"Product,In Stock,{terms}", "Mug,10,3 weeks,0.05,24,12"])
    made = run(tmp_path, "advise", "sales.csv", "--costs", "costs.csv", "--stock", "stock.csv", *TODAY, *FAST)
    assert made.code in (0, 4), made.err
    scarce = stock_of(tmp_path)
    assert scarce["on_hand"] == 10 and scarce["order"][0] >= 24 and scarce["order"][0] % 12 == 0
    assert f" Order {scarce['order'][0]:.0f} units now" in made.out and "\n Stock      10 units on hand" in made.out

    write_lines(tmp_path / "stock.csv", [f"Product,In Stock,{terms}", "Mug,5000,3 weeks,0.05,24,12"])
    again = run(tmp_path, "predict", "--stock", "stock.csv", *TODAY)
    assert again.code in (0, 4), again.err
    plenty = stock_of(tmp_path)
    assert plenty["no_order"] == "a later order is early enough" and plenty["cover"] is None
    assert "Order" not in (tmp_path / "checkpoints/sales/prices.csv").read_text()

    approved = run(tmp_path, "approve")
    assert approved.code in (0, 2), approved.err  # 2 if the price is kept
    assert stock_of(tmp_path) == plenty


def stock_of(shop: Path) -> dict[str, object]:
    """Stock in the newest advice on the only product."""
    (product,) = json.loads((shop / "checkpoints/sales/advice.json").read_text(encoding="utf-8"))["products"]
    found: dict[str, object] = product["stock"]
    return found
