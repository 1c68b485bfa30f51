"""The proposed path: the price simulated is the price advised, inside the guardrails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pricerl.decide.price_path import approach_path, propose_path
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.forecast import forecast_path
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig

HORIZON = 30


def _product(market: Market, **guardrails: Any) -> Product:
    return Product(Dynamics(market, RewardConfig(), GuardrailConfig(**guardrails), EnvConfig()), 0)


def _wandering(observation: Tensor) -> Tensor:
    """A deterministic policy that depends on all of its observation and uses the whole range."""
    return torch.sin(1000 * observation.double().sum(1, keepdim=True)).float()


def _up(observation: Tensor) -> Tensor:
    return observation.new_ones(len(observation), 1)


@pytest.fixture
def varied(known_demand: Callable[..., Market]) -> Market:
    return known_demand(np.repeat([9.0, 10.0, 11.0, 10.0], 15))


def test_the_price_advised_is_the_price_simulated_in_the_mean_market(varied: Market) -> None:
    product = _product(varied)
    path = propose_path(_wandering, product, HORIZON)
    dynamics, row = product.dynamics, torch.zeros(1, dtype=torch.long)
    state = dynamics.start(row, row + 59, row + varied.mean_draw)
    by_hand: list[float] = []
    while len(by_hand) < HORIZON:
        price = dynamics.decide(state, _wandering(state.observation)[:, 0])
        state, _ = dynamics.advance(state, price, dynamics.days_per_step, None)
        by_hand += [float(price)] * dynamics.days_per_step
    assert len(set(by_hand)) > 3
    np.testing.assert_allclose(path.price.numpy(), by_hand[:HORIZON], rtol=1e-6)


@pytest.mark.parametrize("policy", [_wandering, _up, lambda observation: -_up(observation)])
@pytest.mark.parametrize("hold", [1, 3, 7])
def test_a_path_obeys_change_week_and_hold_limits(
    policy: Callable[[Tensor], Tensor], hold: int, varied: Market
) -> None:
    path = propose_path(policy, _product(varied, min_hold_days=hold), HORIZON)
    prices = np.concatenate([varied.preprocessor.products[0].price[-14:], path.price.double().numpy()])
    change = np.abs(prices[14:] / prices[13:-1] - 1)
    week, kept = np.abs(prices[14:] / prices[7:-7] - 1), np.abs(prices[13:-1] / prices[7:-7] - 1)
    assert change.max() <= 0.05 + 1e-6
    assert ((week <= 0.10 + 1e-6) | (week <= kept)).all()  # a price that is too far already may only come nearer
    changed = np.flatnonzero(change > 1e-6)
    assert (np.diff(changed) >= hold).all()
    assert path.limits.feasible


@pytest.mark.parametrize("age", [1, 2, 3])
def test_a_recent_change_is_held_until_its_days_are_over(age: int, known_demand: Callable[..., Market]) -> None:
    price = np.full(60, 10.0)
    price[-age:] = 10.2
    path = propose_path(_up, _product(known_demand(price)), 10)
    first = int(np.flatnonzero(np.abs(path.price.numpy() - 10.2) > 1e-4)[0])
    assert first == 3 - age


def test_a_jump_beyond_the_weekly_limit_is_no_contradiction(known_demand: Callable[..., Market]) -> None:
    price = np.full(60, 10.0)
    price[-4:] = 13.0
    path = propose_path(_up, _product(known_demand(price)), HORIZON)
    assert path.limits.feasible
    assert (path.price[:3] == 13.0).all()


def test_a_ceiling_out_of_reach_is_a_contradiction_and_holds(known_demand: Callable[..., Market]) -> None:
    path = propose_path(_up, _product(known_demand(10.0), ceiling=5.0), HORIZON)
    assert not path.limits.feasible
    assert (path.price == 10.0).all()


def test_a_price_above_the_ceiling_may_not_be_kept_and_the_ceiling_is_nearest(
    known_demand: Callable[..., Market],
) -> None:
    limits = propose_path(_up, _product(known_demand(10.0), ceiling=9.8), HORIZON).limits
    assert limits.feasible and limits.movable and not limits.keep_allowed
    assert limits.nearest == pytest.approx(9.8)


@pytest.mark.parametrize("price", [9.8, 10.0])
def test_a_price_on_its_limit_or_inside_may_be_kept(price: float, known_demand: Callable[..., Market]) -> None:
    limits = propose_path(_up, _product(known_demand(price), ceiling=10.0, floor=9.8), HORIZON).limits
    assert limits.keep_allowed and limits.nearest == pytest.approx(price)


def test_a_grid_coarser_than_a_step_leaves_no_other_price(known_demand: Callable[..., Market]) -> None:
    market = known_demand(10.0)
    assert not propose_path(_up, _product(market, price_step=1.0), HORIZON).limits.movable
    assert propose_path(_up, _product(market, price_step=0.5), HORIZON).limits.movable


def test_limits_of_the_path_enclose_it(varied: Market) -> None:
    path = propose_path(_wandering, _product(varied), HORIZON)
    assert ((path.low <= path.price) & (path.price <= path.high)).all()


def test_a_forecast_expects_what_the_known_demand_says(known_demand: Callable[..., Market]) -> None:
    forecast = forecast_path(Product(Dynamics(known_demand(10.0)), 0), torch.tensor([10.0, 12.0]), seed=0)
    np.testing.assert_allclose(forecast.units[0], [20.0, 20 * 1.2**-2], rtol=2e-3)
    np.testing.assert_allclose(forecast.profit[0], [80.0, 6 * 20 * 1.2**-2], rtol=5e-3)
    mean, low, high = forecast.units
    assert (low < mean).all() and (mean < high).all()


def test_a_forecast_repeats_with_its_seed_and_differs_with_another(varied: Market) -> None:
    price = torch.full((5,), 10.0)
    first, again, other = (forecast_path(Product(Dynamics(varied), 0), price, seed).units[2] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("target", [9.3, 10.0, 11.5])
def test_a_target_is_approached_in_steps_and_kept(target: float, varied: Market) -> None:
    path = approach_path(target, _product(varied), HORIZON).price.numpy()
    prices = np.concatenate([[10.0], path])
    assert path[-1] == pytest.approx(target) and (path[-6:] == path[-1]).all()
    assert (np.sign(np.diff(prices)) * np.sign(target - 10.0) >= 0).all()
    assert np.abs(prices[1:] / prices[:-1] - 1).max() <= 0.0501
