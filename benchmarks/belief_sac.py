"""SAC on beliefs: one policy for all sellers, compared with the weekly plan at equal harm.

    python benchmarks/belief_sac.py --seeds 0 --informed 0 0.7
    python benchmarks/belief_sac.py --seeds 1 2 --truth mixed linear
    python benchmarks/belief_sac.py --seeds 0 --one_shot
    python benchmarks/belief_sac.py --stored --informed 0 0.7

The policy changes the weight of losses with which the weekly plan is made. For each of ``--seeds`` one is trained with
the settings of `benchmarks/learning/learning.yaml`; ``--stored`` takes one that was. The same sellers as in `loop.py`
follow plan and policy, with the weight of losses as the dial. With ``--one_shot`` nobody learns from sales: plan and
policy know the histories, the weeks left and their own prices only.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import torch
import yaml
from belief_planning import Rule
from learning.account_view import OBSERVATION_DIM
from learning.belief import DemandCurves, LearningConfig, Sellers
from learning.learning_data import LearningDataModule, ShapedEnv
from learning.sellers_env import CURVES, PRIVILEGED_DIM, view_of
from lightning.pytorch import seed_everything
from loop import TRUTHS, at_harm, draw_sellers, history_sd, play, score
from price_training import fit_quietly
from safetensors.torch import load_file
from torch import Tensor

from pricerl.runtime import claim_compute
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.layers import InputNormalization
from pricerl.sac.networks import Actor
from pricerl.training.module import SACModule

SETTINGS = Path(__file__).parent / "learning" / "learning.yaml"
STORED = SETTINGS.with_name("policy.safetensors")
"""Actor at the best evaluation of a run with `SETTINGS` and seed 0."""
DIALS = (60.0, 30.0, 20.0, 10.0, 6.0, 4.0)
"""Weights of losses that are compared."""
ROWS = 256
"""Sellers whose plans fit into the processor's cache."""

Policy = Callable[[Tensor], Tensor]


def stay_blind(before: Sellers, now: Sellers) -> Sellers:
    """Return sellers at today's price and week with the belief of week 0, which expects their account."""
    margin, kept = now.margin_at(now.position), 1 - now.cost
    gain = now.curves.units[:, now.position].T * margin[:, None] - kept[:, None]
    account = before.account + before.level_mean.exp() * gain
    return replace(before, account=account, position=now.position, week=now.week)


class BlindEnv(ShapedEnv):
    """Sellers who learn nothing from their sales."""

    def _believers(self) -> Sellers:
        if self.sellers.week == 0:
            self._blind = self.sellers
        elif self._blind.week < self.sellers.week:
            self._blind = stay_blind(self._blind, self.sellers)
        return self._blind


class BlindData(LearningDataModule):
    """Sellers who learn nothing, as training data."""

    def build_env(self) -> BlindEnv:
        """Return the training env."""
        return BlindEnv(self.num_envs, self.config, self.privileged)


def train(options: argparse.Namespace, seed: int) -> Policy:
    """Train a policy with `SETTINGS`, without evaluations."""
    seed_everything(seed, verbose=False)
    settings = yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))
    kind = BlindData if options.one_shot else LearningDataModule
    about = {"prior_informed": options.prior_informed, "weeks": options.weeks, "privileged": not options.symmetric}
    data = kind(**settings["data"]["init_args"] | about, seed=seed)
    model = settings["model"]
    algorithm, network = SACConfig(**model["algorithm"]), NetworkConfig(**model["network"])
    module = SACModule(data.task, algorithm, network, compile=model["compile"])
    return fit_quietly(module, data, options.updates or settings["trainer"]["max_steps"]).policy


def read_policy(path: Path) -> Policy:
    """Return the deterministic policy of an actor's weights, which has the network of `SETTINGS`."""
    network = NetworkConfig(**yaml.safe_load(SETTINGS.read_text(encoding="utf-8"))["model"]["network"])
    width = OBSERVATION_DIM + PRIVILEGED_DIM
    actor = Actor(width, 1, network, InputNormalization(width), PRIVILEGED_DIM).eval()
    actor.load_state_dict(load_file(path))
    return lambda observation: actor.act(observation, deterministic=True)


