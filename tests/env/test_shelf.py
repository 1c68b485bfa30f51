"""The shelf keeps units, guardrails and gradient, and the belief is the Bayesian one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, nbinom
from shops.weekly_shelf import WeeklyShelf, update_belief

from pricerl.data.stock import MOST_WEEKS, Stock
from pricerl.env.dynamics import Dynamics
from pricerl.env.stock.shelf import check_stocked
from pricerl.errors import UsageError
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.reward import RewardConfig
from pricerl.simulation.seller import SellerConfig

STOCK = Stock(
    500.0, (60.0, 0.0, 90.0), lead_weeks=3, storage_fee=0.05, spoilage=0.04, leftover_value=2.0, season_end=22
)


@pytest.fixture(scope="module")
def market(fitted):
    return fitted(SellerConfig(days=130, units=10.0), DemandConfig(num_draws=8))


@pytest.fixture(scope="module")
def shelf(market):
    return WeeklyShelf(Dynamics(market), [STOCK])


def start(shelf, rows=4):
    return shelf.start(torch.zeros(rows, dtype=torch.long), torch.arange(rows) % shelf.market.num_draws)


def shocks(rows, weeks=MOST_WEEKS, seed=0):
    return torch.randn(weeks, 3, rows, generator=torch.Generator().manual_seed(seed))


def actions(rows, seed=1):
    return torch.rand(MOST_WEEKS, rows, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_units_are_conserved_and_money_adds_up(shelf):
    state = first = start(shelf)
    ordered, sold, spoiled, profit, money = (torch.zeros(4) for _ in range(5))
    market = state.rows.market
    for action, noise in zip(actions(4)[: STOCK.season_end], shocks(4), strict=False):
        price, order = shelf.decide(state, action)
        left = state.on_hand
        state, week = shelf.charge(state, price, order, noise)
        left = left - week.sold
        assert (left >= 0).all() and (week.lost >= 0).all()
        ordered, sold, spoiled, profit = ordered + order, sold + week.sold, spoiled + week.spoiled, profit + week.profit
        money = money + market.share_kept * price * week.sold - 0.05 * left
    torch.testing.assert_close(state.held, first.held + ordered - sold - spoiled)
    bought = market.unit_cost * (first.held + ordered)
    torch.testing.assert_close(profit, money + 2.0 * state.held - bought, rtol=1e-4, atol=0.05)


def test_an_order_arrives_after_its_lead_time(shelf):
    state = start(shelf, 1)
    arrivals = []
    for week in range(6):
        state, _ = shelf.settle(state, state.price, torch.tensor([7.0 if week == 0 else 0.0]), torch.zeros(1))
        arrivals.append(state.inbound[:, 0].tolist())
    assert arrivals[0][:3] == [0.0, 97.0, 0.0] and arrivals[1][:2] == [97.0, 0.0] and sum(arrivals[2]) == 0


def test_nothing_sells_and_nothing_is_ordered_after_the_season(shelf):
    state = start(shelf)
    for week, (action, noise) in enumerate(zip(actions(4), shocks(4), strict=True)):
        price, order = shelf.decide(state, torch.stack([action[:, 0], torch.ones(4)], 1))
        state, outcome = shelf.charge(state, price, order, noise)
        assert (order == 0).all() == (week + STOCK.lead_weeks >= STOCK.season_end)
        if week >= STOCK.season_end:
            assert (outcome.sold == 0).all() and (outcome.profit == 0).all()


@pytest.mark.parametrize(
    ("limits", "order", "allowed"),
    [
        ({"pack_size": 12.0}, 40.0, 36.0),
        ({"pack_size": 12.0}, 43.0, 48.0),
        ({"pack_size": 12.0, "smallest_order": 50.0}, 31.0, 60.0),
        ({"smallest_order": 50.0}, 24.0, 0.0),
        ({"largest_order": 100.0, "pack_size": 12.0}, 400.0, 96.0),
        ({"largest_order": 40.0, "smallest_order": 50.0}, 45.0, 0.0),
        ({}, -5.0, 0.0),
        ({}, float("nan"), 0.0),
        ({"largest_order": 30.0}, float("inf"), 30.0),
    ],
)
def test_an_order_obeys_its_limits(market, limits, order, allowed):
    shelf = WeeklyShelf(Dynamics(market), [Stock(0.0, **limits)])
    state = start(shelf, 1)
    assert float(shelf.allow(state, state.price, torch.tensor([order]))[1]) == allowed


def test_the_budget_counts_what_is_on_hand_and_on_the_way(market):
    cost = float(market.unit_cost[0, market.mean_draw])
    shelf = WeeklyShelf(Dynamics(market), [Stock(30.0, (20.0,), budget=100.5 * cost)])
    state = start(shelf, 1)
    assert float(shelf.allow(state, state.price, torch.tensor([80.0]))[1]) == 50.0


def test_a_price_obeys_the_guardrails_of_pricing(market):
    shelf = WeeklyShelf(Dynamics(market, guardrails=GuardrailConfig(max_change=0.03, price_step=0.05)), [STOCK])
    state = start(shelf, 1)
    price, _ = shelf.allow(state, state.price * 2, state.price)
    assert float(state.price) < float(price) <= float(state.price) * 1.0301
    assert float(price) * 20 == pytest.approx(round(float(price) * 20), abs=1e-4)


def test_the_gradient_agrees_with_finite_differences_of_the_mean(market):
    free = GuardrailConfig(min_change=0.0, max_change=0.2, max_week_change=0.3, support_margin=0.5)
    shelf = WeeklyShelf(
        Dynamics(market, guardrails=free), [replace(STOCK, on_hand=100.0, inbound=(60.0,), lead_weeks=1)]
    )
    rows = 20_000
    first = start(shelf, rows)
    noise = shocks(rows, 4)

    def profit(action):
        state = first
        total = torch.zeros(rows)
        for week in range(4):
            state, outcome = shelf.charge(state, *shelf.decide(state, action[week].expand(rows, 2)), noise[week])
            total = total + outcome.profit
        return total.mean()

    action = torch.tensor(
        [[-0.2, -0.9], [0.1, -0.85], [-0.1, -0.95], [0.0, -0.9]], requires_grad=True
    )  # far from 40.00
    profit(action).backward()
    for week, part, step in ((0, 0, 0.04), (2, 0, 0.04), (0, 1, 0.02), (2, 1, 0.02)):
        move = torch.zeros(4, 2)
        move[week, part] = step
        with torch.no_grad():
            slope = float(profit(action + move) - profit(action - move)) / (2 * step)
        assert float(action.grad[week, part]) == pytest.approx(slope, rel=0.1, abs=1.0)


@pytest.mark.parametrize(("sold", "sold_out"), [(0, False), (3, False), (60, False), (14, True), (40, True), (0, True)])
@pytest.mark.parametrize("size", [8.0, 70.0])
@pytest.mark.parametrize("move", [0.0, 0.1, -0.2])
def test_level_and_slope_are_learned_as_by_a_numerical_integral(sold, sold_out, size, move):
    mean, variance, slope, expected = 0.2, 0.16, (0.2, 0.25, -0.02), 20.0
    level, tilt = np.meshgrid(np.linspace(-2.6, 3.0, 401), np.linspace(-3, 3.4, 401), indexing="ij")
    prior = multivariate_normal((mean, slope[0]), [[variance, slope[2]], [slope[2], slope[1]]])
    now = level + move * tilt
    due = expected * np.exp(now)
    demand = nbinom(size, size / (size + due))
    weight = (demand.sf(sold - 1) if sold_out else demand.pmf(sold)) * prior.pdf(np.stack([level, tilt], -1))
    seen = np.cov(np.stack([now.ravel(), tilt.ravel()]), aweights=weight.ravel(), ddof=0)
    means = [(weight * part).sum() / weight.sum() for part in (now, tilt)]
    values = (torch.tensor([value]) for value in (mean, variance))
    rest = (torch.tensor([value]) for value in (move, float(sold), expected, size))
    found = update_belief(*values, torch.tensor(slope)[:, None], *rest, torch.tensor([sold_out]))
    assert [float(found[0]), float(found[2][0])] == pytest.approx(means, abs=0.02)
    assert [float(found[1]), *found[2][1:, 0].tolist()] == pytest.approx([seen[0, 0], seen[1, 1], seen[0, 1]], rel=0.1)


def test_a_week_that_sold_out_never_lowers_the_belief(shelf):
    state = start(shelf, 1)._replace(on_hand=torch.tensor([5.0]))
    after, _ = shelf.settle(state, state.price, torch.zeros(1), torch.tensor([5.0]))
    assert float(after.mean) >= float(state.mean) - 1e-5
    plenty = start(shelf, 1)
    lower, _ = shelf.settle(plenty, plenty.price, torch.zeros(1), torch.tensor([5.0]))
    assert float(lower.mean) < float(state.mean) - 0.1


def test_each_product_has_its_own_stock(fitted):
    pair = fitted(SellerConfig(days=130, units=10.0, products=2), DemandConfig(num_draws=8))
    shelf = WeeklyShelf(Dynamics(pair), [STOCK, Stock(7.0, lead_weeks=6)])
    state = shelf.start(torch.tensor([1]), torch.tensor([0]))
    assert state.on_hand.tolist() == [7.0] and state.rows.stock.lead_weeks.tolist() == [6.0]


def test_orders_seek_profit_and_prices_change_weekly():
    with pytest.raises(UsageError, match="orders seek profit alone"):
        check_stocked(RewardConfig("revenue").resolved(), 7)
    with pytest.raises(UsageError, match="min_hold_days to 7 or less, found 14"):
        check_stocked(RewardConfig("profit").resolved(), 14)


def test_the_median_of_four_weeks_begins_with_the_history(market):
    shelf = WeeklyShelf(Dynamics(market, guardrails=GuardrailConfig(max_above_median=0.5)), [STOCK])
    charged = shelf.dynamics.history.price[-28:].view(4, 7)[:, -1]
    assert len(charged.unique()) > 1
    assert torch.equal(start(shelf, 1).prices[:, 0], charged)
