"""Reference price: its formula, its estimate from a history, its effect in env and forecast."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from shops.confounders import GAIN, LOSS
from shops.known_market import known_market
from shops.sellers import ShopConfig

from pricerl.data.costs import CostConfig
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.forecast import forecast_path
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.reference_price import REFERENCE_MEMORY, PriceMemory, fade, lift, reference_prices, smooth

REMEMBERING = PriceMemory(gain=np.array([0.5]), loss=np.array([1.5]))


@pytest.fixture
def remembering(prepare, make_product):
    """Demand ``2000 p^-2`` at a unit cost of 6 from a price of 10; losses weigh three times as much as gains."""
    history = prepare(make_product(np.repeat([10.0, 11.0, 9.5, 10.0], 20), np.full(80, 20.0)))
    market = known_market(history, lambda price: 2000 * price**-2.0, CostConfig(unit_cost=6.0), REMEMBERING)
    return Dynamics(market, config=EnvConfig(noise=False))


def latest(dynamics):
    product, index = dynamics.history.latest()
    return dynamics.start(product, index, torch.full_like(product, dynamics.market.mean_draw))


def test_the_reference_price_follows_with_a_tenth_of_the_distance_a_day():
    reference = reference_prices(np.array([1.0, 2.0, 2.0]))
    np.testing.assert_allclose(reference, [1.0, 1.0, 1.1, 1.19])


def test_losses_weigh_more_than_gains():
    up, down = (float(lift(torch.tensor(rise), torch.tensor(0.5), torch.tensor(1.5))) for rise in (0.1, -0.1))
    assert up == pytest.approx(np.exp(-0.15)) and down == pytest.approx(np.exp(0.05))
    assert fade(3, torch.device("cpu"))[:, 0].tolist() == pytest.approx([1.0, 0.9, 0.81])


def test_a_raised_price_sells_less_until_buyers_are_used_to_it(remembering):
    state = latest(remembering)
    price, before = state.price * 1.05, float(state.log_reference_price)
    _, outcome = remembering.advance(state, price, 40, None)
    rise = float(price.log()) - before
    assert rise > 0.04
    used_to = 2000 * float(price) ** -2.0
    expected = used_to * np.exp(-1.5 * rise * REFERENCE_MEMORY ** np.arange(40))
    np.testing.assert_allclose(outcome.expected_units[0].numpy(), expected, rtol=2e-4)
    assert outcome.expected_units[0, -1] == pytest.approx(used_to, rel=2e-3)
    assert outcome.reward[0, -1] > outcome.reward[0, 0]


def test_days_one_by_one_come_to_the_same_as_days_at_once(remembering):
    state = latest(remembering)
    price = state.price * 0.96
    at_once, outcome = remembering.advance(state, price, 5, None)
    units, rewards = [], []
    for _ in range(5):
        state, day = remembering.advance(state, price, 1, None)
        units.append(float(day.expected_units))
        rewards.append(float(day.reward))
    np.testing.assert_allclose(outcome.expected_units[0].numpy(), units, rtol=1e-5)
    np.testing.assert_allclose(outcome.reward[0].numpy(), rewards, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(at_once.log_reference_price, state.log_reference_price)


def test_a_state_in_the_middle_of_history_knows_what_buyers_were_used_to(remembering):
    product = torch.zeros(1, dtype=torch.long)
    state = remembering.start(product, product + 44, product)
    history = remembering.market.preprocessor.products[0].price
    expected = reference_prices(np.log(history[:45]))[-1]
    assert float(state.log_reference_price) == pytest.approx(expected, abs=1e-6)


def test_paths_after_a_history_are_lifted_like_its_further_days():
    memory = PriceMemory(np.array([0.2, 0.5]), np.array([0.4, 0.5]))
    past, paths = np.array([10.0, 11.0, 10.5]), np.array([[10.0, 12.0], [11.0, 9.0]])
    found = memory.lifts_after(reference_prices(np.log(past))[-1], paths).swapaxes(0, 1)
    for path, lifts in zip(paths, found, strict=True):
        np.testing.assert_allclose(lifts, memory.lifts(np.concatenate([past, path]))[:, -2:], rtol=1e-6)


def test_the_forecast_and_the_env_expect_the_same_units(remembering):
    state = latest(remembering)
    prices, units = [], []
    for factor in (1.04, 1.04, 0.97):
        price = state.price * factor
        state, outcome = remembering.advance(state, price, 3, None)
        prices += [price] * 3
        units += outcome.expected_units[0].tolist()
    forecast = forecast_path(Product(remembering, 0), torch.cat(prices), seed=0)
    np.testing.assert_allclose(forecast.units[0], units, rtol=1e-4)


@pytest.mark.slow
def test_the_effect_is_estimated_from_a_history_with_one(fitted):
    gains, losses = [], []
    for seed in range(6):
        seller = ShopConfig(market="reference", days=730, units=80.0, seed=seed)
        memory = fitted(seller, DemandConfig(num_draws=200)).products[0].memory
        gains.append(memory.gain.mean())
        losses.append(memory.loss.mean())
        assert (memory.gain >= 0).all() and (memory.loss >= memory.gain).all()
    assert np.mean(losses) == pytest.approx(LOSS, rel=0.25)
    assert np.mean(gains) < 2 * GAIN


@pytest.mark.parametrize("days", [1, 2, 366])
def test_smoothing_equals_scipys_filter_to_the_last_bit(days):
    values = np.random.default_rng(0).normal(size=days)
    assert np.array_equal(smooth(values, 0.9), lfilter([0.0, 1 - 0.9], [1.0, -0.9], values))
