"""Plan of a price test: how probable it is that it decides, its price, its length and its cost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from pricerl.advice.next_steps import price_test_words
from pricerl.advice.price_test import LENGTHS, POWER, plan_price_test, probability_of_clarity
from pricerl.env import Dynamics, EnvConfig
from pricerl.evaluation.valuation import value_paths
from pricerl.formatting import PLAIN
from pricerl.guardrails import GuardrailConfig
from pricerl.market import DemandConfig, Market, RewardConfig
from pricerl.simulation import SellerConfig


@pytest.fixture(scope="module")
def dynamics(fitted: Callable[[SellerConfig, DemandConfig], Market]) -> Dynamics:
    market = fitted(SellerConfig(), DemandConfig(num_draws=32))
    return Dynamics(market, RewardConfig(), GuardrailConfig(), EnvConfig())


@pytest.mark.parametrize("error", [0.02, 0.1, 0.5])
def test_the_probability_is_that_of_the_conjugate_normal(error: float) -> None:
    draws = norm.ppf((np.random.default_rng(0).permutation(128) + 0.5) / 128)
    ratio = 0.1 * draws
    found = probability_of_clarity(draws - 0.2, ratio, error, 0.7)
    after = (1 / (1 / 0.1**2 + 1 / error**2)) ** 0.5
    moved = (0.1**2 - after**2) ** 0.5
    edge = norm.ppf(0.7) * after
    expected = norm.sf((0.02 + edge) / moved) + norm.cdf((0.02 - edge) / moved)
    assert found == pytest.approx(expected, abs=0.06)


def test_a_measurement_without_error_always_decides_and_one_of_noise_never() -> None:
    draws = np.linspace(-1, 1, 100)
    assert probability_of_clarity(draws, draws, 1e-4, 0.7) > 0.97
    assert probability_of_clarity(draws, draws, 100.0, 0.7) == 0.0


def test_the_plan_is_the_shortest_test_that_decides_and_costs_what_a_test_of_its_days_costs(dynamics: Dynamics) -> None:
    now = float(dynamics.market.preprocessor.products[0].price[-1])
    tried = dynamics.market.preprocessor.products[0].price
    draws = np.linspace(-1, 1, dynamics.market.num_draws)
    test = plan_price_test(dynamics, 0, draws, 0.7, 14)
    assert test is not None and test.days in LENGTHS and tried.min() <= test.price <= tried.max()
    assert 0.02 <= abs(test.price / now - 1) <= 0.2 + 1e-3
    assert test.cost == pytest.approx(test.days / 2 * max(0.0, -test.uplift.low))
    elastic = plan_price_test(dynamics, 0, _demand_order(dynamics), 0.7, 14)
    assert elastic is not None and elastic.decides > test.decides - 1e-9
    assert elastic.days == LENGTHS[-1] or elastic.decides >= POWER


def _demand_order(dynamics: Dynamics) -> np.ndarray:
    """A gain that follows from the very ratio that the test measures, positive in half of the draws."""
    import torch

    now = float(dynamics.market.preprocessor.products[0].price[-1])
    low, high = value_paths(dynamics.market, 0, torch.tensor([[now], [1.1 * now]]), 14)
    ratio = np.log(high.units / low.units)
    return np.asarray(ratio - np.median(ratio))


def test_no_price_is_far_enough_between_tight_limits(known_demand: Callable[..., Market]) -> None:
    market = known_demand(np.repeat([9.0, 10.0, 11.0, 10.0], 15))
    shut = Dynamics(market, RewardConfig(), GuardrailConfig(floor=9.9, ceiling=10.1), EnvConfig())
    assert plan_price_test(shut, 0, np.ones(market.num_draws), 0.7, 14) is None


def test_a_test_in_words_states_days_cost_and_probability_and_never_certainty() -> None:
    test = {"price": 33.9, "days": 28, "decides": 0.84, "cost": 21.0, "uplift": [0.0, -1.5, 1.0]}
    assert price_test_words(test, 36.91, PLAIN) == [
        "Test 33.90: 28 days, weeks at 33.90 and at 36.91 in turn.",
        "That costs at most 21.00 profit and decides with a probability of 84 %.",
    ]
    assert "99 %" in price_test_words({**test, "decides": 1.0}, 36.91, PLAIN)[1]
    (never,) = price_test_words({**test, "decides": 0.4}, 36.91, PLAIN)
    assert never == "No short price test decides: 28 days at 33.90 and 36.91 would with a probability of 40 %."
