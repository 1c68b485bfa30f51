"""Command ``price-test``: plan, start and read on a trained run; its mistakes are in ``test_decisions.py``."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from command_line import (
    CERTAIN,
    FAST,
    Result,
    entries_of,
    fresh_shop,
    keep_first_entry,
    run,
    seller_lines,
    write_lines,
)
from saying import says

from pricerl.cli.experiments import price_tests
from pricerl.cli.experiments.price_test_words import reading_lines
from pricerl.experiments.schedule import PLAN as PLAN_FILE
from pricerl.experiments.schedule import SCHEDULE, hash_schedule, render_plan, render_schedule

PLAN = "price-test plan seller --question sales"
LIMITS = "--max_days 182 --max_cost 1000000"
READ = "price-test read seller --data.path"


@pytest.fixture(scope="module")
def shop(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained run of its own, one advice in its log, and a planned test."""
    return fresh_shop(trained_once, tmp_path_factory.mktemp("shop"))


def test_a_test_that_does_not_pay_or_may_not_be_is_refused_and_whoever_asks_a_question_is_not_told_to_ask_it(
    shop: Path,
) -> None:
    says(shop, "price-test plan seller --max_cost 0 --max_days 60", "no price test pays", "than deciding now", code=4)
    assert "--question" not in says(shop, f"{PLAN} --max_cost 0 --max_days 14", code=4)
    paused = says(shop, f"{PLAN} --data.guardrails.pause true", "your limits leave no other price", code=4)
    assert "--question" not in paused and "costs" not in paused
    assert not (shop / "checkpoints" / "seller" / "price_test.csv").exists()


def tampered(shop: Path, plan: Path, schedule: Path) -> Path:
    """Make the test price of a plan 60 % higher, with everything that belongs to it."""
    document = json.loads(plan.read_text())
    order = document["order"]
    higher = round(order["test_price"] * 1.6, 2)
    for row in order["schedule"]:
        row["price"] = higher if row["price"] == order["test_price"] else row["price"]
    values = [order["regular_price"], higher]
    order.update(test_price=higher, values=values, schedule_hash=hash_schedule(order["schedule"]))
    plan.write_text(render_plan(order, document["test"]))
    schedule.write_text(render_schedule(order["schedule"]))
    return shop


@pytest.mark.slow
def test_a_planned_test_is_started_once_followed_and_read(shop: Path) -> None:
    parts = ("pairs of blocks", "another price than", "cost ", "proof ", "price_test.csv")
    says(shop, f"{PLAN} {LIMITS}", *parts, code=0)
    rows = list(csv.DictReader((shop / "checkpoints/seller/price_test.csv").read_text().splitlines()))
    assert rows[0]["Date"] == "2025-04-01" and {row["Arm"] for row in rows} == {"regular", "test"}
    files = [shop / "checkpoints" / "seller" / name for name in (PLAN_FILE, SCHEDULE)]
    before = [file.read_bytes() for file in files]
    refusal = ("% above the current price of", "add --force if you mean it")
    says(tampered(shop, *files), "price-test start seller", *refusal, code=2)
    forced = says(shop, "price-test start seller --force", "(entry 2 of", code=0)
    assert re.search(r"^seller: \d+\.\d\d until ", forced, re.MULTILINE), "beyond every doubt, a person may"
    assert entries_of(shop)[1]["forced"] is True
    keep_first_entry(shop)
    for file, content in zip(files, before, strict=True):
        file.write_bytes(content)
    says(shop, "price-test start seller --by anna", "(entry 2 of", "later advice follows the schedule", code=0)
    says(shop, "price-test start seller", "the price test of seller until", "end it with resume first", code=2)
    says(shop, "history", "price_test")

    says(shop, f"{READ} seller.csv", "the test goes on", code=0)
    rng, lines = np.random.default_rng(0), seller_lines()
    for row in rows:
        price = float(row["Price"])
        units = rng.poisson(20 * (price / 10) ** -2)
        lines.append(f"{row['Date']},{price:.2f},{price * units:.2f},{0.85 * price * units - 4 * units:.2f},12,8")
    write_lines(shop / "fresh.csv", lines)
    write_lines(shop / "part.csv", lines[: len(seller_lines()) + 16])
    sure = "--decision.min_chance 0"
    says(shop, f"{READ} part.csv {sure}", "end the test", "pricerl resume --product seller")
    advised = run(shop, *f"predict --run_name seller --data.path part.csv {sure}".split())
    assert "end the test: pricerl resume --product seller --run_name seller" in advised.err
    read, second = read_at_once(shop, "price-test", "read", "seller", "--data.path", "fresh.csv", "--by", "anna")
    assert read.code == 0 and "recorded   entry 4" in read.out and "verdict    " in read.out, read.err
    assert second.code == 0 and "recorded" not in second.out and len(entries_of(shop)) == 4, second.err
    assert "units   " in read.out and "lost" not in read.out
    assert "recorded" not in says(shop, f"{READ} fresh.csv")
    says(shop, "audit verify", code=0)


def read_at_once(shop: Path, *words: str) -> tuple[Result, Result]:
    """Read a test while another person, who has looked at the log before, reads it, too."""
    first = []

    def lines(*given: Any) -> Iterator[str]:
        with patch.object(price_tests, "reading_lines", reading_lines):
            first.append(run(shop, *words))
        return reading_lines(*given)

    with patch.object(price_tests, "reading_lines", lines):
        second = run(shop, *words)
    return first[0], second


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run of two products."""
    folder = tmp_path_factory.mktemp("two")
    lines = [*seller_lines(product="Soap", seed=2), *seller_lines(product="Mug", seed=3)[1:]]
    write_lines(folder / "two.csv", lines)
    result = run(folder, "fit", "--data.path", "two.csv", "--run_name", "two", *FAST, *CERTAIN)
    assert result.code in (0, 4), result.err
    return folder


def test_all_products_are_ranked_and_all_tests_that_pay_are_started_within_one_budget(two: Path) -> None:
    home = two / "checkpoints" / "two"
    plan = f"price-test plan two --question profit {LIMITS} --data.guardrails.test_change 0.1"
    ranked = says(two, plan, code=0)
    rows = [line.split() for line in ranked.splitlines() if line.split()[:1] in (["Soap"], ["Mug"])]
    values = [float(row[-5].replace(",", "").replace("−", "-")) for row in rows]
    assert len(rows) == 2 and values == sorted(values, reverse=True)
    assert [row[-1] for row in rows] == ["yes", "yes"], ranked
    assert (home / "price_test_2.json").exists() and (home / "price_test_2.csv").exists()
    says(two, "price-test plan two --question profit --max_cost 0 --max_days 7", "no test pays", code=4)
    says(two, plan)
    assert says(two, "price-test start two", code=0).count(" (entry ") == 2
    assert {item["product"] for item in entries_of(two, "two") if item["kind"] == "price_test"} == {"Soap", "Mug"}
    says(two, "price-test plan two", "every product of the file has a test or another order in force", code=2)
