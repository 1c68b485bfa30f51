"""Critics that see a truth in the last columns of an observation, and an actor that does not."""

from __future__ import annotations

import pytest
import torch
from bare_module import BareModule
from torch import Tensor

from pricerl.sac.agent import SACAgent
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.replay import Transition

VISIBLE, PRIVILEGED, ROWS = 3, 2, 256
O_DIM = VISIBLE + PRIVILEGED


@pytest.fixture
def agent() -> SACAgent:
    """Return an agent that has seen observations of unequal scales."""
    torch.manual_seed(0)
    network = NetworkConfig(hidden=(16, 16), value_bounds=False, small_init=1.0)
    made = SACAgent(O_DIM, 1, SACConfig(), network, privileged_dim=PRIVILEGED)
    made.observe(torch.randn(ROWS, O_DIM) * torch.arange(1.0, O_DIM + 1))
    return made


def with_another_truth(observation: Tensor) -> Tensor:
    """Return observations whose privileged columns differ."""
    return torch.cat([observation[:, :VISIBLE], torch.randn(len(observation), PRIVILEGED)], 1)


def test_actions_do_not_depend_on_the_privileged_columns_which_may_be_missing(agent: SACAgent) -> None:
    observation = torch.randn(ROWS, O_DIM)
    action = agent.act(observation, deterministic=True)
    assert torch.equal(agent.act(with_another_truth(observation), deterministic=True), action)
    assert torch.equal(agent.act(observation[:, :VISIBLE], deterministic=True), action)
    assert action.std() > 0.01


def test_values_depend_on_the_privileged_columns(agent: SACAgent) -> None:
    observation, action = torch.randn(ROWS, O_DIM), torch.zeros(ROWS, 1)
    changed = agent.critic(with_another_truth(observation), action) - agent.critic(observation, action)
    assert changed.abs().mean() > 0.01


def test_the_actor_has_no_gradient_with_respect_to_the_privileged_columns(agent: SACAgent) -> None:
    observation = torch.randn(ROWS, O_DIM, requires_grad=True)
    mean, log_std = agent.actor(observation)
    (gradient,) = torch.autograd.grad((mean + log_std).sum(), observation)
    assert (gradient[:, VISIBLE:] == 0).all() and (gradient[:, :VISIBLE] != 0).any()


def test_an_update_learns_a_reward_that_only_the_truth_explains(agent: SACAgent) -> None:
    module, seen = BareModule(agent), []
    for _ in range(150):
        observation, action = torch.randn(ROWS, O_DIM), 2 * torch.rand(ROWS, 1) - 1
        reward = observation[:, -1]
        batch = Transition(observation, action, reward, torch.zeros(ROWS), observation)
        seen.append(float(module.update(batch)["critic_loss"]))
    assert seen[-1] < 0.1 * seen[0]


@pytest.mark.parametrize("columns", [VISIBLE - 1, VISIBLE + 1, O_DIM + 1])
def test_other_numbers_of_columns_are_refused(agent: SACAgent, columns: int) -> None:
    with pytest.raises(ValueError, match="observation must have shape"):
        agent.act(torch.randn(ROWS, columns))
