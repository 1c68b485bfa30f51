"""One policy for products that it never saw, against each product's own plan.

Run from the repository root::

    python benchmarks/unseen_products.py --train 200 --unseen 100

Sellers of several demand families, volumes and costs are simulated, and markets are fitted to two catalogues of them.
One policy is trained on the first, through the gradient of its market and from random weights by default.
Policy and plans of both are then rolled out for 84 days from every product's last day, in the same noise of sales. The
gap is the policy's reward minus that of the product's own plan, converted to a share of profit.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from price_training import TimedComparison, train_policy
from shops.sellers import ShopConfig

from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.env.config import EnvConfig
from pricerl.evaluation.plan_benchmark import PlanBenchmark
from pricerl.runtime import claim_compute
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.simulation.seller import simulated_history
from pricerl.training import pricing_data
from pricerl.training.pricing_data import PricingDataModule

KINDS = ("constant", "linear", "exponential", "logit", "kinked", "thin", "reference", "threshold")
"""Demand families, thin margins, buyers who remember prices, and demand that falls at a round price."""
UNITS = (2.0, 200.0)
"""Range of mean daily units, log-uniform."""
CLOSE = 0.005
"""Largest gap to the plan of a product that the policy serves, as a share of profit."""
GAMMA = SACConfig().gamma


def simulate_catalogue(products: int, days: int, first: int) -> History:
    """Return one history of products that differ in kind, volume and seed, the seeds from ``first`` on."""
    volumes = np.exp(np.random.default_rng(first).uniform(*np.log(UNITS), products))
    histories = []
    for number, units in enumerate(volumes):
        kind = KINDS[number % len(KINDS)]
        seller = ShopConfig(kind, days=days, units=float(units), seed=first + number)  # type: ignore[arg-type]
        histories.append(simulated_history(seller, DataConfig()).renamed(f"{kind} {first + number}"))
    sold = tuple(history.products[0] for history in histories)
    return replace(histories[0], products=sold, reports=tuple(history.reports[0] for history in histories))


def open_catalogue(products: int, days: int, first: int) -> PricingDataModule:
    """Return the data of a simulated catalogue."""
    data = PricingDataModule(env=EnvConfig(describe=True))
    data.preprocessor = DataPreprocessor.fit(simulate_catalogue(products, days, first), DataConfig())
    return data


class Gaps(TimedComparison):
    """Gaps of the policy to the plans of catalogues, every ``every`` updates.

    Args:
        catalogues: data by name.
        every: updates between comparisons.
    """

    def __init__(self, catalogues: dict[str, PricingDataModule], every: int) -> None:
        super().__init__(every)
        self.benchmarks = {}
        for name, data in catalogues.items():
            discount = GAMMA**data.dynamics.days_per_step
            self.benchmarks[name] = PlanBenchmark(data.plan(discount), discount)
        self.last: dict[str, torch.Tensor] = {}

    def compare(self, module: Any, updates: int) -> None:
        """Print how many products each catalogue's policy serves."""
        cells = [f"{updates:6} updates {self.seconds:7.1f} CPU s"]
        for name, benchmark in self.benchmarks.items():
            gap = benchmark.compare(module.policy).advantage * benchmark.dynamics.reward.profit_share
            served = (gap >= -CLOSE).float().mean()
            cells.append(f"{name}: {served:4.0%} served, median {gap.median():+.2%}, worst {gap.min():+.2%}")
            self.last[name] = gap
        print(" | ".join(cells), flush=True)

    def print_kinds(self, name: str) -> None:
        """Print the last gaps of a catalogue by kind."""
        kinds = defaultdict(list)
        products = self.benchmarks[name].dynamics.market.preprocessor.names
        for product, gap in zip(products, self.last[name].tolist(), strict=True):
            kinds[product.split()[0]].append(gap)
        for kind, gaps in kinds.items():
            found = np.array(gaps)
            served = np.mean(found >= -CLOSE)
            print(
                f"{kind:>12}: {served:4.0%} of {len(found)} served, median {np.median(found):+.2%}, "
                f"worst {found.min():+.2%}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=200, help="products trained on")
    parser.add_argument("--unseen", type=int, default=100)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--updates", type=int, default=400)
    parser.add_argument("--every", type=int, default=100, help="updates between comparisons")
    parser.add_argument("--horizon", type=int, default=8, help="decisions with gradients")
    parser.add_argument("--rows", type=int, default=256, help="rows with gradients")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--rate", type=float, default=1e-3, help="initial learning rate of the actor")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    claim_compute(1)
    pricing_data.GRADIENT_ROWS = options.rows
    trained = open_catalogue(options.train, options.days, 1_000)
    gaps = Gaps({"trained": trained, "unseen": open_catalogue(options.unseen, options.days, 50_000)}, options.every)
    algorithm = SACConfig(actor_horizon=options.horizon, actor_lr=options.rate, alpha=0.01)
    network = NetworkConfig(hidden=(options.width, options.width))
    train_policy(trained, options.updates, algorithm, network, [gaps])
    gaps.print_kinds("unseen")


if __name__ == "__main__":
    main()
