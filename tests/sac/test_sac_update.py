"""The functions together: SAC on bandits, whose best action is known."""

import copy

import pytest
import torch
from torch import nn

from pricerl.sac import (
    Actor,
    Critic,
    NetworkConfig,
    ReplayBuffer,
    Transition,
    actor_loss,
    critic_loss,
    frozen,
    polyak_update,
    td_target,
    temperature_loss,
    value_bounds,
)

OBSERVATION_DIM, ROWS, BATCH = 3, 64, 64
PLAIN = NetworkConfig(
    hidden=(32, 32), input_normalization=False, layer_norm=False, residual=False, value_bounds=False, small_init=1.0
)
FULL = NetworkConfig(hidden=(32, 32))


class Learner:
    """The smallest SAC that uses every function of the package."""

    def __init__(self, config, seed=0):
        torch.manual_seed(seed)
        self.noise = torch.Generator().manual_seed(seed)
        self.actor = Actor(OBSERVATION_DIM, 1, config)
        self.critic = Critic(OBSERVATION_DIM, 1, config, *value_bounds(-4.0, 1.0, gamma=0.0))
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_alpha = nn.Parameter(torch.tensor(0.1).log())
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=3e-3)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=3e-3)
        self.alpha_optimizer = torch.optim.Adam([self.log_alpha], lr=1e-2)
        self.buffer = ReplayBuffer(10_000, OBSERVATION_DIM, 1, seed=seed)

    def collect(self, reward_of, random):
        observation = torch.rand(ROWS, OBSERVATION_DIM, generator=self.noise)
        if random:
            action = 2 * torch.rand(ROWS, 1, generator=self.noise) - 1
        else:
            action = self.actor.act(observation, deterministic=False, generator=self.noise)
        self.actor.update_normalization(observation)
        self.critic.update_normalization(observation)
        reward = reward_of(observation, action)
        self.buffer.add(Transition(observation, action, reward, torch.zeros(ROWS), observation))

    def update(self):
        batch, alpha = self.buffer.sample(BATCH), self.log_alpha.detach().exp()
        with torch.no_grad():
            next_action, next_log_prob = self.actor.sample(batch.next_observation, self.noise)
            next_q = self.target_critic(batch.next_observation, next_action)
        target = td_target(batch.reward, batch.discount, next_q, next_log_prob, alpha, self.critic.bounds)
        descend(self.critic_optimizer, critic_loss(self.critic(batch.observation, batch.action), target))
        action, log_prob = self.actor.sample(batch.observation, self.noise)
        with frozen(self.critic):
            descend(self.actor_optimizer, actor_loss(log_prob, self.critic(batch.observation, action), alpha))
        descend(self.alpha_optimizer, temperature_loss(self.log_alpha, log_prob, target_entropy=-2.0))
        polyak_update(self.target_critic, self.critic, tau=0.02)

    def learn(self, reward_of, updates):
        for _ in range(10):
            self.collect(reward_of, random=True)
        for _ in range(updates):
            self.collect(reward_of, random=False)
            self.update()
        return self


def descend(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def prefers_three_tenths(observation, action):
    return -(action[:, 0] - 0.3).square()


def prefers_what_it_sees(observation, action):
    return -(action[:, 0] - (1.4 * observation[:, 0] - 0.7)).square()


@pytest.mark.parametrize("config", [PLAIN, FULL], ids=["plain", "full"])
@pytest.mark.parametrize("seed", [0, 1])
def test_sac_finds_the_best_action_of_a_bandit(config, seed):
    learner = Learner(config, seed).learn(prefers_three_tenths, updates=400)
    action = learner.actor.act(torch.rand(100, OBSERVATION_DIM), deterministic=True)
    assert action.mean().item() == pytest.approx(0.3, abs=0.03)
    assert (action - 0.3).abs().max() < 0.1


@pytest.mark.parametrize("config", [PLAIN, FULL], ids=["plain", "full"])
def test_sac_learns_an_action_that_follows_the_observation(config):
    learner = Learner(config).learn(prefers_what_it_sees, updates=600)
    observation = torch.rand(200, OBSERVATION_DIM)
    error = learner.actor.act(observation, deterministic=True)[:, 0] - (1.4 * observation[:, 0] - 0.7)
    assert error.abs().mean() < 0.06


def test_alpha_falls_while_the_policy_is_more_random_than_wanted():
    learner = Learner(PLAIN).learn(prefers_three_tenths, updates=100)
    assert learner.log_alpha.exp().item() < 0.1


def test_same_seed_learns_the_same_weights():
    first, second, other = (Learner(FULL, seed).learn(prefers_three_tenths, updates=20) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first.actor.parameters(), second.actor.parameters(), strict=True))
    assert not torch.equal(first.actor.head.weight, other.actor.head.weight)


def test_the_slow_copy_normalizes_as_the_critic_does():
    learner = Learner(FULL).learn(prefers_three_tenths, updates=3)
    assert torch.equal(learner.target_critic.normalization.mean, learner.critic.normalization.mean)
    assert not torch.equal(learner.target_critic.head.weight, learner.critic.head.weight)
