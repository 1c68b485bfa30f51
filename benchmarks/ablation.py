"""Effect of each setting of networks and updates on the gap to the best constant price.

Run from the repository root::

    python benchmarks/ablation.py run
    python benchmarks/ablation.py table

Every row changes one setting of the defaults. Training runs through Lightning as in ``fit``, on one thread, in two
markets: ``closed form`` (demand ``2000 p^-2`` at a unit cost of 6, best price 12.00, absolute actions, profit alone)
and ``seller`` (the market fitted to the simulated seller of ``configs/quickstart.yaml``, with guardrails and the
default reward). ``run`` trains the combinations that ``docs/ablation.csv`` lacks and appends them to it.

The gap is the daily reward at the best constant price minus that at the settled price. The reward counts tenths of
profit, so a gap of 0.1 is 1 % of profit. ``within 1 %`` and ``within 0.1 %`` count the seeds whose gap stays within it
from some evaluation on; ``updates`` and ``seconds`` are medians up to that evaluation. Evaluations are made every 50
updates; seconds are CPU seconds of training alone. ``price error`` is the relative distance of the final settled price
from the best constant price, as mean and maximum over the seeds.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from contestant import PLAIN
from lightning.pytorch import Callback, LightningModule, Trainer
from price_training import KnownMarketData, train_policy

from pricerl.env.config import EnvConfig
from pricerl.evaluation.pricing_rules import best_constant_price
from pricerl.evaluation.scores import holdout_states, score_episodes
from pricerl.guardrails.config import GuardrailConfig
from pricerl.runtime import claim_compute
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.simulation.seller import SellerConfig
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule

ROWS = Path(__file__).resolve().parent.parent / "docs" / "ablation.csv"
FIELDS = (
    "market",
    "setting",
    "seed",
    "updates_to_1pct",
    "seconds_to_1pct",
    "updates_to_0.1pct",
    "seconds_to_0.1pct",
    "price_error",
)
UPDATES = 1000
EVALUATE_EVERY = 50
GAPS = {"1pct": 0.1, "0.1pct": 0.01}
"""Thresholds of the gap in daily reward, by their share of profit."""

SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "critic_dropout 0.01": {"critic_dropout": 0.01},
    "critic_dropout 0.1": {"critic_dropout": 0.1},
    "actor_dropout 0.05": {"actor_dropout": 0.05},
    "layer_norm off": {"layer_norm": False},
    "residual off": {"residual": False},
    "value_bounds off": {"value_bounds": False},
    "input_normalization off": {"input_normalization": False},
    "small_init off": {"small_init": 1.0},
    "all of these off": PLAIN,
    "gamma 0": {"gamma": 0.0},
    "gamma 0.9": {"gamma": 0.9},
    "gamma 0.99": {"gamma": 0.99},
    "hidden [64, 64]": {"hidden": (64, 64)},
    "hidden [128, 128]": {"hidden": (128, 128)},
    "hidden [512, 512]": {"hidden": (512, 512)},
    "batch_size 64": {"batch_size": 64},
    "batch_size 128": {"batch_size": 128},
    "batch_size 512": {"batch_size": 512},
    "tau 0.005": {"tau": 0.005},
    "tau 0.01": {"tau": 0.01},
    "tau 0.05": {"tau": 0.05},
    "alpha 0.03": {"alpha": 0.03},
    "alpha 0.3": {"alpha": 0.3},
    "alpha_lr 3e-4": {"alpha_lr": 3e-4},
    "target_entropy -1": {"target_entropy": -1.0},
    "alpha_lr 1e-3": {"alpha_lr": 1e-3},
    "learning rates 3e-4": {"actor_lr": 3e-4, "critic_lr": 3e-4},
    "final_lr_share 1": {"final_lr_share": 1.0},
}
"""Changes to the defaults of ``SACConfig`` and ``NetworkConfig``."""


def closed_form_data(seed: int) -> PricingDataModule:
    """Return the known market with absolute actions and prices far outside its history."""
    return KnownMarketData(seed, guardrails=GuardrailConfig(support_margin=0.5), env=EnvConfig(action="absolute"))


def seller_data(seed: int) -> PricingDataModule:
    """Return the quickstart's simulated seller, whose market is fitted with this seed."""
    return PricingDataModule(seller=SellerConfig(market="linear", units=60.0, seed=1), seed=seed)


MARKETS = {"closed form": closed_form_data, "seller": seller_data}


