"""SAC on bandits whose best action is known, its optimizer, and critics that see a truth which the actor does not."""

from __future__ import annotations

import math

import pytest
import torch
from bare_module import BareModule
from torch import Tensor, nn

from pricerl.runtime import COMPUTE
from pricerl.sac.agent import SACAgent, held_constant
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.losses import value_bounds
from pricerl.sac.optimizer import Adam
from pricerl.sac.replay import ReplayBuffer, Transition

OBSERVATION_DIM, ROWS, BATCH = 3, 64, 64
PLAIN = NetworkConfig(
    hidden=(32, 32), input_normalization=False, layer_norm=False, residual=False, value_bounds=False, small_init=1.0
)
FULL = NetworkConfig(hidden=(32, 32))
VISIBLE, PRIVILEGED, MANY = 3, 2, 256
O_DIM = VISIBLE + PRIVILEGED
RATES = {"actor_lr": 3e-3, "critic_lr": 3e-3, "alpha_lr": 1e-2}


class Learner:
    """An agent trained on a bandit."""

    def __init__(self, network, seed=0, compiles=False, **settings):
        torch.manual_seed(seed)
        self.noise = torch.Generator().manual_seed(seed)
        self.config = SACConfig(**{**RATES, **settings})
        self.agent = SACAgent(OBSERVATION_DIM, 1, self.config, network, value_bounds(-4.0, 1.0, gamma=0.0))
        self.module = BareModule(self.agent, compiles)
        self.buffer = ReplayBuffer(10_000, OBSERVATION_DIM, 1, seed=seed)

    def collect(self, reward_of, random):
        observation = torch.rand(ROWS, OBSERVATION_DIM, generator=self.noise)
        action = 2 * torch.rand(ROWS, 1, generator=self.noise) - 1 if random else self.agent.act(observation)
        if self.agent.normalization is not None:
            self.agent.normalization.update(observation)
        reward = reward_of(observation, action)
        self.buffer.add(Transition(observation, action, reward, torch.zeros(ROWS), observation))

    def learn(self, reward_of, updates):
        for _ in range(10):
            self.collect(reward_of, random=True)
        for _ in range(updates):
            self.collect(reward_of, random=False)
            self.module.update(self.buffer.sample(BATCH))
        return self


def prefers_three_tenths(observation, action):
    return -(action[:, 0] - 0.3).square()


def prefers_the_observation(observation, action):
    return -(action[:, 0] - (1.4 * observation[:, 0] - 0.7)).square()


@pytest.mark.slow
@pytest.mark.parametrize("config", [PLAIN, FULL], ids=["plain", "full"])
@pytest.mark.parametrize("seed", [0, 1])
def test_sac_finds_the_best_action_of_a_bandit(config, seed):
    learner = Learner(config, seed).learn(prefers_three_tenths, updates=400)
    action = learner.agent.act(torch.rand(100, OBSERVATION_DIM), deterministic=True)
    assert action.mean().item() == pytest.approx(0.3, abs=0.03)
    assert (action - 0.3).abs().max() < 0.1


@pytest.mark.slow
def test_sac_finds_the_best_action_with_products_of_bfloat16(monkeypatch):
    monkeypatch.setattr(COMPUTE, "rounds_factors", True)
    test_sac_finds_the_best_action_of_a_bandit(FULL, seed=0)


@pytest.mark.parametrize("config", [PLAIN, pytest.param(FULL, marks=pytest.mark.slow)], ids=["plain", "full"])
def test_sac_learns_an_action_that_follows_the_observation(config):
    learner = Learner(config).learn(prefers_the_observation, updates=600)
    observation = torch.rand(200, OBSERVATION_DIM)
    error = learner.agent.act(observation, deterministic=True)[:, 0] - (1.4 * observation[:, 0] - 0.7)
    assert error.abs().mean() < 0.06


def test_alpha_falls_while_the_entropy_exceeds_its_target():
    learner = Learner(PLAIN).learn(prefers_three_tenths, updates=100)
    assert learner.agent.log_alpha.exp().item() < 0.1


def test_same_seed_learns_the_same_weights():
    first, second, other = (Learner(FULL, seed).learn(prefers_three_tenths, updates=20) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first.agent.parameters(), second.agent.parameters(), strict=True))
    assert not torch.equal(first.agent.actor.head.weight, other.agent.actor.head.weight)


def test_actor_critics_and_target_network_share_their_input_statistics_and_nothing_else():
    agent = Learner(FULL).learn(prefers_three_tenths, updates=3).agent
    assert agent.target_critic.normalization is agent.critic.normalization is agent.actor.normalization
    assert agent.normalization.count == 13 * ROWS
    assert not torch.equal(agent.target_critic.head.weight, agent.critic.head.weight)


