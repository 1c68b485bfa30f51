"""Stock at the command line: ``--stock`` is kept, carried forward and replaced, and refused where it cannot count."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import FAST, inside, run, seller_lines, write_lines

from pricerl.cli.advise import run_lightning
from pricerl.market.stock import Stock

LINES = [*seller_lines(60, product="Mug"), *seller_lines(60, seed=2, product="Bowl")[1:]]
LATER = ["2025-03-02,10.00,100.00,45.00,12,8", "2025-03-03,10.00,120.00,54.00,12,8"]
"""Ten and twelve units on the two days after the history."""
MUG = Stock(400.0, (0.0, 300.0, 0.0, 0.0, 0.0, 0.0), lead_weeks=3)


def stocks(shop: Path, *words: str) -> list[Stock | None]:
    """Stock of mug and bowl in the market that a command advises on."""
    with inside(shop):
        loaded = run_lightning("predict", list(words))
    return [product.stock for product in loaded.pricing.market.products]


def test_the_newest_stock_is_kept_carried_forward_and_replaced(tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", LINES)
    write_lines(
        tmp_path / "stock.csv", ["Product,In Stock,Inbound,Arrives,Lead Time", "Mug,400,300,2025-03-12,3 weeks"]
    )
    day = ["--today", "2025-03-02"]
    made = run(tmp_path, "fit", "--data.path", "sales.csv", "--stock", "stock.csv", *day, *FAST)
    assert made.code in (0, 4), made.err
    (tmp_path / "stock.csv").unlink()
    assert stocks(tmp_path, *day) == [MUG, None]
    write_lines(tmp_path / "new.csv", ["Product,Available", "Bowl,70", "Jar,2"])
    again = run(tmp_path, "predict", "--stock", "new.csv", *day)
    assert again.code in (0, 4) and [line for line in again.err.splitlines() if "stock" in line] == [
        "note: stock of 'Jar' is left out: the history has no such product.",
        "note: stock of 'Bowl' has no Lead Time: 2 weeks are assumed.",
    ]
    assert stocks(tmp_path, *day) == [None, Stock(70.0, (0.0,) * 6)]
    replayed = run(tmp_path, "audit", "replay", "3")
    assert replayed.code == 0, replayed.err
    write_lines(tmp_path / "sales.csv", [*LINES, *(f"{name},{line}" for name in ("Mug", "Bowl") for line in LATER)])
    assert stocks(tmp_path, "--today", "2025-03-04") == [None, Stock(70.0 - 10 - 12, (0.0,) * 6)]


@pytest.mark.parametrize(
    ("words", "columns", "problem"),
    [
        (
            [],
            3,
            "stock: orders need unit costs; fill in costs.csv (pricerl init FILE) for 'Mug', and add --costs costs.csv",
        ),
        (
            ["--data.reward.preset", "revenue"],
            6,
            "stock: orders need unit costs; choose an objective that counts profit",
        ),
        (
            ["--data.guardrails.min_hold_days", "14"],
            6,
            "stock: prices change weekly; set guardrails.min_hold_days to 7",
        ),
        (["--today", "soon"], 6, "--today: must be a day such as 2026-01-31, found 'soon'"),
    ],
)
def test_stock_that_cannot_count_is_refused_before_training(
    tmp_path: Path, words: list[str], columns: int, problem: str
) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines(60, columns, product="Mug"))
    write_lines(tmp_path / "stock.csv", ["Product,In Stock", "Mug,400"])
    refused = run(tmp_path, "advise", "sales.csv", "--stock", "stock.csv", *words, *FAST)
    assert refused.code == 2 and problem in refused.err
    assert not list(tmp_path.glob("checkpoints/*/*/best.ckpt"))


def test_the_daily_column_of_units_gives_the_stock_and_censors_as_before(tmp_path: Path) -> None:
    rows = [f"{line},{40 - at % 41}" for at, line in enumerate(seller_lines(60)[1:])]
    write_lines(tmp_path / "sales.csv", [f"{seller_lines(1)[0]},In Stock", *rows])
    write_lines(tmp_path / "stock.csv", ["Lead Time in Weeks", "2"])
    with inside(tmp_path):
        data = run_lightning("fit", ["--data.path", "sales.csv", "--stock", "stock.csv", *FAST]).pricing
    (product,) = data.market.products
    assert product.stock == Stock(40.0 - 59 % 41, (0.0,) * 6)
    (history,) = data.preprocessor.products
    assert history.in_stock is not None and history.in_stock.tolist() == [at % 41 != 40 for at in range(60)]
    assert not history.observed[40] and history.observed.sum() == 59
