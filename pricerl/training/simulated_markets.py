"""Training data of many simulated sellers and categories, from which the networks that ship have learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pricerl.data.stock import MOST_WEEKS
from pricerl.env.stock.category import FEATURES, LAYOUT
from pricerl.env.stock.category_env import CategoryVectorEnv, DifferentiableCategories
from pricerl.simulation.seller import MOST_PRODUCTS
from pricerl.training.algorithm import Algorithm, TaskSpec
from pricerl.training.datamodule import EVALUATION_SEED, ReplayDataModule
from pricerl.training.pricing_data import PricingDataModule

UNSEEN = 100
"""Sellers on which the network that ships is scored."""
UNSEEN_SIZES = (2, 6, 12)
"""Products of the categories on which their network is scored, as many of each size."""
GRADIENT_PRODUCTS = 1536
"""Products through whose seasons the actor's gradient passes."""
CLOSE = 0.005
"""Largest loss against the plan of a seller whom the policy serves, as a share of profit at the current price."""


class SimulatedMarkets(PricingDataModule):
    """Many simulated sellers, on whose markets the network that ships is trained; it is scored on `UNSEEN` others."""

    monitor = "served"
    advises = False
    most_trained = MOST_PRODUCTS

    @cached_property
    def unseen(self) -> PricingDataModule:
        """Data of sellers that the policy never sees in training."""
        others = replace(self.seller, products=UNSEEN, seed=self.seller.seed + 1)
        return PricingDataModule(**{**self.settings, "seller": others}, seed=self.seed)

    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Compare the policy with the plans of unseen sellers: the gain, and whether it is within `CLOSE` of it."""
        unit = self.reward.resolved().profit_share
        gain = unit * self.unseen.benchmark(learner.step_discount).compare(learner.policy).advantage[rank::num_ranks]
        return {"over_plan": gain, "served": (gain >= -CLOSE).float()}

    def state_dict(self) -> dict[str, Any]:
        """Return the counters; the sellers are simulated again."""
        return ReplayDataModule.state_dict(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the counters."""
        ReplayDataModule.load_state_dict(self, state_dict)


class SimulatedCategories(ReplayDataModule):
    """Random categories, on which the network for them is trained; it is scored on `UNSEEN` others of each size.

    Args:
        num_envs: categories of the vector env.
        eval_every: gradient updates between two evaluations; one epoch.
        products: products of the vector env's categories.
        seed: seed of the env and the sampling.
    """

    actor_horizon = MOST_WEEKS
    layout = LAYOUT
    run_name = "categories"

    def __init__(self, num_envs: int = 32, eval_every: int = 250, products: int = 6, seed: int = 0) -> None:
        super().__init__(num_envs, eval_every, seed)
        self.products = products

    @property
    def task(self) -> TaskSpec:
        """Dimensions for the networks."""
        return TaskSpec(self.products * len(FEATURES), self.products * 2)

    def build_env(self) -> CategoryVectorEnv:
        """Return ``num_envs`` random categories."""
        return CategoryVectorEnv(self.num_envs, self.products)

    def build_differentiable_env(self, step_discount: float) -> DifferentiableCategories:
        """Return categories of `GRADIENT_PRODUCTS` products for gradients."""
        return DifferentiableCategories(GRADIENT_PRODUCTS, step_discount)

    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Play a season of unseen categories of each size."""
        returns = [_play_season(learner, CategoryVectorEnv(UNSEEN, size)) for size in UNSEEN_SIZES]
        return {self.monitor: torch.cat(returns)[rank::num_ranks]}


@torch.no_grad()
def _play_season(learner: Algorithm, env: CategoryVectorEnv) -> Tensor:
    """Return the sum of the rewards of a season ``(B,)``, which is the same for every learner."""
    observation, _ = env.reset(seed=EVALUATION_SEED)
    total = torch.zeros(env.num_envs)
    while True:
        observation, reward, ended, _, _ = env.step(learner.policy(observation))
        total += reward
        if ended.all():
            return total
