"""Histories that say little, and histories of weeks: what the advice says of them, and that everything still runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from advice_outputs import read_outputs
from advising import advise_on, market_of, moving
from command_line import FAST, SHARED, run, seller_lines, write_lines

from pricerl.advice.describe import advise
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.days import DAY
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.decide.case import Case, Proposed
from pricerl.decide.chain import decide_price
from pricerl.decide.decision import DecisionConfig
from pricerl.decide.price_path import approach_path
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.backtest import run_backtests, steps_ahead
from pricerl.evaluation.forecast import forecast_path
from pricerl.evaluation.pricing_rules import Candidates, best_for_profit
from pricerl.formatting import Formatter
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.covariates import WEEKDAY, gather_covariates
from pricerl.market.demand.reference_price import reference_prices
from pricerl.market.fitting import fit_market


def advised(lines: list[str], cost: CostConfig = CostConfig(), preset: Any = "balanced", chance: float = 0.5) -> Any:
    """Return the record of a policy's advice that lowers the price."""
    config = DecisionConfig(min_chance=chance)
    return advise_on(market_of(lines, cost), moving(-1.0), preset=preset, config=config).to_dict()


def without_sales() -> list[str]:
    """Return a seller of 120 days who sells nothing on three of eight days."""
    cells = [line.split(",") for line in seller_lines(120)]
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


WEEKEND = moved_with(lambda day: 12.0 if day % 7 >= 5 else 9.0, lambda day: 40 if day % 7 >= 5 else 10)
RISING = moved_with(lambda day: 9 + day / 30, lambda day: 10 + day / 3)


