"""The plan as benchmark of every policy: its rewards in all posterior draws, with noise in the observed units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from pricerl.env.dynamics import Dynamics
from pricerl.env.noise import CommonNoise
from pricerl.env.state import State
from pricerl.evaluation.dynamic_planner import DynamicPlan
from pricerl.evaluation.rollout import Choice, Policy, WatchedPolicy, roll_out

DAYS = 84
"""Days of a roll-out: enough to reach a price and to stay there for weeks."""
MOST_ROWS = 2048
"""Rows of a roll-out, split among products."""
FEWEST_DRAWS = 16
"""Fewest posterior draws per product."""
NOISE_SEED = 0
"""Seed of the noise, common to all policies and products (common random numbers)."""
ERRORS = 2.0
"""Standard errors by which a policy must exceed the plan to replace it."""


class Comparison(NamedTuple):
    """Policy minus plan in mean daily reward, discounted as in training, ``(P,)`` each."""

    advantage: Tensor
    error: Tensor
    """Standard error over the posterior draws, paired."""

    @property
    def is_better(self) -> Tensor:
        """Whether the policy earns more than the plan beyond chance, ``(P,)`` bool."""
        return self.advantage > ERRORS * self.error


@dataclass(frozen=True)
class PlanBenchmark:
    """Roll-outs from the last day of every product's history, to compare a policy with the plan in the same noise.

    Rewards are expectations given the prices, so noise matters only through the sales that a policy observes.
    """

    plan: DynamicPlan
    step_discount: float
    """Discount of one decision."""
    share: tuple[int, int] = (0, 1)
    """Share ``(k, n)`` of the rows: every n-th, from the k-th on."""
    catalogue: int = 0
    """Number of products among which the rows are split; 0 for the number of products of the dynamics."""

    @property
    def dynamics(self) -> Dynamics:
        """Market, reward and guardrails."""
        return self.plan.dynamics

    @cached_property
    def start(self) -> State:
        """Initial state of the rows: each product in all posterior draws several times, or in evenly spaced ones."""
        product, last = self.dynamics.history.latest()
        draw = self._draws.repeat(self._repeats).to(product.device)
        owner = self._rows // len(draw)
        return self.dynamics.start(product[owner], last[owner], draw[self._rows % len(draw)])

    @cached_property
    def _rows(self) -> Tensor:
        """Numbers of the share's rows ``(B,)`` among all of them, product by product."""
        count = self.dynamics.market.num_products * len(self._draws) * self._repeats
        return torch.arange(count, device=self.dynamics.market.device)[self.share[0] :: self.share[1]]

    @property
    def _draws(self) -> Tensor:
        num_draws = self.dynamics.market.num_draws
        return torch.linspace(0, num_draws - 1, min(num_draws, self._rows_per_product)).long()

    @property
    def _repeats(self) -> int:
        return self._rows_per_product // len(self._draws)

    @property
    def _rows_per_product(self) -> int:
        return max(FEWEST_DRAWS, MOST_ROWS // (self.catalogue or self.dynamics.market.num_products))

    @cached_property
    def planned(self) -> Tensor:
        """The plan's mean daily reward in every row, ``(B,)``."""
        return self._score(self.plan)

    def measure(self, policy: Policy) -> Tensor:
        """Return a deterministic policy's mean daily reward minus the plan's in every row, ``(B,)``.

        It is NaN in rows with an action that is not finite.
        """
        watched = WatchedPolicy(policy)
        gain = self._score(lambda now: self.dynamics.decide(now, watched(now.observation)[:, 0])) - self.planned
        return gain if watched.failed is None else gain.masked_fill(watched.failed, torch.nan)

    def measure_draws(self, policy: Policy) -> Tensor:
        """Return a policy's mean daily reward minus the plan's per product and posterior draw, ``(P, K)``."""
        return self.measure(policy).view(self.dynamics.market.num_products, self._repeats, -1).mean(1)

    def compare(self, policy: Policy) -> Comparison:
        """Compare a deterministic policy with the plan, product by product; the share must be all rows.

        A policy that earns NaN is not better.
        """
        gain = self.measure_draws(policy)
        return Comparison(gain.mean(1), gain.std(1) / gain.shape[1] ** 0.5)

    def _score(self, choose: Choice) -> Tensor:
        generator = torch.Generator(self.start.price.device).manual_seed(NOISE_SEED)
        count = len(self._draws) * self._repeats
        noise = CommonNoise(generator, self._rows % count, count)
        reward = roll_out(choose, self.dynamics, self.start, DAYS, noise).outcome.reward
        decision = torch.arange(reward.shape[1], device=reward.device) // self.dynamics.days_per_step
        weight = self.step_discount**decision
        return (reward * weight).sum(1) / weight.sum()
