"""What the numbers that describe a market say, and where observations carry them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pricerl.data.features import FEATURES
from pricerl.env.config import EnvConfig
from pricerl.env.description import DESCRIPTION, PLACES, REACH
from pricerl.env.dynamics import Dynamics
from pricerl.env.pricing import PricingVectorEnv
from pricerl.market.demand.config import DemandConfig
from pricerl.market.reward import RewardConfig
from pricerl.simulation.seller import SellerConfig
from pricerl.training.pricing_data import PricingDataModule

F, M, N = len(FEATURES), len(DESCRIPTION), len(PLACES)
TRIO = SellerConfig(days=130, units=30.0, products=3, seed=5)
DESCRIBED = EnvConfig()


def described(market):
    values = Dynamics(market, config=DESCRIBED).description
    return [dict(zip(DESCRIPTION, row.tolist(), strict=True)) for row in values]


def test_a_known_market_is_described_by_its_own_numbers(known_demand):
    row = described(known_demand(price=10.0, elasticity=-2.0))[0]
    assert [row[name] for name in DESCRIPTION[:3]] == pytest.approx([2 / 6] * 3, rel=1e-3)
    assert row["elasticity_sd"] == pytest.approx(0, abs=1e-4) and row["memory_loss"] == 0
    assert row["margin"] == pytest.approx(0.4)
    assert row["season"] == pytest.approx(0.5)
    assert row["volume"] == pytest.approx((1.30103 + 1) / 5, rel=1e-3), "20 units a day"


def test_different_markets_have_different_descriptions(fitted):
    first, *others = described(fitted(TRIO, DemandConfig(num_draws=16)))
    assert all(0 <= value <= 1 for row in (first, *others) for value in row.values())
    assert all(row["margin"] != first["margin"] and row["elasticity"] != first["elasticity"] for row in others)
    assert all(row["elasticity_sd"] > 0.01 for row in (first, *others))


def test_the_best_price_of_a_known_market_is_inside_the_limits_nearest_to_the_optimum(known_demand):
    dynamics = Dynamics(known_demand(price=10.0, elasticity=-2.0), RewardConfig("profit"), config=DESCRIBED)
    price = dynamics._best_price()
    assert price.item() == pytest.approx(min(12.0, float(dynamics.limits.support_high)), rel=0.01)


def test_every_day_of_an_observation_carries_the_description(fitted):
    market = fitted(TRIO, DemandConfig(num_draws=16))
    with_it, without = (
        PricingVectorEnv(3, market, config=replace(DESCRIBED, describe=describe, noise=False))
        for describe in (True, False)
    )
    chosen = {"product": torch.arange(3), "index": 60, "draw": 2}
    seen, plain = (env.reset(options=chosen)[0] for env in (with_it, without))
    for _ in range(4):
        days, bare = seen.view(3, 7, F + M + N), plain.view(3, 7, F)
        torch.testing.assert_close(days[:, :, :F], bare)
        torch.testing.assert_close(days[:, :, F : F + M], with_it.dynamics.description[:, None].expand(-1, 7, -1))
        action = torch.full((3, 1), 0.5)
        seen, plain = (env.step(action)[0] for env in (with_it, without))
    assert with_it.single_observation_space.shape == (7 * (F + M + N),)


def test_every_day_tells_how_far_its_price_is_from_the_best_one(known_demand):
    env = PricingVectorEnv(1, known_demand(price=10.0, elasticity=-2.0), RewardConfig("profit"), config=DESCRIBED)
    seen, _ = env.reset(options={"index": 50})
    best = env.dynamics._best_price().log()
    for _ in range(3):
        price = env.state.prices[-1]
        place, edge = seen.view(7, -1)[-1, -N:]
        assert float(place) == pytest.approx(0.5 + 0.5 * float(best - price.log()) / (REACH * 0.04879), abs=1e-4)
        assert float(edge) == 1.0, "demand falls at no price"
        seen, *_ = env.step(torch.ones(1, 1))
    assert float(price) > 10.0


def test_networks_are_sized_for_the_description():
    assert PricingDataModule().task.observation_dim == 7 * (F + M + N)
    assert PricingDataModule(env=EnvConfig(describe=False)).task.observation_dim == 7 * F
