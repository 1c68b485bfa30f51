"""Seconds from a seller's file to the advice on many products, by stage.

    python benchmarks/products.py --products 100

A seller with a year of days per product is simulated. Every stage of ``fit`` except training runs once in this process,
on ``--threads`` threads, with a policy that raises every price by half the largest step, so that its proposals are
valued, cut and refused like those of a trained one. Then ``fit`` runs as a command with ``--updates`` gradient updates;
further updates take the time that ``sac_speed.py`` measures.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from pricerl.advice.describe import advise
from pricerl.advice.files import About, render_files
from pricerl.data.config import DataConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import read_history
from pricerl.decide.decision import DecisionConfig
from pricerl.env.dynamics import Dynamics
from pricerl.evaluation.backtest import run_backtests
from pricerl.evaluation.scores import score_episodes, score_paths
from pricerl.formatting import Formatter
from pricerl.market.cost import CostConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import fit_market
from pricerl.writing import show_set, stage_set

MAIN = Path(__file__).resolve().parent.parent / "main.py"
HORIZON = 14
"""Days of advice."""


def raise_prices(observation: Tensor) -> Tensor:
    """Return the action of half the largest step up, ``(B, 1)``."""
    return observation.new_full((len(observation), 1), 0.5)


@contextmanager
def stage(name: str, products: int) -> Iterator[None]:
    """Print the seconds of one stage by the clock, and those that this process and its children computed."""
    started, computed = time.perf_counter(), cpu_seconds()
    yield
    seconds, computed = time.perf_counter() - started, cpu_seconds() - computed
    per_product = 1000 * computed / products
    print(f"{name:<26} {seconds:7.2f} s {computed:7.2f} CPU s {per_product:8.1f} CPU ms per product", flush=True)


def cpu_seconds() -> float:
    """Return the seconds computed so far by this process and by its children that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def run_stages(path: Path, products: int, out: Path) -> None:
    """Run and time every stage but the training."""
    demand, cost, decision, formatter = DemandConfig(), CostConfig(), DecisionConfig(), Formatter()
    with stage("read, clean, features", products):
        preprocessor = DataPreprocessor.fit(read_history(path, DataConfig()), DataConfig())
    with stage("fit markets", products):
        market = fit_market(preprocessor, demand, cost)
        dynamics = Dynamics(market)
    with stage("evaluate the policy once", products):
        score_episodes(raise_prices, dynamics)
        score_paths(raise_prices, dynamics)
    with stage("backtests", products):
        backtests = run_backtests(preprocessor, demand, cost)
    with stage("advise", products):
        advice = advise(raise_prices, dynamics, decision, HORIZON, backtests)
    with stage("table, document, pages", products):
        show_set(
            out,
            stage_set(out, render_files((item.to_dict() for item in advice), About(str(path), "balanced"), formatter)),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=100)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--updates", type=int, default=50, help="updates of the command; 0 to skip it")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with tempfile.TemporaryDirectory() as folder:
        path, size = Path(folder) / "sales.csv", ["--products", str(options.products), "--days", str(options.days)]
        subprocess.run([sys.executable, MAIN, "simulate", "--out", path, *size], check=True, **quiet)
        run_stages(path, options.products, Path(folder) / "stages")
        if options.updates:
            with stage(f"fit, {options.updates} updates, in all", options.products):
                fit = ["fit", "--data.path", path, "--trainer.max_steps", str(options.updates), "--out", "command"]
                subprocess.run([sys.executable, MAIN, *fit], check=True, cwd=folder, **quiet)


if __name__ == "__main__":
    main()
