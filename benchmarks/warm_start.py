"""SAC from random weights against the plan: plain, and with gradients through the market.

Run from the repository root::

    python benchmarks/warm_start.py families --seeds 5 --units 50
    python benchmarks/warm_start.py times --seeds 3
    python benchmarks/warm_start.py market

``families`` fits the market to a simulated seller of every plain demand family of PriceBench (130 days), with the
buyers' memory of prices as fitted and without any. The plan and plain SAC (its last weights and its best ones) are then
rolled out for 84 days from the last day, in every posterior draw, with the day's noise in the observed units, the same
for all. Profit is the expectation given the prices. The best weights of SAC are those of the evaluation with the
highest reward on other noise.

``times`` measures the CPU seconds of training plain SAC, without evaluations, until the policy's reward stays within
1 % and 0.2 % of profit of the plan's, by preset. ``market`` does so for 0.2 % and `SELLERS` with gradients through the
market.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from price_training import train_policy
from shops.pricebench import PLAIN_TRUTHS
from torch import Tensor

from pricerl.env.state import State
from pricerl.evaluation.plan_benchmark import DAYS, PlanBenchmark
from pricerl.evaluation.rollout import Choice, roll_out
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.reward import RewardConfig
from pricerl.runtime import claim_compute
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.simulation.seller import SellerConfig
from pricerl.training.pricing_data import PricingDataModule

NETWORK = NetworkConfig(hidden=(128, 128))
UPDATES = 1500
TEST_SEED = 12345
"""Seed of the noise of the comparison, which differs from that of the evaluations."""
PRESETS = ("balanced", "profit", "revenue", "upward")
SELLERS = (
    *(("constant", 50.0, True, 1), ("linear", 50.0, True, 2), ("logit", 50.0, True, 3), ("kinked", 50.0, True, 4)),
    *(("kinked", 50.0, False, 5), ("linear", 50.0, False, 6), ("constant", 5.5, True, 7), ("logit", 5.5, True, 8)),
    *(("kinked", 500.0, True, 9), ("linear", 500.0, False, 10)),
    *(("linear", 20.0, True, 31), ("logit", 200.0, False, 32), ("constant", 8.0, False, 33)),
    *(("kinked", 25.0, True, 34), ("exponential", 100.0, True, 35), ("linear", 5.5, True, 36)),
    *(("logit", 500.0, True, 37), ("optimal", 50.0, True, 38)),
)
"""Sellers of ``market``: family, units per day, memory, seed; the settings were chosen on the first ten."""


class Curve(Callback):
    """Advantage over the plan and CPU seconds of training at every evaluation, and the best weights.

    Args:
        benchmark: the plan, in the noise of evaluations.
        every: updates between evaluations.
    """

    def __init__(self, benchmark: PlanBenchmark, every: int) -> None:
        self.benchmark, self.every, self.rows, self._seconds = benchmark, every, [], 0.0
        self.best: tuple[float, Any] = (-np.inf, None)
        self._began = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._began = time.process_time()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *arguments: Any) -> None:
        """Evaluate after every ``every`` updates."""
        if trainer.global_step % self.every == 0:
            self._evaluate(trainer, pl_module)

    def _evaluate(self, trainer: Trainer, module: Any) -> None:
        self._seconds += time.process_time() - self._began
        module.eval()
        gain = float(self.benchmark.measure(module.policy).mean())
        module.train()
        self.rows.append({"updates": trainer.global_step, "seconds": self._seconds, "gain": gain})
        if gain > self.best[0]:
            self.best = gain, deepcopy(module.agent.state_dict())
        self._began = time.process_time()

    def stays_within(self, gap: float) -> float:
        """Return the CPU seconds after which no evaluation is more than ``gap`` below the plan; NaN if the last is."""
        outside = [index for index, item in enumerate(self.rows) if -item["gain"] > gap]
        first = outside[-1] + 1 if outside else 0
        return float(self.rows[first]["seconds"]) if first < len(self.rows) else np.nan


def train(
    data: PricingDataModule, updates: int, every: int = 250, algorithm: SACConfig | None = None
) -> tuple[Any, Curve]:
    """Train plain SAC, or by ``algorithm``; return the module with its last weights, and its curve."""
    discount = 0.97**data.dynamics.days_per_step
    curve = Curve(PlanBenchmark(data.plan(discount), discount), every)
    return train_policy(data, updates, algorithm, NETWORK, [curve]), curve


def families(seeds: int, units: float, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield a row per family, memory, seed and policy."""
    for family in names:
        for remembers in (True, False):
            for seed in range(seeds):
                seller = SellerConfig(market=family, days=130, units=units, seed=100 + seed)  # type: ignore[arg-type]
                data = PricingDataModule(seller=seller, seed=seed)
                if not remembers:
                    data.market = forget(data.market)
                began = time.process_time()
                plan = data.plan(0.97**data.dynamics.days_per_step)
                planning = time.process_time() - began
                found = {"plan": (*earn(plan, data), planning)}
                module, curve = train(data, UPDATES)
                spent = curve.rows[-1]["seconds"]
                found["SAC from random weights, last"] = (*earn(follow(module, data), data), spent)
                module.agent.load_state_dict(curve.best[1])
                found["SAC from random weights, best"] = (*earn(follow(module, data), data), spent)
                share = data.dynamics.reward.profit_share
                for policy, (reward, profit, seconds) in found.items():
                    gap = share * (reward - found["plan"][0])
                    yield {
                        **{"family": family, "memory": remembers, "seed": seed, "policy": policy},
                        **{"over_plan": gap, "profit": profit / found["plan"][1] - 1, "seconds": seconds},
                    }


