"""Collector of experience: steps the vector env with the policy, fills the replay buffer and samples from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import gymnasium
import torch
from gymnasium.spaces import flatdim
from torch import Tensor

from pricerl.arrays import check_finite
from pricerl.errors import NonFiniteError
from pricerl.sac.config import ReplayConfig
from pricerl.sac.replay import ReplayBuffer, Transition
from pricerl.sac.value_gradient import DifferentiableEnv
from pricerl.training.algorithm import Algorithm


class CollectingEnv(Protocol):
    """Vector env on tensors that resets finished rows within the same step."""

    num_envs: int
    single_observation_space: gymnasium.Space[Any]
    single_action_space: gymnasium.Space[Any]

    def reset(self, *, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Reset all rows and return observation ``(B, O)`` and info."""

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Return observation, reward, terminated, truncated and info, including ``final_obs`` if any row finished."""


class Collector:
    """Collector that steps a vector env, stores each transition with its discount, and samples batches.

    Collector and updates take turns: some env steps, then as many batches as ``utd_ratio`` requires.

    Apart from the policy, everything that later transitions depend on is in ``state_dict``, provided that the env has
    ``state_dict() -> dict`` and ``load_state_dict(state) -> bool``, False where the state does not fit.
    `pricerl.env.pricing.PricingVectorEnv` has them, Gymnasium's environments do not.
    """

    env_steps = 0
    mean_price: Tensor | None = None
    simulator: DifferentiableEnv | None = None
    """Rows that carry gradients, saved with the collector."""

    def __init__(self, env: CollectingEnv, config: ReplayConfig, seed: int) -> None:
        self.env = env
        self.config = config
        self._observation, _ = env.reset(seed=seed)
        device = self._observation.device
        self.buffer = ReplayBuffer(
            config.buffer_capacity,
            flatdim(env.single_observation_space),
            flatdim(env.single_action_space),
            device=device,
            seed=seed,
            memory_limit=int(config.buffer_memory_gb * 10**9),
        )
        self._random = torch.Generator(device).manual_seed(seed)
        self._vector_steps = max(1, round(config.updates_per_iteration / config.utd_ratio))
        self._batches: deque[Transition] = deque()
        self._episodes = torch.zeros((), dtype=torch.int64, device=device)
        self._returns = torch.zeros(env.num_envs, device=device)
        self._discounted = torch.zeros(env.num_envs, device=device)
        self.last_return = torch.full((), torch.nan, device=device)

    @property
    def episodes(self) -> int:
        """Number of finished episodes over all rows."""
        return int(self._episodes)

    def warm_up(self, policy: Algorithm, resumed: bool = False) -> None:
        """Fill the buffer with ``warmup_steps`` random actions; a resumed run takes its policy's."""
        while len(self.buffer) < min(self.config.warmup_steps, self.config.buffer_capacity):
            self.collect(policy, 1, at_random=not resumed)

    @torch.no_grad()
    def collect(self, policy: Algorithm, vector_steps: int, at_random: bool = False) -> None:
        """Step all rows ``vector_steps`` times with the stochastic policy, or at random."""
        seen = []
        returns = []
        for _ in range(vector_steps):
            seen.append(self._observation)
            action = self._random_action() if at_random else policy.act(self._observation)
            returns.append(self._step(policy, action))
        policy.observe(torch.cat(seen))
        policy.observe_returns(torch.cat(returns))

    def next_batch(self, policy: Algorithm) -> Transition:
        """Return the next batch, after a turn's env steps; raise a ``NonFiniteError`` for NaN in it."""
        if not self._batches:
            self.collect(policy, self._vector_steps)
            number = self._vector_steps * self.config.utd_ratio
            self._batches.extend(self.buffer.sample_many(number, self.config.batch_size))
            if self.buffer.device.type == "cpu":  # other devices would have to synchronize
                for name, tensor in zip(Transition._fields, self._batches[0], strict=True):
                    check_finite(f"{name} in the replay buffer after {self.env_steps} env steps", tensor)
        return self._batches.popleft()

    def counts(self) -> dict[str, int]:
        """Return the numbers of env steps and episodes."""
        return {"env_steps": self.env_steps, "episodes": self.episodes}

    def load_counts(self, counts: Mapping[str, Any]) -> None:
        """Restore the counters."""
        self.env_steps = int(counts["env_steps"])
        self._episodes.fill_(int(counts["episodes"]))

    def state_dict(self) -> dict[str, Any]:
        """Return the state as a nested dict of tensors and plain values.

        ``batches`` are what is left of this turn, ``env`` is None if the env cannot be saved.
        """
        return {
            "counts": self.counts(),
            "observation": self._observation.clone(),
            "returns": self._returns.clone(),
            "discounted": self._discounted.clone(),
            "last_return": self.last_return.clone(),
            "mean_price": None if self.mean_price is None else self.mean_price.clone(),
            "random": self._random.get_state(),
            "buffer": self.buffer.state_dict(),
            "batches": [tuple(batch) for batch in self._batches],
            "env": self.env.state_dict() if hasattr(self.env, "state_dict") else None,
            "simulator": None if self.simulator is None else self.simulator.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> bool:
        """Restore a state in a new collector; return False if its episodes start anew or random numbers differ."""
        self.buffer.restore(**state["buffer"])
        self.load_counts(state["counts"])
        device = self._observation.device
        self.last_return = state["last_return"].to(device)
        self.mean_price = None if state["mean_price"] is None else state["mean_price"].to(device)
        same_random = bool(state["random"].shape == self._random.get_state().shape)
        if same_random:
            self._random.set_state(state["random"].cpu())
        self._batches = deque(Transition(*(field.to(device) for field in batch)) for batch in state["batches"])
        load = getattr(self.env, "load_state_dict", None)
        fits = state["env"] is not None and state["observation"].shape == self._observation.shape
        if load is None or not fits or not load(state["env"]):
            return False
        self._observation = state["observation"].to(device)  # in its layout, by which matrix products are rounded
        self._returns.copy_(state["returns"])
        self._discounted.copy_(state["discounted"])
        return same_random and (self.simulator is None or self.simulator.load_state_dict(state["simulator"] or {}))

    def _step(self, policy: Algorithm, action: Tensor) -> Tensor:
        """Step the env, store the transitions, and return the discounted returns ``(B,)`` of the episodes so far."""
        next_observation, reward, terminated, truncated, info = self.env.step(action)
        last = info.get("final_obs", next_observation)
        discount = policy.step_discount * (~terminated).to(reward.dtype)
        self.buffer.add(Transition(self._observation, action, reward, discount, last))
        self._observation = next_observation
        self.env_steps += self.env.num_envs
        self._returns += reward
        self._discounted = discounted = policy.step_discount * self._discounted + reward
        if "final_obs" in info:  # without synchronizing with the device
            finished = terminated | truncated
            count = finished.sum()
            self.last_return = (self._returns * finished).sum() / count
            self._returns *= ~finished
            self._discounted = discounted * ~finished
            self._episodes += count
        self.mean_price = info["price"].mean() if "price" in info else None
        return discounted

    def _random_action(self) -> Tensor:
        shape = (self.env.num_envs, flatdim(self.env.single_action_space))
        return 2 * torch.rand(shape, generator=self._random, device=self._random.device) - 1


@dataclass(frozen=True, eq=False)
class SampleStream:
    """One epoch of the train loader: batches, between which env steps are taken."""

    start: Callable[[Algorithm], Collector]
    """Function that returns the learner's collector, which is built and warmed up at the first call."""
    policy: Algorithm
    length: int
    """Batches of the epoch, at least one."""
    stop: Callable[[str], NoReturn]
    """Function that is called with the finding if transitions or actions are not finite."""

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Transition]:
        collector = self.start(self.policy)  # at the first batch
        for _ in range(self.length):
            try:
                batch = collector.next_batch(self.policy)
            except NonFiniteError as error:
                self.stop(str(error))
            yield batch
