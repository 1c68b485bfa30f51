"""Profit lost by projecting each product's own price on relations, instead of choosing all prices together.

    python benchmarks/relations.py --lines 400

Simulated lines of three sizes: three sellers whose prices are scaled so that each size costs 2 to 30 % more than the
next smaller one, or, for `one_price`, all the same. Their demands do not depend on each other. Each week every product
proposes a step of at most 5 % towards its own best price, true demand known, and `resolve` projects the three
proposals. `joint` is the best triple on a grid of 1 % within 30 % of the current prices that keeps the relation. Losses
are true profit in percent of revenue at the current prices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from runner import read_options

from pricerl.guardrails.relations import AdvisedPrices, Relation, resolve
from pricerl.simulation.seller import SellerConfig, simulate
from pricerl.simulation.true_demand import expected_profit, expected_units

SIZES = ("small", "medium", "large")
STEP, REACH, WEEKS = 0.05, 0.30, (1, 13, 26)


def draw_line(seed: int, kind: str, market: str) -> tuple[np.ndarray, list[Callable[[Any], np.ndarray]], float]:
    """Return current prices ``(3,)``, true profit per day as a function of each price, and revenue per day."""
    rng = np.random.default_rng([seed, 1])
    truths = simulate(SellerConfig(market=market, days=30, products=3, seed=seed))[1]["products"]
    truths = list(truths.values()) if isinstance(truths, dict) else truths
    gaps = np.ones(3) if kind == "one_price" else np.cumprod([1.0, *(1 + rng.uniform(0.02, 0.3, 2))])
    current = np.round(20.0 * gaps, 2)
    scales = [price / truth["current_price"] for price, truth in zip(current, truths, strict=True)]

    def profit_of(truth: dict[str, Any], scale: float) -> Callable[[Any], np.ndarray]:
        return lambda price: scale * (expected_profit(truth, np.asarray(price) / scale) + truth["fixed_cost"])

    revenue = sum(
        float(price * expected_units(truth, price / scale))
        for price, truth, scale in zip(current, truths, scales, strict=True)
    )
    return current, [profit_of(*item) for item in zip(truths, scales, strict=True)], revenue


def best_together(grids: list[np.ndarray], values: list[np.ndarray], relation: Relation) -> float:
    """Return the highest profit of three prices that keep the relation."""
    if relation.kind == "one_price":
        return float(sum(values).max())
    small, medium, large = np.meshgrid(*grids, indexing="ij", sparse=True)
    total = values[0][:, None, None] + values[1][:, None] + values[2]
    return float(np.where((small <= medium + 1e-9) & (medium <= large + 1e-9), total, -np.inf).max())


def walk(current: np.ndarray, best: np.ndarray, relation: Relation, weeks: int, step: float = STEP) -> np.ndarray:
    """Return the prices ``(3,)`` after weekly steps towards each product's own best price, projected."""
    prices = current.copy()
    for _ in range(weeks):
        wanted = np.round(np.clip(best, prices * (1 - step), prices * (1 + step)), 2)
        advised = {
            name: AdvisedPrices(float(now), (float(to),)) for name, now, to in zip(SIZES, prices, wanted, strict=True)
        }
        bound = resolve([relation], advised)
        prices = np.array([bound[name].prices[0] if name in bound else advised[name].prices[0] for name in SIZES])
    return prices


def main() -> None:
    options = read_options(__doc__, lines=400, seed=500, market="constant")
    print("| relation | lines | keeping | 1 week | 13 weeks | 26 weeks | worst, 26 weeks |")
    print("|---|---|---|---|---|---|---|")
    for kind in ("size_order", "one_price"):
        relation, rows, binds = Relation(kind, SIZES), [], []
        for seed in range(options.seed, options.seed + options.lines):
            current, profits, revenue = draw_line(seed, kind, options.market)
            ratio = np.exp(np.arange(-36, 27) * 0.01)
            ratio = ratio[(ratio >= 1 - REACH) & (ratio <= 1 + REACH)]
            grids = [price * ratio for price in current]
            values = [profit(grid) for profit, grid in zip(profits, grids, strict=True)]
            best = np.array([grid[value.argmax()] for grid, value in zip(grids, values, strict=True)])
            joint = best_together(grids, values, relation)
            binds.append(bool(relation.objection(best.tolist())))
            ways = [current, *(walk(current, best, relation, weeks) for weeks in WEEKS)]
            earned = [sum(float(f(price)) for f, price in zip(profits, way, strict=True)) for way in ways]
            rows.append([(joint - value) / revenue for value in earned])
        for name, kept in (("all", np.ones(options.lines, dtype=bool)), ("bound", np.array(binds))):
            loss = 100 * np.array(rows)[kept]
            cells = " | ".join(f"{value:.2f}" for value in loss.mean(0))
            print(f"| {kind} | {name}, {len(loss)} | {cells} | {loss[:, -1].max():.2f} |", flush=True)


if __name__ == "__main__":
    main()
