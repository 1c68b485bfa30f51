"""Simulated sellers with a constant elasticity that something obscures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import numpy as np
import pandas as pd
from scipy.stats import nbinom

from pricerl.arrays import DateArray, FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.days import weekday_of
from pricerl.data.history import History
from pricerl.data.reading import columns
from pricerl.data.reading.reader import history_from_text
from pricerl.simulation import seller
from pricerl.simulation.seller import SellerConfig
from pricerl.simulation.true_demand import ShopRanges, add_best_price, draw_truth, expected_profit, expected_units
from shops.confounders import Disturbing, disturb
from shops.records import average_share, censor, closed_weekdays, fill_orders, shown_days
from shops.shocks import draw_shocks

KINDS: tuple[str, ...] = get_args(Disturbing)
MARKETS = (*seller.MARKETS, *KINDS)

EARLY_WEEK = (1.18, 1.12, 1.05, 1.00, 0.92, 0.80, 0.93)
"""Demand by weekday of buyers at their desks, Monday first; the mean is 1."""
SATURDAYS = (0.80, 0.78, 0.86, 0.95, 1.13, 1.48, 1.00)
"""The same for weekend shoppers."""

STANDARD = ShopRanges()

RANGES: dict[str, ShopRanges] = {
    # Within two weeks buyers who remember prices punish a rise; only well underpriced sellers should make one.
    "reference": ShopRanges(optimum_steps=(0.1, 0.5)),
    "repricer": ShopRanges((10.0, 120.0), (-3.2, -1.6), (0.03, 0.13), (5, 21), 0.05, 6.0, EARLY_WEEK),
    "stockpiling": ShopRanges((2.0, 15.0), (-2.0, -1.3), (0.04, 0.13), (28, 70), 0.12, 15.0, SATURDAYS),
    "averages": ShopRanges((15.0, 90.0), (-3.0, -1.6), (0.03, 0.13), (10, 40), 0.15, 8.0, EARLY_WEEK),
    "closed": ShopRanges((5.0, 60.0), (-3.0, -1.5), (0.03, 0.13), (7, 21), 0.18, 8.0),
    "thin": ShopRanges(
        (20.0, 200.0), (-2.6, -1.8), hold_days=(4, 20), price_range=0.06, noise_size=12.0, fixed_cost=0.005
    ),
    "jump": ShopRanges((8.0, 60.0), (-2.8, -1.6), (0.03, 0.13), (5, 30), 0.15),
    "late_stockouts": ShopRanges((5.0, 40.0), (-3.0, -1.6), (0.03, 0.13), (4, 14), 0.2, 20.0, SATURDAYS),
    "two_competitors": ShopRanges((20.0, 150.0), (-3.5, -1.8), (0.03, 0.13), (3, 10), 0.1, 12.0, EARLY_WEEK),
}

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
LEFT_DIGITS = {"endings": (0.35, 0.65), "slight_endings": (0.1, 0.3)}
"""Share of what follows the whole units of a price that buyers overlook, by kind: half among passengers of a ride
service (List, Muir, Pope and Sun 2023), a sixth to a quarter in groceries (Strulov-Shlain 2023)."""
ROUND_PRICES = (5.0, 8.0, 10.0, 12.0, 15.0, 18.0, 20.0, 25.0, 30.0, 35.0, 40.0, 50.0, 60.0, 75.0, 80.0, 100.0)
JUST_BELOW, BELOW = 0.6, 0.75
"""Share of these sellers who stand within a tenth of the unit of money below the round price, and anywhere below it."""
DISTANCES = (0.02, 0.08)
"""Log distance of the others from the round price."""
CHARMED, CHARM = 0.5, 0.01
"""Share of these sellers whose other prices end in .99 as well."""


def ranges_of(kind: str) -> ShopRanges:
    """Return the ranges from which the shop of a kind of seller is drawn."""
    return RANGES.get(kind, STANDARD)


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
        if kind in LEFT_DIGITS:
            truth["parameters"]["left_digits"] = float(generator.uniform(*LEFT_DIGITS[kind]))
        weekday = np.array(self.ranges.weekdays) * (1 - closed_weekdays(kind, generator))
        weekday /= weekday.mean()
        truth["weekday_demand"] = weekday.tolist()
        add_best_price(truth)
        if kind in JUMPS_AT_ROUND:
            _stay_below(truth, [truth["parameters"]["threshold"]])
        if kind in LEFT_DIGITS:
            unit = 10.0 if truth["current_price"] >= 100 else 1.0
            _stay_below(truth, unit * np.arange(1, np.ceil(3 * truth["current_price"] / unit)))
        price = seller.draw_prices(truth["current_price"], self.days, self.ranges, generator)
        if kind in JUMPS_AT_ROUND and generator.random() < CHARMED:
            price[:] = np.where(price == price[-1], price, np.maximum(np.round(price), 1) - CHARM)
        weekday = weekday[weekday_of(self.dates.astype(np.int64))]
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


def join(histories: Mapping[str, History]) -> History:
    """Return one history of the products of several sellers, by their new names."""
    named = [history.renamed(name) for name, history in histories.items()]
    products = tuple(history.products[0] for history in named)
    return History("simulated sellers", products, tuple(history.reports[0] for history in named))


def read_days(config: DataConfig, dates: DateArray, price: FloatArray, units: FloatArray, **more: Any) -> History:
    """Return the history of a file with these days ``(D,)``; further columns are named as in `columns`."""
    frame = {columns.REPORT_DATE: dates.astype(str), columns.PRODUCT_PRICE: price, columns.UNITS: units}
    frame |= {columns.TOTAL_SALES: np.round(price * units, 4), **more}
    return history_from_text(pd.DataFrame(frame).to_csv(index=False), "simulated", config)


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


def _stay_below(truth: dict[str, Any], edges: Sequence[float] | FloatArray) -> None:
    """Make the last cent below one of the ``edges`` the best price if it earns more than the one a search found."""
    below = np.asarray(edges) - CHARM
    earned = expected_profit(truth, below)
    if earned.max() > truth["oracle_profit"]:
        truth["optimal_price"] = float(below[earned.argmax()])
        truth["oracle_profit"] = float(earned.max())
