"""Command ``price-test``: plan, start and read on a trained run, and one clear message per mistake."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import CERTAIN, FAST, entries_of, fresh_shop, keep_first_entry, run, seller_lines, write_lines

from pricerl.experiments.schedule import PLAN as PLAN_FILE
from pricerl.experiments.schedule import SCHEDULE, hash_schedule, render_schedule

PLAN = ("price-test", "plan", "seller", "--question", "sales")
LIMITS = ("--max_days", "182", "--max_cost", "1000000")


@pytest.fixture(scope="module")
def shop(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained run of its own, one advice in its log, and a planned test."""
    return fresh_shop(trained_once, tmp_path_factory.mktemp("shop"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the first word must be plan, start or read, found 'nothing'"),
        (("plann",), "found 'plann'; did you mean 'plan'?"),
        (("start", "seller"), "price_test.json is missing; plan the test first: price-test plan"),
        (("start", "seller", "--run_name", "other"), "--run_name: found two values, seller in the first place"),
        (("start", "sellr"), "is not a folder of a run; did you mean 'seller'?"),
        (("plan", "seller", "--max_days", "0"), "--max_days: must be 1 or more, found 0"),
        (("plan", "seller", "--max_cost", "-1"), "--max_cost: must be an amount of money"),
        (("plan", "seller", "--from", "soon"), "--from: must be a day such as 2026-01-31, found 'soon'"),
        (("read", "seller"), "--data.path"),
    ],
)
def test_a_mistake_gets_one_message(shop: Path, words: tuple[str, ...], said: str) -> None:
    result = run(shop, "price-test", *words)
    assert result.code == 2 and said in result.err and len(result.err.splitlines()) == 1


def test_a_test_that_does_not_pay_is_refused_with_the_numbers(shop: Path) -> None:
    result = run(shop, "price-test", "plan", "seller", "--max_cost", "0", "--max_days", "60")
    assert result.code == 4, result.err
    assert "no price test pays; the best one:" in result.out and "than deciding now" in result.out
    assert not (shop / "checkpoints" / "seller" / "price_test.csv").exists()


def test_whoever_asks_a_question_is_not_told_to_ask_it(shop: Path) -> None:
    for words in (("--data.guardrails.pause", "true"), ("--max_cost", "0", "--max_days", "14")):
        result = run(shop, *PLAN, *words)
        assert result.code == 4 and "--question" not in result.out, result.out + result.err
    paused = run(shop, *PLAN, "--data.guardrails.pause", "true")
    assert "your limits leave no other price" in paused.out and "costs" not in paused.out


def test_a_single_ending_where_a_list_is_needed_is_told_what_is_needed(shop: Path) -> None:
    result = run(shop, *PLAN, "--data.guardrails.charm_endings", "0.99")
    assert result.code == 2 and "charm_endings: must be a list in brackets or null, found '0.99'" in result.err


def tampered(shop: Path, plan: Path, schedule: Path) -> Path:
    """Make the test price of a plan 60 % higher, with everything that belongs to it."""
    document = json.loads(plan.read_text())
    order = document["order"]
    higher = round(order["test_price"] * 1.6, 2)
    for row in order["schedule"]:
        row["price"] = higher if row["price"] == order["test_price"] else row["price"]
    values = [order["regular_price"], higher]
    order.update(test_price=higher, values=values, schedule_hash=hash_schedule(order["schedule"]))
    plan.write_text(json.dumps(document))
    schedule.write_text(render_schedule(order["schedule"]))
    return shop