class GapCurve(Callback):
    """Gap to the best constant price, every ``EVALUATE_EVERY`` updates."""

    def __init__(self, data: PricingDataModule) -> None:
        self.dynamics = data.dynamics
        self.best = float(best_constant_price(self.dynamics).price[0])
        self.seconds, self.points = 0.0, []
        self._resumed: float | None = None
        self._evaluated_at = 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Evaluate with the clock stopped."""
        if self._resumed is None:  # the warm-up is not timed
            self._resumed = time.process_time()
        if trainer.global_step - self._evaluated_at < EVALUATE_EVERY:
            return
        self._evaluated_at = trainer.global_step
        self.seconds += time.process_time() - self._resumed
        pl_module.eval()
        scores = score_episodes(pl_module.policy, self.dynamics)
        pl_module.train()
        self.points.append((trainer.global_step, self.seconds, float(scores.reward_gap.mean())))
        self._resumed = time.process_time()

    def arrival(self, gap: float) -> tuple[float, float]:
        """Return updates and seconds after which every gap is at most ``gap``; infinite if the last one is larger."""
        at = math.inf, math.inf
        for updates, seconds, found in reversed(self.points):
            if found > gap:
                break
            at = updates, round(seconds, 2)
        return at


def train(market: str, setting: str, seed: int) -> dict[str, Any]:
    """Train once and return a row of the CSV file."""
    changes = SETTINGS[setting]
    algorithm, network = (
        config(**{name: value for name, value in changes.items() if name in config.__dataclass_fields__})
        for config in (SACConfig, NetworkConfig)
    )
    data = MARKETS[market](seed)
    curve = GapCurve(data)
    module = train_policy(data, UPDATES, algorithm, network, [curve])
    row: dict[str, Any] = {"market": market, "setting": setting, "seed": seed}
    for size, gap in GAPS.items():
        row[f"updates_to_{size}"], row[f"seconds_to_{size}"] = curve.arrival(gap)
    return row | {"price_error": round(settled_price(module, curve.dynamics) / curve.best - 1, 5)}


@torch.no_grad()
def settled_price(module: SACModule, dynamics: Any, days: int = 56) -> float:
    """Return the mean final price of deterministic episodes."""
    state = holdout_states(dynamics)
    for _ in range(0, days, dynamics.days_per_step):
        price = dynamics.decide(state, module.policy(state.observation)[:, 0])
        state, _ = dynamics.advance(state, price, dynamics.days_per_step, None)
    return float(state.price.mean())


def read_rows() -> list[dict[str, str]]:
    """Return the rows of the CSV file."""
    if not ROWS.exists():
        return []
    with ROWS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def report(rows: list[dict[str, str]]) -> None:
    """Print a Markdown table per market with one row per setting."""
    for market in MARKETS:
        print(f"\n| {market} | within 1 % | updates | seconds | within 0.1 % | updates | price error |")
        print("|---|---|---|---|---|---|---|")
        for setting in SETTINGS:
            found = [row for row in rows if (row["market"], row["setting"]) == (market, setting)]
            if found:
                print(f"| {setting} | {' | '.join(cells(found))} |")


def cells(found: list[dict[str, str]]) -> list[str]:
    """Return the cells of a setting; medians count a seed that never converges as infinite."""
    error = [abs(float(row["price_error"])) for row in found]
    updates, seconds, updates_to_less = (
        [float(row[name]) for row in found] for name in ("updates_to_1pct", "seconds_to_1pct", "updates_to_0.1pct")
    )
    return [
        f"{sum(map(math.isfinite, updates))}/{len(found)}",
        _median(updates, "g"),
        _median(seconds, ".1f"),
        f"{sum(map(math.isfinite, updates_to_less))}/{len(found)}",
        _median(updates_to_less, "g"),
        f"{statistics.mean(error):.1%} ({max(error):.1%})",
    ]


def _median(values: list[float], form: str) -> str:
    found = statistics.median_low(values)
    return format(found, form) if math.isfinite(found) else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train the missing runs")
    running.add_argument("--seeds", type=int, default=5, help="runs per setting and market")
    running.add_argument("--only", nargs="+", default=list(SETTINGS), choices=SETTINGS, metavar="SETTING")
    running.add_argument("--markets", nargs="+", default=list(MARKETS), choices=MARKETS)
    commands.add_parser("table", help="print the tables")
    options = parser.parse_args()
    if options.command == "table":
        report(read_rows())
        return
    warnings.simplefilter("ignore")
    claim_compute(1)
    done = {(row["market"], row["setting"], int(row["seed"])) for row in read_rows()}
    todo = [
        key
        for seed in range(options.seeds)
        for market in options.markets
        for setting in options.only
        if (key := (market, setting, seed)) not in done
    ]
    is_new = not ROWS.exists()
    with ROWS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        if is_new:
            writer.writeheader()
        for number, key in enumerate(todo, 1):
            row = train(*key)
            writer.writerow(row)
            file.flush()
            print(f"{number} of {len(todo)}: {row}", flush=True)
    report(read_rows())


if __name__ == "__main__":
    main()