def forget(market: Any) -> Any:
    """Return the market without the buyers' memory of prices."""
    none = PriceMemory(np.zeros(market.num_draws), np.zeros(market.num_draws))
    products = tuple(replace(product, memory=none) for product in market.products)
    zero = torch.zeros_like(market.memory_gain)
    return replace(market, products=products, memory_gain=zero, memory_loss=zero)


def follow(module: Any, data: PricingDataModule) -> Choice:
    """Return the prices of a trained policy."""
    return lambda now: data.dynamics.decide(now, module.policy(now.observation)[:, 0])


def earn(choose: Choice, data: PricingDataModule) -> tuple[float, float]:
    """Return mean daily reward, discounted as in training, and mean daily profit over ``DAYS`` days in all draws."""
    dynamics = data.dynamics
    draw = torch.arange(dynamics.market.num_draws).repeat(8)
    product = torch.zeros_like(draw)
    state: State = dynamics.start(product, dynamics.history.num_days[product] - 1, draw)
    noise = torch.Generator().manual_seed(TEST_SEED)
    _, outcome = roll_out(choose, dynamics, state, DAYS, noise)
    weight: Tensor = 0.97 ** (torch.arange(outcome.reward.shape[1]) // dynamics.days_per_step * dynamics.days_per_step)
    return float((outcome.reward * weight).sum(1).mean() / weight.sum()), float(outcome.profit.mean())


def times(seeds: int) -> Iterator[dict[str, Any]]:
    """Yield a row per preset, start and seed: CPU seconds until the policy stays near the plan."""
    for preset in PRESETS:
        for seed in range(seeds):
            seller = SellerConfig(market="linear", units=60.0, seed=1)
            data = PricingDataModule(seller=seller, reward=RewardConfig(preset), seed=seed)  # type: ignore[arg-type]
            share = data.dynamics.reward.profit_share
            _, curve = train(data, UPDATES, every=50)
            row: dict[str, Any] = {"preset": preset, "seed": seed}
            for limit in (0.01, 0.002):
                row[f"{limit:.1%}"] = curve.stays_within(limit / share)
                ever = [item["seconds"] for item in curve.rows if -share * item["gain"] <= limit]
                row[f"first {limit:.1%}"] = ever[0] if ever else np.nan
            yield row


def market(seeds: int) -> Iterator[dict[str, Any]]:
    """Yield a row per seller and seed: CPU seconds with gradients until within 0.2 %, and the gap in percent."""
    for family, units, remembers, number in SELLERS:
        for seed in range(seeds):
            seller = SellerConfig(market=family, days=130, units=units, seed=300 + number)  # type: ignore[arg-type]
            data = PricingDataModule(seller=seller, seed=number + 100 * seed)
            if not remembers:
                data.market = forget(data.market)
            share = data.dynamics.reward.profit_share
            _, curve = train(data, 60, 10, SACConfig())
            gaps = {f"after {item['updates']}": 100 * share * item["gain"] for item in curve.rows}
            start = {"family": family, "units": units, "memory": remembers, "seed": seed}
            yield {**start, "seconds": curve.stays_within(0.002 / share), **gaps, "all": curve.rows[-1]["seconds"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["families", "times", "market"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--units", type=float, default=50.0, help="of the families, per day")
    parser.add_argument("--families", nargs="+", default=list(PLAIN_TRUTHS), choices=PLAIN_TRUTHS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    claim_compute(1)
    rows = []
    found = market(options.seeds) if options.table == "market" else times(options.seeds)
    if options.table == "families":
        found = families(options.seeds, options.units, options.families)
    for row in found:
        rows.append(row)
        print(row, flush=True)
    table = pd.DataFrame(rows)
    if options.table == "families":
        grouped = table.groupby(["family", "memory", "policy"], sort=False)
        lines = grouped[["over_plan", "profit"]].agg(["mean", "min", "max"]) * 100
        lines["seconds"] = grouped["seconds"].mean()
    elif options.table == "market":
        lines = table
    else:
        lines = table.groupby(["preset"], sort=False).median(numeric_only=True).drop(columns="seed")
    print(lines.round(2).to_string())


if __name__ == "__main__":
    main()
