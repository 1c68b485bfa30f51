"""The actor's loss through a differentiable environment."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from bare_module import BareModule
from torch import Tensor

from pricerl.sac.agent import SACAgent
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.losses import actor_loss
from pricerl.sac.replay import Transition

ROWS, DISCOUNT = 32, 0.9
NETWORK = NetworkConfig(hidden=(16, 16), input_normalization=False, value_bounds=False)


class Place(NamedTuple):
    observation: Tensor


class Walk:
    """A walk along a line: an action moves by itself, and the reward falls with the squared distance from 0.5."""

    kept: Place | None = None

    def start(self) -> Place:
        return Place(torch.zeros(ROWS, 1))

    def step(self, state: Place, action: Tensor) -> tuple[Place, Tensor, Tensor]:
        after = state.observation + action
        return Place(after), -(after[:, 0] - 0.5).square(), torch.full((ROWS,), DISCOUNT)

    def keep(self, state: Place) -> None:
        self.kept = state


def make_agent(horizon: int, **settings: float) -> SACAgent:
    torch.manual_seed(0)
    agent = SACAgent(1, 1, SACConfig(actor_horizon=horizon, **settings), NETWORK)  # type: ignore[arg-type]
    agent.env = Walk() if horizon else None  # type: ignore[assignment]
    return agent


def batch() -> Transition:
    observation = torch.rand(ROWS, 1)
    return Transition(observation, observation, observation[:, 0], torch.full((ROWS,), DISCOUNT), observation)


def test_horizon_0_is_the_loss_of_plain_sac_to_the_last_bit() -> None:
    agent, given = make_agent(0), batch()
    torch.manual_seed(1)
    loss, log_prob = agent.actor_loss(given)
    torch.manual_seed(1)
    action, expected_log_prob = agent.actor.sample(given.observation)
    expected = actor_loss(expected_log_prob, agent.critic(given.observation, action), agent.log_alpha.exp())
    assert torch.equal(loss, expected) and torch.equal(log_prob, expected_log_prob)


def test_the_loss_is_the_discounted_reward_of_deterministic_steps_and_the_soft_value_of_the_last_state() -> None:
    agent = make_agent(2)
    torch.manual_seed(1)
    loss, log_prob = agent.actor_loss(batch())
    torch.manual_seed(1)
    torch.rand(ROWS, 1)  # those of the batch
    alpha, place, value = agent.log_alpha.exp(), torch.zeros(ROWS, 1), torch.zeros(ROWS)
    for weight in (1.0, DISCOUNT):
        place = place + torch.tanh(agent.actor(place)[0])
        value = value - weight * (place[:, 0] - 0.5).square()
    assert isinstance(agent.env, Walk) and agent.env.kept is not None and torch.equal(agent.env.kept.observation, place)
    action, found = agent.actor.sample(place)
    value = value + DISCOUNT**2 * (agent.critic(place, action).amin(0) - alpha * found)
    torch.testing.assert_close(loss, -value.mean())
    torch.testing.assert_close(log_prob, found)
    assert not log_prob.requires_grad


def test_the_gradient_of_the_actor_is_that_of_finite_differences() -> None:
    agent = make_agent(3)
    weight = agent.actor.head.bias

    def lose(shift: float) -> float:
        with torch.no_grad():
            weight[0] += shift
            torch.manual_seed(1)
            loss, _ = agent.actor_loss(batch())
            weight[0] -= shift
        return float(loss)

    torch.manual_seed(1)
    (gradient,) = torch.autograd.grad(agent.actor_loss(batch())[0], [weight])
    assert float(gradient[0]) == pytest.approx((lose(1e-2) - lose(-1e-2)) / 2e-2, rel=1e-2)


def test_updates_with_a_horizon_walk_to_the_goal_and_train_critics_temperature_and_target_as_before() -> None:
    agent = make_agent(3, alpha=0.01, actor_lr=1e-2)
    trained = (*agent.critic.parameters(), agent.log_alpha, *agent.target_critic.parameters())
    before = [value.clone() for value in trained]
    module = BareModule(agent)
    for _ in range(100):
        module.update(batch())
    assert not any(map(torch.equal, before, trained))
    assert float(agent.act(torch.zeros(1, 1), deterministic=True)) == pytest.approx(0.5, abs=0.05)
