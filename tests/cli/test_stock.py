"""Stock at the command line: it is kept, carried forward, replaced and ordered, and refused where it cannot count."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from command_line import FAST, inside, run, seller_lines, write_lines
from saying import QUICK, says

from pricerl.advice.block import block_lines
from pricerl.advice.report.render import render_page
from pricerl.advice.sentences.next_steps import Place
from pricerl.cli.advise import run_lightning
from pricerl.cli.loading import load_words, long_words
from pricerl.data.stock import Stock
from pricerl.formatting import Formatter

LINES = [*seller_lines(60, product="Mug"), *seller_lines(60, seed=2, product="Bowl")[1:]]
LATER = ["2025-03-02,10.00,100.00,45.00,12,8", "2025-03-03,10.00,120.00,54.00,12,8"]
"""Ten and twelve units on the two days after the history."""
MUG = Stock(400.0, (0.0, 300.0, 0.0, 0.0, 0.0, 0.0), due=(("2025-03-12", 300.0),), lead_weeks=3)


def stocks(shop: Path, *words: str) -> list[Stock | None]:
    """Stock of mug and bowl in the market that a command advises on."""
    with inside(shop):
        loaded = load_words("predict", list(words))
    return [product.stock for product in loaded.pricing.market.products]


def advice(shop: Path) -> dict[str, Any]:
    """The newest advice of the only run."""
    (path,) = shop.glob("checkpoints/*/advice.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
def test_the_newest_stock_is_kept_carried_forward_and_replaced(tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", LINES)
    write_lines(
        tmp_path / "stock.csv", ["Product,In Stock,Inbound,Arrives,Lead Time", "Mug,400,300,2025-03-12,3 weeks"]
    )
    day = ["--today", "2025-03-02"]
    says(tmp_path, f"fit --data.path sales.csv --stock stock.csv {' '.join([*day, *FAST])}")
    (tmp_path / "stock.csv").unlink()
    assert stocks(tmp_path, *day) == [MUG, None]
    write_lines(tmp_path / "new.csv", ["Product,Available", "Bowl,70", "Jar,2"])
    again = run(tmp_path, "predict", "--stock", "new.csv", *day)
    assert again.code in (0, 4) and [line for line in again.err.splitlines() if "stock" in line] == [
        "note: stock of 'Jar' is left out: the history has no such product.",
        "note: stock of 'Bowl' has no Lead Time: 2 weeks are assumed.",
    ]
    assert stocks(tmp_path, *day) == [None, Stock(70.0, (0.0,) * 6)]
    write_lines(tmp_path / "sales.csv", [*LINES, *(f"{name},{line}" for name in ("Mug", "Bowl") for line in LATER)])
    assert stocks(tmp_path, "--today", "2025-03-04") == [None, Stock(70.0 - 10 - 12, (0.0,) * 6)]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ["--data.reward.preset", "revenue"],
            "stock: prices and orders seek profit alone; choose preset profit, not",
        ),
        (
            ["--data.guardrails.min_hold_days", "14"],
            "stock: prices change weekly; set guardrails.min_hold_days to 7",
        ),
        (["--today", "soon"], "--today: must be a day such as 2026-01-31, found 'soon'"),
    ],
)
def test_stock_that_cannot_count_is_refused_before_training(tmp_path: Path, words: list[str], problem: str) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines(60, product="Mug"))
    write_lines(tmp_path / "stock.csv", ["Product,In Stock", "Mug,400"])
    refused = run(tmp_path, "advise", "sales.csv", "--stock", "stock.csv", *words, *FAST)
    assert refused.code == 2 and problem in refused.err
    assert not list(tmp_path.glob("checkpoints/*/*/best.ckpt"))


def test_stock_without_a_unit_cost_is_left_out_with_a_reason_and_other_stock_counts(tmp_path: Path) -> None:
    lines = [f"{LINES[0]},Unit Cost", *(f"{line},{'4' if line.startswith('Bowl') else ''}" for line in LINES[1:])]
    cut = [",".join(cells[:4] + cells[5:]) for cells in (line.split(",") for line in lines)]  # without Total Profit
    write_lines(tmp_path / "sales.csv", cut)
    write_lines(tmp_path / "stock.csv", ["Product,In Stock,Lead Time", "Mug,400,14", "Bowl,70,14"])
    made = run(tmp_path, "advise", "sales.csv", "--stock", "stock.csv", *FAST)
    assert made.code in (0, 4), made.err
    assert "unit cost" not in made.err
    remedy = "is left out: orders need its unit cost; fill in costs.csv (pricerl init), and add --costs costs.csv"
    document = advice(tmp_path)
    mug, bowl = document["products"]
    assert mug["stock"] is None and f"stock {remedy}" in mug["data_quality"]["reasons"]
    assert bowl["stock"]["on_hand"] == 70 and not any("unit cost" in why for why in bowl["data_quality"]["reasons"])
    block = " ".join(" ".join(block_lines([mug], Formatter(), Place())).split())
    assert f"Check stock {remedy}" in block and remedy in unescape(render_page(document, mug))


def test_the_daily_column_of_units_gives_the_stock_and_censors_as_before(tmp_path: Path) -> None:
    rows = [f"{line},{40 - at % 41}" for at, line in enumerate(seller_lines(60)[1:])]
    write_lines(tmp_path / "sales.csv", [f"{seller_lines(1)[0]},In Stock", *rows])
    write_lines(tmp_path / "stock.csv", ["Lead Time in Weeks", "2"])
    with inside(tmp_path):
        given = long_words(["--data.path", "sales.csv", "--stock", "stock.csv", *FAST])
        with run_lightning("fit", *given) as made:
            data = made.pricing
    (product,) = data.market.products
    assert product.stock == Stock(40.0 - 59 % 41, (0.0,) * 6)
    (history,) = data.preprocessor.products
    assert history.in_stock is not None and history.in_stock.tolist() == [at % 41 != 40 for at in range(60)]
    assert not history.observed[40] and history.observed.sum() == 59


@pytest.mark.slow
def test_price_and_order_follow_the_newest_stock(tmp_path: Path) -> None:
    today = "--today 2025-05-01"  # the day after the history, so that a count without a day counts its end
    write_lines(tmp_path / "sales.csv", seller_lines(120, product="Mug"))
    write_lines(tmp_path / "costs.csv", ["Product,Unit Cost", "Mug,4.00"])
    terms = "Lead Time,Storage Fee,Smallest Order,Pack Size"
    write_lines(tmp_path / "stock.csv", [f"Product,In Stock,{terms}", "Mug,10,3 weeks,0.05,24,12"])
    made = says(tmp_path, f"advise sales.csv --costs costs.csv --stock stock.csv {today} {QUICK}")
    scarce = advice(tmp_path)["products"][0]["stock"]
    assert scarce["on_hand"] == 10 and scarce["order"][0] >= 24 and scarce["order"][0] % 12 == 0
    assert f" Order {scarce['order'][0]:.0f} units now" in made and "\n Stock      10 units on hand" in made

    write_lines(tmp_path / "stock.csv", [f"Product,In Stock,{terms}", "Mug,5000,3 weeks,0.05,24,12"])
    says(tmp_path, f"predict --stock stock.csv {today}")
    plenty = advice(tmp_path)["products"][0]["stock"]
    assert plenty["no_order"] == "a later order is early enough" and plenty["cover"] is None
    assert "Order" not in (tmp_path / "checkpoints/sales/prices.csv").read_text()

    approved = run(tmp_path, "approve")
    assert approved.code in (0, 2), approved.err  # 2 if the price is kept
    assert advice(tmp_path)["products"][0]["stock"] == plenty