def test_critics_held_constant_get_no_gradient_of_the_actors_loss_and_learn_afterwards():
    learner = Learner(FULL)
    learner.collect(prefers_three_tenths, random=True)
    agent = learner.agent
    with held_constant(list(agent.critic.parameters())):
        loss, _ = agent.actor_loss(learner.buffer.sample(BATCH))
    loss.backward()
    assert all(value.grad is None and value.requires_grad for value in agent.critic.parameters())
    assert all(value.grad is not None for value in agent.actor.parameters())


@pytest.mark.slow
@pytest.mark.compiler
@pytest.mark.parametrize(
    ("network", "settings"),
    [
        (PLAIN, {"max_grad_norm": 0.0}),
        (NetworkConfig(hidden=(32, 32), num_critics=5, actor_dropout=0.1, critic_dropout=0.1), {}),
    ],
    ids=["plain", "five critics with dropout"],
)
def test_compiled_updates_give_the_numbers_of_plain_ones(network, settings):
    runs = []
    for compiles in (False, True):
        learner = Learner(network, compiles=compiles, **settings)
        for _ in range(4):
            learner.collect(prefers_the_observation, random=True)
        module = learner.module
        module.bare_optimizers[0].param_groups[0]["lr"].fill_(1e-3)
        first = [module.update(learner.buffer.sample(BATCH)) for _ in range(3)]
        module.bare_optimizers[0].param_groups[0]["lr"].fill_(5e-4)
        metrics = [*first, module.update(learner.buffer.sample(BATCH))]
        runs.append(torch.tensor([[*row.values()] for row in metrics]))
    assert not any(loss.graph.failed for loss in module._compiled.values()) and len(module._compiled) == 3
    torch.testing.assert_close(runs[1], runs[0], rtol=1e-4, atol=1e-5)


def weights() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((3, 4), (4,), ())]


@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e3])
def test_a_step_is_that_of_torch_with_clipped_gradients(max_norm: float) -> None:
    ours, theirs = weights(), weights()
    optimizer, reference = Adam(ours, lr=0.1, max_norm=max_norm), torch.optim.Adam(theirs, lr=0.1)
    for step in range(1, 4):
        gradients = [step * torch.ones_like(param) for param in ours]
        for own, param, gradient in zip(ours, theirs, gradients, strict=True):
            own.grad, param.grad = gradient, gradient.clone()
        expected_norm = nn.utils.clip_grad_norm_(theirs, max_norm or math.inf)
        assert (expected_norm > max_norm) == (max_norm < 1.0)
        reference.step()
        optimizer.step()
        torch.testing.assert_close(optimizer.grad_norm, expected_norm)
    for param, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(param, expected)
        for name, value in optimizer.state[param].items():
            torch.testing.assert_close(value, reference.state[expected][name])


@pytest.fixture
def informed() -> SACAgent:
    """Return an agent that has seen observations of unequal scales."""
    torch.manual_seed(0)
    network = NetworkConfig(hidden=(16, 16), value_bounds=False, small_init=1.0)
    made = SACAgent(O_DIM, 1, SACConfig(), network, privileged_dim=PRIVILEGED)
    made.normalization.update(torch.randn(MANY, O_DIM) * torch.arange(1.0, O_DIM + 1))
    return made


def with_another_truth(observation: Tensor) -> Tensor:
    """Return observations whose privileged columns differ."""
    return torch.cat([observation[:, :VISIBLE], torch.randn(len(observation), PRIVILEGED)], 1)


def test_the_policy_does_not_depend_on_the_privileged_columns_which_may_be_missing(informed: SACAgent) -> None:
    observation = torch.randn(MANY, O_DIM)
    policy = torch.cat(informed.actor(observation))
    assert torch.equal(torch.cat(informed.actor(with_another_truth(observation))), policy)
    assert torch.equal(torch.cat(informed.actor(observation[:, :VISIBLE])), policy)
    assert informed.act(observation, deterministic=True).std() > 0.01


def test_an_update_learns_a_reward_that_only_the_truth_explains(informed: SACAgent) -> None:
    module, seen = BareModule(informed), []
    for _ in range(150):
        observation, action = torch.randn(MANY, O_DIM), 2 * torch.rand(MANY, 1) - 1
        reward = observation[:, -1]
        batch = Transition(observation, action, reward, torch.zeros(MANY), observation)
        seen.append(float(module.update(batch)["critic_loss"]))
    assert seen[-1] < 0.1 * seen[0]


@pytest.mark.parametrize("columns", [VISIBLE - 1, VISIBLE + 1, O_DIM + 1])
def test_other_numbers_of_columns_are_refused(informed: SACAgent, columns: int) -> None:
    with pytest.raises(ValueError, match="observation must have shape"):
        informed.act(torch.randn(MANY, columns))
