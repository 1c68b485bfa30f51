"""Policy value in markets whose profit follows by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pricerl.env import Dynamics
from pricerl.evaluation.policy_value import profit_by_market, score_paths, summarise_gain, value_path
from pricerl.market import DemandConfig, RewardConfig
from pricerl.simulation import SellerConfig

PROFIT_AT_TEN = 20.0 * (10 - 6)
PROFIT_AT_TWELVE = 20.0 / 1.2**2 * (12 - 6)


def logged(known_demand, prices):
    return Dynamics(known_demand(price=prices), RewardConfig())


def test_a_path_is_valued_against_the_prices_of_the_last_days_and_against_the_current_price(known_demand):
    dynamics = logged(known_demand, np.repeat([10.0, 12.0, 10.0], [53, 4, 3]))
    value = value_path(dynamics, 0, torch.full((7,), 12.0))
    assert (value.days, value.markets) == (7, 1)
    assert value.profit == pytest.approx(PROFIT_AT_TWELVE, rel=1e-3)
    assert value.over_keep.mean == pytest.approx(PROFIT_AT_TWELVE - PROFIT_AT_TEN, rel=1e-2)
    assert value.over_log.mean == pytest.approx(3 / 7 * (PROFIT_AT_TWELVE - PROFIT_AT_TEN), rel=1e-2)
    assert value.over_log.chance == value.over_keep.chance == 1.0


def test_replaying_the_log_gains_nothing_over_it(known_demand):
    prices = np.repeat([10.0, 12.0, 9.0, 10.0], 15)
    value = value_path(logged(known_demand, prices), 0, torch.tensor(prices[-28:], dtype=torch.float32))
    assert value.over_log.mean == 0 and value.over_log.chance == 0
    assert value.over_keep.mean != 0


def test_a_horizon_longer_than_the_history_repeats_its_prices(known_demand):
    prices = np.repeat([10.0, 12.0], 15)
    dynamics = logged(lambda price: known_demand(price=price, num_days=30), prices)
    value = value_path(dynamics, 0, torch.full((60,), 12.0))
    assert value.profit - value.over_log.mean == pytest.approx(0.5 * (PROFIT_AT_TEN + PROFIT_AT_TWELVE), rel=1e-3)


def test_paths_meet_the_same_markets(fitted):
    seller = SellerConfig(days=130, units=30.0)
    dynamics = Dynamics(fitted(seller, DemandConfig()), RewardConfig())
    paths = torch.full((2, 14), 10.0)
    profit = profit_by_market(dynamics, torch.zeros(2, dtype=torch.long), paths)
    assert profit.shape == (2, 64)
    assert (profit[0] == profit[1]).all() and profit[0].std() > 0


def test_a_week_earns_the_mean_of_an_average_day(fitted):
    market = fitted(SellerConfig(days=130, units=30.0), DemandConfig())
    none = torch.zeros_like(market.memory_loss)
    even = replace(
        market, weekday=market.weekday / market.weekday.mean(1, keepdim=True), memory_gain=none, memory_loss=none
    )
    dynamics = Dynamics(even, RewardConfig())
    price = float(market.preprocessor.products[0].price[-1])
    draw = torch.arange(market.num_draws)
    _, response = dynamics.constant_price(torch.full((len(draw),), price), torch.zeros_like(draw), draw)
    week = profit_by_market(dynamics, torch.zeros(1, dtype=torch.long), torch.full((1, 7), price))[0]
    assert week == pytest.approx(response.profit.numpy(), rel=1e-4)


def test_the_value_at_risk_is_the_mean_of_the_unluckiest_tenth():
    gain = summarise_gain(np.arange(-5.0, 15.0))
    assert gain.cvar == -4.5
    assert gain.mean == 4.5 and gain.chance == 14 / 20
    assert (gain.low, gain.high) == (pytest.approx(-4.05), pytest.approx(13.05))


def test_every_products_path_is_scored_as_one_alone(fitted):
    dynamics = Dynamics(fitted(SellerConfig(days=130, units=30.0, products=3, seed=5), DemandConfig()), RewardConfig())

    def climb(observation):
        return torch.ones(len(observation), 1)

    scores = score_paths(climb, dynamics)
    halves = [score_paths(climb, dynamics, (part, 2)) for part in range(2)]
    assert [len(half.policy_gain_mean) for half in halves] == [2, 1]
    assert scores.policy_gain_mean.tolist()[1] == pytest.approx(float(halves[1].policy_gain_mean))
    product, index = dynamics.history.latest()
    state = dynamics.start(product, index, torch.full_like(product, dynamics.market.mean_draw))
    path = []
    while len(path) < 28:
        price = dynamics.decide(state, climb(state.observation)[:, 0])
        state, _ = dynamics.advance(state, price, dynamics.days_per_step, None)
        path += [price] * dynamics.days_per_step
    alone = value_path(dynamics, 1, torch.stack(path[:28], 1)[1])
    assert scores.policy_gain_mean.tolist()[1] == pytest.approx(alone.over_keep.mean, rel=1e-4)
    assert scores.log_gain_cvar.tolist()[1] == pytest.approx(alone.over_log.cvar, rel=1e-4)


def test_a_rank_without_a_product_scores_none(known_demand):
    scores = score_paths(lambda observation: torch.zeros(len(observation), 1), logged(known_demand, 10.0), (1, 2))
    assert all(len(values) == 0 for values in scores)


def test_keeping_the_price_gains_nothing_over_itself(known_demand):
    scores = score_paths(lambda observation: torch.zeros(len(observation), 1), logged(known_demand, 10.0))
    assert float(scores.policy_gain_mean) == 0 and float(scores.policy_gain_chance) == 0
