"""The env obeys every guardrail: per product, on the ladder, against the trailing price, plain and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from shops.known_market import known_market

from pricerl.data.costs import CostConfig
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.pricing import PricingVectorEnv
from pricerl.env.product import Product
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.planner.constant_price import best_constant_price, candidate_prices

UP, DOWN = 1.0, -1.0


@pytest.fixture
def two_products(make_product: Callable[..., ProductHistory], prepare: Callable[..., DataPreprocessor]) -> Market:
    histories = [make_product(10.0, np.full(60, 20.0), product=name) for name in ("Mug", "Bowl")]
    return known_market(prepare(*histories), lambda at: 20.0 * (at / 10.0) ** -2, CostConfig(unit_cost=6.0))


def walk(dynamics: Dynamics, action: float, steps: int, product: int = 0) -> list[float]:
    """Prices of ``steps`` decisions from the end of a product's history."""
    rows = torch.tensor([product])
    state = dynamics.start(rows, dynamics.history.num_days[rows] - 1, rows * 0 + dynamics.market.mean_draw)
    prices = []
    for _ in range(steps):
        price = dynamics.decide(state, torch.tensor([action]))
        state, _ = dynamics.advance(state, price, dynamics.days_per_step, None)
        prices.append(round(float(price), 4))
    return prices


def test_each_product_follows_its_own_limits(two_products: Market) -> None:
    own = {"Mug": {"max_rise": 0.02, "floor": 9.9}, "Bowl": {"ceiling": 10.3}}
    dynamics = Dynamics(two_products, guardrails=GuardrailConfig(products=own))
    assert walk(dynamics, UP, 1, product=0) == [10.2] and walk(dynamics, UP, 1, product=1) == [10.3]
    assert walk(dynamics, DOWN, 1, product=0) == [9.9] and walk(dynamics, DOWN, 1, product=1) == [9.5]


def test_an_action_reaches_from_the_largest_drop_to_the_largest_rise(known_demand: Callable[..., Market]) -> None:
    dynamics = Dynamics(known_demand(10.0), guardrails=GuardrailConfig(max_rise=0.02, max_drop=0.04))
    assert [walk(dynamics, action, 1)[0] for action in (DOWN, -0.5, 0.0, UP)] == [9.6, 9.8, 10.0, 10.2]


def test_prices_walk_the_ladder_in_the_env(known_demand: Callable[..., Market]) -> None:
    rails = GuardrailConfig(price_ladder=(9.09, 9.5, 9.99, 10.45, 10.9), max_week_change=0.3)
    dynamics = Dynamics(known_demand(10.0), guardrails=rails)
    assert walk(dynamics, UP, 3) == [10.45, 10.9, 10.9]
    assert walk(dynamics, DOWN, 3) == [9.5, 9.09, 9.09]


def test_the_trailing_median_follows_the_prices_of_the_episode(known_demand: Callable[..., Market]) -> None:
    rails = GuardrailConfig(max_above_median=0.03, support_margin=0.5, max_week_change=0.5)
    prices = walk(Dynamics(known_demand(10.0), guardrails=rails), UP, 8)
    assert prices == pytest.approx([10.3] * 5 + [10.45] + [10.6] * 2, abs=0.2)
    assert prices[:4] == [10.3] * 4 and max(prices) > 10.3
    charged = [10.0] * 60
    for price in prices:
        highest = max(1.03 * np.median(charged[-28:]), charged[-1])
        assert price <= highest + 1e-4
        charged += [price] * 3


@pytest.mark.parametrize("limits", [{}, {"floor": 9.0, "ceiling": 12.0}])
def test_candidates_of_the_planner_are_prices_of_the_ladder(
    limits: dict[str, float], known_demand: Callable[..., Market]
) -> None:
    rails = GuardrailConfig(charm_endings=(0.49, 0.99), support_margin=0.4, **limits)
    dynamics = Dynamics(known_demand(10.0), RewardConfig("profit"), rails)
    found = {round(price, 4) for price in candidate_prices(Product(dynamics, 0)).tolist()}
    assert found == {
        number / 2 - 0.01 for number in range(2 * (9 if limits else 6) + 1, 2 * (12 if limits else 14) + 1)
    }
    assert float(best_constant_price(dynamics).price) == pytest.approx(11.99)


@pytest.mark.compiler
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"charm_endings": (0.49, 0.99)}, marks=pytest.mark.slow),
        pytest.param({"max_above_median": 0.05, "max_rise": 0.03}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_compiled_env_charges_the_same_prices(settings: dict[str, Any], known_demand: Callable[..., Market]) -> None:
    prices, market = [], known_demand(10.0)
    for compiled in (False, True):
        rails, config = GuardrailConfig(**settings), EnvConfig(compile=compiled, noise=False)
        env = PricingVectorEnv(8, market, guardrails=rails, config=config)
        env.reset(seed=0)
        actions = torch.rand(8, 8, 1, generator=torch.Generator().manual_seed(0)) * 2 - 1
        prices.append(torch.stack([env.step(action)[4]["price"].clone() for action in actions]))
    assert len(prices[0].unique()) > 2 and not env._step.failed
    torch.testing.assert_close(*prices)
