"""Substitutes share buyers and shelves; the belief is calibrated, gradients are true, and Gymnasium accepts the env."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import SyncVectorEnv

from pricerl.env import CATEGORY_ID, STOCK_ID
from pricerl.env.noise import tabulate_units
from pricerl.env.stock.category import (
    FEATURES,
    SIZE,
    allow,
    attract,
    choose,
    decide,
    learn,
    settle,
    spill,
    start,
    step,
)
from pricerl.env.stock.category_env import CategoryEnv, CategoryVectorEnv, DifferentiableCategories, draw_categories

TABLE = tabulate_units(torch.tensor([SIZE]))


def open_categories(count=200, products=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = draw_categories(count, products, generator)
    return start(rows, rows.level_sd * torch.randn(count, products, generator=generator))


def play(state, actions, noise):
    """Return the rewards and states of weeks at actions ``(T, B, K, 2)``."""
    total = 0.0
    states = [state]
    for action, luck in zip(actions, noise, strict=True):
        price, order = decide(states[-1], action)
        state, week = step(states[-1], price, order, luck, TABLE)
        total = total + week.profit.sum(1) / state.rows.scale
        states.append(state)
    return total, states


@pytest.mark.parametrize("orders", [False, True])
def test_gymnasium_accepts_the_env_and_its_vector_wrapper(orders):
    env = gymnasium.make(CATEGORY_ID, products=3, orders=orders).unwrapped
    assert isinstance(env, CategoryEnv)
    check_env(env)
    assert env.observation_space == gymnasium.spaces.Box(0, 1, (3, len(FEATURES)), np.float32)
    assert env.action_space.shape == ((3, 2) if orders else (3,))
    rows = SyncVectorEnv([lambda: gymnasium.make(CATEGORY_ID, products=3, orders=orders)] * 2)
    assert rows.reset(seed=1)[0].shape == (2, 3, len(FEATURES))
    ended = np.zeros(2, dtype=bool)
    for _ in range(26):
        observation, _, terminated, truncated, _ = rows.step(rows.action_space.sample())
        assert observation.min() >= 0 and observation.max() <= 1 and not truncated.any()
        ended |= terminated
    assert ended.all()


def test_price_and_stock_is_a_category_of_one_with_orders():
    env = gymnasium.make(STOCK_ID).unwrapped
    check_env(env)
    assert env.action_space.shape == (1, 2)


def test_rows_of_a_learner_live_the_weeks_of_the_env():
    env, rows = CategoryEnv(3, orders=True), CategoryVectorEnv(1, 3)
    seen, _ = env.reset(seed=5)
    observed, _ = rows.reset(seed=5)
    np.testing.assert_array_equal(observed.view(3, -1), seen)
    for week in range(1, 27):
        action = torch.linspace(-1, 1, 6).roll(week)[None]
        seen, reward, ended, _, _ = env.step(action.view(3, 2).numpy())
        observed, gain, over, _, info = rows.step(action)
        np.testing.assert_array_equal(info.get("final_obs", observed).view(3, -1), seen)
        assert float(gain) == pytest.approx(reward, rel=1e-6) and bool(over) == ended
        if ended:
            break
    assert week >= 8 and "final_obs" in info


def test_buyers_lost_by_a_higher_price_are_shared_by_the_rest_and_by_buying_nothing():
    rows = open_categories().rows
    units = choose(rows, attract(rows, rows.price), 0)
    dearer = rows.price.clone()
    dearer[:, 0] *= 1.1
    after = choose(rows, attract(rows, dearer), 0)
    gained = after[:, 1:] / units[:, 1:]
    assert (after[:, 0] < units[:, 0]).all()
    torch.testing.assert_close(gained, gained[:, :1].expand_as(gained))  # independence of irrelevant alternatives
    assert ((gained > 1) & (after.sum(1, keepdim=True) < units.sum(1, keepdim=True))).all()


def test_a_sold_out_product_sends_its_buyers_next_door():
    attraction, demand = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[10.0, 20.0, 30.0]])
    got = spill(torch.ones(1, 1), attraction, demand, torch.tensor([[4.0, 100.0, 30.0]]))
    torch.testing.assert_close(got, torch.tensor([[10.0, 20.0 + 6.0 * 2 / (1 + 2), 30.0]]))  # the third has none left


def test_prices_and_orders_obey_the_limits():
    state = open_categories()
    price, order = allow(state, torch.full_like(state.price, torch.nan), torch.full_like(state.price, torch.nan))
    assert torch.equal(price, state.price) and (order == 0).all()
    price, order = allow(state, state.price * 2, torch.full_like(state.price, 1e9))
    highest = state.price * (1 + state.rows.limits.rise)
    assert (price <= highest + 1e-4).all() and (price > highest - 0.0101).all()
    assert (
        (order > 0) == (state.rows.stock.largest_order > 0) & (state.rows.stock.season_end > 5)
    ).float().mean() > 0.9


def test_the_belief_is_calibrated_and_sales_teach_it():
    state = open_categories(600)
    noise = torch.randn(8, 4, *state.price.shape, generator=torch.Generator().manual_seed(3))
    last = play(state, torch.zeros(8, *state.price.shape, 2), noise)[1][-1]
    error = (last.level - last.mean) ** 2
    assert 0.8 < float((error / last.variance).mean()) < 1.4
    assert float(error.mean()) < 0.4 * float((last.level**2).mean())


def test_a_week_that_sold_out_never_lowers_a_belief_and_an_empty_shelf_teaches_nothing():
    state = open_categories(50)
    common = state._replace(common=torch.zeros_like(state.common))
    few = common._replace(on_hand=torch.full_like(state.on_hand, 5.0))
    mean, variance, _ = learn(few, few.price, few.on_hand)
    assert (mean >= few.mean - 1e-6).all() and (variance <= few.variance).all()
    empty = common._replace(on_hand=torch.zeros_like(state.on_hand))
    mean, variance, _ = learn(empty, empty.price, empty.on_hand)
    assert torch.equal(mean, empty.mean) and torch.equal(variance, empty.variance)
    plenty = common._replace(on_hand=torch.full_like(state.on_hand, 1e6))
    after, _ = settle(plenty, plenty.price, torch.zeros_like(plenty.price), torch.zeros_like(plenty.price))
    assert (after.mean < 0).all()


@pytest.mark.parametrize(("part", "week"), [(0, 1), (0, 4), (1, 1), (1, 4)])
def test_the_gradient_of_a_season_agrees_with_finite_differences(part, week):
    state = open_categories(3000, 3)
    noise = torch.randn(8, 4, 3000, 3, generator=torch.Generator().manual_seed(4))
    action = torch.full((8, 3000, 3, 2), 0.2, requires_grad=True)
    total, _ = play(state, action, noise)
    (gradient,) = torch.autograd.grad(total.sum(), action)
    move = torch.zeros_like(action)
    move[week, ..., part] = 0.1
    with torch.no_grad():
        slope = (play(state, action + move, noise)[0] - play(state, action - move, noise)[0]) / 0.2
    difference = gradient[week, ..., part].sum(1) - slope
    assert abs(float(difference.mean())) < 4 * float(difference.std()) / 3000**0.5 + 0.03
    assert abs(float(slope.mean())) > 0.02


def test_rows_for_gradients_end_with_their_season():
    torch.manual_seed(1)
    env = DifferentiableCategories(24, 0.9)
    state = env.start()
    weeks = state.rows.stock.season_end[:, 0]
    action = torch.zeros(len(weeks), 2 * state.price.shape[1])
    for week in range(1, 27):
        state, reward, discount = env.step(state, action)
        torch.testing.assert_close(discount, 0.9 * (weeks > week).float())
        assert (reward[weeks < week] == 0).all()
