"""Command ``roll-out``: products begin in a random order, and later weeks say what the new prices have earned."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import FAST, entries_of, run, write_lines
from saying import refuses, says

from pricerl.experiments.roll_out import draw_plan
from pricerl.operations import roll_out
from pricerl.operations.log.decision_log import NOTHING
from pricerl.operations.log.orders import ROLL_OUT
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.shop.database import writing

FIRST, DAYS = date(2025, 1, 1), 90
NAMES = ("Assam", "Ceylon", "Mug", "Pot", "Spoon", "Tray")
QUIET = "--trainer.enable_progress_bar false --data.reading.suspicious keep"


def lines_of(charged: dict[str, dict[int, float]], days: int) -> list[str]:
    """CSV of six products, two of them substitutes, whose price changes every week until somebody sets it."""
    lines = ["Product,Report Date,Product Price,Total Sales,Total Profit,Group"]
    for at, name in enumerate(NAMES):
        weeks = np.random.default_rng(at).choice([9.5, 10.0, 10.5, 11.0], DAYS // 7 + 1)
        for day in range(days):
            price = charged.get(name, {}).get(day, float(weeks[min(day, DAYS - 1) // 7]))
            units = np.random.default_rng([at, day]).poisson(20 * (price / 10) ** -0.8)
            cells = [name, str(FIRST + timedelta(day)), f"{price:.2f}", f"{price * units:.2f}"]
            lines.append(",".join([*cells, f"{(0.85 * price - 4) * units:.2f}", "tea" if name < "D" else ""]))
    return lines


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of six products with one advice."""
    folder = tmp_path_factory.mktemp("fitted")
    write_lines(folder / "sales.csv", lines_of({}, DAYS))
    result = run(folder, "fit", "--data.path", "sales.csv", "--run_name", "seller", *FAST)
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def shop(fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, whose files are as its commands write them."""
    shutil.copytree(fitted, tmp_path, dirs_exist_ok=True)
    says(tmp_path, "prices", code=0)
    # the seed depends on the clock, by the log's head
    monkeypatch.setattr(
        roll_out, "draw_plan", lambda clusters, weeks, control, _: draw_plan(clusters, weeks, control, 1)
    )
    return tmp_path


def opened(shop: Path, today: date) -> Shop:
    return Shop.read(RunFolder(shop / "checkpoints/seller"), today)


def held_in(shop: Path) -> dict[str, list[int]]:
    """The planned weeks in which each product keeps its earlier price."""
    plan = plan_in(shop)
    return {name: plan["held"][item["cluster"]] for name, item in plan["products"].items()}


def plan_in(shop: Path) -> dict[str, Any]:
    (plan,) = (entry for entry in entries_of(shop) if entry["kind"] == ROLL_OUT)
    return plan


def test_what_waiting_costs_is_said_before_anything_changes(shop: Path) -> None:
    before = entries_of(shop)
    text = says(
        shop, "roll-out", "6 products in 5 clusters", "2 Apr 2025", "waiting    costs about", "add --yes", code=0
    )
    assert "receipt    no gain below about" in text, "six products are too few"
    says(shop, "roll-out seller --keep-control", "afterwards a tenth at a time", "until 31 Mar 2026", code=0)
    assert entries_of(shop) == before


def test_order_and_probabilities_are_in_the_log_before_the_first_day_and_substitutes_begin_together(shop: Path) -> None:
    says(shop, "roll-out --yes --by anna --weeks 5", "roll-out of 6 products over 5 weeks", code=0)
    plan = plan_in(shop)
    assert (plan["first_day"], plan["until"], plan["actor"], plan["measure"]) == (
        "2025-04-02",
        "2025-07-01",
        "anna",
        "profit",
    )
    assert plan["seed"] == int(plan["previous"][:8], 16), "nobody chooses the order"
    assert plan["probabilities"][:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    products = plan["products"]
    assert products["Assam"]["cluster"] == products["Ceylon"]["cluster"]
    assert sorted(map(len, plan["held"])) == [0, 1, 2, 3, 4]
    says(shop, "audit verify", "unbroken", code=0)


def test_products_that_wait_keep_their_price_until_their_week_and_orders_of_people_come_first(shop: Path) -> None:
    advised = {row.product: row.price for row in opened(shop, date(2025, 4, 1)).outbox.rows}
    assert len(advised) > 1
    says(shop, "roll-out --yes", code=0)
    held = held_in(shop)
    for week in range(2):
        day = date(2025, 4, 2) + timedelta(7 * week)
        rows = {row.product for row in opened(shop, day).outbox.rows}
        assert rows == {name for name in advised if week not in held[name]}
    waits = next(name for name in advised if 1 in held[name])
    assert opened(shop, date(2025, 4, 2)).states[waits][0] == "ordered"
    assert f"{waits}: no price, it keeps its price in the roll-out until" in says(shop, "prices", code=0)
    says(shop, f"override 10.2 --product {waits} --until 2025-04-20 --reason mine", code=0)
    assert next(row for row in opened(shop, date(2025, 4, 2)).outbox.rows if row.product == waits).price == 10.2
    says(shop, f"resume --product {waits}", code=0)
    assert not [row for row in opened(shop, date(2025, 4, 2)).outbox.rows if row.product == waits]
    says(shop, f"resume --product {waits}", "the roll-out of entry", code=0)
    assert opened(shop, date(2025, 4, 2)).order_on(waits) is None, "a person lets one product go"


def test_a_control_goes_back_to_its_earlier_price_within_the_limits_of_a_change(shop: Path) -> None:
    says(shop, "roll-out --yes --keep-control", code=0)
    plan = plan_in(shop)
    name, week = next((name, held[-1]) for name, held in held_in(shop).items() if held[-1] > 6)
    day = date.fromisoformat(plan["first_day"]) + timedelta(7 * week)
    before = opened(shop, day)
    assert before.order_on(name).price == plan["products"][name]["price"]
    assert name not in {row.product for row in before.outbox.rows}, "it is there"
    advice = before.newest[name]
    for price, most in ((plan["products"][name]["price"] * 1.02, 0), (plan["products"][name]["price"] * 1.5, 1)):
        moved = {**advice, "current_price": price}
        moved["limits"] = {**advice["limits"], "lowest": price * 0.95, "highest": price * 1.05}
        entries = [moved if entry is advice else entry for entry in before.log.entries]
        log = NOTHING.extended(entries, before.log.head)
        (row,) = (row for row in Shop(before.folder, log, before.generation, day).outbox.rows if row.product == name)
        assert row.price == pytest.approx([plan["products"][name]["price"], price * 0.95][most])


@pytest.mark.slow
def test_weeks_with_the_roll_out_are_read_everywhere_and_end_when_it_is_stopped(shop: Path) -> None:
    says(shop, "roll-out --yes --reason money", code=0)
    charged: dict[str, dict[int, float]] = {name: {} for name in NAMES}
    followed = next(name for name in NAMES if not held_in(shop)[name])
    other = next(name for name in NAMES if 2 in held_in(shop)[name])
    for week in (1, 2, 3):
        days = range(DAYS + 7 * week - 7 + (week > 1), DAYS + 7 * week + 1)
        for day in days:
            state = opened(shop, FIRST + timedelta(day))
            rows = {row.product: row.price for row in state.outbox.rows if row.date <= str(FIRST + timedelta(day))}
            for name in NAMES:
                now = charged[name].get(day - 1, state.newest[name]["current_price"])
                charged[name][day] = rows.get(name, now)
        write_lines(shop / "sales.csv", lines_of(charged, days[-1] + 1))
        today = FIRST + timedelta(days[-1] + 1)
        says(shop, f"predict --data.path sales.csv --today {today} {QUIET}", "Receipt    Since")
        if week == 1:
            says(shop, f"override 9.9 --product {other} --until 2025-06-30 --reason x --today {today}", code=0)
    assert charged[other][days[-1]] == 9.9, "not followed, and kept"
    sentence = "Since 2 Apr 2025 the new prices have"
    says(shop, f"prices --today {today}", sentence, "of 6 products follow; the claim by the advice was", code=0)
    assert sentence in says(shop, f"shop --today {today}", code=0)
    assert sentence in says(shop, f"roll-out --today {today}", "roll-out --stop ends it", code=0)
    says(shop, f"review --data.path sales.csv --today {today}", sentence, code=0)
    assert sentence in (shop / "checkpoints/seller/review.html").read_text(encoding="utf-8")
    assert sentence in (shop / "checkpoints/seller/report.html").read_text(encoding="utf-8")
    document = json.loads((shop / "checkpoints/seller/advice.json").read_text())
    decided = {item["product"]: item["decision"]["source"] for item in document["products"]}
    assert decided[other] == "override" and decided[followed] != "manual"
    says(shop, f"history --today {today}", "roll-out of 6 products", code=0)

    says(shop, f"roll-out --stop --by anna --today {today}", "the roll-out of entry 7 has ended", code=0)
    refuses(shop, f"roll-out --stop --today {today}", "no roll-out is running")
    assert all(order.kind != "roll_out" for name in NAMES for order in opened(shop, today).orders_on(name))
    says(shop, f"prices --today {today}", "From 2 Apr 2025 to 22 Apr 2025 the new prices have", code=0)
    says(shop, "audit verify", "unbroken", code=0)


def test_a_roll_out_that_cannot_begin_is_refused(shop: Path) -> None:
    refuses(shop, "roll-out --weeks 1", "--weeks: must be 2 to 12, found 1")
    refuses(shop, "roll-out --stop", "no roll-out is running")
    with writing(shop / "checkpoints/seller/shop.db") as database:
        database.run("DELETE FROM day WHERE date < '2025-02-20'")
    refuses(shop, "roll-out --yes", "compares with 8 weeks before it; the shop has 5")
    with writing(shop / "checkpoints/seller/shop.db") as database:
        database.run("UPDATE product SET category = 'all'")
    refuses(shop, "roll-out --yes", "one product or group cannot be compared with others", "price-test plan")
