"""Gradients through the market: against finite differences, and straight through the guardrails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from shops.sellers import ShopConfig
from torch import Tensor

from pricerl.env.config import EnvConfig
from pricerl.env.dynamics import Dynamics
from pricerl.env.noise import draw_z
from pricerl.env.simulator import FALL_WIDTH, LAST_DAY, SETTLING_DAYS, DifferentiableMarket
from pricerl.env.state import State, varying
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.market import Market
from pricerl.market.reward import RewardConfig, compress
from pricerl.simulation.seller import SellerConfig

ROWS, STEPS = 16, 3
SMOOTH = GuardrailConfig(price_step=1e-4, min_change=0.0, max_week_change=0.9, support_margin=0.9)
"""Limits that no action below reaches, and the finest grid of prices."""


@pytest.fixture(scope="module")
def market(fitted: Callable[..., Market]) -> Market:
    return fitted(SellerConfig(market="linear", days=130, units=30.0), DemandConfig(num_draws=8))


def simulate(market: Market, rails: GuardrailConfig = SMOOTH, noise: bool = False) -> DifferentiableMarket:
    dynamics = Dynamics(market, RewardConfig("profit"), rails, EnvConfig(noise=noise))
    return DifferentiableMarket(dynamics, ROWS, 0.9)


def earn(simulator: DifferentiableMarket, actions: Tensor) -> tuple[Tensor, State]:
    """Return the discounted reward of each row for actions ``(B, STEPS)`` from its latest day, and the last state."""
    dynamics = simulator.dynamics
    product, last = (values.expand(ROWS) for values in dynamics.history.latest())
    state = dynamics.start(product, last, torch.arange(ROWS) % dynamics.market.num_draws)
    total: Tensor | float = 0.0
    weight: Tensor | float = 1.0
    for action in actions.T:
        state, reward, discount = simulator.step(state, action[:, None])
        total = total + weight * reward
        weight = weight * discount
    assert isinstance(total, Tensor)
    return total, state


@pytest.mark.parametrize("step", range(STEPS))
def test_gradients_of_rewards_and_observations_are_those_of_finite_differences(market: Market, step: int) -> None:
    simulator = simulate(market)
    torch.manual_seed(0)
    actions = 0.4 + 0.2 * torch.rand(ROWS, STEPS)  # rises only: at the reference price the slope of demand jumps

    def measure(chosen: Tensor) -> Tensor:
        total, state = earn(simulator, chosen)
        return total + state.observation.sum(1)

    known = actions.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(measure(known).sum(), [known])
    shift = torch.zeros_like(actions)
    shift[:, step] = 0.01
    difference = (measure(actions + shift) - measure(actions - shift)) / 0.02
    torch.testing.assert_close(gradient[:, step], difference, rtol=0.03, atol=0.01)


@pytest.mark.parametrize("action", [0.1, -0.9], ids=["below the smallest change", "beyond the floor"])
def test_a_rule_that_changes_a_price_passes_the_gradient_of_the_proposal(market: Market, action: float) -> None:
    now = market.preprocessor.products[0].current_price
    rails = GuardrailConfig(min_change=0.01, floor=round(0.97 * now, 2), max_week_change=0.9)
    held = torch.full((ROWS, 1), action, requires_grad=True)
    total, state = earn(simulate(market, rails), held)
    (gradient,) = torch.autograd.grad(state.price.sum(), [held], retain_graph=True)
    assert torch.allclose(state.price, torch.tensor(now if action > 0 else rails.floor))
    torch.testing.assert_close(gradient, torch.full_like(gradient, now * rails.max_change))
    (gradient,) = torch.autograd.grad(total.sum(), [held])
    assert (gradient != 0).all(), "also where the price is the one in force, from which the gain is counted"


def test_demand_falls_gradually_just_below_a_round_price_in_roll_outs_alone(fitted: Callable[..., Market]) -> None:
    threshold: Any = "threshold"
    market = fitted(ShopConfig(threshold, days=130, units=50.0, seed=2), DemandConfig(num_draws=8))
    market = replace(market, overlooked=torch.zeros_like(market.overlooked))
    gradual = simulate(market).dynamics.market
    price = market.lower_edge * torch.tensor([1 - 1.1 * FALL_WIDTH, 1 - 0.5 * FALL_WIDTH, 1.0])
    mean = torch.full((3,), market.mean_draw)
    at_once, smooth = (one.average_day(price, torch.zeros_like(mean), mean).expected_units for one in (market, gradual))
    torch.testing.assert_close(smooth[[0, 2]], at_once[[0, 2]], rtol=1e-4, atol=0)
    below, near, above = smooth
    assert above < 0.95 * below and above < near < 0.99 * at_once[1]


def test_a_step_is_that_of_the_env_with_the_same_noise(market: Market) -> None:
    simulator = simulate(market, GuardrailConfig(), noise=True)
    dynamics = simulator.dynamics
    torch.manual_seed(0)
    state = simulator.start()
    action = (2 * torch.rand(ROWS, 1) - 1).requires_grad_()
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(3)
    after, reward, discount = simulator.step(state, action)
    z_cell = draw_z(dynamics.days_per_step, ROWS, generator)
    price = dynamics.decide(state, action.detach()[:, 0])
    expected, outcome = dynamics.hold(state, price, dynamics.days_per_step, z_cell)
    torch.testing.assert_close(after.observation, expected.observation)
    torch.testing.assert_close(reward, outcome.reward.sum(1))
    assert torch.equal(discount, torch.full((ROWS,), 0.9)) and after.sales.requires_grad


def test_the_first_rows_start_on_the_last_day_in_draws_that_are_evenly_spread(market: Market) -> None:
    simulator = simulate(market)
    torch.manual_seed(0)
    state = simulator.start()
    goes_on = state.day == simulator.dynamics.history.first_day[0] + simulator.dynamics.history.num_days[0] - 1
    assert goes_on.sum() > ROWS / 2
    assert (state.draw == torch.arange(ROWS) % market.num_draws).sum() > ROWS / 2


def test_three_of_four_rows_go_on_where_the_last_roll_out_ended_up_to_a_year_after_the_history(market: Market) -> None:
    simulator = DifferentiableMarket(Dynamics(market, RewardConfig("profit"), SMOOTH), 400, 0.9)
    torch.manual_seed(0)
    state = simulator.start()
    marked = state._replace(window=state.window + 10)
    simulator.keep(marked)
    after = simulator.start()
    goes_on = after.window.amin(0) > 5
    assert 250 < goes_on.sum() < 350
    assert torch.equal(after.observation[goes_on], marked.observation[goes_on])
    rows = simulator.dynamics.rows(after.product, after.draw)
    assert torch.equal(after.rows.market.first_point, rows.market.first_point)
    simulator.keep(marked._replace(day=state.day + LAST_DAY + 130))
    assert simulator.start().window.amax() < 5


def test_restored_rows_go_on_as_the_saved_ones_and_others_are_refused(market: Market) -> None:
    simulator, again = simulate(market), simulate(market)
    torch.manual_seed(0)
    simulator.keep(simulator.step(simulator.start(), torch.ones(ROWS, 1))[0])
    assert again.load_state_dict(simulator.state_dict())
    states = []
    for restored in (simulator, again):
        torch.manual_seed(1)
        states.append(varying(restored.start()))
    assert all(map(torch.equal, states[0].values(), states[1].values()))
    assert not again.load_state_dict({name: value[..., :3] for name, value in simulator.state_dict().items()})


def test_new_rows_start_on_training_days_or_after_two_weeks_at_a_random_price_within_the_limits(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pricerl.env.simulator.GO_ON", 0.0)
    monkeypatch.setattr("pricerl.env.simulator.LATEST", 0.0)
    simulator = simulate(market)
    torch.manual_seed(0)
    state, other = simulator.start(), simulator.start()
    history, limits = simulator.dynamics.history, state.rows.limits
    days = history.num_days[0] + SETTLING_DAYS
    known = {round(float(price), 4) for price in history.price}
    settled = torch.tensor([round(float(price), 4) not in known for price in state.price])
    assert 3 < settled.sum() < ROWS - 3
    assert (state.prices[:, settled] == state.price[settled]).all(), "all 14 days"
    assert ((state.price >= limits.support_low) & (state.price <= limits.support_high)).all()
    index = state.day - history.first_day[state.product]
    first, last = history.start_range("train", state.product)
    assert ((index >= first) & (index <= torch.where(settled, days, last))).all()
    assert (state.draw < market.num_draws).all() and not torch.equal(state.day, other.day)


def test_the_reward_of_a_gain_has_slope_1_at_the_price_in_force() -> None:
    gain = torch.zeros(1, requires_grad=True)
    (slope,) = torch.autograd.grad(compress(gain).sum(), [gain])
    assert float(slope) == 1.0
    gains = torch.linspace(-300.0, 300.0, 101)
    torch.testing.assert_close(compress(gains.clone().requires_grad_()).detach(), compress(gains))
