"""Training data of the policy of accounts: simulated sellers who learn from their sales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from learning.account_view import OBSERVATION_DIM, weigh_losses
from learning.belief import LearningConfig
from learning.sellers_env import PRIVILEGED_DIM, LearningVectorEnv, expect_truth, scale_of
from pricerl.errors import UsageError
from pricerl.training.algorithm import Algorithm, TaskSpec
from pricerl.training.datamodule import EVALUATION_SEED, ReplayDataModule

HISTORY_SDS = (0.8, 1.3)
"""Range of the error of the elasticity that histories show; each episode draws one for all its sellers."""
USUAL_MARGIN = 0.45
"""Margin at which rewards are divided by the root of the weight of losses alone."""


class ShapedEnv(LearningVectorEnv):
    """Sellers whose histories and knowledge differ, and whose rewards are shaped and of one size.

    The true gain that the plan would end with is the potential of a state (Ng, Harada and Russell 1999). Rewards of a
    seller are divided by a constant of its own: the root of its weight of losses, over its margin. Neither changes the
    best policy. In half of the episodes the first price says nothing about demand, in the others it does to a degree.

    Args:
        num_envs: B.
        config: of the sellers.
        privileged: whether observations end in the truth, for critics only.
    """

    def __init__(self, num_envs: int, config: LearningConfig, privileged: bool) -> None:
        super().__init__(num_envs, config, privileged=privileged)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Draw new sellers."""
        if seed is not None:
            self._generator.manual_seed(seed)
        share, informed = torch.rand(2, generator=self._generator).tolist()
        sd = HISTORY_SDS[0] + (HISTORY_SDS[1] - HISTORY_SDS[0]) * share
        self.config = replace(self.config, history_sd=sd, informed=max(0.0, 2 * informed - 1))
        return super().reset()

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Price for a week."""
        potential, size = self.potential, self.size
        observation, reward, ended, truncated, info = super().step(actions)
        later = torch.where(ended, 0.0, self.potential)
        return observation, (reward + later - potential) * size, ended, truncated, info

    @property
    def size(self) -> Tensor:
        """Factor ``(B,)`` that brings rewards to one size."""
        return (1 - self.sellers.cost) / USUAL_MARGIN / self.loss_weight.sqrt()

    def _observe(self) -> Tensor:
        observation, sellers = super()._observe(), self.sellers
        gains = torch.stack([expect_truth(sellers, self._planned), sellers.gain]) / scale_of(sellers)
        at_end, so_far = weigh_losses(gains, self.loss_weight)
        self.potential = at_end - so_far
        return observation


class LearningDataModule(ReplayDataModule):
    """DataModule of sellers who learn; a policy that was trained on it changes the weight of losses in their plans.

    Args:
        num_envs: sellers of the vector env.
        weeks: length of an account.
        prior_informed: prior probability of beliefs that the first price was chosen well, as
            ``data.market.prior_informed``.
        privileged: whether critics see the truth about the sellers; the policy never does.
        eval_every: gradient updates between two evaluations; one epoch.
        eval_episodes: evaluation episodes of ``num_envs`` sellers, always the same.
        seed: seed of the sellers and the sampling.
    """

    monitor = "utility_over_plan"

    def __init__(
        self,
        num_envs: int = 256,
        weeks: int = 13,
        prior_informed: float = 0.5,
        privileged: bool = True,
        eval_every: int = 1000,
        eval_episodes: int = 16,
        seed: int = 0,
    ) -> None:
        super().__init__(num_envs, eval_every, seed)
        if weeks < 1 or eval_episodes < 1:
            raise UsageError(f"data.weeks and data.eval_episodes must be positive, found {weeks} and {eval_episodes}")
        if not 0 <= prior_informed < 1:
            raise UsageError(f"data.prior_informed must be at least 0 and less than 1, found {prior_informed}")
        self.config = LearningConfig(weeks=weeks, prior_informed=prior_informed)
        self.privileged, self.eval_episodes = privileged, eval_episodes

    @property
    def task(self) -> TaskSpec:
        """Dimensions for the networks."""
        hidden = PRIVILEGED_DIM if self.privileged else 0
        return TaskSpec(OBSERVATION_DIM + hidden, 1, privileged_dim=hidden)

    def build_env(self) -> ShapedEnv:
        """Return the training env.

        Raises:
            UsageError: the trainer's device is not the CPU.
        """
        if self.device.type != "cpu":
            raise UsageError("sellers who learn are simulated on the CPU; set --trainer.accelerator cpu")
        return ShapedEnv(self.num_envs, self.config, self.privileged)

    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Let sellers follow the policy, and the plan; each rank runs its share of the episodes.

        Returns:
            Mean utility of the gains over keeping, and of the gains over the plan, per episode.
        """
        episodes = range(rank, self.eval_episodes, num_ranks)
        found = torch.stack([self._play(learner, episode) for episode in episodes])
        planned: Tensor = self._planned[list(episodes)]
        return {"episode_return": found, "utility_over_plan": found - planned}

    @cached_property
    def _evaluated(self) -> ShapedEnv:
        return ShapedEnv(self.num_envs, self.config, privileged=False)

    @cached_property
    def _planned(self) -> Tensor:
        return torch.stack([self._play(None, episode) for episode in range(self.eval_episodes)])

    def _play(self, learner: Algorithm | None, episode: int) -> Tensor:
        """Return the mean utility of the gains of an episode's sellers, in the size of rewards."""
        env = self._evaluated
        observation, _ = env.reset(seed=EVALUATION_SEED + episode)
        start, total = env.potential * env.size, torch.zeros(self.num_envs)
        for _ in range(env.config.weeks):
            action = torch.zeros(self.num_envs, 1) if learner is None else learner.policy(observation)
            observation, reward, *_ = env.step(action)
            total += reward
        mean: Tensor = (total + start).mean()
        return mean
