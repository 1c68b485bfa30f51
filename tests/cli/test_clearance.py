"""A stock cleared by a day: the path that the command prints, what later advice makes of it, and how it ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import entries_of, seller_lines, write_lines
from saying import QUICK, says

TODAY = "--today 2025-05-01"  # the day after the history
WIDE = "--data.guardrails.support_margin 0.5"


@pytest.fixture(scope="module")
def advised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with 3,000 mugs, of which 20 are sold a day, and a bowl of unknown stock, with its first advice."""
    folder = tmp_path_factory.mktemp("advised")
    write_lines(
        folder / "sales.csv", [*seller_lines(120, product="Mug"), *seller_lines(120, seed=2, product="Bowl")[1:]]
    )
    write_lines(folder / "costs.csv", ["Product,Unit Cost", "Mug,4.00", "Bowl,4.00"])
    write_lines(folder / "stock.csv", ["Product,In Stock,Lead Time", "Mug,3000,14"])
    says(folder, f"advise sales.csv --run_name seller --costs costs.csv --stock stock.csv {TODAY} {QUICK}")
    return folder


@pytest.fixture
def mugs(advised: Path, tmp_path: Path) -> Path:
    """A shop of its own for a test."""
    return shutil.copytree(advised, tmp_path / "mugs")


def _advice(shop: Path) -> dict[str, Any]:
    document = json.loads((shop / "checkpoints/seller/advice.json").read_text(encoding="utf-8"))
    return next(item for item in document["products"] if item["product"] == "Mug")


def test_prices_go_down_until_the_day_and_back_to_the_models_after_resume(mugs: Path) -> None:
    first = _advice(mugs)
    said = says(mugs, f"clear Mug --by 2025-07-31 --reason 'last year' --author anna {TODAY}", "Mug: 3000 units until")
    assert "(guardrails.support_margin, near the prices that were tried)" in said and "now 9.50" in said
    rows = [line.split() for line in said.splitlines() if line.startswith("  Thu ")]
    prices = [float(row[3]) for row in rows]
    assert len(rows) == 13 and prices == sorted(prices, reverse=True) and prices[0] == 9.5 and prices[-1] < 9
    assert sum(float(row[4]) for row in rows) < 3000
    entry = entries_of(mugs)[-1]
    assert (entry["kind"], entry["product"], entry["until"]) == ("clear", "Mug", "2025-07-31")
    assert (entry["actor"], entry["reason"]) == ("anna", "last year")

    says(mugs, f"predict {TODAY}")
    cleared = _advice(mugs)
    assert "You clear the stock by 31 Jul 2025." in cleared["reason"]
    assert cleared["stock"]["no_order"] == "the stock is cleared" and cleared["stock"]["orders"] == []
    assert cleared["stock"]["order_by"] is None and cleared["stock"]["ends"] == "2025-07-30"
    assert [day["recommended_price"] for day in cleared["days"]] == [9.5] * 7 + [prices[1]] * 7
    says(mugs, f"prices {TODAY}", "9.50")
    says(mugs, f"history {TODAY}", "Mug: the stock is cleared by 2025-07-31")

    says(mugs, f"resume --product Mug {TODAY}", "the clearance of entry", "Mug: no price, its clearance has ended")
    says(mugs, f"predict {TODAY}")
    after = _advice(mugs)
    assert (after["days"], after["stock"]) == (first["days"], first["stock"])
    says(mugs, f"resume --product Mug {TODAY}", "clearance or approval of Mug is in force", code=2)


def test_wider_limits_sell_more_and_a_later_clearance_replaces_the_earlier_one(mugs: Path) -> None:
    narrow, wide = (says(mugs, f"clear Mug --by 2025-07-31 {words} {TODAY}") for words in ("", WIDE))
    left = [float(text.split("these prices")[1].split(")")[1].split()[0]) for text in (narrow, wide)]
    assert left[1] < 0.7 * left[0]
    says(mugs, f"clear Mug --by 2025-05-21 {WIDE} {TODAY}", "a change is at most 5.0 % (guardrails.max_change)")
    says(mugs, f"predict {TODAY}")
    assert "You clear the stock by 21 May 2025." in _advice(mugs)["reason"]
    later = "--today 2025-05-22"
    says(mugs, f"resume --product Mug {later}", "clearance or approval of Mug is in force", code=2)


def test_a_stock_that_sells_anyway_needs_no_path_and_nothing_is_recorded(mugs: Path) -> None:
    write_lines(mugs / "few.csv", ["Product,In Stock", "Mug,500"])
    before = len(entries_of(mugs))
    says(mugs, f"clear Mug --by 2025-10-20 --stock few.csv {TODAY}", "sell at 10.00 anyway: no path is needed")
    assert len(entries_of(mugs)) == before


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("clear Mug --by 2025-05-06", "--by: must be a day from 2025-05-07 to 2025-10-29"),
        ("clear Mug --by 2025-10-30", "--by: must be a day from 2025-05-07 to 2025-10-29"),
        ("clear Mug --by soon", "--by: must be a day such as 2026-01-31, found 'soon'"),
        ("clear Mug", "required: --by"),
        ("clear Cup --by 2025-07-31", "--product 'Cup' is unknown; known are Mug, Bowl"),
        ("clear Bowl --by 2025-07-31", "Bowl: its stock or its unit cost is unknown; add --stock and --costs"),
    ],
)
def test_what_cannot_be_cleared_is_refused_in_one_line(mugs: Path, words: str, problem: str) -> None:
    before = len(entries_of(mugs))
    says(mugs, f"{words} {TODAY}", problem, code=2)
    assert len(entries_of(mugs)) == before
