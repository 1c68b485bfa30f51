"""Histories that say little: the advice says so, and everything still runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from advice_outputs import Outputs, read_outputs
from command_line import FAST, SHARED, run, seller_lines, write_lines

from pricerl.data.history import ProductHistory
from pricerl.evaluation.card.prior_share import own_precision


def _fit(folder: Path, lines: list[str], *words: str) -> tuple[int, Outputs]:
    write_lines(folder / "sales.csv", lines)
    result = run(folder, "fit", "--data.path", "sales.csv", "--run_name", "run", *FAST, *words)
    assert result.err == ""
    return result.code, read_outputs(folder / "checkpoints" / "run")


def test_a_price_that_never_varied_is_kept_with_grade_d(tmp_path: Path) -> None:
    code, (rows, (product,), _) = _fit(tmp_path, seller_lines(60, price=10.0))
    assert code == 4
    assert {(row["Recommended Price"], row["Grade"], row["Source"]) for row in rows} == {("10.00", "D", "hold")}
    assert product["reason"].startswith("Keep 10.00: only 1 price was tried")
    assert "Charge another price" in product["reason"]


def test_a_seller_who_sells_nothing_on_many_days_is_asked_for_the_stock(tmp_path: Path) -> None:
    lines = seller_lines(120)
    for day in (day for day in range(120) if day % 8 in (2, 4, 5)):
        cells = lines[1 + day].split(",")
        lines[1 + day] = ",".join([*cells[:2], "0.00", "0.00", *cells[4:]])
    code, (rows, (product,), html) = _fit(tmp_path, lines)
    assert code == 4 and {(row["Grade"], row["Source"]) for row in rows} == {("D", "hold")}
    assert "nothing sold on 45 of 120 days, usual demand explains none" in product["reason"]
    assert "In Stock column" in product["reason"] and "nothing sold on 45 of 120 days" in html


@pytest.mark.parametrize(
    ("price", "mean", "cause"),
    [
        pytest.param(
            lambda day: 12.0 if day % 7 >= 5 else 9.0,
            lambda day: 40 if day % 7 >= 5 else 10,
            "weekday",
            marks=pytest.mark.slow,
        ),
        (lambda day: 9 + day / 30, lambda day: 10 + day / 3, "season"),
    ],
    ids=["weekend prices", "prices that rise with demand"],
)
def test_a_price_that_only_moved_with_something_else_is_kept(
    price: Callable[[int], float], mean: Callable[[int], float], cause: str, tmp_path: Path
) -> None:
    rng, lines = np.random.default_rng(0), seller_lines(120)
    for day in range(120):
        charged, units = round(price(day), 2), rng.poisson(mean(day))
        cells = [lines[1 + day].split(",")[0], f"{charged:.2f}", f"{charged * units:.2f}"]
        lines[1 + day] = ",".join([*cells, f"{0.85 * charged * units - 4 * units:.2f}", "12", "8"])
    code, (rows, (product,), _) = _fit(tmp_path, lines)
    assert code == 4 and {(row["Grade"], row["Source"]) for row in rows} == {("D", "hold")}
    assert f"the price moved with the {cause}" in product["reason"]


@pytest.mark.parametrize("days", [8, 13, 20])
def test_a_very_short_history_keeps_the_price_and_names_the_days_needed(days: int, tmp_path: Path) -> None:
    code, (rows, (product,), _) = _fit(tmp_path, seller_lines(days))
    assert code == 4 and len(rows) == 14
    assert f"only {days} usable days; at least 28 are needed" in product["reason"]
    assert product["data_quality"]["quality"] == "FAIL" and product["data_quality"]["usable_days"] == days


def test_date_price_and_sales_suffice_and_unknown_cells_are_empty(tmp_path: Path) -> None:
    code, (rows, (product,), html) = _fit(tmp_path, seller_lines(90, columns=3))
    assert code == 4
    unknown = ["Expected Profit", "Profit Low", "Profit High", "Organic Conversion Percentage"]
    unknown += ["Ad Conversion Percentage", "Chance Better"]
    assert {row[name] for row in rows for name in unknown} == {""}
    assert all(row["Expected Units"] and row["Expected Sales"] for row in rows)
    assert {row["Grade"] for row in rows} == {"C"} and "into costs.csv." in product["reason"]
    cost = product["break_even"]["cost"]
    assert all(f"If your unit cost is above {cost[0]:.2f} (90 %: " in row["Reason"] for row in rows)
    limits = f"(90\u00a0%: {cost[1]:.2f} to {cost[2]:.2f})"
    assert f"If your unit cost is above {cost[0]:.2f} {limits}, a higher price probably earns more." in html
    visible = html.split("<body>")[1]
    for text in (visible, *(",".join(row.values()) for row in rows)):
        assert not any(word in text for word in ("nan", "NaN", "None", "null", "inf"))


def test_doubts_about_a_history_are_printed_with_the_advice(tmp_path: Path) -> None:
    write_lines(tmp_path / "sales.csv", seller_lines(60, price=10.0))
    result = run(tmp_path, "fit", "--data.path", "sales.csv", *FAST)
    assert " ".join(result.out.split()).casefold().count("only 1 price was tried") == 1, "the reason says it, no check"


def test_supplied_costs_make_profit_known(tmp_path: Path) -> None:
    words = ["--data.cost.unit_cost", "4", "--data.cost.share_kept", "0.85"]
    _, (rows, _, _) = _fit(tmp_path, seller_lines(90, columns=3), *words)
    assert all(row["Expected Profit"] for row in rows)


def test_one_product_with_evidence_makes_the_exit_code_0(tmp_path: Path) -> None:
    lines = seller_lines(60, price=10.0, product="Mug") + seller_lines(90, product="Bowl")[1:]
    write_lines(tmp_path / "sales.csv", lines)
    words = ["fit", "--data.path", "sales.csv", "--decision.min_chance", "0", *FAST]
    assert run(tmp_path, *words).code == 0


NUMBER_TO_LOOK_UP = re.compile(r"If your unit cost is above [\d,.]+ \(90 %: [\d,.]+ to [\d,.]+\)")
REAL = ("soapnuts", "woolballs", "onlineretail_22423", "onlineretail_85123A")
QUICK = ("soapnuts", "onlineretail_22423", "cheese_dominick")
REAL += ("cheese_dominick", "cheese_pathmark", "cheese_tops")


@pytest.fixture(scope="module")
def advise_real(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], dict[str, Any]]:
    """Return the advice on a real history under a preset of the reward, made once."""

    @cache
    def advise(name: str, preset: str) -> dict[str, Any]:
        if not (path := SHARED / f"{name}.csv").is_file():
            pytest.skip("the real data files are not here")
        folder = tmp_path_factory.mktemp(name)
        gate = ["--decision.min_chance", "0"] if preset == "upward" else []
        words = ["--data.path", str(path), "--data.reward.preset", preset, "--run_name", "run", *gate]
        assert run(folder, "fit", *words, *FAST).code in (0, 4)
        (product,) = read_outputs(folder / "checkpoints" / "run").products
        return product

    return advise


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in REAL]
)
def test_a_real_history_ends_in_what_pays_or_in_the_number_to_look_up(
    name: str, advise_real: Callable[[str, str], dict[str, Any]]
) -> None:
    product = advise_real(name, "balanced")
    reason = product["reason"]
    assert product["decision"]["grade"] != "D" and len(reason) < 700
    if product["raising"] is None:
        assert NUMBER_TO_LOOK_UP.search(reason) and "into costs.csv." in reason
    else:
        assert re.search(r"[aA] rise earns more as long as it costs less than \d+\.\d %", reason)


@pytest.mark.parametrize("name", ["soapnuts", "onlineretail_22423"])
@pytest.mark.parametrize(
    "preset", ["balanced", *(pytest.param(name, marks=pytest.mark.slow) for name in ("revenue", "upward"))]
)
def test_a_real_history_gets_a_reason_that_claims_no_certainty(
    name: str, preset: str, advise_real: Callable[[str, str], dict[str, Any]]
) -> None:
    product = advise_real(name, preset)
    reason = product["reason"]
    assert not any(word in reason for word in ("optimal", "will increase", "100 %", "nan"))
    assert len(reason) < 700 and reason.endswith(".") and ".." not in reason
    if preset == "revenue":
        assert product["proposal"]["over_keep"]["probability_better"] is not None
        assert "costs.csv" not in reason and "If your unit cost" not in reason


def test_only_own_prices_that_vary_inform_about_the_elasticity(make_product: Callable[..., ProductHistory]) -> None:
    price, own = np.repeat([10.0, 11.0, 10.0], [60, 28, 28]), np.arange(116) >= 60
    kept = make_product(np.full(116, 10.0), np.full(116, 20.0), own_price=own)
    varied = make_product(price, np.full(116, 20.0), own_price=own)
    assert own_precision(kept, 5.0) == pytest.approx(0, abs=1e-20)
    assert own_precision(make_product(price, np.full(116, 20.0)), 5.0) == 0
    by_hand = 56 * (np.log(1.1) / 2) ** 2 * 20 / (1 + 20 / 5)  # variance of log units: 1 / mean + 1 / size
    assert own_precision(varied, 5.0) == pytest.approx(by_hand)
