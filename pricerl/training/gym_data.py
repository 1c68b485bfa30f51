"""Training data from any Gymnasium environment with Box observations and actions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from torch import Tensor

from pricerl.env.gym_adapter import GymVectorEnv
from pricerl.errors import refuse
from pricerl.evaluation.scores import score_returns
from pricerl.runs.names import name_run
from pricerl.training.algorithm import Algorithm, TaskSpec
from pricerl.training.datamodule import EVALUATION_SEED, ReplayDataModule


class GymDataModule(ReplayDataModule):
    """DataModule of a registered Gymnasium environment.

    Args:
        env_id: registered id, such as Pendulum-v1, or module:Id-v0, whose module the command line imports
            if ``--allow`` names its package.
        env_settings: keyword arguments of gymnasium.make.
        num_envs: rows of the vector env.
        eval_every: gradient updates between two evaluations; one epoch.
        eval_episodes: episodes per evaluation, always with the same initial states.
        seed: seed of the env and the sampling.

    Raises:
        UsageError: if the environment cannot be made or SAC cannot learn in it.
    """

    def __init__(
        self,
        env_id: str,
        env_settings: dict[str, Any] | None = None,
        num_envs: int = 1,
        eval_every: int = 5000,
        eval_episodes: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__(num_envs, eval_every, seed)
        refuse({f"data.eval_episodes must be positive, found {eval_episodes}": eval_episodes < 1})
        self.env_id = env_id
        self.env_settings = env_settings
        self.eval_episodes = eval_episodes
        with closing(GymVectorEnv(env_id, settings=env_settings)) as env:
            self._task = TaskSpec(env.observation_dim, env.action_dim)  # no bounds are known of its rewards

    @property
    def run_name(self) -> str:
        """The environment's id."""
        return name_run(env_id=self.env_id)

    @property
    def task(self) -> TaskSpec:
        """Dimensions for the networks."""
        return self._task

    def build_env(self) -> GymVectorEnv:
        """Return ``num_envs`` copies of the environment."""
        return GymVectorEnv(self.env_id, self.num_envs, self.device, self.env_settings)

    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Run one episode per seed; each rank runs its share of them."""
        seeds = range(EVALUATION_SEED, EVALUATION_SEED + self.eval_episodes)[rank::num_ranks]
        return score_returns(learner.policy, self.env_id, self.env_settings, seeds, self.device)._asdict()
