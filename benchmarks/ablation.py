"""What each setting of the networks and updates is worth in a price market: time to planner parity.

Run from the repository root::

    python benchmarks/ablation.py run
    python benchmarks/ablation.py table

Every line changes one setting of the defaults. Training runs through Lightning as in ``fit``, on one thread, in two
markets: ``closed form`` (demand ``2000 p^-2`` at a unit cost of 6, best price 12.00, absolute actions, profit alone)
and ``seller`` (the market fitted to the simulated seller of ``configs/quickstart.yaml``, with guardrails and the
default reward). ``run`` trains what ``docs/ablation.csv`` does not hold yet and appends it there.

A policy is at parity once the price it settles at earns a daily reward within 0.1 of that of the planner's best
constant price, then and at every later look: the reward counts tenths of profit, so that is 1 % of profit. ``close`` is
a tenth of it. A look is taken every 50 updates; seconds are the processor's, of training alone. ``price off`` is how
far the settled price ends from the planner's, as mean and maximum over the seeds.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from price_training import train_policy

from pricerl.data import DataConfig, DataPreprocessor, History
from pricerl.env import EnvConfig
from pricerl.evaluation import best_constant_price, score_episodes
from pricerl.evaluation.episodes import holdout_states
from pricerl.guardrails import GuardrailConfig
from pricerl.market import CostConfig, RewardConfig, known_market
from pricerl.runtime import claim_compute
from pricerl.sac import NetworkConfig, SACConfig
from pricerl.simulation import SellerConfig, simulated_history
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule

ROWS = Path(__file__).resolve().parent.parent / "docs" / "ablation.csv"
FIELDS = (
    "market",
    "setting",
    "seed",
    "parity_updates",
    "parity_seconds",
    "close_updates",
    "close_seconds",
    "price_off",
)
UPDATES = 1000
LOOK_EVERY = 50
PARITY, CLOSE = 0.1, 0.01
"""Daily reward short of the planner's."""

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
    "all of these off": {
        "layer_norm": False,
        "residual": False,
        "value_bounds": False,
        "input_normalization": False,
        "small_init": 1.0,
    },
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
"""What differs from the defaults of ``SACConfig`` and ``NetworkConfig``."""


class KnownMarketData(PricingDataModule):
    """Demand ``2000 p^-2`` at a unit cost of 6 instead of a market fitted to a history."""

    def __init__(self, seed: int) -> None:
        wide = GuardrailConfig(support_margin=0.5)
        super().__init__(
            reward=RewardConfig(preset="profit"), guardrails=wide, env=EnvConfig(action="absolute"), seed=seed
        )
        history = simulated_history(SellerConfig(seed=3, days=120), DataConfig())
        product = history.products[0]
        scaled = replace(product, price=product.price / product.price[-1] * 10.0)
        self._preprocessor = DataPreprocessor.fit(History("known", (scaled,), history.reports), DataConfig())
        self._market = known_market(self._preprocessor, lambda price: 2000.0 * price**-2.0, CostConfig(unit_cost=6.0))


def seller_data(seed: int) -> PricingDataModule:
    """The standard simulated seller, its market fitted with this seed."""
    return PricingDataModule(seller=SellerConfig(market="linear", units=60.0, seed=1), seed=seed)


MARKETS = {"closed form": KnownMarketData, "seller": seller_data}


