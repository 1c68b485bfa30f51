"""Training data from a seller's file: the env in the market fitted to it, its evaluation, and its state."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pricerl.env.pricing import PricingVectorEnv
from pricerl.env.simulator import DifferentiableMarket
from pricerl.errors import DataError
from pricerl.evaluation.backtest import run_backtests
from pricerl.evaluation.pricing_data import PricingData
from pricerl.evaluation.scores import score_episodes, score_paths
from pricerl.runs.checkpoint import as_arrays, as_tensors
from pricerl.runs.names import name_run
from pricerl.training.algorithm import Algorithm, TaskSpec, pricing_task
from pricerl.training.datamodule import ReplayDataModule

GRADIENT_ROWS = 256
"""Rows of the market through which the actor's gradient passes: hardly slower than 64, with half the noise."""


class PricingDataModule(PricingData, ReplayDataModule):
    """DataModule of a seller's data: streams batches from the replay buffer of the env in the fitted market.

    Args:
        path: as of `PricingData`.
        num_envs: rows of the vector env.
        eval_every: gradient updates between two evaluations; one epoch.
        settings: as of `PricingData`.
    """

    monitor = "over_plan"
    actor_horizon = 8
    device = ReplayDataModule.device  # the trainer's

    def __init__(
        self, path: str | list[str] | None = None, num_envs: int = 64, eval_every: int = 250, **settings: Any
    ) -> None:
        ReplayDataModule.__init__(self, num_envs, eval_every, seed=0)
        PricingData.__init__(self, path=path, **settings)
        self.save_hyperparameters({**self.settings, "num_envs": num_envs, "eval_every": eval_every}, logger=False)

    @property
    def run_name(self) -> str:
        """Name of the file and of the reward's preset."""
        return name_run(self.path, self.reward.preset)

    @cached_property
    def task(self) -> TaskSpec:
        """Dimensions and reward bounds for the networks."""
        return pricing_task(self)

    def release(self) -> None:
        """Free the fitted markets and all that training made of them."""
        self.collector = self.simulator = None
        super().release()
        gc.collect()  # trainer and module refer to each other

    def setup(self, stage: str) -> None:
        """Read the file before training starts; without a file, all stages but ``fit`` use the checkpoint's history."""
        super().setup(stage)
        if stage == "fit" or self.path is not None:
            days = self.env_config.days_per_step(self.guardrails, self.preprocessor.step_days)
            if days != self.task.days_per_step:
                raise DataError(
                    self.preprocessor.source,
                    ["does not show whether its rows are days or weeks; name a file with more of them"],
                )

    def build_env(self) -> PricingVectorEnv:
        """Return a vector env whose rows start on training days, each in a posterior draw."""
        return PricingVectorEnv(self.num_envs, self.dynamics)

    def build_differentiable_env(self, step_discount: float) -> DifferentiableMarket:
        """Return `GRADIENT_ROWS` rows of the market for gradients."""
        return DifferentiableMarket(self.dynamics, GRADIENT_ROWS, step_discount)

    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Compare policy and plan, run held-out episodes and paths; outside ``fit`` add errors of forecasts."""
        share = (rank, num_ranks)
        episodes = score_episodes(learner.policy, self.dynamics, share=share)
        paths = score_paths(learner.policy, self.dynamics, share)
        gain = self.benchmark(learner.step_discount, share).measure(learner.policy)
        found = {
            **episodes._asdict(),
            **paths._asdict(),
            "harmed_share": paths.policy_gain_mean < 0.0,
            self.monitor: gain,
            "plan_share": 1.0 + self.reward.resolved().profit_share * gain,
        }
        if self.trainer is not None and self.trainer.state.fn != "fit":  # no update changes the forecasts
            backtests = run_backtests(self.preprocessor, self.market_config, self.cost, self.seed, pool=self.pool)
            if nearest := [item.scores[0] for item in backtests.values()]:
                found |= {
                    "forecast_error": torch.tensor([score.wape_market for score in nearest[rank::num_ranks]]),
                    "interval_coverage": torch.tensor([score.coverage for score in nearest[rank::num_ranks]]),
                }
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the history with what was found out about it, and the counters, as plain values."""
        return {**ReplayDataModule.state_dict(self), **as_tensors(self.stored())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore counters, scaler and, unless a file is given, the history; a training finds the evidence again."""
        ReplayDataModule.load_state_dict(self, state_dict)
        self.restore(as_arrays(state_dict), keep_evidence=self.trainer is None)
