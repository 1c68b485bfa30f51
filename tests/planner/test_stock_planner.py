"""The plan's value is the shelf's; it earns more than a blind rule, and obeys the limits."""

from __future__ import annotations

import pytest
import torch
from shops.weekly_shelf import SETTINGS, CoverRule, WeeklyPlanner, WeeklyShelf, blind_price, roll_shelf, tune_rules

from pricerl.data.stock import MOST_WEEKS, Stock
from pricerl.env.dynamics import Dynamics
from pricerl.market.demand.config import DemandConfig
from pricerl.planner.stock_planner import (
    count_units,
    first_plan,
    plan_orders,
    plan_prices,
    value_plan,
)
from pricerl.simulation.seller import SellerConfig

FUTURES = 24
END_OF_LIFE = Stock(900.0, (80.0,), lead_weeks=3, storage_fee=0.1, leftover_value=1.0, season_end=14)
LIMITED = Stock(
    100.0, lead_weeks=2, storage_fee=0.1, largest_order=130.0, smallest_order=40.0, pack_size=12.0, budget=5000.0
)


@pytest.fixture(scope="module")
def market(fitted):
    return fitted(SellerConfig(days=130, units=10.0), DemandConfig(num_draws=8))


def opened(market, stock, seed=0):
    shelf = WeeklyShelf(Dynamics(market), [stock])
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randint(market.num_draws, (FUTURES,), generator=generator)
    state = shelf.start(torch.zeros_like(draw), draw)
    return shelf, state, torch.randn(MOST_WEEKS, 3, FUTURES, generator=generator)


def policies(shelf, state):
    blind = blind_price(shelf, state)
    tuned = tune_rules(shelf, torch.Generator().manual_seed(3), SETTINGS[::6], paths=4)[:, state.product]
    return {
        "blind": CoverRule(shelf, blind),
        "capped": CoverRule(shelf, blind, 1.5, 0.0, 1.2),
        "reacting": CoverRule(shelf, blind, *tuned),
        "planned": WeeklyPlanner(shelf),
    }


@pytest.mark.parametrize("late", [0.0, 0.3])
def test_the_value_of_a_plan_is_what_the_shelf_pays(market, late):
    """On the path that the shelf lives through, the truth being believed."""
    terms = {"storage_fee": 0.2, "spoilage": 0.1, "leftover_value": 3.0, "season_end": 20}
    shelf, state, noise = opened(market, Stock(300.0, (40.0, 60.0), lead_weeks=2, late_share=late, **terms))
    truth = state._replace(rows=state.rows._replace(believed=state.rows.market))
    plan = first_plan(shelf, truth)
    prices, orders = plan_prices(truth, plan).exp(), plan_orders(truth, plan)
    rolled = roll_shelf(shelf, state, lambda now: (prices[now.week], orders[now.week]), noise)
    level = 0.05 * noise[:, :1].cumsum(0)
    paths = count_units(shelf, truth, plan, level, noise[:, 1:].movedim(1, 0)[:, :, None])
    valued = value_plan(shelf, truth, plan, paths)[0]
    torch.testing.assert_close(valued, rolled.profit, rtol=2e-3, atol=1.0)


def test_the_plan_earns_more_than_a_blind_rule(market):
    shelf, state, noise = opened(market, END_OF_LIFE)
    found = {name: roll_shelf(shelf, state, policy, noise) for name, policy in policies(shelf, state).items()}
    profit = {name: float(rolled.profit.mean()) for name, rolled in found.items()}
    assert profit["planned"] > 1.02 * profit["blind"]


def test_every_policy_obeys_the_limits_on_price_and_order(market):
    shelf, state, noise = opened(market, LIMITED)
    cost = state.rows.believed.unit_cost
    for name, policy in policies(shelf, state).items():
        now = state
        for shock in noise[:12]:
            price, order = shelf.allow(now, *policy(now))
            change = price / now.price - 1
            assert (change.abs() <= 0.05 + 1e-5).all(), name
            assert ((order == 0) | ((order >= 40) & (order <= 130))).all(), name
            assert (order % 12 == 0).all(), name
            assert ((order == 0) | (cost * (now.held + order) <= 5000.0 + 0.01)).all(), name
            now, _ = shelf.charge(now, price, order, shock)


def test_a_plan_is_the_same_again_and_starts_from_the_one_of_the_week_before(market):
    shelf, state, noise = opened(market, END_OF_LIFE)
    first, again = (WeeklyPlanner(shelf) for _ in range(2))
    for planner in (first, again):
        price, order = shelf.allow(state, *planner(state))
        after, _ = shelf.charge(state, price, order, noise[0])
        planner(after)
        assert planner.plan.shape == (2, MOST_WEEKS - 1, FUTURES)
    assert torch.equal(first.plan, again.plan)
