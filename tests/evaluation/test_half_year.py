"""Half-years of products with stock: what they pay, what shared buyers change, and plans inside the guardrails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pricerl.data.stock import MOST_WEEKS, Stock
from pricerl.env.dynamics import Dynamics
from pricerl.env.stock.category import settle
from pricerl.env.stock.market_shelves import Shelves
from pricerl.evaluation.stock.half_year import HalfYear
from pricerl.evaluation.stock.plan import plan_half_years, roll_policy, walk_weeks
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.simulation.seller import SellerConfig

DRAWS = 8
PLENTY = Stock(2000.0, (80.0,), lead_weeks=2, storage_fee=0.1)
END_OF_LIFE = Stock(900.0, (80.0,), lead_weeks=3, storage_fee=0.1, leftover_value=1.0, season_end=14)
LIMITED = Stock(
    100.0, lead_weeks=2, storage_fee=0.1, largest_order=130.0, smallest_order=40.0, pack_size=12.0, budget=5000.0
)
SPOILING = Stock(
    300.0, (40.0, 60.0), lead_weeks=2, storage_fee=0.2, spoilage=0.1, leftover_value=3.0, season_end=20, late_share=0.0
)


@pytest.fixture(scope="module")
def market(fitted):
    return fitted(SellerConfig(days=130, units=10.0, products=2), DemandConfig(num_draws=DRAWS))


def stocked(market, *stocks, **guardrails):
    stocks = (*stocks, None)[: len(market.products)]
    products = tuple(replace(item, stock=stock) for item, stock in zip(market.products, stocks, strict=True))
    return Dynamics(replace(market, products=products), guardrails=GuardrailConfig(**guardrails))


def shared(dynamics, index, inside=0.0):
    index = torch.tensor(index)
    return HalfYear(Shelves(dynamics), index, torch.full((DRAWS + 1, len(index)), inside), DRAWS)


def opened(half_year):
    return half_year.shelves.open(half_year.index, half_year.inside[-1])


def kept(half_year):
    return half_year.shelves.price[half_year.index].expand(MOST_WEEKS, 1, -1, -1)


def earned(half_year, weeks):
    """Return the mean profit of each of the prices, over the posterior draws."""
    return half_year.play(weeks).profit[:, :-1].sum((0, -1, -2)).mean(0)


def dearest(observation):
    return torch.ones(len(observation), 2)


def cheapest(observation):
    return -dearest(observation)


def hold(observation):
    return torch.zeros(len(observation), 2)


@pytest.mark.parametrize("inside", [0.0, 0.6])
def test_a_half_year_pays_what_its_weeks_pay(market, inside):
    """Orders and demand of the mean path, week by week through the shelves."""
    half_year = shared(stocked(market, SPOILING, PLENTY), [[0, 1]], inside)
    weeks = kept(half_year) * torch.linspace(1, 1.1, MOST_WEEKS)[:, None, None, None]
    played = half_year.play(weeks)
    state = opened(half_year)
    for week in range(MOST_WEEKS):
        order, sold, lost, held, profit = (
            values[week, -1, 0] for values in (played.order, played.sold, played.lost, played.held, played.profit)
        )
        state, outcome = settle(state, weeks[week, 0], order, sold + lost)
        torch.testing.assert_close(outcome.sold, sold, rtol=1e-4, atol=1e-2)
        torch.testing.assert_close(state.held, held, rtol=1e-4, atol=1e-2)
        torch.testing.assert_close(outcome.profit, profit, rtol=1e-3, atol=0.1)
    assert played.order.sum() > 0 and played.lost.sum() > 0


def test_products_that_do_not_share_buyers_earn_together_what_they_earn_alone(market):
    dynamics = stocked(market, SPOILING, PLENTY)
    together, alone = shared(dynamics, [[0, 1]]), shared(dynamics, [[0], [1]])
    none = torch.zeros(1, 1, 1)
    both = together.play(kept(together) * 1.02, none).profit[:, -1, 0, 0]
    each = alone.play(kept(alone) * 1.02, none).profit[:, -1, 0, :, 0]
    torch.testing.assert_close(both, each)  # without luck and the orders that follow from it
    both = together.play(kept(together)).profit[:, :-1].sum((0, 2, 3)).mean(0)
    each = alone.play(kept(alone)).profit[:, :-1].sum((0, 2, 4)).mean(0)
    torch.testing.assert_close(both, each, rtol=0.03, atol=0.0)


def test_buyers_of_an_empty_shelf_go_next_door(market):
    empty, full = (
        shared(stocked(market, Stock(units, lead_weeks=6, largest_order=0.0), PLENTY), [[0, 1]], 0.7)
        for units in (0.0, 1e6)
    )
    with_rival, without = (half_year.play(kept(half_year)) for half_year in (full, empty))
    missed = with_rival.sold[..., 0] - without.sold[..., 0]
    gained = without.sold[..., 1] - with_rival.sold[..., 1]
    assert (missed[0] > 0).all() and (gained[0] >= 0).all() and float(gained[0].mean()) > 0.1 * float(missed[0].mean())
    assert (gained <= missed + 1e-3).all()


def test_a_dearer_product_sells_what_the_market_says_and_sends_its_buyers_next_door_as_a_logit_does(market):
    half_year = shared(stocked(market, PLENTY, PLENTY), [[0, 1]], 0.7)
    apart = replace(half_year, inside=torch.zeros_like(half_year.inside))
    dearer = kept(half_year) * torch.tensor([1.1, 1.0])
    (before, after), (alone, raised) = (
        [each.play(weeks).wanted[:, -1, 0, 0] for weeks in (kept(each), dearer)] for each in (half_year, apart)
    )
    torch.testing.assert_close(before, alone, rtol=0.02, atol=0.0)
    torch.testing.assert_close(after[:, 0], raised[:, 0], rtol=0.02, atol=0.0)
    assert torch.equal(raised[:, 1], alone[:, 1])
    share = 0.7 * before / before.sum(1, keepdim=True)
    sent = (after[:, 1] - before[:, 1]) / (before[:, 0] - after[:, 0])
    torch.testing.assert_close(sent, share[:, 1] / (1 - share[:, 0]), rtol=0.05, atol=0.0)


def test_orders_obey_their_limits_and_arrive_in_the_season(market):
    dynamics = stocked(market, LIMITED, replace(END_OF_LIFE, on_hand=50.0))
    half_year = shared(dynamics, [[0], [1]])
    played = half_year.play(kept(half_year))
    limited, ending = (values[..., 0].unbind(-1) for values in (played.order, played.held))
    order, held = limited[0], ending[0]
    assert order.max() > 0 and ((order == 0) | ((order >= 48) & (order <= 130))).all() and (order % 12 == 0).all()
    before = torch.cat([torch.full_like(held[:1], LIMITED.on_hand), held[:-1]])
    cost = half_year.believed.unit_cost[0, 0]
    assert ((order == 0) | (cost * (before + order) <= 5000.0 + 0.01)).all()
    assert (limited[1][:11] > 0).any() and (limited[1][11:] == 0).all()
    assert (played.sold[14:, ..., 1, 0] == 0).all() and (played.profit[14:, ..., 1, 0] == 0).all()


@pytest.mark.parametrize("policy", [dearest, cheapest])
@pytest.mark.parametrize("stock", [PLENTY, END_OF_LIFE])
def test_a_plan_earns_at_least_what_the_present_and_the_proposed_prices_earn(market, stock, policy):
    dynamics = stocked(market, stock)
    (plan,) = plan_half_years(dynamics, policy).values()
    half_year = plan.half_year
    proposed = roll_policy(policy, opened(half_year))[:, None]
    planned, present, other = earned(half_year, torch.cat([plan.planned[:, None, None], kept(half_year), proposed], 1))
    assert planned >= present and planned >= other
    assert planned > 1.005 * max(present, other)
    assert torch.equal(plan.planned, plan_half_years(dynamics, policy)[0].planned)


def test_prices_fall_where_leftovers_lose_money_and_rise_where_a_shelf_cannot_be_filled(market):
    scarce = Stock(150.0, lead_weeks=2, largest_order=0.0, season_end=14)
    leftovers, few = (plan_half_years(stocked(market, stock), hold)[0] for stock in (END_OF_LIFE, scarce))
    price = leftovers.product.current_price
    assert leftovers.weeks.max() < price and few.weeks.min() > price
    assert plan_half_years(stocked(market, END_OF_LIFE), cheapest)[0].by_policy and not leftovers.by_policy


@pytest.mark.parametrize("policy", [dearest, cheapest])
@pytest.mark.parametrize(
    "limits",
    [
        {"max_change": 0.03, "max_week_change": 0.02, "price_step": 0.05},
        {"max_above_median": 0.04, "floor": 37.0},
        {"charm_endings": (0.99, 0.49)},
    ],
)
def test_planned_prices_obey_the_guardrails_week_by_week(market, limits, policy):
    dynamics = stocked(market, END_OF_LIFE, **limits)
    (plan,) = plan_half_years(dynamics, policy).values()
    proposed = roll_policy(policy, opened(plan.half_year))
    for weeks in (plan.weeks, proposed[:, 0, 0]):
        before = plan.half_year.shelves.prices[:, 0]
        price = torch.cat([before, weeks]).double()
        change = price[4:] / price[3:-1] - 1
        config = GuardrailConfig(**limits)
        assert (change.abs() <= min(config.max_change, config.max_week_change) + 1e-5).all() and (change != 0).any()
        for week in range(4, len(price)):
            moved = price[week] != price[week - 1]
            if config.max_above_median is not None and moved:
                assert price[week] <= 1.04 * np.median(price[week - 4 : week]) + 1e-4
            if config.charm_endings and moved:
                assert round(float(price[week]) * 100) % 100 in (49, 99)
            assert not moved or abs(price[week] / config.price_step - (price[week] / config.price_step).round()) < 1e-2
        if config.floor is not None:
            assert (weeks >= min(config.floor, float(before[-1])) - 1e-4).all()


def test_a_walk_takes_the_nearest_prices_that_the_guardrails_allow(market):
    half_year = shared(stocked(market, END_OF_LIFE, max_week_change=0.03), [[0], [1]])
    state = opened(half_year)
    weeks = walk_weeks(state, kept(half_year) * torch.tensor([1.045, 0.5])[:, None, None])
    up, down = weeks[:3, :, 0, 0].unbind(1)
    price = float(state.price[0, 0])
    assert up.tolist() == pytest.approx([1.03 * price, 1.045 * price, 1.045 * price], abs=0.011)
    assert down.tolist() == pytest.approx([0.97 * price, 0.97**2 * price, 0.97**3 * price], abs=0.031)


def test_a_walk_remembers_the_four_weeks_before(market):
    half_year = shared(stocked(market, END_OF_LIFE, max_above_median=0.04), [[0]])
    state = opened(half_year)
    weeks = walk_weeks(state, kept(half_year) * 1.5)[:, 0, 0, 0]
    price = torch.cat([state.prices[:, 0, 0], weeks]).numpy()
    for week in range(4, 12):
        assert price[week] <= max(1.04 * np.median(price[week - 4 : week]) + 1e-3, price[week - 1])
    assert price[12] > 1.07 * price[3]
