"""Plans of a category are valued as its weeks pay, know that products share buyers, and obey the limits."""

from __future__ import annotations

import pytest
import torch
from category_shelves import draw_paths
from shops.category_planner import (
    CategoryPlanner,
    alone,
    first_plan,
    improve_plan,
    mean_path,
    value_plan,
)

from pricerl.env.noise import tabulate_units
from pricerl.env.stock.category import SIZE, attract, choose, decide, start, step
from pricerl.env.stock.category_env import draw_categories

SHOPS, PRODUCTS, WEEKS = 48, 4, 6


@pytest.fixture(scope="module")
def state():
    generator = torch.Generator().manual_seed(2)
    rows = draw_categories(SHOPS, PRODUCTS, generator)
    demand = choose(rows, attract(rows, rows.price), 0) * WEEKS
    end = torch.full_like(rows.price, float(WEEKS))
    stock = rows.stock._replace(
        season_end=end, season=torch.ones_like(rows.stock.season), on_hand=(demand * 1.2).round(), late_share=0 * end
    )
    return start(rows._replace(stock=stock), torch.zeros_like(rows.price))


def play(state, policy, seed=1):
    noise = torch.randn(WEEKS, 4, SHOPS, PRODUCTS, generator=torch.Generator().manual_seed(seed))
    table = tabulate_units(torch.tensor([SIZE]))
    total = 0.0
    prices = [state.price]
    for luck in noise:
        price, order = policy(state)
        state, week = step(state, price, order, luck, table)
        total = total + week.profit.sum(1)
        prices.append(price)
    return total / (WEEKS * state.rows.scale), torch.stack(prices)


def test_a_plan_is_worth_what_the_weeks_pay_on_average(state):
    plan = first_plan(state, WEEKS)
    plan[1] = 0
    paths = draw_paths(state, WEEKS, 400, torch.Generator().manual_seed(3))
    valued = value_plan(state, plan, paths).mean(0) / (WEEKS * state.rows.scale)
    generator = torch.Generator().manual_seed(4)
    lived = 0.0
    for seed in range(40):
        level = state.rows.level_sd * torch.randn(state.price.shape, generator=generator)
        lived = lived + play(state._replace(level=level), lambda now: (now.price, 0 * now.price), seed)[0] / 40
    assert float((lived - valued).mean()) == pytest.approx(0, abs=0.02)


def test_a_product_alone_sells_the_same_at_the_prices_of_today_and_cares_for_itself_only(state):
    rows = state.rows
    both = choose(rows, attract(rows, state.price), 0)
    single = alone(state)
    own = choose(single.rows, attract(single.rows, single.price), 0)
    torch.testing.assert_close(own.view(SHOPS, PRODUCTS), both)
    dearer = choose(single.rows, attract(single.rows, single.price * 1.1), 0).view(SHOPS, PRODUCTS)
    all_dearer = choose(rows, attract(rows, state.price * 1.1), 0)
    assert (dearer < all_dearer).all()  # rivals keep their prices


def test_joint_plans_earn_more_than_plans_product_by_product_and_both_more_than_the_present_prices(state):
    kept, _ = play(state, lambda now: decide(now, torch.zeros_like(now.price)))
    separate, _ = play(state, CategoryPlanner(separate=True, steps=(60, 15)))
    joint, prices = play(state, CategoryPlanner(steps=(60, 15)))
    assert float((joint - separate).mean()) > 0.01
    assert float((separate - kept).mean()) > 0.01
    assert (prices[1:] <= prices[:-1] * 1.15 + 0.01).all() and (prices[1:] >= prices[:-1] * 0.85 - 0.01).all()


@pytest.mark.slow
def test_more_steps_gain_almost_nothing(state):
    paths = mean_path(state, WEEKS)
    short, long = (improve_plan(state, first_plan(state, WEEKS), paths, steps) for steps in (150, 300))
    gained = (value_plan(state, long, paths) - value_plan(state, short, paths)) / (WEEKS * state.rows.scale)
    assert float(gained.mean()) < 0.002
