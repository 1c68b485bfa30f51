"""Planner parity: SAC against dynamic programming in known and fitted markets, over several seeds.

Run from the repository root::

    python benchmarks/planner_parity.py --seeds 2

Each market is fitted to a simulated seller's history as ``fit`` does, or known (demand ``2000 p^-2``, unit cost 6, with
and without buyers who remember prices), under the default guardrails. SAC trains with its defaults except for smaller
networks, through Lightning on one thread. Then SAC, dynamic programming (its state is the price and the reference
price) and the best constant price, approached as fast as the guardrails allow, are rolled out for ``DAYS`` days from
held-out days in every posterior draw, with daily noise in the observed units. All three share the noise (common random
numbers). Rewards are expectations given the prices, discounted as in training.

``gap`` is the mean daily reward of dynamic programming minus that of a policy, converted to a share of profit. A pair
is at parity when SAC's gap is at most 1 %. A gap can be below 0: SAC observes the sales, which contain information on
the posterior draw; dynamic programming does not. Rows are appended to ``checkpoints/planner_parity.csv``, and pairs in
that file are not run again.
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from price_training import KnownMarketData, train_policy
from shops.sellers import ShopConfig
from torch import Tensor

from pricerl.env.dynamics import Dynamics
from pricerl.env.state import State
from pricerl.evaluation.dynamic_planner import plan_dynamically
from pricerl.evaluation.pricing_rules import best_constant_price
from pricerl.evaluation.rollout import Choice, roll_out
from pricerl.guardrails.projection import project
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.reward import RewardConfig
from pricerl.runtime import claim_compute
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.training.pricing_data import PricingDataModule

ROWS = Path(__file__).resolve().parent.parent / "checkpoints" / "planner_parity.csv"
UPDATES = 2000
NETWORK = NetworkConfig(hidden=(128, 128))
"""Smaller than the default of 256, as good here and faster."""
DAYS = 84
STARTS = 8
"""Number of held-out days on which roll-outs start, in every posterior draw."""
NOISE_SEED = 0
"""Seed of the noise in observed units, shared by SAC and the planners (common random numbers)."""
PARITY = 0.01
GAMMA = SACConfig().gamma


def fitted(family: str, units: float, preset: str) -> Callable[[int], PricingDataModule]:
    """Return a builder of markets fitted to a simulated seller's year; its seed is also that of the posterior draws."""

    def build(seed: int) -> PricingDataModule:
        seller = ShopConfig(market=family, days=365, units=units, seed=7)  # type: ignore[arg-type]
        return PricingDataModule(seller=seller, reward=RewardConfig(preset), seed=seed)  # type: ignore[arg-type]

    return build


def known(memory: PriceMemory | None) -> Callable[[int], PricingDataModule]:
    """Return a builder of markets with elasticity -2; the initial price is 10, the best constant price 12."""
    return lambda seed: KnownMarketData(seed, memory)


MARKETS = {
    "known": known(None),
    "known, memory 0.5 and 1": known(PriceMemory(np.array([0.5]), np.array([1.0]))),
    "known, memory 0.5 and 2": known(PriceMemory(np.array([0.5]), np.array([2.0]))),
    **{
        f"{family}, {units:g} per day, {preset}": fitted(family, units, preset)
        for family, units, preset in (
            ("linear", 50.0, "balanced"),
            ("logit", 5.5, "balanced"),
            ("linear", 50.0, "profit"),
            ("kinked", 50.0, "profit"),
            ("reference", 50.0, "profit"),
        )
    },
}


def run_pair(market: str, seed: int) -> dict[str, Any]:
    """Train SAC once and compare it with both planners."""
    data = MARKETS[market](seed)
    began = time.process_time()
    module = train_policy(data, UPDATES, network=NETWORK)
    seconds = time.process_time() - began
    dynamics, state = data.dynamics, starts(data.dynamics)

    def sac(now: State) -> Tensor:
        return dynamics.decide(now, module.policy(now.observation)[:, 0])

    target = best_constant_price(dynamics).price[0]

    def approach(now: State) -> Tensor:
        return project(target.expand_as(now.price), now.price, dynamics.band(now))

    planner, best = score(plan_dynamically(dynamics, GAMMA**dynamics.days_per_step), dynamics, state)
    (learned, price), (constant, _) = score(sac, dynamics, state), score(approach, dynamics, state)
    share = dynamics.reward.profit_share
    assert share is not None
    return {
        "market": market,
        "seed": seed,
        "gap": share * (planner - learned),
        "constant_gap": share * (planner - constant),
        "price": price,
        "planner_price": best,
        "constant_price": float(target),
        "seconds": round(seconds, 1),
    }


def starts(dynamics: Dynamics) -> State:
    """Return states on held-out days in every posterior draw."""
    product, index = dynamics.history.holdout_starts()
    chosen = torch.linspace(0, len(product) - 1, STARTS).long()
    draw = torch.arange(dynamics.market.num_draws)
    return dynamics.start(
        product[chosen].repeat(len(draw)), index[chosen].repeat(len(draw)), draw.repeat_interleave(STARTS)
    )


def score(choose: Choice, dynamics: Dynamics, state: State) -> tuple[float, float]:
    """Return the mean daily reward, discounted per decision, and the mean final price."""
    noise = torch.Generator(state.price.device).manual_seed(NOISE_SEED)
    price, outcome = roll_out(choose, dynamics, state, DAYS, noise)
    decision = torch.arange(outcome.reward.shape[1]) // dynamics.days_per_step
    weight = GAMMA ** (decision * dynamics.days_per_step)
    return float((outcome.reward * weight / weight.sum()).sum(1).mean()), float(price[:, -1].mean())


def report(rows: pd.DataFrame) -> None:
    """Print one line per market, and the share of pairs at parity."""
    rows = rows.assign(parity=rows["gap"] <= PARITY)
    print("| market | at parity | SAC's gap, mean (worst) | constant price's gap | SAC, dynamic, constant price |")
    print("|---|---|---|---|---|")
    for market, found in rows.groupby("market", sort=False):
        prices = ", ".join(f"{found[name].mean():.2f}" for name in ("price", "planner_price", "constant_price"))
        gaps = f"{found['gap'].mean():.2%} ({found['gap'].max():.2%}) | {found['constant_gap'].mean():.2%}"
        print(f"| {market} | {found['parity'].sum()}/{len(found)} | {gaps} | {prices} |")
    print(f"\n{rows['parity'].sum()} of {len(rows)} pairs at parity ({rows['parity'].mean():.1%})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="pairs per market")
    parser.add_argument("--markets", nargs="+", default=list(MARKETS), choices=MARKETS, metavar="MARKET")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    claim_compute(1)
    done = set()
    if ROWS.exists():
        done = set(pd.read_csv(ROWS)[["market", "seed"]].itertuples(index=False, name=None))
    todo = [(market, seed) for seed in range(options.seeds) for market in options.markets if (market, seed) not in done]
    ROWS.parent.mkdir(exist_ok=True)
    with ROWS.open("a", newline="", encoding="utf-8") as file:
        for number, pair in enumerate(todo, 1):
            row = run_pair(*pair)
            writer = csv.DictWriter(file, list(row))
            if not file.tell():
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            print(f"{number} of {len(todo)}: {row}", flush=True)
    report(pd.read_csv(ROWS))


if __name__ == "__main__":
    main()