@pytest.mark.slow
def test_a_planned_test_is_started_once_followed_and_read(shop: Path) -> None:
    planned = run(shop, *PLAN, *LIMITS)
    assert planned.code == 0, planned.err + planned.out
    for part in ("pairs of blocks", "another price than", "cost ", "proof ", "price_test.csv"):
        assert part in planned.out
    rows = list(csv.DictReader((shop / "checkpoints/seller/price_test.csv").read_text().splitlines()))
    assert rows[0]["Date"] == "2025-04-01" and {row["Arm"] for row in rows} == {"regular", "test"}
    files = [shop / "checkpoints" / "seller" / name for name in (PLAN_FILE, SCHEDULE)]
    before = [file.read_bytes() for file in files]
    refused = run(tampered(shop, *files), "price-test", "start", "seller")
    assert refused.code == 2 and len(refused.err.splitlines()) == 1
    assert "% above the current price of" in refused.err and "add --force if you mean it" in refused.err
    forced = run(shop, "price-test", "start", "seller", "--force")
    assert re.search(r"^seller: \d+\.\d\d until ", forced.out, re.MULTILINE)
    assert forced.code == 0 and "(entry 2 of" in forced.out, "beyond every doubt, a person may"
    assert entries_of(shop)[1]["forced"] is True
    keep_first_entry(shop)
    for file, content in zip(files, before, strict=True):
        file.write_bytes(content)
    started = run(shop, "price-test", "start", "seller", "--by", "anna")
    assert started.code == 0 and "(entry 2 of" in started.out and "later advice follows the schedule" in started.out
    again = run(shop, "price-test", "start", "seller")
    assert again.code == 2 and "a price test of seller until" in again.err and "end it with resume first" in again.err
    assert "price_test" in run(shop, "history", "--run_name", "seller").out

    early = run(shop, "price-test", "read", "seller", "--data.path", "seller.csv")
    assert early.code == 0 and "the test goes on" in early.out, early.err
    rng, lines = np.random.default_rng(0), seller_lines()
    for row in rows:
        price = float(row["Price"])
        units = rng.poisson(20 * (price / 10) ** -2)
        lines.append(f"{row['Date']},{price:.2f},{price * units:.2f},{0.85 * price * units - 4 * units:.2f},12,8")
    write_lines(shop / "fresh.csv", lines)
    write_lines(shop / "part.csv", lines[: len(seller_lines()) + 16])
    sure = ("--decision.min_chance", "0")
    knowing = run(shop, "price-test", "read", "seller", "--data.path", "part.csv", *sure)
    assert "end the test" in knowing.out and "pricerl resume --product seller" in knowing.out, knowing.err + knowing.out
    advised = run(shop, "predict", "--run_name", "seller", "--data.path", "part.csv", *sure)
    assert "end the test: pricerl resume --product seller --run_name seller" in advised.err
    read = run(shop, "price-test", "read", "seller", "--data.path", "fresh.csv", "--by", "anna")
    assert read.code == 0 and "recorded   entry 4" in read.out and "verdict    " in read.out, read.err
    assert "units   " in read.out and "lost" not in read.out
    repeated = run(shop, "price-test", "read", "seller", "--data.path", "fresh.csv")
    assert "recorded" not in repeated.out
    assert run(shop, "audit", "verify", "--run_name", "seller").code == 0


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run of two products."""
    folder = tmp_path_factory.mktemp("two")
    lines = [*seller_lines(product="Soap"), *seller_lines(product="Mug")[1:]]
    write_lines(folder / "two.csv", lines)
    result = run(folder, "fit", "--data.path", "two.csv", "--run_name", "two", *FAST, *CERTAIN)
    assert result.code in (0, 4), result.err
    return folder


def test_all_products_are_ranked_and_all_tests_that_pay_are_started_within_one_budget(two: Path) -> None:
    home = two / "checkpoints" / "two"
    words = ("--question", "sales", "--max_cost", "1000000", "--max_days", "182")
    words += ("--data.guardrails.test_change", "0.1")
    ranked = run(two, "price-test", "plan", "two", *words)
    assert ranked.code == 0, ranked.err + ranked.out
    rows = [line.split() for line in ranked.out.splitlines() if line.split()[:1] in (["Soap"], ["Mug"])]
    values = [float(row[-5].replace(",", "").replace("−", "-")) for row in rows]
    assert len(rows) == 2 and values == sorted(values, reverse=True)
    assert [row[-1] for row in rows] == ["yes", "yes"], ranked.out
    assert (home / "price_test_2.json").exists() and (home / "price_test_2.csv").exists()
    none = run(two, "price-test", "plan", "two", "--question", "sales", "--max_cost", "0", "--max_days", "7")
    assert none.code == 4 and "no test pays" in none.out
    run(two, "price-test", "plan", "two", *words)
    started = run(two, "price-test", "start", "two")
    assert started.code == 0 and started.out.count(" (entry ") == 2, started.err
    assert {item["product"] for item in entries_of(two, "two") if item["kind"] == "price_test"} == {"Soap", "Mug"}
    again = run(two, "price-test", "plan", "two")
    assert again.code == 2 and "every product of the file has a test or another order in force" in again.err
