"""Collect experience: step the vector env with the policy and fill the replay buffer."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from pricerl.env import PricingVectorEnv
from pricerl.sac import ReplayBuffer, SACConfig, Transition


class CollectingPolicy(Protocol):
    """What the collector needs of the module: actions, and where observations are made known."""

    step_discount: float

    def act(self, observation: Tensor, deterministic: bool = False) -> Tensor:
        """Actions ``(B, A)``."""

    def observe(self, observation: Tensor) -> None:
        """Take note of observations ``(B, O)``."""


class Collector:
    """Steps a vector env and stores every transition with its discount.

    Args:
        env: rows that are stepped together.
        config: buffer size and warm-up.
        seed: of the env, the random actions and the sampling.
    """

    def __init__(self, env: PricingVectorEnv, config: SACConfig, seed: int) -> None:
        self.env, self.config = env, config
        self.env_steps, self.episodes = 0, 0
        device = env.dynamics.market.device
        dims = env.dynamics.market.preprocessor.observation_dim, 1
        self.buffer = ReplayBuffer(config.buffer_capacity, *dims, device=device, seed=seed)
        self._random = torch.Generator(device)
        self._random.manual_seed(seed)
        self._observation, _ = env.reset(seed=seed)
        self._returns = torch.zeros(env.num_envs, device=device)
        self.last_return = torch.zeros((), device=device)
        self.last_price = torch.zeros((), device=device)

    @torch.no_grad()
    def warm_up(self, policy: CollectingPolicy, random: bool) -> None:
        """Fill the buffer with ``warmup_steps`` transitions, with random actions or (resumed) with the policy's."""
        while len(self.buffer) < min(self.config.warmup_steps, self.config.buffer_capacity):
            self._step(policy, self._random_action() if random else policy.act(self._observation))

    @torch.no_grad()
    def collect(self, policy: CollectingPolicy, vector_steps: int) -> None:
        """Step all rows ``vector_steps`` times with the stochastic policy."""
        for _ in range(vector_steps):
            self._step(policy, policy.act(self._observation))

    def state_dict(self) -> dict[str, Any]:
        """Counters; the buffer is filled again on resume, its market is at hand."""
        return {"env_steps": self.env_steps, "episodes": self.episodes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting where a saved run stopped."""
        self.env_steps, self.episodes = int(state["env_steps"]), int(state["episodes"])

    def _step(self, policy: CollectingPolicy, action: Tensor) -> None:
        following, reward, terminated, _, info = self.env.step(action)
        last = info.get("final_obs", following)
        discount = policy.step_discount * (~terminated).to(reward.dtype)
        self.buffer.add(Transition(self._observation, action, reward, discount, last))
        policy.observe(self._observation)
        self._observation = following
        self.env_steps += self.env.num_envs
        self._count_episodes(reward, info, finished="final_obs" in info)

    def _count_episodes(self, reward: Tensor, info: dict[str, Any], finished: bool) -> None:
        self._returns += reward
        self.last_price = info["price"].mean()
        if finished:
            self.last_return = self._returns.mean()
            self._returns = torch.zeros_like(self._returns)
            self.episodes += self.env.num_envs

    def _random_action(self) -> Tensor:
        shape = (self.env.num_envs, 1)
        return 2 * torch.rand(shape, generator=self._random, device=self._random.device) - 1
