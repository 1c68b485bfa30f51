"""Policy value in markets whose profit follows by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pricerl.data import SellerConfig
from pricerl.env.pricing import build_dynamics
from pricerl.evaluation.policy_value import profit_by_market, summarise_gain, value_path
from pricerl.market import RewardConfig, SimilarConfig

PROFIT_AT_TEN = 20.0 * (10 - 6)
PROFIT_AT_TWELVE = 20.0 / 1.2**2 * (12 - 6)


def logged(known_demand, prices):
    return build_dynamics(known_demand(price=prices), RewardConfig())


def test_a_path_is_valued_against_the_prices_of_the_last_days_and_against_the_price_now(known_demand):
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
    dynamics = build_dynamics(fitted(seller, SimilarConfig()), RewardConfig())
    paths = torch.full((2, 14), 10.0)
    profit = profit_by_market(dynamics, 0, paths)
    assert profit.shape == (2, 64)
    assert (profit[0] == profit[1]).all() and profit[0].std() > 0


def test_a_week_earns_the_mean_of_an_average_day(fitted):
    market = fitted(SellerConfig(days=130, units=30.0), SimilarConfig())
    even = replace(market, weekday=market.weekday / market.weekday.mean(1, keepdim=True))
    dynamics = build_dynamics(even, RewardConfig())
    price = float(market.preprocessor.products[0].price[-1])
    draw = torch.arange(market.num_draws)
    _, response = dynamics.constant_price(torch.full((len(draw),), price), torch.zeros_like(draw), draw)
    week = profit_by_market(dynamics, 0, torch.full((1, 7), price))[0]
    assert week == pytest.approx(response.profit.numpy(), rel=1e-4)


def test_the_value_at_risk_is_the_mean_of_the_unluckiest_tenth():
    gain = summarise_gain(np.arange(-5.0, 15.0))
    assert gain.cvar == -4.5
    assert gain.mean == 4.5 and gain.chance == 14 / 20
    assert (gain.low, gain.high) == (pytest.approx(-4.05), pytest.approx(13.05))
