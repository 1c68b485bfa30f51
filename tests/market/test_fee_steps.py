"""Fees with steps count wherever a price is valued: in costs.csv, the market, its env, plans, forecasts and advice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from advising import advise_on, moving

from pricerl.data.costs import CostConfig
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.row_table import TABLES
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.errors import DataError, UsageError
from pricerl.evaluation.forecast import forecast_path
from pricerl.evaluation.valuation import expect_path, find_break_even, margins_at, value_paths
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.cost import decode_cost
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.planner.constant_price import best_constant_price, candidate_prices, value_average_day
from pricerl.planner.dynamic_planner import plan_dynamically

COST = 4.0
BANDS = [
    {"unit_cost": COST, "fees": 8.0, "up_to": 10.0},
    {"fees": 15.0},
    {"unit_fee": 0.5, "fees": 0.0, "up_to": 6.25},  # the smallest fee
]
USUAL = "Product,Unit Cost,From,Fees (% of the price),Fixed Cost"
Build = Callable[..., Market]


def left_at(price: float) -> float:
    """What a unit leaves of a price after fees and cost, reckoned anew."""
    if price <= 6.25:
        return price - 0.5 - COST
    return price * (0.92 if price <= 10 else 0.85) - COST


@pytest.fixture
def shop(make_product: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]) -> Build:
    """Return the market of a product whose prices end at one, with the fees above."""

    def build(last: float = 9.8, elasticity: float = -2.0, **costs: Any) -> Market:
        rng = np.random.default_rng(4)
        price = np.concatenate([np.repeat(rng.choice([9.5, 10.0, 10.5, 11.0], 12), 7), [last] * 7])
        history = make_product(price, rng.poisson(20 * (price / 10) ** elasticity).astype(float))
        config = CostConfig(**(costs or {"products": BANDS}))
        return fit_market(prepare(history), DemandConfig(num_draws=16), config, 0)

    return build


def test_the_bands_of_costs_csv_are_read_written_and_read_again(tmp_path: Path) -> None:
    costs, path = TABLES["costs"], tmp_path / "costs.csv"
    path.write_text("Product,Unit Cost,Fees,Up To,Fee per Unit\nMug,4,8 %,10.00,\nMug,,15,,0.30\nBowl,3,12,,\n")
    rows, notes = costs.read(str(path), {})
    assert rows[:2] == [
        {"product": "Mug", "unit_cost": 4.0, "fees": 8.0, "up_to": 10.0},
        {"product": "Mug", "fees": 15.0, "unit_fee": 0.3},
    ]
    costs.write(path, rows)
    assert (
        path.read_text().splitlines()[0] == "Product,Unit Cost,From,Fees (% of the price),Fixed Cost,Up To,Fee per Unit"
    )
    assert (costs.read(str(path), {}), notes) == ((rows, []), [])
    costs.write(path, rows[2:])
    assert path.read_text().splitlines()[0] == USUAL
    path.write_text("Product,Fees,Up To\nMug,8,10\nMug,9,10\n")
    with pytest.raises(DataError, match="product and first day repeat line 2"):
        costs.read(str(path), {})


def test_fees_that_end_at_a_price_are_refused_unless_those_above_are_known() -> None:
    with pytest.raises(UsageError, match="fees end at a price of 10; add a row without Up To"):
        CostConfig(products=BANDS[:1])
    assert CostConfig(share_kept=0.85, products=BANDS[:1]).share_kept == 0.85


@pytest.mark.parametrize("last", [6.0, 9.8, 10.0, 10.4])
def test_a_unit_leaves_what_its_band_says_whatever_the_current_price(shop: Build, last: float) -> None:
    market = shop(last)
    own = market.products[0]
    prices = np.array([5.0, 6.25, 6.26, 9.99, 10.0, 10.01, 12.0])
    wanted = [left_at(price) for price in prices]
    assert own.cost.mean_margin(prices) == pytest.approx(wanted)
    assert margins_at(own, prices)[3] == pytest.approx(wanted)
    price = torch.tensor(prices, dtype=torch.float32)
    for rows in (market.draws(0), market.rows(torch.zeros(7, dtype=torch.long), torch.full((7,), 2))):
        found = rows.contribution(price, torch.full_like(price, 3.0))
        assert found.flatten()[-7:].tolist() == pytest.approx([3 * left for left in wanted], rel=1e-5)
    assert own.cost.share_kept[0] == pytest.approx({6.0: 1.0, 10.4: 0.85}.get(last, 0.92))
    assert own.cost.counted("sales").mean_margin(prices) == pytest.approx(prices)


def test_paths_days_and_the_env_count_the_same_profit(shop: Build) -> None:
    dynamics = Dynamics(shop())
    product = Product(dynamics, 0)
    path = product.money([9.8] * 3 + [10.4] * 4)
    (value,) = value_paths(product, path[None])
    days = expect_path(product, path)
    lefts = torch.tensor([left_at(9.8)] * 3 + [left_at(10.4)] * 4)
    assert torch.allclose(days.profit, days.expected_units * lefts, rtol=1e-4)
    assert value.profit == pytest.approx(days.profit.mean(1).numpy(), rel=1e-4)
    forecast = forecast_path(product, path, 0)
    units_left = forecast.units[0] * lefts.numpy()
    assert forecast.profit[0] == pytest.approx(units_left, rel=1e-3)
    low, high = (forecast.sampled_units.min(0) * lefts.numpy(), forecast.sampled_units.max(0) * lefts.numpy())
    assert (low - 1e-3 <= forecast.profit[1]).all() and (forecast.profit[2] <= high + 1e-3).all()
    zeros = torch.zeros(1, dtype=torch.long)
    state = dynamics.start(zeros, dynamics.history.num_days[zeros] - 1)
    _, day = dynamics.hold(state, torch.tensor([10.4]), 1, None)
    assert day.profit[0, 0].item() == pytest.approx(day.expected_units[0, 0].item() * left_at(10.4), rel=1e-5)


def test_past_profits_are_read_with_the_fees_of_their_prices(make_product: Callable[..., ProductHistory]) -> None:
    rng = np.random.default_rng(2)
    price, units = rng.uniform(5, 12, 90).round(2), rng.poisson(20, 90)
    left = np.array([left_at(one) for one in price])
    mug = make_product(price, units, profit=left * units - 7, profit_known=np.ones(90, dtype=bool))
    fees = [{key: value for key, value in row.items() if key != "unit_cost"} for row in BANDS]
    found = decode_cost(mug, CostConfig(products=fees), 64, np.random.default_rng(0))
    assert found.unit_cost.mean() == pytest.approx(COST, abs=0.05) and found.known
    plain = decode_cost(mug, CostConfig(share_kept=0.92), 64, np.random.default_rng(0))
    assert abs(plain.unit_cost.mean() - COST) > 0.2


def test_fees_of_a_group_hold_for_its_products_unless_they_have_their_own(
    make_product: Callable[..., ProductHistory],
) -> None:
    rows = [{"product": "Cups", **BANDS[0]}, {"product": "Cups", **BANDS[1]}, {"product": "Mug", "fees": 12.0}]
    config = CostConfig(products=rows)
    cup, mug, bowl = (
        replace(make_product(np.full(40, 9.0), np.full(40, 5.0)), product=name, group=group)
        for name, group in (("Cup", "Cups"), ("Mug", "Cups"), ("Bowl", ""))
    )
    assert config.fee_steps(cup) == pytest.approx(np.array([[10.0, 0.07, 0.0]]))
    assert len(config.fee_steps(mug)) == 0 and (config.daily(mug)[:, [1, 2]] == [0.88, COST]).all()
    assert np.isnan(config.daily(bowl)).all()
    assert config.check_products(["Cup", "Mug", "Cups"], 3) == []


def test_a_later_row_replaces_the_fees_of_its_band_from_its_day_on(make_product: Callable[..., ProductHistory]) -> None:
    rows = [*BANDS[:2], {"fees": 10.0, "up_to": 10.0, "from": "2025-01-20"}]
    mug = make_product(np.full(40, 9.0), np.full(40, 5.0))
    shares = CostConfig(products=rows).daily(mug)[:, 1]
    assert shares[0] == 0.92 and shares[-1] == 0.9
    assert CostConfig(products=rows).fee_steps(mug) == pytest.approx(np.array([[10.0, 0.05, 0.0]]))


def _seen_whole(market: Market) -> Market:
    """Return the market of buyers who see all of a price."""
    return replace(market, overlooked=torch.zeros_like(market.overlooked))


def test_plans_and_constant_prices_take_the_edge_itself_where_a_rise_would_pay_but_for_the_fee(shop: Build) -> None:
    dynamics = Dynamics(_seen_whole(shop(9.8, -0.9)), guardrails=GuardrailConfig(ceiling=11.0))
    candidates = candidate_prices(Product(dynamics, 0))
    assert not ((candidates > 10.0) & (candidates < 10.82)).any() and (candidates == 10.0).any()
    plain = Dynamics(
        _seen_whole(shop(9.8, -0.9, unit_cost=COST, share_kept=0.92)), guardrails=GuardrailConfig(ceiling=11.0)
    )
    assert best_constant_price(plain).price.item() > 10.1  # it would rise further
    assert best_constant_price(dynamics).price.item() == 10.0
    plan = plan_dynamically(dynamics, 0.97)
    zeros = torch.zeros(1, dtype=torch.long)
    state = dynamics.start(zeros, dynamics.history.num_days[zeros] - 1)
    assert plan(state).item() == 10.0
    reward, _ = value_average_day(Product(dynamics, 0), torch.tensor([10.0, 10.4]))
    assert (reward[:, 0] > reward[:, 1]).all()


SEVERAL = [*((last, -1.5) for last in (9.6, 9.8, 10.0, 10.2, 10.7, 11.0)), (9.8, -0.7), (10.4, -3.0)]


@pytest.mark.parametrize(
    ("last", "elasticity"),
    [
        pytest.param(last, elasticity, marks=[] if (last, elasticity) in SEVERAL else pytest.mark.slow)
        for last in (9.6, 9.8, 10.0, 10.2, 10.4, 10.7, 11.0)
        for elasticity in (-0.7, -1.5, -3.0)
    ],
)
def test_no_advised_day_leaves_less_than_the_edge_if_that_is_within_a_step(
    shop: Build, last: float, elasticity: float
) -> None:
    market = shop(last, elasticity)
    for action in (-1.0, 0.0, 1.0):
        advice = advise_on(market, moving(action), preset="profit", limits=GuardrailConfig(min_hold_days=1))
        prices = np.array([last, *(day.recommended_price for day in advice.days)])
        inside = (prices > 10.0) & (prices < 10.82)
        assert (0.95 * prices[:-1] > 10.0)[inside[1:]].all(), prices
        assert not inside[3:].any()
        if inside[0]:
            assert prices[2] <= 10.0


def test_revenue_as_the_objective_knows_no_fees(shop: Build) -> None:
    dynamics = Dynamics(shop(10.4), RewardConfig("revenue"))
    assert dynamics.limits.gaps is None
    assert candidate_prices(Product(dynamics, 0)).diff().max() < 0.05


def test_a_fee_per_unit_counts_as_cost_where_a_change_breaks_even(shop: Build) -> None:
    plain = shop(9.8, unit_cost=COST, share_kept=0.9)
    dearer = shop(9.8, products=[{"unit_cost": COST, "fees": 10.0, "unit_fee": 0.5}])
    known = [replace(market.products[0], units=plain.products[0].units) for market in (plain, dearer)]
    one, other = (np.array(find_break_even(product, 9.8).cost) for product in known)
    assert other[[0, 2]] == pytest.approx(one[[0, 2]] - 0.5, abs=0.05)  # below 0 it is 0
    floors = [float(Dynamics(market).limits.floor) for market in (plain, dearer)]
    assert floors == pytest.approx([COST / 0.9, (COST + 0.5) / 0.9])
    assert "fees 10 % of the price (±0), 10 % + 0.50 above 0.00" in known[1].cost.describe()
