"""Order exports of simulated sellers in five formats: is the current price right, and the elasticity covered?

Each export has coupons, gifts at 0.00, refunded orders and wholesale orders (``shops/platform_orders.py``). Run
``python benchmarks/order_exports.py``; ``--exports 5`` reads one of each format.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from shops.platform_orders import PLATFORMS, write_orders

from pricerl.data.config import DataConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.reader import history_from_text
from pricerl.evaluation.valuation import elasticity_at
from pricerl.market.fitting import fit_market
from pricerl.simulation.seller import SellerConfig, simulate
from pricerl.simulation.true_demand import ShopRanges, expected_units

FIRST_SEED = 28_000
"""Seed of the first export; the others follow."""


@dataclass(frozen=True)
class Seller(SellerConfig):
    """Seller with an elasticity and price habits of its own."""

    elasticity: float = -2.0
    hold_days: tuple[int, int] = (3, 14)
    """Shortest and longest time between two price changes."""
    price_range: float = 0.2
    """Log distance of the tried prices from the current one."""

    @property
    def ranges(self) -> ShopRanges:
        """Ranges from which the shop is drawn."""
        return ShopRanges(
            elasticities=(self.elasticity, self.elasticity), hold_days=self.hold_days, price_range=self.price_range
        )


SELLERS = (
    Seller("constant", 365, 20.0, elasticity=-2.0),
    Seller("linear", 365, 8.0, elasticity=-1.5, hold_days=(7, 28)),
    Seller("exponential", 250, 40.0, elasticity=-2.6, hold_days=(5, 20), price_range=0.1),
    Seller("logit", 365, 12.0, elasticity=-3.0, price_range=0.15),
    Seller("constant", 180, 30.0, elasticity=-1.3, hold_days=(10, 30), price_range=0.25),
    Seller("kinked", 300, 15.0, elasticity=-2.2, hold_days=(3, 10)),
    Seller("constant", 365, 5.0, elasticity=-3.5, hold_days=(14, 40), price_range=0.15),
    Seller("exponential", 200, 60.0, elasticity=-1.8, hold_days=(4, 9), price_range=0.12),
)


def judge(config: Seller, platform: str) -> dict[str, float]:
    """Return what one export says: whether the price is right and the elasticity is covered, and its numbers."""
    frame, truth = simulate(config)
    text = write_orders(frame, platform, np.random.default_rng([config.seed, 1]))
    data = DataConfig()
    history = history_from_text(text, f"{platform}.csv", data)
    (product,) = history.products
    (fitted,) = fit_market(DataPreprocessor.fit(history, data), conversions=False).products
    price = truth["current_price"]
    around = np.array([0.95, 1.05]) * price
    true = float(np.diff(np.log(expected_units(truth, around)))[0] / np.diff(np.log(around))[0])
    low, middle, high = np.quantile(elasticity_at(fitted, price), [0.05, 0.5, 0.95])
    return {
        "right": abs(product.current_price - price) < 0.005,
        "covers": low <= true <= high,
        "true": true,
        "low": low,
        "middle": middle,
        "high": high,
        "price": product.current_price,
        "true price": price,
        "paid": product.share_paid,
    }


def main(words: Sequence[str] | None = None) -> None:
    """Print one line per export, then the numbers of right prices and covered elasticities."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exports", type=int, default=len(SELLERS) * len(PLATFORMS), help="number of exports")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="seed of the first one")
    options = parser.parse_args(words)
    counts: Counter[tuple[str, str]] = Counter()
    for number in range(options.exports):
        seller, platform = divmod(number, len(PLATFORMS))
        name = list(PLATFORMS)[platform]
        config = Seller(**{**vars(SELLERS[seller]), "seed": options.seed + number})
        found = judge(config, name)
        counts += Counter({(name, "exports"): 1, (name, "right"): found["right"], (name, "covers"): found["covers"]})
        flaws = "" if found["right"] else "WRONG PRICE ", "" if found["covers"] else "MISSED"
        print(
            f"{name:8} {config.market:12} price {found['price']:6.2f} of {found['true price']:6.2f}  elasticity "
            f"{found['low']:6.2f} {found['middle']:6.2f} {found['high']:6.2f}, true {found['true']:6.2f}  "
            f"paid {found['paid']:.3f}  {''.join(flaws)}",
            flush=True,
        )
    for name in PLATFORMS:
        exports, right, covered = (counts[name, what] for what in ("exports", "right", "covers"))
        print(f"{name:8} current price right in {right} of {exports}, elasticity covered in {covered}")
    right, covered = (sum(counts[name, what] for name in PLATFORMS) for what in ("right", "covers"))
    print(f"all      current price right in {right} of {options.exports}, elasticity covered in {covered}")


if __name__ == "__main__":
    main()
