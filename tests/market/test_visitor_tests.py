"""Tests made elsewhere: false proofs are few, intervals cover, and demand follows what a test shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pricerl.data.costs import CostConfig
from pricerl.experiments.visitor_rows import find_mismatch, sum_up
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import ProductMarket, elasticity_at
from pricerl.market.visitor_tests import VisitorTest

FILES = 2000


def rows_of(rng: np.random.Generator, elasticity: float) -> list[dict[str, Any]]:
    """A file of 200 to 20,000 visitors per price; some have rows of days, with orders that vary by more than chance."""
    prices = 20 * np.exp(np.cumsum([0.0, *rng.uniform(0.04, 0.2, 1 + (rng.random() < 0.2))])).round(2)
    visitors, rate = np.exp(rng.uniform(np.log([200, 0.01]), np.log([20_000, 0.2])))
    days = int(rng.integers(3, 29)) if rng.random() < 0.6 else 1
    spread = rng.uniform(0, 0.5) * (rng.random() < 0.6) * (days > 1)
    busy, eager = np.exp(rng.normal(0, 0.3 * (days > 1), (2, days)))
    rows = []
    for price in prices:
        for day in range(days):
            seen = 1 + rng.poisson(visitors / days * busy[day])
            chance = rate * eager[day] * (price / prices[0]) ** elasticity * np.exp(spread * rng.normal())
            row = {
                "price": float(price),
                "visitors": float(seen),
                "orders": float(rng.binomial(seen, min(chance, 0.9))),
            }
            rows.append({**row, "date": f"2026-01-{day + 1:02}"} if days > 1 else row)
    return rows


def draw_tests(seed: int, elasticity: float) -> list[VisitorTest]:
    rng = np.random.default_rng(seed)
    found = [sum_up(rows_of(rng, elasticity), "2026-02-01") for _ in range(FILES)]
    return [test for test in found if isinstance(test, VisitorTest)]


def one_test(*rows: tuple[float, float, float]) -> VisitorTest:
    names = ("price", "visitors", "orders")
    found = sum_up([dict(zip(names, row, strict=True)) for row in rows], "2026-02-01")
    assert isinstance(found, VisitorTest)
    return found


def test_files_without_a_response_prove_one_in_at_most_one_of_twenty() -> None:
    found = draw_tests(0, 0.0)
    assert len(found) > 0.99 * FILES
    claims = [[limits[2] < 0, limits[1] > 0] for limits in (test.elasticity for test in found)]
    falls, rises = np.mean(claims, axis=0)
    assert 0.01 < falls < 0.05 and falls + rises < 0.055, (falls, rises)
    assert falls == np.mean([test.proven for test in found])


def test_limits_of_a_real_response_cover_it_and_a_proof_has_the_right_sign() -> None:
    limits = np.array([test.elasticity for test in draw_tests(1, -2.0)])
    assert 0.94 < np.mean((limits[:, 1] <= -2) & (limits[:, 2] >= -2)) < 0.98
    assert np.median(limits[:, 0]) == pytest.approx(-2, abs=0.1)
    assert np.mean(limits[:, 2] < 0) > 0.3 and np.mean(limits[:, 1] > 0) < 0.01


def test_a_test_of_two_prices_is_the_ratio_of_two_binomials() -> None:
    test = one_test((20.0, 4000.0, 240.0), (25.0, 4000.0, 160.0))
    error = np.sqrt(1 / 240 + 1 / 160) / np.log(1.25)
    estimate = np.log(160 / 240) / np.log(1.25)
    assert test.elasticity == pytest.approx((estimate, estimate - 1.96 * error, estimate + 1.96 * error), abs=0.04)
    assert test.precision == pytest.approx(400 / 4 * np.log(1.25) ** 2)
    assert test.words == (
        "your test of 20 and 25 with 8,000 visitors says that a price 1 % higher costs 1.8 % of orders "
        "(95 %: 0.9 to 2.7)"
    )
    doubtful = one_test((20.0, 400.0, 24.0), (25.0, 400.0, 23.0)).words
    assert "nothing certain: a price 1 % higher may cost 0.2 % of orders (95 %: −2.4 to 2.8)" in doubtful


def test_days_that_all_arms_share_take_no_evidence_and_different_days_are_no_test() -> None:
    rows = [
        {"price": price, "date": f"2026-01-0{day}", "visitors": 1000.0, "orders": orders * day}
        for price, orders in ((20.0, 30.0), (25.0, 20.0))
        for day in (1, 2, 3)
    ]
    found = sum_up(rows, "")
    assert isinstance(found, VisitorTest)
    assert (found.first_day, found.last_day, found.expected) == ("2026-01-01", "2026-01-03", [150.0, 150.0])
    turns = [
        row | {"visitors": 1.0, "orders": 0.0} if (row["price"] == 20) == (row["date"] < "2026-01-03") else row
        for row in rows
    ]
    assert "different days" in str(sum_up(turns, ""))
    noisy = [row | {"orders": row["orders"] + 25 * (-1) ** int(row["date"][-1])} for row in rows[:3]]
    loose = sum_up([*noisy, *rows[3:]], "")
    assert isinstance(loose, VisitorTest) and loose.weight < 0.1 < found.weight


def test_visitors_that_are_not_shared_out_as_planned_are_named() -> None:
    test = one_test((20.0, 5200.0, 240.0), (25.0, 4300.0, 160.0))
    assert find_mismatch(test, [{"price": 20.0}, {"price": 25.0}]) == "5,200 of 4,750 and 4,300 of 4,750"
    assert find_mismatch(test, [{"price": 20.0, "share": 55.0}, {"price": 25.0, "share": 45.0}]) == ""
    assert find_mismatch(one_test((20.0, 520.0, 24.0), (25.0, 430.0, 16.0)), [{"price": 20.0}, {"price": 25.0}]) == ""


@pytest.fixture
def fit(make_product: Callable[..., Any], prepare: Callable[..., Any]) -> Callable[..., ProductMarket]:
    rng = np.random.default_rng(0)
    price = np.repeat(rng.choice([9.5, 10.0, 10.5], 19), 7)[:130]
    history = prepare(make_product(price, rng.poisson(5 * (price / 10) ** -2.0).astype(float)))

    def fit(*tests: VisitorTest) -> ProductMarket:
        cost = CostConfig(unit_cost=4.0, share_kept=1.0)
        given = {history.names[0]: tests}
        return fit_market(history, DemandConfig(num_draws=400), cost, conversions=False, tests=given).products[0]

    return fit


@pytest.mark.parametrize(("orders", "limits"), [(724.0, (-1.9, -0.7)), (485.0, (-5.5, -3.6))])
def test_demand_moves_to_what_a_large_test_shows(
    fit: Callable[..., ProductMarket], orders: float, limits: tuple[float, float]
) -> None:
    """The test shows elasticities of -1 and -5 with standard errors of .5 and .6, the history one of about -2."""
    test = one_test((9.5, 20_000.0, 800.0), (10.5, 20_000.0, orders))
    before, after = (elasticity_at(found, 10.0) for found in (fit(), fit(test)))
    assert limits[0] < after.mean() < limits[1]
    assert after.std() < 0.85 * before.std()


def test_a_tiny_test_leaves_demand_as_it_was_and_none_changes_nothing(fit: Callable[..., ProductMarket]) -> None:
    before, after = (
        elasticity_at(found, 10.0) for found in (fit(), fit(one_test((9.5, 100.0, 4.0), (10.5, 100.0, 4.0))))
    )
    assert after.mean() == pytest.approx(before.mean(), abs=0.15) and after.std() == pytest.approx(
        before.std(), rel=0.15
    )
