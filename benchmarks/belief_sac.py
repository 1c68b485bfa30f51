"""SAC on beliefs: one policy for all sellers, compared with the weekly plan at equal harm.

    python benchmarks/belief_sac.py --seeds 0 1 2 --truth mixed linear
    python benchmarks/belief_sac.py --one_shot

The policy is trained in ``pricerl/Learning-v0`` and changes the plan of the highest expected utility: the weight of
losses that it is made with, or with ``--action steps`` its next step. Critics see the truth, the policy does not. Both
are then played by the same sellers as in `loop.py`, with the weight of losses as the dial. With ``--one_shot`` nobody
learns from sales: plan and policy know the histories, the weeks left and their own prices only.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import pandas as pd
import torch
from lightning.pytorch import seed_everything
from loop import TRUTHS, Rule, at_harm, draw_sellers, history_sd, play, score
from price_training import fit_quietly
from torch import Tensor

from pricerl.env.belief import DemandCurves, LearningConfig, Sellers
from pricerl.env.learning import (
    CURVES,
    OBSERVATION_DIM,
    PRIVILEGED_DIM,
    UNITS,
    LearningVectorEnv,
    expect_truth,
    move,
    observe,
    scale_of,
)
from pricerl.market.utility import value_plans, weigh_losses
from pricerl.runtime import claim_compute
from pricerl.sac import NetworkConfig, SACConfig
from pricerl.training.algorithm import Algorithm, TaskSpec
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.module import SACModule

LOSS_WEIGHTS = (2.0, 100.0)
"""Range in which policies are trained."""
DIALS = (60.0, 30.0, 20.0, 10.0, 6.0, 4.0)
"""Weights of losses that are compared."""
FACTOR = 8.0
"""Largest factor by which an action changes the weight of losses, either way."""
ENVS = 256
HISTORY_SDS = (0.8, 1.3)
"""Range of the error of the elasticity that histories show; each episode draws one for all its sellers."""
USUAL_MARGIN = 0.45


@dataclass(frozen=True)
class Task:
    """A training."""

    config: LearningConfig
    action: Literal["weight", "steps"] = "weight"
    """Whether actions change the weight of losses, or the steps of the plan."""
    symmetric: bool = False
    """Whether critics see no more than the policy."""
    one_shot: bool = False
    """Whether sellers never learn from their sales."""

    def target(self, believers: Sellers, planned: Tensor, loss_weight: Tensor, action: Tensor) -> Tensor:
        """Return the grid price that actions ``(B,)`` lead to."""
        if self.action == "steps":
            return move(believers, planned, action)
        total = believers.account[:, None] + believers.plan_gains()
        changed = (loss_weight * FACTOR**action).clamp_min(1)
        return value_plans(total, believers.weight, changed[:, None, None])[0].argmax(-1)


def stay_blind(before: Sellers, now: Sellers) -> Sellers:
    """Return sellers at today's price and week with the belief of week 0, which expects their account."""
    margin, kept = now.margin_at(now.position), 1 - now.cost
    gain = now.curves.units[:, now.position].T * margin[:, None] - kept[:, None]
    account = before.account + before.level_mean.exp() * gain
    return replace(before, account=account, position=now.position, week=now.week)


class TrainingEnv(LearningVectorEnv):
    """Sellers whose histories differ in length, and whose rewards are shaped and of one size.

    The true gain that the plan would end with is the potential of a state (Ng, Harada and Russell 1999). Rewards of a
    seller are divided by a constant of its own: the root of its weight of losses, over its margin. Neither changes the
    best policy.

    Args:
        task: the training.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(ENVS, task.config, UNITS, LOSS_WEIGHTS, not task.symmetric)
        self._task = task

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        """Draw new sellers."""
        if seed is not None:
            self._generator.manual_seed(seed)
        low, high = HISTORY_SDS
        share = float(torch.rand((), generator=self._generator))
        self.config = replace(self.config, history_sd=low + (high - low) * share)
        return super().reset()

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Price for a week."""
        potential, size = self._potential, (1 - self.sellers.cost) / USUAL_MARGIN / self.loss_weight.sqrt()
        self._planned = self._task.target(self._believers(), self._planned, self.loss_weight, actions[:, 0])
        observation, reward, ended, truncated, info = super().step(torch.zeros_like(actions))
        later = torch.where(ended, 0.0, self._potential)
        return observation, (reward + later - potential) * size, ended, truncated, info

    def _observe(self) -> Tensor:
        observation, sellers = super()._observe(), self.sellers
        gains = torch.stack([expect_truth(sellers, self._planned), sellers.gain]) / scale_of(sellers)
        at_end, so_far = weigh_losses(gains, self.loss_weight)
        self._potential = at_end - so_far
        return observation

    def _believers(self) -> Sellers:
        if not self._task.one_shot:
            return self.sellers
        if self.sellers.week == 0:
            self._blind = self.sellers
        elif self._blind.week < self.sellers.week:
            self._blind = stay_blind(self._blind, self.sellers)
        return self._blind


