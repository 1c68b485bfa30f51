"""Collector of experience: steps the vector env with the policy, fills the replay buffer and samples from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
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

    Apart from the policy, everything that later transitions depend on is in ``state_dict`` and in the rows of
    ``buffer``, provided that the env has ``state_dict() -> dict`` and ``load_state_dict(state) -> bool``, False where
    the state does not fit. `pricerl.env.pricing.PricingVectorEnv` has them, Gymnasium's environments do not.
    """

    def __init__(self, env: CollectingEnv, config: ReplayConfig, seed: int) -> None:
        self.env = env
        self.config = config
        self._observation, _ = env.reset(seed=seed)
        device = self._observation.device
        self._action_dim = flatdim(env.single_action_space)
        self.buffer = ReplayBuffer(
            config.buffer_capacity,
            flatdim(env.single_observation_space),
            self._action_dim,
            device=device,
            seed=seed,
            memory_limit=int(config.buffer_memory_gb * 10**9),
        )
        self._random = torch.Generator(device).manual_seed(seed)
        self._vector_steps = max(1, round(config.updates_per_iteration / config.utd_ratio))
        self._batches: deque[Transition] = deque()
        self._before_sampling = self.buffer.generator_state
        self.env_steps = 0
        self._episodes = torch.zeros((), dtype=torch.int64, device=device)
        self._returns = torch.zeros(env.num_envs, device=device)
        self._discounted = torch.zeros(env.num_envs, device=device)
        self.last_return = torch.full((), torch.nan, device=device)
        self.mean_price: Tensor | None = None
        self.simulator: DifferentiableEnv | None = None
        """Rows that carry gradients, saved with the collector."""

    @property
    def episodes(self) -> int:
        """Number of finished episodes over all rows."""
        return int(self._episodes)

    @torch.no_grad()
    def warm_up(self, policy: Algorithm, resumed: bool = False) -> None:
        """Fill the buffer with ``warmup_steps`` random actions; a resumed run takes its own, unobserved."""
        while len(self.buffer) < min(self.config.warmup_steps, self.config.buffer_capacity):
            if not resumed:
                policy.observe(self._observation)
            returns = self._step(policy, self._act(policy) if resumed else self._random_action())
            if not resumed:
                policy.observe_returns(returns)

    @torch.no_grad()
    def collect(self, policy: Algorithm, vector_steps: int) -> None:
        """Step all rows ``vector_steps`` times with the stochastic policy."""
        seen = []
        returns = []
        for _ in range(vector_steps):
            seen.append(self._observation)
            returns.append(self._step(policy, self._act(policy)))
        policy.observe(torch.cat(seen))
        policy.observe_returns(torch.cat(returns))

    def next_batch(self, policy: Algorithm) -> Transition:
        """Return the next batch, after a turn's env steps; raise a ``NonFiniteError`` for NaN in buffer or actions."""
        if not self._batches:
            self.collect(policy, self._vector_steps)
            self._sample()
        return self._batches.popleft()

    def _sample(self) -> None:
        """Sample the batches of a turn, and check one of them on the CPU; other devices would have to synchronize."""
        self._before_sampling = self.buffer.generator_state
        self._batches.extend(
            self.buffer.sample_many(self._vector_steps * self.config.utd_ratio, self.config.batch_size)
        )
        if self.buffer.device.type == "cpu":
            for name, tensor in zip(Transition._fields, self._batches[0], strict=True):
                check_finite(f"{name} in the replay buffer after {self.env_steps} env steps", tensor)

    def counts(self) -> dict[str, int]:
        """Return the numbers of env steps and episodes."""
        return {"env_steps": self.env_steps, "episodes": self.episodes}

    def load_counts(self, counts: Mapping[str, Any]) -> None:
        """Restore the counters."""
        self.env_steps = int(counts["env_steps"])
        self._episodes.fill_(int(counts["episodes"]))

    def state_dict(self) -> dict[str, Any]:
        """Return the state, without the rows of the buffer, as a nested dict of contiguous tensors and plain values.

        ``buffer`` contains the arguments of ``ReplayBuffer.restore``, and ``size``, its number of rows. ``batches`` is
        the number of batches left in this turn, to be sampled again. ``env`` is None if the env cannot be saved.
        """
        observation = self._observation.clone()
        sampled = self._before_sampling if self._batches else self.buffer.generator_state
        return {
            "counts": self.counts(),
            "observation": observation.contiguous(),
            "observation_stride": list(observation.stride()),
            "returns": self._returns.clone(),
            "discounted": self._discounted.clone(),
            "last_return": self.last_return.clone(),
            "mean_price": None if self.mean_price is None else self.mean_price.clone(),
            "random": self._random.get_state(),
            "buffer": {"added": self.buffer.added, "size": len(self.buffer), "generator_state": sampled},
            "batches": len(self._batches),
            "env": self.env.state_dict() if hasattr(self.env, "state_dict") else None,
            "simulator": None if self.simulator is None else self.simulator.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> bool:
        """Restore a state after the buffer's; return False if episodes start anew or random numbers differ."""
        self.load_counts(state["counts"])
        device = self._observation.device
        mean_price = state["mean_price"]
        self.last_return = state["last_return"].to(device)
        self.mean_price = None if mean_price is None else mean_price.to(device)
        same_random = bool(state["random"].shape == self._random.get_state().shape)
        if same_random:
            self._random.set_state(state["random"].cpu())
        if left := state["batches"]:
            self._sample()
            self._batches = deque(list(self._batches)[-left:])
        load = getattr(self.env, "load_state_dict", None)
        fits = state["env"] is not None and state["observation"].shape == self._observation.shape
        if load is None or not fits or not load(state["env"]):
            seed = int(torch.randint(2**31, (), generator=self._random, device=device))
            self._observation, _ = self.env.reset(seed=seed)
            self._returns.zero_()
            self._discounted.zero_()
            return False
        # Matrix products round differently for another layout, so that of the env is kept.
        saved = state["observation"]
        kept = torch.empty_strided(saved.shape, state["observation_stride"], dtype=saved.dtype, device=device)
        self._observation = kept.copy_(saved)
        self._returns.copy_(state["returns"])
        self._discounted.copy_(state["discounted"])
        return same_random and (self.simulator is None or self.simulator.load_state_dict(state["simulator"] or {}))

    def _act(self, policy: Algorithm) -> Tensor:
        action = policy.act(self._observation)
        if action.device.type == "cpu" and not action.isfinite().all():
            raise NonFiniteError("an action of the policy is not finite")
        return action

    def _step(self, policy: Algorithm, action: Tensor) -> Tensor:
        """Step the env, store the transitions, and return the discounted returns ``(B,)`` of the episodes so far."""
        next_observation, reward, terminated, truncated, info = self.env.step(action)
        last = info.get("final_obs", next_observation)
        discount = policy.step_discount * (~terminated).to(reward.dtype)
        self.buffer.add(Transition(self._observation, action, reward, discount, last))
        self._observation = next_observation
        self.env_steps += self.env.num_envs
        self._returns += reward
        discounted = policy.step_discount * self._discounted + reward
        self._discounted = discounted
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
        shape = (self.env.num_envs, self._action_dim)
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
    repeated: list[Transition] | None
    """Batches of earlier epochs to repeat, so that a model overfits; None to sample new ones."""

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Transition]:
        yield from islice(self._batches(self.start(self.policy)), self.length)  # starts at the first batch

    def _batches(self, collector: Collector) -> Iterator[Transition]:
        yield from self.repeated or ()
        while True:
            try:
                batch = collector.next_batch(self.policy)
            except NonFiniteError as error:
                self.stop(str(error))
            if self.repeated is not None:
                self.repeated.append(batch)
            yield batch
