"""SAC for groups of products with a shared stock and a shared discount budget, compared with planners.

    python benchmarks/groups.py --sizes 2 4 8 --updates 1500 3000 --seeds 5

Demand, orders and budget are those of `group_plans.py` and known to all methods, which are judged on the same episodes
with the same uniform random numbers behind the sales.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from group_plans import (
    DAYS,
    HIGH,
    LOW,
    REPLENISHMENT,
    START_BUDGET,
    START_STOCK,
    WEEK,
    Day,
    JointGreedy,
    Problem,
    alone,
    draw_group,
    joint_dynamic,
    poisson_quantile,
    pose,
    sell,
)
from gymnasium.spaces import Box
from lightning.pytorch import seed_everything
from price_training import PLAIN, fit_quietly
from torch import Tensor

from pricerl.runtime import claim_compute
from pricerl.sac.config import NetworkConfig
from pricerl.training.algorithm import Algorithm, TaskSpec
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.module import SACModule

RESIDUAL = 0.1
"""Largest change of a plan's price, as a share of the list price."""


class GroupMarket:
    """Vector env of B groups, all at the same day; episodes differ in their first stock and their budget.

    The reward is the day's profit in tenths of the mean day's, less the noise of its demand (a control variate), plus
    the change of the profit that the plan expects from the next day on (potential-based shaping).

    Args:
        problem: the group.
        num_envs: B.
        base: plan that actions change; None if actions are the prices.
    """

    def __init__(self, problem: Problem, num_envs: int, base: JointGreedy | None) -> None:
        self.problem, self.num_envs, self.base = problem, num_envs, base
        self.size = len(problem.group.listed)
        self.generator = torch.Generator()
        width = 5 + (0 if base is None else self.size)
        self.single_observation_space = Box(-np.inf, np.inf, (width,), np.float32)
        self.single_action_space = Box(-1.0, 1.0, (self.size,), np.float32)
        best = problem.group.rates(problem.table).sum(1)[:, 1].max()
        self.unit = 0.1 * float(best * problem.customers.mean())

    def reset(self, *, seed: int | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Draw stocks and budgets."""
        if seed is not None:
            self.generator.manual_seed(seed)
        self.day = 0
        stock, budget = torch.rand(2, self.num_envs, generator=self.generator)
        low, high = START_STOCK
        self.stock = ((low + (high - low) * stock) * self.problem.order).round()
        low, high = START_BUDGET
        self.budget = (low + (high - low) * budget) * self.problem.budget
        return self.observe(), {}

    def observe(self) -> Tensor:
        """Return day, days to the delivery, weekday's customers, stock and budget per customer left, plan's prices."""
        day = min(self.day, DAYS - 1)
        left = self.problem.customers[day:].sum()
        soon = self.problem.customers[day : REPLENISHMENT if day < REPLENISHMENT else DAYS].sum()
        known = torch.tensor([day / DAYS, (REPLENISHMENT - day) / DAYS, WEEK[day % 7]]).expand(self.num_envs, 3)
        mean = self.problem.order / self.problem.customers[:REPLENISHMENT].sum()
        allowance = self.problem.budget / self.problem.customers.sum()
        room = torch.stack([self.stock / soon / mean, self.budget / left / allowance], 1).clamp_max(3)
        self.planned = None if self.base is None else self.base(day, self.stock, self.budget)
        return torch.cat([known, room, *([] if self.planned is None else [self.planned])], 1)

    def prices(self, action: Tensor) -> Tensor:
        """Return the prices of actions ``(B, N)``; action 0 follows the plan, if there is one."""
        if self.planned is None:
            return (LOW + HIGH) / 2 + (HIGH - LOW) / 2 * action
        return (self.planned + RESIDUAL * action).clamp(LOW, HIGH)

    def advance(self, price: Tensor) -> tuple[Day, Tensor]:
        """Sell for a day at ``price (B, N)``; return its outcome and the noise of its profit ``(B,)``."""
        group, customers = self.problem.group, self.problem.customers[self.day]
        price = torch.where(self.budget[:, None] > 0, price, price.clamp_min(1))
        uniform = torch.rand(self.num_envs, 2, self.size, generator=self.generator)
        day = sell(group, price, customers, self.stock, self.budget, uniform)
        rate = customers * group.shares(price)
        noise = ((poisson_quantile(rate, uniform[:, 0]) - rate) * (price * group.listed - group.cost)).sum(-1)
        self.day += 1
        self.stock = self.stock - day.units.sum(-1) + (self.problem.order if self.day == REPLENISHMENT else 0)
        self.budget = (self.budget - day.discount).clamp_min(0)
        return day, noise

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Sell for a day by ``actions (B, N)``."""
        before = self._expected()
        day, noise = self.advance(self.prices(actions))
        reward = (day.profit - noise + self._expected() - before) / self.unit
        ended = self.day == DAYS
        observation, info = self.observe(), {}
        if ended:
            info["final_obs"] = observation
            observation, _ = self.reset()
        flags = torch.full((self.num_envs,), ended)
        return observation, reward, flags, torch.zeros_like(flags), info

    def _expected(self) -> Tensor:
        """Return the plan's expected profit ``(B,)``; without a plan, that of the average day."""
        if self.base is None:
            return torch.full_like(self.budget, 10 * self.unit * (DAYS - self.day))
        return self.base.value(self.day, self.stock, self.budget)


def judge(env: GroupMarket, prices: Callable[[GroupMarket], Tensor]) -> Tensor:
    """Return the profits ``(B,)`` of a rule for prices in episodes that are the same for all rules."""
    env.reset(seed=12345)
    return torch.stack([env.advance(prices(env))[0].profit for _ in range(DAYS)]).sum(0)


class GroupData(ReplayDataModule):
    """Groups as training data.

    Args:
        env: training env.
        seed: of the training.
    """

    def __init__(self, env: GroupMarket, seed: int) -> None:
        super().__init__(env.num_envs, 10**9, seed)
        self.env = env

    @property
    def task(self) -> TaskSpec:
        """Dimensions for the networks."""
        return TaskSpec(self.env.single_observation_space.shape[0], self.env.size)

    def build_env(self) -> GroupMarket:
        """Return the training env."""
        return self.env

    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Evaluate nothing during training."""
        return {}


def train(problem: Problem, base: JointGreedy | None, updates: int, seed: int) -> SACModule:
    """Train a policy of prices, or of residuals on the prices of a plan."""
    seed_everything(seed, verbose=False)
    data = GroupData(GroupMarket(problem, 64, base), seed)
    entropy = -2.0 * data.env.size
    algorithm = replace(PLAIN, target_entropy=entropy, buffer_capacity=200_000, warmup_steps=64 * DAYS * 4)
    network = NetworkConfig(hidden=[128, 128], value_bounds=False)
    module = SACModule(data.task, algorithm, network, compile="off")
    return fit_quietly(module, data, updates)


def learn(problem: Problem, base: JointGreedy | None, updates: int, seeds: int, greedy: Tensor) -> str:
    """Return the profits of policies of several seeds relative to the greedy plan, in words."""
    found, started = [], time.process_time()
    env = GroupMarket(problem, len(greedy), base)
    for seed in range(seeds):
        module = train(problem, base, updates, seed)

        @torch.no_grad()
        def prices(env: GroupMarket, module: SACModule = module) -> Tensor:
            return env.prices(module.policy(env.observe()))

        found.append(100 * float(judge(env, prices).mean() / greedy.mean() - 1))
    seconds = (time.process_time() - started) / seeds
    each = " ".join(f"{gain:+.2f}" for gain in found)
    return f"{np.mean(found):+.2f} ({min(found):+.2f} to {max(found):+.2f}) {seconds:.0f} s each: {each}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--customers", type=float, default=2.0, help="per day and product")
    parser.add_argument("--updates", type=int, nargs="*", default=[1500, 3000])
    parser.add_argument("--methods", nargs="+", default=["SAC", "SAC on greedy"], choices=["SAC", "SAC on greedy"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=4096)
    parser.add_argument("--group", type=int, default=0, help="seed of the products")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    claim_compute(1)
    for size in options.sizes:
        problem = pose(draw_group(size, options.group), options.customers)
        fine = torch.linspace(LOW, HIGH, 13)
        vectors = problem.table if size > 2 else torch.cat([problem.table, torch.cartesian_prod(fine, fine)])
        base, greedy = JointGreedy(problem), None
        plans = {"joint greedy": base, "alone": alone(problem), "joint dynamic": joint_dynamic(problem, vectors)}
        plans["list prices"] = lambda day, stock, budget, size=size: torch.ones(len(stock), size)
        print(f"{size} products, {problem.order} units per delivery, {len(vectors)} price vectors", flush=True)
        for name, plan in plans.items():
            profit = judge(
                GroupMarket(problem, options.episodes, None),
                lambda env, plan=plan: plan(env.day, env.stock, env.budget),
            )
            greedy = profit if greedy is None else greedy
            gain = 100 * (profit - greedy) / greedy.mean()
            print(f"  {name}: {gain.mean():+.2f} (standard error {gain.std() / len(gain) ** 0.5:.2f})", flush=True)
        for updates in options.updates:
            for name in options.methods:
                start = None if name == "SAC" else base
                print(f"  {name}, {updates}: {learn(problem, start, updates, options.seeds, greedy)}", flush=True)


if __name__ == "__main__":
    main()
