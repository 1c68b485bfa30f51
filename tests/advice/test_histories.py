"""Histories that say little: the advice says so, and everything still runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from advice_outputs import read_outputs
from advising import advise_on, market_of, moving
from command_line import FAST, SHARED, run, seller_lines, write_lines

from pricerl.data.costs import CostConfig
from pricerl.decide.decision import DecisionConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.forecast import forecast_path


def advised(lines: list[str], cost: CostConfig = CostConfig(), preset: Any = "balanced", chance: float = 0.5) -> Any:
    """Return the record of a policy's advice that lowers the price."""
    config = DecisionConfig(min_chance=chance)
    return advise_on(market_of(lines, cost), moving(-1.0), preset=preset, config=config).to_dict()


def without_sales(lines: list[str]) -> list[str]:
    """Return a seller who sells nothing on three of eight days."""
    cells = [line.split(",") for line in lines]
    for day in (day for day in range(120) if day % 8 in (2, 4, 5)):
        cells[1 + day][2:4] = ["0.00", "0.00"]
    return [",".join(row) for row in cells]


def moved_with(price: Callable[[int], float], mean: Callable[[int], float]) -> list[str]:
    """Return a seller of 120 days whose price and demand move together."""
    rng = np.random.default_rng(0)
    lines = seller_lines(120)
    for day in range(120):
        charged = round(price(day), 2)
        units = rng.poisson(mean(day))
        cells = [lines[1 + day].split(",")[0], f"{charged:.2f}", f"{charged * units:.2f}"]
        lines[1 + day] = ",".join([*cells, f"{0.85 * charged * units - 4 * units:.2f}", "12", "8"])
    return lines


@pytest.mark.parametrize(
    ("lines", "code", "numbers"),
    [
        (seller_lines(60, price=10.0), "one_price", {}),
        (without_sales(seller_lines(120)), "unlikely_zeros", {"days": 45, "known": 120}),
        (seller_lines(8), "too_few_days", {"usable": 8, "needed": 28}),
        (seller_lines(20), "too_few_days", {"usable": 20, "needed": 28}),
        (
            moved_with(lambda day: 12.0 if day % 7 >= 5 else 9.0, lambda day: 40 if day % 7 >= 5 else 10),
            "entangled",
            {"cause": "weekday"},
        ),
        (moved_with(lambda day: 9 + day / 30, lambda day: 10 + day / 3), "entangled", {"cause": "season"}),
    ],
    ids=["one price", "days without a sale", "8 days", "20 days", "weekend prices", "prices that rise with demand"],
)
def test_a_history_that_shows_nothing_keeps_the_price_with_grade_d_and_says_why(
    lines: list[str], code: str, numbers: dict[str, Any]
) -> None:
    product = advised(lines)
    decision = product["decision"]
    assert (decision["grade"], decision["source"]) == ("D", "hold")
    assert {day["recommended_price"] for day in product["days"]} == {product["current_price"]}
    (reason,) = decision["reasons"]
    assert reason["code"] == code and numbers.items() <= reason["numbers"].items()
    assert product["reason"].startswith(f"Keep {product['current_price']:.2f}: {decision['why']}")


def test_a_history_that_shows_nothing_ends_in_exit_code_4_and_one_product_with_evidence_in_0(tmp_path: Path) -> None:
    flat = seller_lines(60, price=10.0, product="Mug")
    write_lines(tmp_path / "flat.csv", flat)
    alone = run(tmp_path, "fit", "--data.path", "flat.csv", *FAST)
    assert alone.code == 4 and alone.err == ""
    assert " ".join(alone.out.split()).casefold().count("only 1 price was tried") == 1, "the reason says it, no check"
    write_lines(tmp_path / "both.csv", flat + seller_lines(90, product="Bowl")[1:])
    assert run(tmp_path, "fit", "--data.path", "both.csv", "--decision.min_chance", "0", *FAST).code == 0