def follow(policy: Policy | None, loss_weight: float, options: argparse.Namespace) -> Rule:
    """Return the rule that follows a policy with a weight of losses, or the plan without a policy."""
    one_shot, budget = options.one_shot, options.loss_budget
    blind: Sellers | None = None

    def choose(believers: Sellers) -> Tensor:
        weights, view = torch.full_like(believers.cost, loss_weight), view_of(believers)
        valued, no_change = view.value(), torch.zeros_like(weights)
        action = no_change if policy is None else policy(view.observe(*valued, weights))[:, 0]
        return view.choose(*valued, weights, action, budget).target

    @torch.no_grad()
    def rule(sellers: Sellers, generator: torch.Generator) -> Tensor:
        nonlocal blind
        blind = sellers if blind is None or sellers.week == 0 else stay_blind(blind, sellers)
        return torch.cat([choose(part) for part in split(blind if one_shot else sellers)])

    return rule


def schedule(rise: float) -> Policy:
    """Return the policy without a network whose action rises by ``rise`` over the account, from below 0 to above."""
    return lambda observation: rise * (0.5 - observation[:, 4:5])


def split(sellers: Sellers) -> list[Sellers]:
    """Return the sellers in parts."""
    columns = {field.name: getattr(sellers, field.name) for field in fields(sellers)}
    parts = {name: torch.split(value, ROWS) for name, value in columns.items() if isinstance(value, Tensor)}
    return [replace(sellers, **dict(zip(parts, part, strict=True))) for part in zip(*parts.values(), strict=True)]


def compare(name: str, policy: Policy | None, options: argparse.Namespace) -> None:
    """Let the sellers follow a policy, or the plan; print share (harmed, of whom beliefs expected) for each weight."""
    curves = DemandCurves(CURVES)
    known = LearningConfig(weeks=options.weeks, prior_informed=options.prior_informed)
    for units, informed, truth in itertools.product(options.units, options.informed, options.truth):
        config = replace(known, units=units, history_sd=history_sd(units), informed=informed)
        sellers = draw_sellers(config, curves, truth, options.sellers, options.seed)
        attainable = sellers.true_gains().max(-1).values
        rules = [(dial, follow(policy, dial, options)) for dial in options.dials]
        scores = [{"dial": dial, **score(*play(sellers, rule, 8), attainable)._asdict()} for dial, rule in rules]
        table = pd.DataFrame(scores)
        found = "  ".join(f"{r.dial:g}: {r.share:.1f} ({r.harmed:.1f}, {r.predicted:.1f})" for r in table.itertuples())
        equal = ", ".join(f"{harm} %: {at_harm(table, harm):.1f}" for harm in (1, 2, 4))
        about = f"{units:g} {truth} informed {informed:g} {name}"
        print(f"{about}: {found} | at {equal}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sellers", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1, help="of the sellers")
    parser.add_argument("--weeks", type=int, default=13)
    parser.add_argument("--units", type=float, nargs="+", default=[8.0, 50.0, 500.0])
    parser.add_argument("--truth", nargs="+", default=["mixed"], choices=[*TRUTHS, "mixed"])
    parser.add_argument("--informed", type=float, nargs="+", default=[0.0], help="see loop.py")
    parser.add_argument("--prior_informed", type=float, default=0.5, help="see loop.py")
    parser.add_argument("--loss_budget", type=float, help="share of what keeping earns; none by default")
    parser.add_argument("--dials", type=float, nargs="+", default=list(DIALS))
    parser.add_argument("--schedules", type=float, nargs="+", default=[], help="see `schedule`")
    parser.add_argument("--seeds", type=int, nargs="*", default=[], help="train with these; none plays the plan only")
    parser.add_argument("--updates", type=int, help="those of the settings by default")
    parser.add_argument("--symmetric", action="store_true", help="critics see no more than the policy")
    parser.add_argument("--one_shot", action="store_true", help="plan and policy learn nothing from sales")
    parser.add_argument("--stored", action="store_true", help=f"play the policy of {STORED.name}, too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    claim_compute(1)
    compare("plan", None, options)
    if options.stored:
        compare("stored policy", read_policy(STORED), options)
    for rise in options.schedules:
        compare(f"schedule {rise:g}", schedule(rise), options)
    for seed in options.seeds:
        started = time.process_time()
        policy = train(options, seed)
        print(f"seed {seed}: trained in {time.process_time() - started:.0f} CPU-seconds", flush=True)
        compare(f"SAC, seed {seed}", policy, options)


if __name__ == "__main__":
    main()
