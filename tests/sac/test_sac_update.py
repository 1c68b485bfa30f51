"""SAC on bandits whose best action is known."""

import pytest
import torch
from bare_module import BareModule

from pricerl.runtime import COMPUTE
from pricerl.sac.agent import SACAgent, held_constant
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.losses import value_bounds
from pricerl.sac.replay import ReplayBuffer, Transition

OBSERVATION_DIM, ROWS, BATCH = 3, 64, 64
PLAIN = NetworkConfig(
    hidden=(32, 32), input_normalization=False, layer_norm=False, residual=False, value_bounds=False, small_init=1.0
)
FULL = NetworkConfig(hidden=(32, 32))
NOISY = NetworkConfig(hidden=(32, 32), actor_dropout=0.1, critic_dropout=0.1)
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
        self.agent.observe(observation)
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


def test_gradients_are_averaged_before_they_are_used(monkeypatch):
    averaged = Learner(FULL)
    averaged.collect(prefers_three_tenths, random=True)
    before = [value.clone() for value in averaged.agent.parameters() if value.requires_grad]
    monkeypatch.setattr("bare_module.average", lambda tensors: [value.zero_() for value in tensors])
    averaged.module.averages = True
    averaged.module.update(averaged.buffer.sample(BATCH))
    after = [value for value in averaged.agent.parameters() if value.requires_grad]
    assert all(map(torch.equal, before, after))


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
        pytest.param(
            NetworkConfig(hidden=(32, 32), num_critics=5, actor_dropout=0.1, critic_dropout=0.1),
            {},
            marks=pytest.mark.slow,
        ),
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