class Looks(Callback):
    """Notes how far the policy's settled price is from the planner's, every ``LOOK_EVERY`` updates."""

    def __init__(self, data: PricingDataModule) -> None:
        self.dynamics = data.dynamics
        self.best = float(best_constant_price(self.dynamics, "reward").price[0])
        self.seconds, self.found = 0.0, []
        self._resumed: float | None = None
        self._seen = 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Look, and stop the clock meanwhile."""
        if self._resumed is None:  # warm-up belongs to no update
            self._resumed = time.process_time()
        if trainer.global_step - self._seen < LOOK_EVERY:
            return
        self._seen = trainer.global_step
        self.seconds += time.process_time() - self._resumed
        pl_module.eval()
        scores = score_episodes(pl_module.policy, self.dynamics)
        pl_module.train()
        self.found.append((trainer.global_step, self.seconds, float(scores.reward_gap.mean())))
        self._resumed = time.process_time()

    def arrival(self, gap: float) -> tuple[float, float]:
        """Updates and seconds from which on every look was within ``gap``; infinite if the last one was not."""
        at = math.inf, math.inf
        for updates, seconds, found in reversed(self.found):
            if found > gap:
                break
            at = updates, round(seconds, 2)
        return at


def train(market: str, setting: str, seed: int) -> dict[str, Any]:
    """Train once; returns a row of the table's file."""
    changes = SETTINGS[setting]
    algorithm, network = (
        config(**{name: value for name, value in changes.items() if name in config.__dataclass_fields__})
        for config in (SACConfig, NetworkConfig)
    )
    data = MARKETS[market](seed)
    looks = Looks(data)
    module = train_policy(data, UPDATES, algorithm, network, [looks])
    parity, close = looks.arrival(PARITY), looks.arrival(CLOSE)
    price = settled_price(module, looks.dynamics)
    return {
        "market": market,
        "setting": setting,
        "seed": seed,
        "parity_updates": parity[0],
        "parity_seconds": parity[1],
        "close_updates": close[0],
        "close_seconds": close[1],
        "price_off": round(price / looks.best - 1, 5),
    }


@torch.no_grad()
def settled_price(module: SACModule, dynamics: Any, days: int = 56) -> float:
    """Mean price that deterministic episodes end at."""
    state = holdout_states(dynamics)
    for _ in range(0, days, dynamics.days_per_step):
        price = dynamics.decide(state, module.policy(state.observation)[:, 0])
        state, _ = dynamics.advance(state, price, dynamics.days_per_step, None)
    return float(state.price.mean())


def read_rows() -> list[dict[str, str]]:
    """What was trained before."""
    if not ROWS.exists():
        return []
    with ROWS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def report(rows: list[dict[str, str]]) -> None:
    """Print a Markdown table for each market, one line a setting."""
    for market in MARKETS:
        print(f"\n| {market} | parity | updates | seconds | close | updates | price off |")
        print("|---|---|---|---|---|---|---|")
        for setting in SETTINGS:
            found = [row for row in rows if (row["market"], row["setting"]) == (market, setting)]
            if found:
                print(f"| {setting} | {' | '.join(cells(found))} |")


def cells(found: list[dict[str, str]]) -> list[str]:
    """Columns of a setting: how many seeds arrived, medians in which one that never did is later than all others."""
    off = [abs(float(row["price_off"])) for row in found]
    parity, seconds, close = (
        [float(row[name]) for row in found] for name in ("parity_updates", "parity_seconds", "close_updates")
    )
    return [
        f"{sum(map(math.isfinite, parity))}/{len(found)}",
        _median(parity, "g"),
        _median(seconds, ".1f"),
        f"{sum(map(math.isfinite, close))}/{len(found)}",
        _median(close, "g"),
        f"{statistics.mean(off):.1%} ({max(off):.1%})",
    ]


def _median(values: list[float], form: str) -> str:
    found = statistics.median_low(values)
    return format(found, form) if math.isfinite(found) else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train what is missing")
    running.add_argument("--seeds", type=int, default=5, help="runs of every setting in every market")
    running.add_argument("--only", nargs="+", default=list(SETTINGS), choices=SETTINGS, metavar="SETTING")
    running.add_argument("--markets", nargs="+", default=list(MARKETS), choices=MARKETS)
    commands.add_parser("table", help="print what is there")
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
    with ROWS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        if not file.tell():
            writer.writeheader()
        for number, key in enumerate(todo, 1):
            row = train(*key)
            writer.writerow(row)
            file.flush()
            print(f"{number} of {len(todo)}: {row}", flush=True)
    report(read_rows())


if __name__ == "__main__":
    main()