@pytest.mark.parametrize(
    ("lines", "code", "numbers"),
    [
        pytest.param(seller_lines(60, price=10.0), "one_price", {}, id="one price"),
        pytest.param(without_sales(), "unlikely_zeros", {"days": 45, "known": 120}, id="days without a sale"),
        pytest.param(seller_lines(8), "too_few_days", {"usable": 8, "needed": 28}, id="8 days"),
        pytest.param(seller_lines(20), "too_few_days", {"usable": 20, "needed": 28}, id="20 days"),
        pytest.param(WEEKEND, "entangled", {"cause": "weekday"}, id="weekend prices"),
        pytest.param(RISING, "entangled", {"cause": "season"}, id="prices that rise with demand"),
    ],
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


def test_date_price_and_sales_suffice_unknown_cells_are_empty_and_supplied_costs_make_profit_known(
    tmp_path: Path,
) -> None:
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
    supplied = advised(seller_lines(90, columns=3), CostConfig(unit_cost=4.0, share_kept=0.85))
    assert all(day["profit"] for day in supplied["days"])


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
CASES = [*((name, "balanced") for name in REAL), *((name, "revenue") for name in REAL[:2])]
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


def daily_sales(elasticity: float = -2.0, unit_cost: float = 4.0) -> pd.DataFrame:
    """A seller of 40 units per day at 10.00 who keeps each price for 4 to 12 of 728 days, and 10.00 at last."""
    generator = np.random.default_rng(3)
    price = np.concatenate(
        [np.full(generator.integers(4, 13), round(generator.uniform(8.5, 11.5), 2)) for _ in range(728)]
    )[:728]
    price[-9:] = 10.0
    units = generator.poisson(40 * (price / 10) ** elasticity)
    dates = (np.datetime64("2024-01-01") + np.arange(728)).astype(str)
    profit = price * units - unit_cost * units
    return pd.DataFrame(
        {"Report Date": dates, "Product Price": price, "Total Sales": price * units, "Total Profit": profit}
    )


def weekly_text(daily: pd.DataFrame) -> str:
    """Sum a daily file to weeks, with the units-weighted price."""
    frame = daily.assign(Units=(daily["Total Sales"] / daily["Product Price"]).round())
    sums = frame.groupby(np.arange(len(frame)) // 7)
    weeks = sums[["Units", "Total Sales", "Total Profit"]].sum()
    weeks.insert(0, "Product Price", (weeks["Total Sales"] / weeks["Units"]).round(4))
    weeks.insert(0, "Report Date", sums["Report Date"].first())
    return str(weeks.to_csv(index=False))


def both_of(daily: pd.DataFrame) -> tuple[Dynamics, Dynamics]:
    """Markets of a seller from days and from weeks."""
    config = DataConfig(current_price="last")

    def dynamics(text: str) -> Dynamics:
        data = DataPreprocessor.fit(history_from_text(text, "file", config), config)
        return Dynamics(fit_market(data, DemandConfig(), conversions=False))

    return dynamics(str(daily.to_csv(index=False))), dynamics(weekly_text(daily))


@pytest.fixture(scope="module")
def daily_and_weekly() -> tuple[Dynamics, Dynamics]:
    return both_of(daily_sales())


@pytest.fixture(scope="module")
def weekly(daily_and_weekly: tuple[Dynamics, Dynamics]) -> Dynamics:
    return daily_and_weekly[1]


def direction(dynamics: Dynamics, steps: int) -> int:
    """1 if a rise is decided, -1 if a drop is, 0 if the price is kept: for the path to the best price for profit."""
    product = Product(dynamics, 0)
    path = approach_path(best_for_profit(Candidates(product)), product, steps)
    course = decide_price(Case(product, lambda *asked: Proposed("policy", path), DecisionConfig(), steps))
    return int(np.sign(course.prices[-1] - product.current_price))


@pytest.mark.parametrize(
    ("elasticity", "unit_cost", "expected"), [(-1.3, 8.8, 1), pytest.param(-5.5, 3.0, -1, marks=pytest.mark.slow)]
)
def test_days_summed_to_weeks_lead_to_the_same_direction(elasticity: float, unit_cost: float, expected: int) -> None:
    of_days, of_weeks = both_of(daily_sales(elasticity, unit_cost))
    assert (direction(of_days, 14), direction(of_weeks, 2)) == (expected, expected)


def test_a_week_sells_what_seven_days_sell_and_has_no_weekday(daily_and_weekly: tuple[Dynamics, Dynamics]) -> None:
    daily, weekly = (float(dynamics.references.sales[0, dynamics.market.mean_draw]) for dynamics in daily_and_weekly)
    assert weekly == pytest.approx(7 * daily, rel=0.15)
    costs = [dynamics.market.products[0].cost for dynamics in daily_and_weekly]
    assert "fixed cost per week" in costs[1].describe() and "fixed cost per day" in costs[0].describe()
    names = [gather_covariates(item.market.preprocessor.products[0]).names for item in daily_and_weekly]
    assert [found.count(WEEKDAY) for found in names] == [7, 0]
    assert (daily_and_weekly[1].market.products[0].weekday == 1).all()


def test_a_fixed_cost_per_day_is_charged_seven_times_per_week(weekly: Dynamics) -> None:
    data = weekly.market.preprocessor
    market = fit_market(data, DemandConfig(num_draws=2), CostConfig(fixed_cost=5.0), conversions=False)
    assert (market.products[0].cost.fixed_cost == 35.0).all()


def test_advice_on_weeks_counts_weeks(weekly: Dynamics) -> None:
    backtests = run_backtests(weekly.market.preprocessor, DemandConfig(num_draws=8), CostConfig())
    (advice,) = advise(moving(1.0), weekly, DecisionConfig(), 14, backtests, formatter=Formatter(step_days=7))
    last = weekly.market.preprocessor.products[0].dates[-1]
    assert [day.date for day in advice.days] == [str(last + 7 * DAY), str(last + 14 * DAY)]
    assert "profit per week" in advice.reason and "per day" not in advice.reason
    assert [score.days_ahead for score in advice.checks.backtest.scores] == [7, 14]
    days = advice.details.price_test.days
    assert days is None or days % 7 == 0


def test_a_decision_lasts_at_least_a_week_of_the_calendar_and_the_hold_is_over_after_it(weekly: Dynamics) -> None:
    holds = [GuardrailConfig(min_hold_days=days) for days in (1, 3, 7, 8, 15)]
    assert [Dynamics(weekly.market, guardrails=hold).days_per_step for hold in holds] == [1, 1, 1, 2, 3]
    today = Product(weekly, 0).today
    assert today.too_young() == ""
    assert float(today.recent.week_ago) == today.now
    assert str(today.charge(10.0).log.dates[-1]) == str(today.log.dates[-1] + 7 * DAY)
    history, row = weekly.market.preprocessor.products[0], torch.tensor([0])
    state = weekly.start(row, weekly.history.num_days - 1, row)
    months = weekly.dates_after(state, 9)[2, :, 0]
    ahead = (history.dates[-1] + 7 * np.arange(1, 10)).astype("datetime64[M]").astype(int) % 12 + 1
    assert months.tolist() == ahead.tolist()


def test_buyers_forget_as_much_in_a_week_as_in_seven_days_and_forecasts_are_made_two_weeks_ahead() -> None:
    prices = np.log(np.array([10.0, 12.0, 12.0, 12.0]))
    of_days = reference_prices(np.repeat(prices, 7))
    np.testing.assert_allclose(reference_prices(prices, 7), of_days[::7])
    assert steps_ahead(1) == (1, 7, 14)
    assert steps_ahead(7) == (1, 2)
