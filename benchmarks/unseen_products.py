"""The network that ships against the plans of sellers that it never saw, as it is and after training on each.

    python benchmarks/unseen_products.py
    python benchmarks/unseen_products.py --seeds 3 --weights out/policy.safetensors
    python benchmarks/unseen_products.py --weights scratch --updates 20 60

Sellers of PriceBench's kinds are simulated with three volumes and three lengths of history; the simulator of the
network's training is another. The policy, before and after updates on the seller's own market, and the seller's plan
are rolled out for 84 days from the last day, in all posterior draws and in the same noise of sales. The gap is the
policy's reward minus the plan's, as a share of profit at the current price.

New weights ship if, over three seeds of every kind and volume, no fewer sellers are within half a percent of their
plans after 20 updates than with the weights that ship now. ``scratch`` stands for random weights.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
from lightning.pytorch import seed_everything
from price_training import fit_quietly
from runner import Option, compute_alone, read_options
from shops.sellers import ShopConfig

from pricerl.data.config import DataConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.market.reward import RewardConfig
from pricerl.planner.plan_benchmark import PlanBenchmark
from pricerl.sac.start import SHIPPED, start_from
from pricerl.simulation.seller import simulated_history
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule
from pricerl.training.simulated_markets import CLOSE

KINDS = (
    *("constant", "linear", "exponential", "logit", "kinked", "thin", "reference", "threshold", "slight_threshold"),
    *("repricer", "seasonal", "jump", "optimal"),
)
UNITS = (5.5, 50.0, 500.0)
DAYS = (90, 132, 365)


def open_seller(kind: str, units: float, number: int, seed: int) -> PricingDataModule:
    """Return the data of a simulated seller."""
    own = 9_000 + 1_000 * seed + int(units) + number
    seller = ShopConfig(kind, days=DAYS[number % len(DAYS)], units=units, seed=own)  # type: ignore[arg-type]
    data = PricingDataModule(reward=RewardConfig("profit"))
    data.preprocessor = DataPreprocessor.fit(simulated_history(seller, DataConfig()), DataConfig())
    return data


def train(data: PricingDataModule, updates: int, weights: str) -> SACModule:
    """Return the network of the weights, trained on a seller's market if there are updates."""
    seed_everything(0, verbose=False)
    data.collector = data.simulator = None
    module = SACModule(data.task, init=weights)
    if updates:
        return fit_quietly(module, data, updates)
    start_from(Path(weights), module.agent, module.network, data.layout)
    return module.eval()


def main() -> None:
    options = read_options(
        __doc__,
        updates=[0, 20],
        seeds=Option(1, "sellers of each kind and volume"),
        weights=Option(str(SHIPPED), "as export --format weights writes them"),
    )
    compute_alone()
    rows = []
    for seed, units, (number, kind) in itertools.product(range(options.seeds), UNITS, enumerate(KINDS)):
        data = open_seller(kind, units, number, seed)
        discount = SACModule(data.task).step_discount
        benchmark = PlanBenchmark(data.plan(discount), discount)
        row = []
        for updates in options.updates:
            began = time.process_time()
            module = train(data, updates, options.weights)
            seconds = time.process_time() - began
            gap = float(benchmark.compare(module.policy).advantage) * data.dynamics.reward.profit_share
            row.append((gap, seconds))
        rows.append(row)
        cells = (f"{gap:+.3%} after {seconds:.1f} s" for gap, seconds in row)
        print(f"{kind:>16} {units:5} units per day", *cells, sep="  ", flush=True)
    for updates, found in zip(options.updates, np.array(rows).transpose(1, 2, 0), strict=True):
        gaps, seconds = found
        near = (f"{np.mean(gaps >= -limit):.0%} within {limit:.1%}" for limit in (0.003, CLOSE))
        print(
            f"{updates} updates: {', '.join(near)}, median {np.median(gaps):+.3%}, worst {gaps.min():+.2%}, "
            f"{np.mean(seconds):.1f} CPU s"
        )


if __name__ == "__main__":
    main()