def test_date_price_and_sales_suffice_and_unknown_cells_are_empty(tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines(90, columns=3))
    assert run(tmp_path, "fit", "--data.path", "sales.csv", "--run_name", "run", *FAST).code == 4
    rows, (product,), html = read_outputs(tmp_path / "checkpoints" / "run")
    unknown = ["Expected Profit", "Profit Low", "Profit High", "Organic Conversion Percentage"]
    unknown += ["Ad Conversion Percentage", "Chance Better"]
    assert {row[name] for row in rows for name in unknown} == {""}
    assert all(row["Expected Units"] and row["Expected Sales"] for row in rows)
    assert {row["Grade"] for row in rows} == {"C"}
    assert [reason["code"] for reason in product["decision"]["reasons"]] == ["costs_unknown"]
    assert f"{product['break_even']['cost'][0]:.2f}" in product["reason"]
    for text in (html.split("<body>")[1], *(",".join(row.values()) for row in rows)):
        assert not any(word in text for word in ("nan", "NaN", "None", "null", "inf"))


def test_supplied_costs_make_profit_known() -> None:
    product = advised(seller_lines(90, columns=3), CostConfig(unit_cost=4.0, share_kept=0.85))
    assert all(day["profit"] for day in product["days"])


@pytest.mark.parametrize("last", [11.0, 9.0])
def test_a_forecast_follows_the_last_price_of_a_competitor(last: float) -> None:
    """Demand of 60 units times ``(competitor / 11)^0.8``; the competitor charges 11.00 or 9.00 for weeks."""
    rng = np.random.default_rng(3)
    price, competitor = (np.repeat(rng.choice(levels, 40), 7) for levels in ((9.5, 10.0, 10.5), (9.0, 11.0)))
    price[-7:], competitor[-7:], competitor[-1] = 10.0, 11.0, last
    units = rng.poisson(60 * (price / 10) ** -2 * (competitor / 11) ** 0.8)
    dates = np.datetime64("2025-01-01") + np.arange(len(price))
    rows = zip(dates, price, price * units, competitor, strict=True)
    lines = [f"{day},{own:.2f},{sales:.2f},{other:.2f}" for day, own, sales, other in rows]
    market = market_of(["Report Date,Product Price,Total Sales,Competitor Price", *lines])
    expected = forecast_path(Product(Dynamics(market), 0), torch.full((14,), 10.0), 0).units[0].mean()
    assert expected == pytest.approx(60 * (last / 11) ** 0.8, rel=0.06)


REAL = ("soapnuts", "onlineretail_22423", "cheese_dominick")
SLOW = ("woolballs", "onlineretail_85123A", "cheese_pathmark", "cheese_tops")
CASES = [(name, "balanced") for name in REAL]
CASES += [(name, "revenue") for name in REAL[:2]]
LONG = [(name, "balanced") for name in SLOW] + [(name, "upward") for name in REAL[:2]]
COST_TO_LOOK_UP = re.compile(r"If your unit cost is above [\d,.]+ \(90 %: [\d,.]+ to [\d,.]+\)")


@cache
def read_real(name: str) -> list[str]:
    """Return the lines of a real history."""
    if not (path := SHARED / f"{name}.csv").is_file():
        pytest.skip("the real data files are not here")
    return path.read_text(encoding="utf-8-sig").splitlines()


@pytest.mark.parametrize(("name", "preset"), [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in LONG)])
def test_a_real_history_ends_in_what_pays_or_in_the_cost_to_look_up_and_claims_no_certainty(
    name: str, preset: str
) -> None:
    product = advised(read_real(name), preset=preset, chance=0.0 if preset == "upward" else 0.5)
    reason = product["reason"]
    assert product["decision"]["grade"] != "D" and len(reason) < 700
    assert reason.endswith(".") and ".." not in reason
    assert not any(word in reason for word in ("optimal", "will increase", "100 %", "nan"))
    if preset == "revenue":
        assert product["proposal"]["over_keep"]["probability_better"] is not None
        assert "costs.csv" not in reason and "If your unit cost" not in reason
    elif product["raising"] is None:
        assert COST_TO_LOOK_UP.search(reason) and "into costs.csv." in reason
    else:
        assert re.search(r"[aA] rise earns more as long as it costs less than \d+\.\d %", reason)
