"""Simulated sellers with a constant elasticity that something obscures.

python -m shops.sellers repricer sales.csv
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import pandas as pd
from scipy.stats import nbinom

from pricerl.arrays import FloatArray
from pricerl.data.days import weekday_of
from pricerl.data.reading import columns
from pricerl.simulation import seller
from pricerl.simulation.seller import SellerConfig
from pricerl.simulation.true_demand import ShopRanges, add_best_price, draw_truth, expected_units
from shops.confounders import Disturbing, disturb
from shops.ranges import ranges_of, weekday_demand
from shops.records import average_share, censor, closed_weekdays, fill_orders, shown_days

KINDS: tuple[str, ...] = get_args(Disturbing)
MARKETS = (*seller.MARKETS, *KINDS)

THIN_MARGINS, THINNEST_TO_CUT = (0.02, 0.08), 0.05
"""Margin of a ``thin`` seller as a share of the price, and the smallest of those who should cut it."""
UNDERPRICED = 0.4
"""Share of the ``thin`` sellers who should raise the price, which gains more than a cut does."""
LARGEST_SHARE = 1 - 1e-12
"""Largest share of a distribution that has a finite number of units."""
OVERPRICED = (0.3, 0.7)
"""Log factor by which the elasticity of a ``thin`` seller who should cut the price exceeds ``price / margin``. Ellison
and Ellison (2009, Econometrica 77) measured elasticities of -20 and more in price-comparison shops."""


@dataclass(frozen=True)
class ShopConfig(SellerConfig):
    """Settings of a simulated seller of any kind."""

    clean: bool = False
    """Whether demand and records ignore what obscures the elasticity: the twin with the same prices and noise."""

    markets: ClassVar[tuple[str, ...]] = MARKETS

    @property
    def ranges(self) -> ShopRanges:
        """Ranges from which a shop of this kind is drawn."""
        return ranges_of(self.market)

    def simulate_product(self, generator: np.random.Generator) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Draw the rows and the truth of one product."""
        kind: str = self.market
        truth = draw_truth(kind, self.units, self.ranges, generator)
        if kind == "thin":
            _thin_margin(truth, generator)
        truth["weekday_demand"] = weekday_demand(kind, closed_weekdays(kind, generator)).tolist()
        add_best_price(truth)
        price = seller.draw_prices(truth["current_price"], self.days, self.ranges, generator)
        weekday = np.array(truth["weekday_demand"])[weekday_of(self.dates.astype(np.int64))]
        price, swing, reach, reported = disturb(kind, price, generator)
        demand = expected_units(truth, price) * weekday
        wanted = seller.draw_units(demand * swing, self.ranges, generator)
        units = censor(kind, wanted, self.units, generator)
        if self.clean:
            units = _with_mean(demand, wanted, demand * swing, self.ranges.noise_size, np.random.default_rng(self.seed))
            reach = np.ones(self.days)
            truth["family"] = "constant"
        sales, shown = np.round(units * price, 2), price
        if kind == "averages":
            units, sales, shown = fill_orders(np.round(price / average_share(), 2), units, generator)
            if self.clean:
                sales, shown = np.round(units * price, 2), price
        frame = seller.write_days(self, truth, price, (units, sales), reach, generator)
        frame = frame.assign(**{columns.PRODUCT_PRICE: shown, **reported})
        return frame[shown_days(kind, weekday, generator)].reset_index(drop=True), truth


def _thin_margin(truth: dict[str, Any], generator: np.random.Generator) -> None:
    """Draw the cost of a seller who should raise the price, or cost and elasticity of one who should cut it.

    A cut pays if ``|e| > k p / (k p - c)`` (Lerner 1934), which a thin margin asks of very elastic demand only.
    """
    share_kept = truth["share_kept"]
    if generator.random() < UNDERPRICED:
        margin = generator.uniform(*THIN_MARGINS)
    else:
        margin = generator.uniform(THINNEST_TO_CUT, THIN_MARGINS[1])
        truth["parameters"]["elasticity"] = round(
            -share_kept / margin * float(np.exp(generator.uniform(*OVERPRICED))), 3
        )
    truth["unit_cost"] = round(truth["current_price"] * (share_kept - margin), 6)


def _with_mean(
    mean: FloatArray, units: FloatArray, drawn_mean: FloatArray, size: float, generator: np.random.Generator
) -> FloatArray:
    """Return units ``(D,)`` around another mean, with the same luck on every day.

    Each day's ``units`` around ``drawn_mean`` become those that as large a share of the days with ``mean`` would fall
    short of. The generator draws the place within a probability that several shares have in common.
    """
    above, below = (nbinom.cdf(count, size, size / (size + drawn_mean)) for count in (units, units - 1))
    share = below + generator.random(len(units)) * (above - below)
    return np.asarray(nbinom.ppf(np.minimum(share, LARGEST_SHARE), size, size / (size + mean)))


if __name__ == "__main__":
    seller.write_seller(ShopConfig(market=sys.argv[1]), Path(sys.argv[2]))  # type: ignore[arg-type]  # a str
