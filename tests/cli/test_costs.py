"""Costs per product and day at the command line: the template, ``--costs``, and a hold that prints what ends it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from command_line import FAST, SHARED, run, seller_lines, write_lines
from saying import QUICK, says

from pricerl.runs.checkpoint import Checkpoint

LINES = [*seller_lines(60, columns=3, product="Mug"), *seller_lines(60, columns=3, seed=2, product="Tea cup")[1:]]
COSTS = ["Product;Einkaufspreis;From;Share Kept", "Mug;4,00 €;;85 %", "Mug;4,50 €;2025-02-01;", "Tea cup;3,00 €;;0,9"]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two products whose costs are unknown."""
    folder = tmp_path_factory.mktemp("held")
    write_lines(folder / "sales.csv", LINES)
    assert run(folder, "advise", "sales.csv", *FAST).code == 4
    return folder


@pytest.fixture
def shop(held: Path, tmp_path: Path) -> Path:
    shutil.copytree(held, tmp_path / "shop")
    return tmp_path / "shop"


def costs_of(shop: Path, name: str = "sales") -> dict[str, str]:
    """Costs in words by product, from the newest advice."""
    document = json.loads((shop / "checkpoints" / name / "advice.json").read_text(encoding="utf-8"))
    return {item["product"]: item["costs"] for item in document["products"]}


def commands_in(text: str) -> list[str]:
    """Commands that a block prints, without the name of the program."""
    return re.findall(r"^ +pricerl (.*)$", text, re.MULTILINE)


def test_the_commands_of_a_hold_for_lack_of_costs_end_it_as_they_are_printed(shop: Path) -> None:
    init, predict = commands_in(says(shop, "predict --today 2025-03-02"))
    assert (init, predict) == ("init", "predict --costs costs.csv")
    says(shop, init, "costs.csv lists your products.", code=0)
    template = shop / "costs.csv"
    assert template.read_text(encoding="utf-8").splitlines()[1:] == ["Mug,,,,", "Tea cup,,,,"]
    assert "nothing is given for 'Mug', 'Tea cup'" in run(shop, *predict.split()).err
    template.write_text(template.read_text(encoding="utf-8").replace(",,,,", ",4,,15,"), encoding="utf-8")
    assert "costs.csv" not in says(shop, predict)
    assert all(
        "unit cost 4.00 (±0.00)" in words and "fees 15 % of the price" in words for words in costs_of(shop).values()
    )


def test_one_product_says_so_in_its_block_and_on_its_page(tmp_path: Path) -> None:
    write_lines(tmp_path / "mug.csv", seller_lines(60, columns=3))
    out = run(tmp_path, "advise", "mug.csv", "--today", "2025-03-02", *FAST).out
    assert "into costs.csv" in out and "data.cost" not in out
    assert commands_in(out)[:2] == ["init", "predict --costs costs.csv"]
    page = (tmp_path / "checkpoints" / "mug" / "report.html").read_text(encoding="utf-8").split("<body>")[1]
    assert "pricerl init" in page and "pricerl predict --costs costs.csv" in page and "data.cost" not in page


@pytest.mark.slow
def test_the_costs_of_the_last_day_are_used_stored_and_needed_no_more(shop: Path) -> None:
    write_lines(shop / "costs.csv", COSTS)
    says(shop, f"fit --data.path sales.csv --costs costs.csv {QUICK}")
    words = costs_of(shop)
    assert "fees 15 % of the price (±0), unit cost 4.50 (±0.00)" in words["Mug"]
    assert "fees 10 % of the price (±0), unit cost 3.00 (±0.00)" in words["Tea cup"]
    stored = Checkpoint.read(shop / "checkpoints" / "sales" / "best.ckpt").settings["data"]["cost"]["products"]
    assert stored[1] == {"product": "Mug", "unit_cost": 4.5, "from": "2025-02-01"}
    (shop / "costs.csv").unlink()
    says(shop, "predict")
    assert costs_of(shop) == words
    write_lines(shop / "costs.csv", ["Product,Unit Cost", "Mug,5"])
    says(shop, "what-if 10 --product Mug --costs costs.csv", "would earn more in", "profit", code=0)
    says(shop, "predict --costs costs.csv")
    assert "unit cost 5.00" in costs_of(shop)["Mug"] and costs_of(shop)["Tea cup"].startswith("unknown")  # all replaced


def test_a_wrong_file_is_refused_before_training(shop: Path) -> None:
    write_lines(shop / "costs.csv", ["Product,Unit Cost,From", "Mug,four,", "Tea cup,3,yesterday"])
    refused = run(shop, "predict", "--costs", "costs.csv")
    assert refused.code == 3 and refused.err.splitlines() == [
        "error: costs.csv has 2 problems:",
        "  line 2, Unit Cost: must be a number, found 'four'",
        "  line 3, From: 'yesterday' is not a date; write it like 2025-03-01 or 1234.50",
    ]
    write_lines(shop / "costs.csv", ["Product,Unit Cost", "Mgu,4"])
    for command in ("predict", f"advise sales.csv {QUICK}"):
        unknown = run(shop, *f"{command} --costs costs.csv".split())
        assert unknown.code == 2 and "the history has no product 'Mgu'; did you mean 'Mug'?" in unknown.err
    says(shop, "predict --costs cost.csv", "cost.csv: there is no such file; did you mean 'costs.csv'?", code=3)
    says(shop, "predict --costs", code=2)


def test_init_lists_the_products_of_a_file_and_overwrites_nothing(tmp_path: Path) -> None:
    header = "Date,Product,Price,Revenue,Cost"
    rows = [
        f"2025-01-{day:02},{name},10,50,{cost}" for name, cost in (("Mug", 4.25), ("Bowl", "")) for day in range(1, 20)
    ]
    write_lines(tmp_path / "export.csv", [header, *rows])
    (tmp_path / "guardrails.yaml").write_text("mine", encoding="utf-8")
    says(tmp_path, "init export.csv", "guardrails.yaml exists and stays as it is", code=0)
    table = tmp_path / "costs.csv"
    assert table.read_text(encoding="utf-8") == (
        "Product,Unit Cost,From,Fees (% of the price),Fixed Cost\nMug,4.25,,,\nBowl,,,,\n"
    )
    table.write_text("mine", encoding="utf-8")
    says(tmp_path, "init export.csv", "costs.csv exists and stays as it is; use it with --costs costs.csv", code=2)
    assert table.read_text(encoding="utf-8") == (tmp_path / "guardrails.yaml").read_text(encoding="utf-8") == "mine"
    says(tmp_path, "init none.csv", code=3)


@pytest.mark.slow
def test_a_grocers_weeks_get_a_profit_from_a_costs_file(tmp_path: Path) -> None:
    if not (SHARED / "cheese_tops.csv").is_file():
        pytest.skip("the real data files are not here")
    write_lines(tmp_path / "costs.csv", ["COGS,From", "$1.90,", "$2.10,1992-01-05"])
    words = ["--run_name", "tops", "--costs", "costs.csv", *FAST]
    made = run(tmp_path, "advise", str(SHARED / "cheese_tops.csv"), *words)
    assert made.code in (0, 4) and "profit per week" in made.out
    assert "unit cost 2.10 (±0.00)" in costs_of(tmp_path, "tops")["cheese_tops"]
