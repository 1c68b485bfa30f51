"""SAC on beliefs: one policy for all sellers, compared with the weekly plan at equal harm.

    python benchmarks/belief_sac.py --updates 14000 --sellers 2000

The policy is trained in ``pricerl/Learning-v0`` as a residual on the plan of the highest expected utility, whose
step it may change. Both are then played by the same sellers as in `loop.py`, with the weight of losses as the dial.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Mapping

import pandas as pd
import torch
from lightning.pytorch import seed_everything
from loop import TRUTHS, Rule, at_harm, draw_sellers, history_sd, play, score, utility_plan
from price_training import fit_quietly
from torch import Tensor

from pricerl.env.belief import DemandCurves, LearningConfig, Sellers
from pricerl.env.learning import CURVES, OBSERVATION_DIM, LearningVectorEnv, move, observe
from pricerl.runtime import claim_compute
from pricerl.sac import NetworkConfig, SACConfig
from pricerl.training.algorithm import Algorithm, TaskSpec
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.module import SACModule

LOSS_WEIGHTS = (30.0, 20.0, 10.0, 6.0, 4.0, 3.0, 2.0)


class LearningData(ReplayDataModule):
    """Sellers who learn, as training data.

    Args:
        config: of the sellers.
        num_envs: sellers that play at the same time.
        seed: of the training.
    """

    def __init__(self, config: LearningConfig, num_envs: int, seed: int) -> None:
        super().__init__(num_envs, 10**9, seed)
        self.config = config

    @property
    def task(self) -> TaskSpec:
        """Dimensions for the networks."""
        return TaskSpec(OBSERVATION_DIM, 1)

    def build_env(self) -> LearningVectorEnv:
        """Return the training env."""
        return LearningVectorEnv(self.num_envs, self.config)

    def score(self, learner: Algorithm, rank: int, num_ranks: int) -> Mapping[str, Tensor]:
        """Evaluate nothing during training."""
        return {}


def train(config: LearningConfig, updates: int, seed: int) -> SACModule:
    """Train the policy."""
    seed_everything(seed, verbose=False)
    data = LearningData(config, 256, seed)
    algorithm = SACConfig(gamma=0.999, batch_size=512, warmup_steps=256 * 13 * 2)
    module = SACModule(data.task, algorithm, NetworkConfig(hidden=[128, 128], value_bounds=False), warm_start="none")
    return fit_quietly(module, data, updates)


def follow(module: SACModule, loss_weight: float) -> Rule:
    """Return the rule that follows the policy with a weight of losses."""

    @torch.no_grad()
    def rule(sellers: Sellers, generator: torch.Generator) -> Tensor:
        observation, planned = observe(sellers, torch.full_like(sellers.cost, loss_weight))
        return move(sellers, planned, module.policy(observation)[:, 0])

    return rule


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=14_000)
    parser.add_argument("--sellers", type=int, default=2000)
    parser.add_argument("--weeks", type=int, default=13)
    parser.add_argument("--units", type=float, nargs="+", default=[8.0, 50.0, 500.0])
    parser.add_argument("--truth", nargs="+", default=["mixed"], choices=[*TRUTHS, "mixed"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    claim_compute(1)
    started = time.process_time()
    module = train(LearningConfig(weeks=options.weeks), options.updates, options.seed)
    print(f"trained in {time.process_time() - started:.0f} CPU-seconds", flush=True)
    curves = DemandCurves(CURVES)
    for units in options.units:
        for truth in options.truth:
            config = LearningConfig(weeks=options.weeks, units=units, history_sd=history_sd(units))
            sellers = draw_sellers(config, curves, truth, options.sellers, 1)
            attainable = sellers.true_gains().max(-1).values
            for name, make in (("utility", utility_plan), ("belief SAC", lambda dial: follow(module, dial))):
                found = [
                    {"dial": dial, **score(*play(sellers, make(dial), 8), attainable)._asdict()}
                    for dial in LOSS_WEIGHTS
                ]
                table = pd.DataFrame(found)
                cells = "  ".join(f"{row.dial:g}: {row.share:.1f} ({row.harmed:.1f})" for row in table.itertuples())
                equal = ", ".join(f"{harm} %: {at_harm(table, harm):.1f}" for harm in (2, 4))
                print(f"{units:g} {truth} {name}: {cells} | at {equal}", flush=True)


if __name__ == "__main__":
    main()
