"""Profit that thin products recover by borrowing the elasticity of the others.

    python benchmarks/pooling.py --full 16 --thin 12 --seeds 61 71 81

A catalogue of simulated products has elasticities around one value, or around several (`mixed`). Thin products have
the last 40 of their 365 days. Each is fitted alone with all its days, alone with 40, and with 40 in the catalogue. The
advised price is the constant price of the highest posterior-mean profit within the guardrails' reach; its loss is
measured in true profit against the best such price, in percent of revenue. `one of -4 among -1.4` is a single thin
product, each of the thin ones in turns.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from runner import compute_alone, read_options

from pricerl.arrays import FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.env.dynamics import Dynamics
from pricerl.env.product import Product
from pricerl.guardrails.config import GuardrailConfig
from pricerl.market.demand.config import DemandConfig
from pricerl.market.fitting import find_priors, fit_market
from pricerl.market.reward import RewardConfig
from pricerl.planner.constant_price import best_constant_price, candidate_prices
from pricerl.simulation.seller import SellerConfig, simulate
from pricerl.simulation.true_demand import ShopRanges, expected_profit

DAYS, THIN_DAYS = 365, 40
AROUND = {"-1.4": (1.3, 1.5), "-2.2": (2.0, 2.4), "-4": (3.6, 4.4)}
"""Ranges of minus the elasticity."""
CATALOGUES = {
    **{name: ((name,), (name,)) for name in AROUND},
    "mixed": (tuple(AROUND), tuple(AROUND)),
    "one of -4 among -1.4": (("-1.4",), ("-4",)),
    "one of -1.4 among -4": (("-4",), ("-1.4",)),
}
"""Elasticities of the full and of the thin products, in turns."""
DEMAND = DemandConfig(num_draws=128)


@dataclass(frozen=True)
class SellerAround(SellerConfig):
    """Seller whose elasticity lies in a range."""

    elasticities: tuple[float, float] = (-2.6, -1.8)

    @property
    def ranges(self) -> ShopRanges:
        """Ranges from which the shop is drawn."""
        return ShopRanges(elasticities=self.elasticities)


def draw_products(
    around: tuple[str, ...], count: int, seed: int, units: float
) -> list[tuple[pd.DataFrame, dict[str, Any]]]:
    """Simulate products whose elasticities lie around the values named, in turns."""
    found = []
    for number in range(count):
        low, high = AROUND[around[number % len(around)]]
        config = SellerAround(days=DAYS, units=units, seed=1000 * seed + number, elasticities=(-high, -low))
        found.append(simulate(config))
    return found


def prepare(frames: Sequence[pd.DataFrame]) -> DataPreprocessor:
    """Return the preprocessor of products named by their position."""
    named = pd.concat([frame.assign(Product=f"p{number:03}") for number, frame in enumerate(frames)])
    text = io.StringIO()
    named.to_csv(text, index=False)
    return DataPreprocessor.fit(history_from_text(text.getvalue(), "simulated", DataConfig()), DataConfig())


def mean_loss(prepared: DataPreprocessor, truths: Sequence[dict[str, Any]], rows: Sequence[int], priors: Any) -> float:
    """Return the mean loss of the advised prices of some products, as a share of revenue."""
    found = []
    for row in rows:
        truth = truths[row]
        costs = CostConfig(unit_cost=truth["unit_cost"], share_kept=truth["share_kept"], fixed_cost=truth["fixed_cost"])
        market = fit_market(prepared.select([row]), DEMAND, costs, conversions=False, priors=[priors[row]])
        dynamics = Dynamics(market, RewardConfig("profit"), GuardrailConfig(support_margin=0.10))
        price = float(best_constant_price(dynamics).price)
        reach = expected_profit(truth, candidate_prices(Product(dynamics, 0)).double().numpy())
        scale = truth["share_kept"] * truth["current_price"] * truth["parameters"]["units"]
        found.append(float((reach.max() - expected_profit(truth, price)) / scale))
    return float(np.mean(found))


def measure(name: str, full: int, thin: int, seed: int, units: float) -> FloatArray:
    """Return the mean losses ``(3,)`` of thin products of a catalogue: with all days, alone and pooled, in percent."""
    around, thin_around = CATALOGUES[name]
    drawn = [*draw_products(around, full, seed, units), *draw_products(thin_around, thin, seed + 1, units)]
    frames, truths = zip(*drawn, strict=True)
    rows = list(range(full, full + thin))
    short = prepare([*frames[:full], *(frame.tail(THIN_DAYS) for frame in frames[full:])])
    priors = find_priors(short.products, DEMAND)
    if around != thin_around:
        for row in rows:
            priors[row] = find_priors(short.select([*range(full), row]).products, DEMAND)[-1]
    alone = [None] * len(truths)
    cases = ((prepare(frames), alone), (short, alone), (short, priors))
    return 100 * np.array([mean_loss(prepared, truths, rows, given) for prepared, given in cases])


def main() -> None:
    options = read_options(__doc__, full=16, thin=12, units=20.0, seeds=[0])
    compute_alone()
    print("| catalogue | loss, 365 days | 40 days alone | 40 days pooled | recovered |\n|---|---|---|---|---|")
    for name in CATALOGUES:
        found = np.array([measure(name, options.full, options.thin, seed, options.units) for seed in options.seeds])
        everything, alone, pooled = found.mean(0)
        recovered = (alone - pooled) / (alone - everything)
        print(f"| {name} | {everything:.2f} | {alone:.2f} | {pooled:.2f} | {recovered:.0%} |", flush=True)


if __name__ == "__main__":
    main()
