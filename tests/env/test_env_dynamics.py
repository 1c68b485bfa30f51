"""Simulated days are those of a longer history, and every guardrail is obeyed: per product, plain and compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from observation_windows import every_window
from shops.known_market import known_market
from weighted_reward import weighted

from pricerl.data.costs import CostConfig
from pricerl.data.features import FEATURES, build_features
from pricerl.data.history import ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.pricing import PricingVectorEnv
from pricerl.env.product import Product
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig
from pricerl.planner.constant_price import best_constant_price, candidate_prices
from pricerl.simulation.seller import SellerConfig

TRIO = SellerConfig(days=130, units=30.0, products=3, seed=5)
SMALL = DemandConfig(num_draws=8)
UP, DOWN = 1.0, -1.0


@pytest.fixture(scope="module")
def dynamics(fitted):
    return Dynamics(fitted(TRIO, SMALL), config=EnvConfig(noise=False, describe=False))


def latest(dynamics):
    product, index = dynamics.history.latest()
    return dynamics.start(product, index, torch.full_like(product, dynamics.market.mean_draw))


def append_days(history, states, outcomes, row):
    """Return the history with the simulated days of one row behind it."""
    price = np.concatenate(
        [
            np.full(len(outcome.sales[row]), float(state.price[row]))
            for state, outcome in zip(states, outcomes, strict=True)
        ]
    )
    column = {
        name: np.concatenate([getattr(outcome, name)[row].numpy() for outcome in outcomes]).astype(float)
        for name in ("expected_units", "sales", "profit", "organic", "ad")
    }
    new = {"price": price, "units": column.pop("expected_units"), **column}
    days, more = len(history.dates), len(price)
    flags = np.ones(more, dtype=bool)
    supplied = np.full(more, np.nan)
    supplied[: min(more, len(history.future_dates))] = history.future_predicted[:more]
    joined = {name: np.concatenate([getattr(history, name), values]) for name, values in new.items()}
    return replace(
        history,
        dates=history.dates[0] + np.arange(days + more),
        predicted=np.concatenate([history.predicted, supplied]),
        observed=np.concatenate([history.observed, flags]),
        profit_known=np.concatenate([history.profit_known, flags]),
        **joined,
    )


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("actions", [(0.4, -0.8, 1.0, 0.0, -0.3), (0.0, 0.0, 0.0, 0.0, 0.0)])
def test_simulated_days_have_the_features_that_a_longer_history_would_have(dynamics, row, actions):
    state, states, outcomes = latest(dynamics), [], []
    for action in actions:
        price = dynamics.decide(state, torch.full((3,), action))
        state, outcome = dynamics.advance(state, price, 3, None)
        states.append(state)
        outcomes.append(outcome)
    preprocessor = dynamics.market.preprocessor
    longer = append_days(preprocessor.products[row], states, outcomes, row)
    rows = build_features(longer, longer.predicted if preprocessor.forecasts[row].source == "supplied" else None)[
        -preprocessor.config.window :
    ]
    expected = preprocessor.scaler.transform(rows, row)
    window = state.observation[row].view(preprocessor.config.window, -1).numpy()
    for column, name in enumerate(FEATURES):
        np.testing.assert_allclose(window[:, column], expected[:, column], atol=2e-5, err_msg=name)


@pytest.mark.parametrize("index", [6, 13, 40, 129])
def test_an_episode_starts_with_the_observation_of_the_history(dynamics, index):
    product = torch.arange(3)
    state = dynamics.start(product, torch.full((3,), index), product)
    for row, observation in enumerate(state.observation.numpy()):
        np.testing.assert_allclose(observation, every_window(dynamics.market.preprocessor, row)[index - 6], atol=1e-6)


def test_an_episode_starts_with_the_prices_and_sales_of_the_history(dynamics):
    state, history = latest(dynamics), dynamics.market.preprocessor.products[1]
    np.testing.assert_allclose(state.prices[:, 1].numpy(), history.price[-14:], rtol=1e-6)
    np.testing.assert_allclose(state.sales[:, 1].numpy(), history.sales[-14:], rtol=1e-6)
    assert int(state.day[1]) == int(history.dates[-1].astype(int))


@pytest.mark.parametrize("count", [3, 16])
def test_days_at_once_equal_days_one_by_one_also_beyond_the_window(dynamics, count):
    state = latest(dynamics)
    price = state.price * 1.04
    together, outcome = dynamics.advance(state, price, count, None)
    days = []
    for _ in range(count):
        state, day = dynamics.advance(state, price, 1, None)
        days.append(day)
    for name in outcome._fields:
        apart = torch.cat([getattr(day, name) for day in days], 1)
        torch.testing.assert_close(getattr(outcome, name), apart, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(together, state, rtol=1e-5, atol=1e-5)


def test_weekdays_change_the_units_of_a_day_but_not_its_reward(dynamics):
    state = latest(dynamics)._replace(log_reference_price=dynamics.references.price.log())
    _, outcome = dynamics.advance(state, dynamics.references.price, 14, None)
    weekday = (state.day[:, None] + 1 + torch.arange(14) + 3) % 7
    factor = dynamics.market.weekday.gather(1, weekday)
    units = outcome.expected_units / (factor * dynamics.market.ahead[:, :14])
    torch.testing.assert_close(units, units[:, :1].expand(-1, 14), rtol=1e-4, atol=0)
    assert outcome.expected_units.std(1).min() > 0.5
    torch.testing.assert_close(outcome.reward[:, -1], outcome.reward[:, -2])


def test_the_current_price_kept_for_a_week_gains_no_profit(dynamics):
    rows, price = torch.arange(3), dynamics.history.current_price()
    profit_alone = Dynamics(dynamics.market, RewardConfig("profit"), dynamics.guardrails)
    reward, _ = profit_alone.constant_price(price, rows, rows)
    assert reward.tolist() == pytest.approx([0, 0, 0], abs=1e-4)
    earned = dynamics.market.average_day(price, rows, torch.zeros_like(rows)).profit
    for step in (1.1, 0.9):
        other, day = profit_alone.constant_price(price * step, rows, torch.zeros_like(rows))
        assert torch.equal(other > 0, day.profit > earned)


def test_a_kept_price_earns_what_the_days_after_its_first_week_earn(dynamics):
    price = dynamics.references.price * 1.06
    state = latest(dynamics)._replace(log_reference_price=price.log())
    kept, _ = dynamics.constant_price(price, state.product, state.draw)
    _, outcome = dynamics.advance(state, price, 9, None)
    torch.testing.assert_close(outcome.reward[:, -1], kept, rtol=1e-4, atol=1e-5)


def test_noise_averages_to_the_expected_sales(dynamics):
    row = dynamics.start(*(torch.full((4000,), value) for value in (0, 129, 8)))
    noisy, outcome = dynamics.advance(row, row.price, 1, torch.Generator().manual_seed(0))
    assert float(noisy.sales[-1].mean()) == pytest.approx(float(outcome.sales.mean()), rel=0.03)
    units = noisy.sales[-1] / row.price
    assert float((units - units.round()).abs().max()) < 1e-3


def test_the_bounds_of_a_step_hold_every_reward(dynamics):
    state, (low, high) = latest(dynamics), (3 * bound for bound in dynamics.reward.bounds())
    assert high == -low == pytest.approx(3 * 2.25 * 2 * 30 * np.arcsinh(10_000 / 30))
    for price in (0.3, 3.0):
        _, outcome = dynamics.advance(state, state.price * price, 3, None)
        assert low <= float(outcome.reward.sum(1).min()) and float(outcome.reward.sum(1).max()) <= high


def test_conversions_never_reported_neither_cost_nor_earn(known_demand):
    market = known_demand()
    dynamics = [Dynamics(market, weighted(organic_weight=weight), GuardrailConfig()) for weight in (0.0, 5.0)]
    price, rows = torch.tensor([8.0, 12.0]), torch.zeros(2, dtype=torch.long)
    without, heavy = (item.constant_price(price, rows, rows)[0] for item in dynamics)
    assert torch.equal(without, heavy)


def test_the_margin_floor_follows_from_decoded_costs(known_demand):
    limits = Dynamics(known_demand(price=10.0), guardrails=GuardrailConfig(min_margin=0.25)).limits
    assert limits.floor.tolist() == pytest.approx([8.0])
    assert (limits.support_low.item(), limits.support_high.item()) == pytest.approx((9.0, 11.0))


def test_a_state_can_be_continued_twice_with_the_same_result(dynamics):
    state = latest(dynamics)
    before = state.observation.clone()
    first, _ = dynamics.advance(state, state.price * 1.03, 3, None)
    dynamics.advance(state, state.price * 0.95, 3, None)
    again, _ = dynamics.advance(state, state.price * 1.03, 3, None)
    assert torch.equal(state.observation, before)
    assert torch.equal(first.observation, again.observation) and torch.equal(first.ratios, again.ratios)


def test_charging_moves_prices_as_advancing_does_and_nothing_else(dynamics):
    state = latest(dynamics)
    price = 1.03 * state.price
    advanced, charged = dynamics.advance(state, price, 3, None)[0], dynamics.charge(state, price, 3)
    for name in ("day", "prices", "log_reference_price"):
        torch.testing.assert_close(getattr(charged, name), getattr(advanced, name), rtol=0, atol=0)
    assert charged.sales is state.sales and charged.window is state.window


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


@pytest.mark.slow
@pytest.mark.compiler
@pytest.mark.parametrize(
    "settings", [{"charm_endings": (0.49, 0.99)}, {"max_above_median": 0.05, "max_rise": 0.03}], ids=str
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
