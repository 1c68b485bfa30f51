"""Profit that thin products recover by borrowing the elasticity of the others.

    python benchmarks/pooling.py --full 16 --thin 12 --seeds 61 71 81

A catalogue of simulated products has elasticities around one value, or around several (`mixed`, `two kinds`). Thin
products have the last 40 of their 365 days. Each is fitted alone with all its days, alone with 40, and with 40 in the
catalogue. The advised price is the constant price of the highest posterior-mean profit within the guardrails' reach;
its loss is measured in true profit against the best such price. `outlier` is a single thin product whose elasticity
is far from the catalogue's, for each of the thin ones in turns.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.evaluation.pricing_rules import best_constant_price, candidate_prices
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import find_priors, fit_market
from pricerl.market.reward import RewardConfig
from pricerl.simulation.seller import SellerConfig, simulate
from pricerl.simulation.true_demand import ShopRanges, expected_profit

DAYS, THIN_DAYS = 365, 40
AROUND = {"-1.4": (1.3, 1.5), "-1.8": (1.7, 1.9), "-2.2": (2.0, 2.4), "-3": (2.8, 3.2), "-4": (3.6, 4.4)}
"""Ranges of minus the elasticity."""


@dataclass(frozen=True)
class SellerAround(SellerConfig):
    """Seller whose elasticity lies in a range."""

    elasticities: tuple[float, float] = (-2.6, -1.8)

    @property
    def ranges(self) -> ShopRanges:
        """Ranges from which the shop is drawn."""
        return ShopRanges(elasticities=self.elasticities)


def draw_products(around: list[str], count: int, seed: int, units: float) -> list[tuple[pd.DataFrame, dict[str, Any]]]:
    """Simulate products whose elasticities lie around the values named, in turns."""
    found = []
    for number in range(count):
        low, high = AROUND[around[number % len(around)]]
        config = SellerAround(days=DAYS, units=units, seed=1000 * seed + number, elasticities=(-high, -low))
        found.append(simulate(config))
    return found


def prepare(frames: list[pd.DataFrame]) -> DataPreprocessor:
    """Return the preprocessor of products named by their position."""
    named = pd.concat([frame.assign(Product=f"p{number:03}") for number, frame in enumerate(frames)])
    text = io.StringIO()
    named.to_csv(text, index=False)
    return DataPreprocessor.fit(history_from_text(text.getvalue(), "simulated", DataConfig()), DataConfig())


def losses(
    prepared: DataPreprocessor, truths: list[dict[str, Any]], demand: DemandConfig, rows: list[int], priors: Any
):
    """Return the share of true profit that the advised price of each product loses against the best one in reach."""
    found = []
    for row in rows:
        truth = truths[row]
        costs = CostConfig(unit_cost=truth["unit_cost"], share_kept=truth["share_kept"], fixed_cost=truth["fixed_cost"])
        market = fit_market(prepared.select([row]), demand, costs, conversions=False, priors=[priors[row]])
        dynamics = Dynamics(market, RewardConfig("profit"), GuardrailConfig(support_margin=0.10))
        price = float(best_constant_price(dynamics).price)
        reach = expected_profit(truth, candidate_prices(Product(dynamics, 0)).double().numpy())
        scale = truth["share_kept"] * truth["current_price"] * truth["parameters"]["units"]
        found.append(float((reach.max() - expected_profit(truth, price)) / scale))
    return np.array(found)


class Losses(NamedTuple):
    """Mean losses of one catalogue's thin products, in percent of revenue."""

    full: float
    alone: float
    pooled: float
    prior: str
    """Median and sd of the first thin product's prior."""

    @property
    def recovered(self) -> float:
        """Share of what the missing days cost that pooling brings back."""
        return (self.alone - self.pooled) / (self.alone - self.full)


def measure(around: list[str], thin_around: list[str], seed: int, options: argparse.Namespace) -> Losses:
    """Return the losses of one catalogue."""
    full = draw_products(around, options.full, seed, options.units)
    thin = draw_products(thin_around, options.thin, seed + 1, options.units)
    truths = [truth for _, truth in [*full, *thin]]
    rows = list(range(options.full, options.full + options.thin))
    demand = DemandConfig(num_draws=128)
    everything = prepare([frame for frame, _ in [*full, *thin]])
    short = prepare([*(frame for frame, _ in full), *(frame.tail(THIN_DAYS) for frame, _ in thin)])
    alone = [None] * len(truths)
    priors = find_priors(short.products, demand)
    if around != thin_around:  # one outlier at a time
        regular = list(range(options.full))
        for row in rows:
            priors[row] = find_priors(short.select([*regular, row]).products, demand)[-1]
    prior = priors[rows[0]]
    assert prior is not None
    known = losses(everything, truths, demand, rows, alone).mean()
    missing, pooled = (losses(short, truths, demand, rows, given).mean() for given in (alone, priors))
    median = -np.exp(prior.at(np.zeros(1))[0])
    return Losses(*(100 * float(value) for value in (known, missing, pooled)), f"{median:.2f} ({prior.sd:.2f})")


def run(name: str, around: list[str], thin_around: list[str], options: argparse.Namespace) -> None:
    """Measure one kind of catalogue with every seed and print a row of the table."""
    found = [measure(around, thin_around, seed, options) for seed in options.seeds]
    full, alone, pooled = (np.mean([item[place] for item in found]) for place in range(3))
    together = Losses(full, alone, pooled, found[0].prior).recovered
    each = [item.recovered for item in found]
    print(
        f"| {name} | {full:.2f} | {alone:.2f} | {pooled:.2f} | {together:.0%} ({min(each):.0%} to {max(each):.0%}) | "
        f"{found[0].prior} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", type=int, default=16)
    parser.add_argument("--thin", type=int, default=12)
    parser.add_argument("--units", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="*", help="rows of the table to measure")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| catalogue | loss, 365 days | 40 days alone | 40 days pooled | recovered | pooled prior (sd of log) |")
    print("|---|---|---|---|---|---|")
    catalogues = {name: ([name], [name]) for name in AROUND}
    catalogues |= {"mixed": (["-1.4", "-2.2", "-4"],) * 2, "two kinds": (["-1.8", "-3"],) * 2}
    for odd, others in (("-4", "-1.4"), ("-1.4", "-4"), ("-3", "-1.4"), ("-1.8", "-4")):
        catalogues[f"outlier: {odd} among {others}"] = ([others], [odd])
    for name, (around, thin_around) in catalogues.items():
        if not options.only or name in options.only:
            run(name, around, thin_around, options)


if __name__ == "__main__":
    main()
