"""SAC on beliefs: one policy for all sellers, compared with the weekly plan at equal harm.

    python benchmarks/belief_sac.py --updates 14000 --sellers 2000 --seeds 0 1 2 --truth mixed linear
    python benchmarks/belief_sac.py --one_shot

The policy is trained in ``pricerl/Learning-v0`` as a residual on the plan of the highest expected utility, whose
step it may change. Its critics see the truth, it does not. Both are then played by the same sellers as in `loop.py`,
with the weight of losses as the dial. With ``--one_shot`` nobody learns from sales: plan and policy know the histories,
the weeks left and their own prices only.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Mapping
from dataclasses import replace

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
    move,
    observe,
)
from pricerl.runtime import claim_compute
from pricerl.sac import NetworkConfig, SACConfig
from pricerl.training.algorithm import Algorithm, TaskSpec
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.module import SACModule

DIALS = (100.0, 60.0, 30.0, 20.0, 10.0, 6.0, 4.0, 3.0, 2.0)
"""Weights of losses, between which policies are trained."""
ENVS = 256
HISTORY_SDS = (0.8, 1.3)
"""Range of the error of the elasticity that histories show; each episode draws one for all its sellers."""
USUAL_MARGIN = 0.45


def stay_blind(before: Sellers, now: Sellers) -> Sellers:
    """Return sellers at today's price and week with the belief of week 0, which expects their account."""
    margin, kept = now.margin_at(now.position), 1 - now.cost
    gain = now.curves.units[:, now.position].T * margin[:, None] - kept[:, None]
    account = before.account + before.level_mean.exp() * gain
    return replace(before, account=account, position=now.position, week=now.week)


class TrainingEnv(LearningVectorEnv):
    """Sellers whose histories differ in length and whose rewards are of one size.

    The reward of a seller is divided by a constant of its own, which changes no best policy: the root of its weight of
    losses, over its margin.

    Args:
        config: of the sellers.
        symmetric: whether critics see no more than the policy.
        one_shot: whether sellers never learn from their sales.
    """

    def __init__(self, config: LearningConfig, symmetric: bool, one_shot: bool) -> None:
        super().__init__(ENVS, config, UNITS, (DIALS[-1], DIALS[0]), not symmetric)
        self._one_shot = one_shot

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None) -> tuple[Tensor, dict]:
        """Draw new sellers."""
        if seed is not None:
            self._generator.manual_seed(seed)
        low, high = HISTORY_SDS
        share = float(torch.rand((), generator=self._generator))
        self.config = replace(self.config, history_sd=low + (high - low) * share)
        return super().reset()

    def step(self, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, dict]:
        """Price for a week."""
        size = (1 - self.sellers.cost) / USUAL_MARGIN / self.loss_weight.sqrt()
        observation, reward, *rest = super().step(actions)
        return observation, reward * size, *rest

    def _believers(self) -> Sellers:
        if not self._one_shot:
            return self.sellers
        self._blind = self.sellers if self.sellers.week == 0 else stay_blind(self._blind, self.sellers)
        return self._blind


class LearningData(ReplayDataModule):
    """Sellers who learn, as training data.

    Args:
        config: of the sellers.
        seed: of the training.
        symmetric: whether critics see no more than the policy.
        one_shot: whether sellers never learn from their sales.
    """

    def __init__(self, config: LearningConfig, seed: int, symmetric: bool, one_shot: bool) -> None:
        super().__init__(ENVS, 10**9, seed)
        self.settings = config, symmetric, one_shot

    @property
    def task(self) -> TaskSpec:
        """Dimensions for the networks."""
        hidden = 0 if self.settings[1] else PRIVILEGED_DIM
        return TaskSpec(OBSERVATION_DIM + hidden, 1, privileged_dim=hidden)

    def build_env(self) -> TrainingEnv:
        """Return the training env."""
        return TrainingEnv(*self.settings)

    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Evaluate nothing during training."""
        return {}


def train(data: LearningData, updates: int) -> SACModule:
    """Train the policy."""
    seed_everything(data.seed, verbose=False)
    algorithm = SACConfig(gamma=0.9999, batch_size=512, warmup_steps=ENVS * 13 * 2)
    module = SACModule(data.task, algorithm, NetworkConfig(hidden=[128, 128], value_bounds=False), warm_start="none")
    return fit_quietly(module, data, updates)


def follow(loss_weight: float, one_shot: bool, module: SACModule | None = None) -> Rule:
    """Return the rule that follows the policy with a weight of losses, or the plan without a policy."""
    blind: Sellers | None = None

    @torch.no_grad()
    def rule(sellers: Sellers, generator: torch.Generator) -> Tensor:
        nonlocal blind
        believers = sellers
        if one_shot:
            believers = blind = sellers if sellers.week == 0 or blind is None else stay_blind(blind, sellers)
        observation, planned = observe(believers, torch.full_like(sellers.cost, loss_weight))
        return planned if module is None else move(sellers, planned, module.policy(observation)[:, 0])

    return rule


def compare(modules: Mapping[str, SACModule | None], options: argparse.Namespace) -> None:
    """Play the plan and the policies with the same sellers and print their scores."""
    curves = DemandCurves(CURVES)
    for units in options.units:
        for truth in options.truth:
            config = LearningConfig(weeks=options.weeks, units=units, history_sd=history_sd(units))
            sellers = draw_sellers(config, curves, truth, options.sellers, 1)
            attainable = sellers.true_gains().max(-1).values
            for name, module in modules.items():
                found = [
                    {
                        "dial": dial,
                        **score(*play(sellers, follow(dial, options.one_shot, module), 8), attainable)._asdict(),
                    }
                    for dial in DIALS
                ]
                table = pd.DataFrame(found)
                cells = "  ".join(f"{row.dial:g}: {row.share:.1f} ({row.harmed:.1f})" for row in table.itertuples())
                equal = ", ".join(f"{harm} %: {at_harm(table, harm):.1f}" for harm in (1, 2, 4))
                print(f"{units:g} {truth} {name}: {cells} | at {equal}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=14_000)
    parser.add_argument("--sellers", type=int, default=2000)
    parser.add_argument("--weeks", type=int, default=13)
    parser.add_argument("--units", type=float, nargs="+", default=[8.0, 50.0, 500.0])
    parser.add_argument("--truth", nargs="+", default=["mixed"], choices=[*TRUTHS, "mixed"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--symmetric", action="store_true", help="critics see no more than the policy")
    parser.add_argument("--one_shot", action="store_true", help="plan and policy learn nothing from sales")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    claim_compute(1)
    modules: dict[str, SACModule | None] = {"plan": None}
    compare(modules, options)
    for seed in options.seeds:
        started = time.process_time()
        data = LearningData(LearningConfig(weeks=options.weeks), seed, options.symmetric, options.one_shot)
        module = train(data, options.updates)
        print(f"seed {seed}: trained in {time.process_time() - started:.0f} CPU-seconds", flush=True)
        compare({f"SAC, seed {seed}": module}, options)


if __name__ == "__main__":
    main()
