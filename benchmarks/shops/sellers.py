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
from pricerl.simulation.true_demand import ShopRanges, add_best_price, draw_truth, expected_profit, expected_units
from shops.confounders import Disturbing, disturb
from shops.ranges import ranges_of, weekday_demand
from shops.records import average_share, censor, closed_weekdays, fill_orders, shown_days
from shops.shocks import draw_shocks

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

JUMPS_AT_ROUND = {"threshold": (0.15, 0.35), "slight_threshold": (0.05, 0.15)}
"""Share of the buyers who are lost at a round price, by kind."""
ROUND_PRICES = (5.0, 8.0, 10.0, 12.0, 15.0, 18.0, 20.0, 25.0, 30.0, 35.0, 40.0, 50.0, 60.0, 75.0, 80.0, 100.0)
JUST_BELOW, BELOW = 0.6, 0.75
"""Share of these sellers who stand within a tenth of the unit of money below the round price, and anywhere below it."""
DISTANCES = (0.02, 0.08)
"""Log distance of the others from the round price."""
CHARMED, CHARM = 0.5, 0.01
"""Share of these sellers whose other prices end in .99 as well."""


@dataclass(frozen=True)
class ShopConfig(SellerConfig):
    """Settings of a simulated seller of any kind."""

    clean: bool = False
    """Whether demand and records ignore what obscures the elasticity: the twin with the same prices and noise."""

    shocked: bool = False
    """Whether the level of demand has the shocks of `shops.shocks`."""

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
        if kind in JUMPS_AT_ROUND:
            _set_threshold(truth, JUMPS_AT_ROUND[kind], generator)
        truth["weekday_demand"] = weekday_demand(kind, closed_weekdays(kind, generator)).tolist()
        add_best_price(truth)
        if kind in JUMPS_AT_ROUND:
            _stay_below(truth)
        price = seller.draw_prices(truth["current_price"], self.days, self.ranges, generator)
        if kind in JUMPS_AT_ROUND and generator.random() < CHARMED:
            price[:] = np.where(price == price[-1], price, np.maximum(np.round(price), 1) - CHARM)
        weekday = np.array(truth["weekday_demand"])[weekday_of(self.dates.astype(np.int64))]
        price, swing, reach, reported = disturb(kind, price, generator)
        demand = expected_units(truth, price) * weekday
        if self.shocked:
            demand *= draw_shocks(self.days, 0, self.seed)
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


def _set_threshold(truth: dict[str, Any], shares: tuple[float, float], generator: np.random.Generator) -> None:
    """Let demand fall from a round price on, near which the seller stands; costs keep their share of the price."""
    parameters = truth["parameters"]
    round_price = float(generator.choice(ROUND_PRICES))
    place = generator.random()
    price = round_price - float(generator.choice([0.01, 0.05, 0.1]))
    if place >= JUST_BELOW:
        distance = generator.uniform(*DISTANCES) * (1 if place >= BELOW else -1)
        price = round(round_price * float(np.exp(distance)), 2)
    scale = price / truth["current_price"]
    for name in ("unit_cost", "fixed_cost", "current_price"):
        truth[name] = round(truth[name] * scale, 6)
    truth["current_price"] = price
    jump = round(-float(np.log1p(-generator.uniform(*shares))), 4)
    parameters.update(start_price=price, threshold=round_price, jump=jump)


def _stay_below(truth: dict[str, Any]) -> None:
    """Make the last cent below the round price the best price if it earns more than the one that a search found."""
    below = truth["parameters"]["threshold"] - CHARM
    earned = float(expected_profit(truth, below))
    if earned > truth["oracle_profit"]:
        truth["optimal_price"] = below
        truth["oracle_profit"] = earned


if __name__ == "__main__":
    seller.write_seller(ShopConfig(market=sys.argv[1]), Path(sys.argv[2]))  # type: ignore[arg-type]  # a str
