"""The shelf is a differentiable env: corrections of nothing are the rule, and gradients reach the first decision."""

from __future__ import annotations

import pytest
import torch
from shops.stock_network import Corrector, SimulatedShelves, train_network, view
from shops.stock_rules import roll_shelf
from shops.weekly_shelf import WeeklyShelf

from pricerl.data.stock import MOST_WEEKS, Stock
from pricerl.env.dynamics import Dynamics
from pricerl.market.demand.config import DemandConfig
from pricerl.sac.replay import ReplayBuffer
from pricerl.simulation.seller import SellerConfig

ROWS = 6
SETTINGS = torch.tensor([[1.2], [0.2], [torch.inf]])


@pytest.fixture(scope="module")
def shelf(fitted):
    market = fitted(SellerConfig(days=130, units=10.0), DemandConfig(num_draws=8))
    return WeeklyShelf(Dynamics(market), [Stock(300.0, (80.0,), lead_weeks=2, storage_fee=0.1, season_end=20)])


def opened(shelf, horizon):
    return SimulatedShelves(shelf, SETTINGS, ROWS, horizon, lambda width: ReplayBuffer(1000, width, 2))


def test_no_correction_is_the_rule(shelf):
    product = torch.zeros(ROWS, dtype=torch.long)
    state = shelf.start(product, product)
    corrector = Corrector(shelf, state, SETTINGS[:, product])
    now = view(state, corrector)
    corrected = corrector.correct(now.price, now.order, torch.zeros(ROWS, 2))
    for found, expected in zip(corrected, corrector.rule(state), strict=True):
        torch.testing.assert_close(found, expected)
    noise = torch.zeros(MOST_WEEKS, 3, ROWS)
    assert (roll_shelf(shelf, state, corrector.rule, noise).profit > 0).all()


def test_half_a_year_is_one_roll_out_whose_gradient_reaches_the_first_decision(shelf):
    torch.manual_seed(0)
    env = opened(shelf, MOST_WEEKS)
    state = env.start()
    actions = torch.zeros(MOST_WEEKS, ROWS, 2, requires_grad=True)
    total = torch.zeros(ROWS)
    for action in actions:
        state, reward, discount = env.step(state, action)
        total = total + reward
    assert (discount == 0).all() and len(env.buffer) == MOST_WEEKS * ROWS
    _, after, _ = env.step(state, actions[0])
    assert (after == 0).all()
    total.sum().backward()
    assert actions.grad.isfinite().all() and (actions.grad[0, :, 1] != 0).any() and (actions.grad[0, :, 0] != 0).any()
    assert env.start().shelf.week == 0


def test_a_roll_out_goes_on_where_the_last_one_ended(shelf):
    env = opened(shelf, 4)
    state = env.start()
    for _ in range(4):
        state, *_ = env.step(state, torch.zeros(ROWS, 2, requires_grad=True))
    assert state.observation.requires_grad  # the critic's value of it is differentiated
    again = env.start()
    assert again.shelf.week == 4 and not again.observation.requires_grad
    torch.testing.assert_close(again.observation, state.observation)


@pytest.mark.parametrize("horizon", [0, 4])
def test_training_changes_the_policy(shelf, horizon):
    agent = train_network(shelf, SETTINGS, horizon, seconds=1.0, rows=ROWS)
    assert all(parameter.isfinite().all() for parameter in agent.parameters())
    first = torch.tensor(agent.config.alpha).log()
    assert agent.log_alpha.detach() != first and agent.normalization.count == 2 * MOST_WEEKS * ROWS
