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
from pricerl.planner.dynamic_planner import DynamicPlan
from pricerl.planner.rollout import Choice, Policy, WatchedPolicy, roll_out, roll_path

DAYS = 84
"""Days of a roll-out: enough to reach a price and to stay there for weeks."""
MOST_ROWS = 2048
"""Rows of a roll-out, split among products."""
FEWEST_DRAWS = 16
"""Fewest posterior draws per product."""
NOISE_SEED = 0
"""Seed of the noise, common to all policies and products (common random numbers)."""


class Comparison(NamedTuple):
    """Policy minus plan in mean daily reward, discounted as in training, ``(P,)`` each."""

    advantage: Tensor
    error: Tensor
    """Standard error over the posterior draws, paired."""


@dataclass(frozen=True)
class PlanBenchmark:
    """Roll-outs from the end of every history, to compare a policy with the plan in the same noise of sales."""

    plan: DynamicPlan
    step_discount: float
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
        """Initial state of the rows ``(B,)``, product by product."""
        product, last = self.dynamics.history.latest()
        owner = self._rows // len(self._draws)
        return self.dynamics.start(product[owner], last[owner], self._draws[self._rows % len(self._draws)])

    @cached_property
    def _rows(self) -> Tensor:
        count = self.dynamics.market.num_products * len(self._draws)
        return torch.arange(count, device=self.dynamics.market.device)[self.share[0] :: self.share[1]]

    @cached_property
    def _draws(self) -> Tensor:
        """Draws of a product's rows: all posterior draws several times, or evenly spaced ones."""
        market = self.dynamics.market
        rows = max(FEWEST_DRAWS, MOST_ROWS // (self.catalogue or market.num_products))
        draws = torch.linspace(0, market.num_draws - 1, min(market.num_draws, rows)).long()
        return draws.repeat(rows // len(draws)).to(market.device)

    @cached_property
    def planned(self) -> Tensor:
        """The plan's mean daily reward in every row, ``(B,)``; its prices are the same in all draws of a product."""
        dynamics = self.dynamics
        start = dynamics.start(*dynamics.history.latest())
        prices, _ = roll_path(lambda now, band: self.plan(now), dynamics, start, DAYS, observes=False)
        decided = iter(prices[:, :: dynamics.days_per_step].T)
        return self._score(lambda now: next(decided)[self.start.product])

    def measure(self, policy: Policy) -> Tensor:
        """Return a policy's mean daily reward minus the plan's per row, ``(B,)``; NaN if an action is not finite."""
        watched = WatchedPolicy(policy)
        gain = self._score(lambda now: self.dynamics.decide(now, watched(now.observation)[:, 0])) - self.planned
        return gain.masked_fill(watched.failed, torch.nan)

    def compare(self, policy: Policy) -> Comparison:
        """Compare a deterministic policy with the plan, product by product; the share must be all rows."""
        market = self.dynamics.market
        gain = self.measure(policy).view(market.num_products, -1, min(market.num_draws, len(self._draws))).mean(1)
        return Comparison(gain.mean(1), gain.std(1) / gain.shape[1] ** 0.5)

    def _score(self, choose: Choice) -> Tensor:
        generator = torch.Generator(self.start.price.device).manual_seed(NOISE_SEED)
        noise = CommonNoise(generator, self._rows % len(self._draws), len(self._draws))
        reward = roll_out(choose, self.dynamics, self.start, DAYS, noise)[1].reward
        decision = torch.arange(reward.shape[1], device=reward.device) // self.dynamics.days_per_step
        weight = self.step_discount**decision
        return (reward * weight).sum(1) / weight.sum()