class LearningData(ReplayDataModule):
    """Sellers who learn, as training data.

    Args:
        training: the training.
        seed: of the training.
    """

    def __init__(self, training: Task, seed: int) -> None:
        super().__init__(ENVS, 10**9, seed)
        self.training = training

    @property
    def task(self) -> TaskSpec:
        """Dimensions for the networks."""
        hidden = 0 if self.training.symmetric else PRIVILEGED_DIM
        return TaskSpec(OBSERVATION_DIM + hidden, 1, privileged_dim=hidden)

    def build_env(self) -> TrainingEnv:
        """Return the training env."""
        return TrainingEnv(self.training)

    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Evaluate nothing during training."""
        return {}


def train(task: Task, updates: int, seed: int) -> SACModule:
    """Train the policy."""
    seed_everything(seed, verbose=False)
    data = LearningData(task, seed)
    # two updates per week of all sellers; actions stay random enough to change what the plan aims at
    algorithm = SACConfig(gamma=0.9999, batch_size=512, utd_ratio=2, target_entropy=0.0, warmup_steps=ENVS * 13 * 2)
    network = NetworkConfig(hidden=(128, 128), value_bounds=False)
    module = SACModule(data.task, algorithm, network, compile="on", warm_start="none")
    return fit_quietly(module, data, updates)


def follow(task: Task, loss_weight: float, module: SACModule | None) -> Rule:
    """Return the rule that follows the policy with a weight of losses, or the plan without a policy."""
    blind: Sellers | None = None

    def choose(believers: Sellers) -> Tensor:
        weights = torch.full_like(believers.cost, loss_weight)
        observation, planned = observe(believers, weights)
        return planned if module is None else task.target(believers, planned, weights, module.policy(observation)[:, 0])

    @torch.no_grad()
    def rule(sellers: Sellers, generator: torch.Generator) -> Tensor:
        nonlocal blind
        blind = sellers if blind is None or sellers.week == 0 else stay_blind(blind, sellers)
        return torch.cat([choose(part) for part in split(blind if task.one_shot else sellers)])

    return rule


def split(sellers: Sellers) -> list[Sellers]:
    """Return the sellers in parts, whose plans fit into the processor's cache."""
    columns = {field.name: getattr(sellers, field.name) for field in fields(sellers)}
    parts = {name: torch.split(value, ENVS) for name, value in columns.items() if isinstance(value, Tensor)}
    return [replace(sellers, **dict(zip(parts, part, strict=True))) for part in zip(*parts.values(), strict=True)]


def compare(name: str, module: SACModule | None, task: Task, options: argparse.Namespace) -> None:
    """Let the sellers follow the policy, or the plan, and print the scores."""
    curves = DemandCurves(CURVES)
    for units in options.units:
        for truth in options.truth:
            config = replace(task.config, units=units, history_sd=history_sd(units))
            sellers = draw_sellers(config, curves, truth, options.sellers, 1)
            attainable = sellers.true_gains().max(-1).values
            played = [(dial, play(sellers, follow(task, dial, module), 8)) for dial in DIALS]
            table = pd.DataFrame([{"dial": dial, **score(*ends, attainable)._asdict()} for dial, ends in played])
            cells = "  ".join(f"{row.dial:g}: {row.share:.1f} ({row.harmed:.1f})" for row in table.itertuples())
            equal = ", ".join(f"{harm} %: {at_harm(table, harm):.1f}" for harm in (1, 2, 4))
            print(f"{units:g} {truth} {name}: {cells} | at {equal}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=6_000)
    parser.add_argument("--sellers", type=int, default=2000)
    parser.add_argument("--weeks", type=int, default=13)
    parser.add_argument("--units", type=float, nargs="+", default=[8.0, 50.0, 500.0])
    parser.add_argument("--truth", nargs="+", default=["mixed"], choices=[*TRUTHS, "mixed"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0], help="none plays the plan only")
    parser.add_argument("--action", default="weight", choices=["weight", "steps"])
    parser.add_argument("--symmetric", action="store_true", help="critics see no more than the policy")
    parser.add_argument("--one_shot", action="store_true", help="plan and policy learn nothing from sales")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    claim_compute(1)
    task = Task(LearningConfig(weeks=options.weeks), options.action, options.symmetric, options.one_shot)
    compare("plan", None, task, options)
    for seed in options.seeds:
        started = time.process_time()
        module = train(task, options.updates, seed)
        print(f"seed {seed}: trained in {time.process_time() - started:.0f} CPU-seconds", flush=True)
        compare(f"SAC, seed {seed}", module, task, options)


if __name__ == "__main__":
    main()
