"""Seconds and memory of the advice on catalogues of growing size, from histories to prices, without pages.

    python benchmarks/catalogue.py --products 50 100 200

Simulated sellers with a year of days each are read once. Then each catalogue is advised in chunks on all cores that
the process may use, as ``predict`` does: pooled prior, markets, plans, backtests of a sample of products, advice and
log entries. A process per size keeps the peak memory of one size apart from that of the others.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time

import torch
from torch import Tensor

from pricerl.data.config import DataConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.decide.decision import DecisionConfig
from pricerl.env.config import EnvConfig
from pricerl.evaluation.backtest import tested_products
from pricerl.formatting import PLAIN
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.cost import CostConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import find_pool
from pricerl.market.reward import RewardConfig
from pricerl.operations.catalogue import CHUNK, Advisor, Chunk
from pricerl.operations.processes import Workers
from pricerl.runtime import usable_cores
from pricerl.simulation.seller import SellerConfig, simulated_history


class Rise(torch.nn.Module):
    """Policy that raises every price by half the largest step."""

    def forward(self, observation: Tensor) -> Tensor:
        """Return the action, ``(B, 1)``."""
        return observation.new_full((len(observation), 1), 0.5)


def measure(products: int, days: int) -> None:
    """Advise on one catalogue and print a row of the table."""
    torch.set_num_threads(1)
    started = cpu_seconds()
    history = simulated_history(SellerConfig(days=days, products=products), DataConfig())
    prepared = DataPreprocessor.fit(history, DataConfig())
    reading = cpu_seconds() - started
    demand, workers = DemandConfig(), Workers(1, "highest", "mixture")
    settings = demand, CostConfig(), RewardConfig(), GuardrailConfig(), EnvConfig(describe=True), DecisionConfig()
    advisor = Advisor(Rise(), 0.97**3, *settings, 14, 0, PLAIN, products)
    before, clock = peak_memory(resource.RUSAGE_SELF), time.perf_counter()
    pool, tested = find_pool(prepared.products, demand, {}, workers.map), tested_products(prepared)
    rows = [range(first, min(first + CHUNK, products)) for first in range(0, products, CHUNK)]
    origin = {"seen": 0, "terms": {"relations": []}}
    chunks = [Chunk(advisor, prepared.select(row), pool, tested=tested, origin=origin) for row in rows]
    parts = workers.map(Chunk.run, chunks)
    del workers  # processes are counted when they have ended
    wall, computed = time.perf_counter() - clock, cpu_seconds() - started - reading
    assert sum(len(part.drafts) for part in parts) == products
    own, helper = peak_memory(resource.RUSAGE_SELF), peak_memory(resource.RUSAGE_CHILDREN)
    print(
        f"| {products:,} | {usable_cores()} | {1000 * reading / products:.0f} | {wall:.1f} | {computed:.1f} | "
        f"{1000 * computed / products:.0f} | {before:.0f} | {own:.0f} | {helper:.0f} |",
        flush=True,
    )


def cpu_seconds() -> float:
    """Return the seconds computed so far by this process and by its children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def peak_memory(who: int) -> float:
    """Return the peak memory of this process or of its largest child, MB."""
    return resource.getrusage(who).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, nargs="+", default=[50, 100, 200])
    parser.add_argument("--days", type=int, default=365)
    options = parser.parse_args()
    print("| products | cores | read, CPU ms each | wall s | CPU s | CPU ms each | MB read | MB peak | MB helper |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for products in options.products:
        code = f"from catalogue import measure; measure({products}, {options.days})"  # helpers import the policy, too
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": ":".join(sys.path)})


if __name__ == "__main__":
    main()
