"""Priors of a product's elasticity, and the evidence that the seller's own price adds to them.

The best price of a product has a margin of one over the elasticity (Lerner 1934), so a seller who knows the buyers
reveals the elasticity by the price. Some do and some do not: the prior probability that a price was chosen well is a
setting. A history that disagrees outweighs this evidence, which never rules an elasticity out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.history import ProductHistory
from pricerl.data.price_setting import Kind, deal_windows, regular_prices
from pricerl.guardrails.round_prices import (
    JUST_BELOW,
    NO_UNIT,
    ends_below_whole,
    next_round_price,
    rounds_between,
    whole_unit,
)
from pricerl.market.cost import CostPosterior
from pricerl.market.level import Motion

USUAL_ELASTICITY = -1.8
"""Median of the prior of the elasticity to a lasting change of the price in groceries, whose files have weekly rows,
promotions or averages: -1.86 (sd 0.87) of 88 accounts of a cheese (benchmarks/panels.py, 2026), -1.48 (sd 0.83) of 54
grocery products (2026), and -0.34 in a field experiment of one chain (Bray, Sanders and Stamatopoulos 2024)."""
DAILY_ELASTICITY = -2.2
"""The same for other shops: between those and short-term responses, promotions included, whose mean is -2.62 over 1,851
estimates (Bijmolt et al. 2005)."""
USUAL_ELASTICITY_SD = 1.5
"""Sd of the regression's default prior, which corresponds to ``LOG_SD`` at ``USUAL_ELASTICITY``."""
NEWER_SHARE = 0.05
"""Largest share of its rows by which a history may be longer or shorter than the one that showed its motions."""
LOG_SD = 0.6
"""Sd of the log of minus the elasticity at ``USUAL_ELASTICITY``: half of these products lie between -1.2 and -2.7."""

INFORMED = 0.25
"""Prior probability that a seller chose the price well. One half takes 39 % of the attainable gain of plain sellers
with 60 days instead of 42, and loses as much of those at their best price (PriceBench, tuning seeds)."""
INFORMED_SD = 0.35
"""Sd of the log of minus the elasticity around the one at which a well-chosen price would be the best."""
USUAL_MEAN = float(np.log(2.2))
"""Mean of minus the log of the margin of prices that were not chosen well: of a margin of 45 %."""
USUAL_SD = 0.6
"""Sd of that log: half of these margins are between 30 and 68 %. Thinner ones follow from buyers who compare prices."""
MOST_OVERLOOKED = 0.7
"""Largest share of what follows a price's whole units that buyers overlook: it was half for passengers of a ride
service (List, Muir, Pope and Sun 2023), and a sixth to a quarter in groceries (Strulov-Shlain 2023)."""
LEFT_DIGITS = 11.0
"""Power of a uniform number that makes that share of the largest, a twelfth on average."""
CHARMED_LEFT_DIGITS = 3.0
"""The same for sellers whose prices mostly end just below whole ones: a quarter.

A sixth and a third take 52 % of the attainable gain of sellers with such buyers instead of 38, but two points from
those without, of whom 8 % instead of 5 are advised to leave the best path (130 days, 5.5 units)."""
JUMP, CHARMED_JUMP, SHUNNED_JUMP = 0.06, 0.05, 0.3
"""Prior probability that demand falls at once at a round price near the tried ones; further ones for whole prices if
most prices end just below one, or the current one does, and for the round price that it stays just below."""
ROUNDING = 1e-9
"""Largest relative error of a price."""
JUMP_REACH = 1.1
"""Factor beyond the lowest and highest tried price up to which round prices count."""
SMALLEST_MARGIN = 0.02
"""Margin over revenue after fees below which a price is not chosen for its profit."""


def usual_elasticity(step_days: int, kind: Kind = "plain") -> float:
    """Return the prior median of the elasticity by the days of a row and the way the prices were set."""
    return DAILY_ELASTICITY if step_days == 1 and kind in ("plain", "repricer") else USUAL_ELASTICITY


class LogNormal(NamedTuple):
    """Log-normal prior of minus the elasticity at the current price; mean and sd refer to the log."""

    mean: float
    sd: float

    def at(self, normal: FloatArray) -> FloatArray:
        """Return the log of minus the elasticity at standard normal numbers, of their shape."""
        return np.asarray(self.mean + self.sd * normal)

    def log_density(self, log_elasticity: FloatArray) -> FloatArray:
        """Return the log density of logs of minus the elasticity, of their shape."""
        return _normal_log_density(log_elasticity, self.mean, self.sd)


class CommonBias(NamedTuple):
    """Bias of a history by what other products show, in prior sds of the bias around its prior mean."""

    mean: float = 0.0
    sd: float = 1.0
    products: int = 0
    """Number of products that show it, by prices that pricerl set."""


class SeasonPrior(NamedTuple):
    """Prior of the coefficients of a product's yearly season, by the seller's other products."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    none: float
    """Probability that there is no season."""


class CrossPrior(NamedTuple):
    """Prior of the cross effect: the change of log units per log price of the rest of the category."""

    mean: float
    sd: float


class Tabulated(NamedTuple):
    """Prior of any shape of minus the elasticity at the current price; mean and sd refer to the log."""

    mean: float
    sd: float
    normal: FloatArray
    """``(N,)`` standard normal numbers, ascending."""
    quantiles: FloatArray
    """``(N,)`` log of minus the elasticity that is as probable to be exceeded as each of them."""
    bias: CommonBias = CommonBias()
    season: SeasonPrior | None = None
    """Yearly season of the other products, or None if too few show one."""
    power: float | None = None
    """Power as in `RoundPrices` by what other products show, or None if too few show it."""
    motions: Sequence[Motion] = ()
    """Likely motions of the product's own demand, likeliest first; empty where they are to be searched."""
    rows: int = 0
    """Rows of the history that showed them."""

    def motions_of(self, rows: int) -> Sequence[Motion]:
        """Return the likely motions of a history of the product with so many rows; none if that is another one."""
        return self.motions if abs(rows - self.rows) <= NEWER_SHARE * self.rows else ()

    def at(self, normal: FloatArray) -> FloatArray:
        """Return the log of minus the elasticity at standard normal numbers, of their shape."""
        return np.interp(normal, self.normal, self.quantiles)

    def log_density(self, log_elasticity: FloatArray) -> FloatArray:
        """Return the log density of logs of minus the elasticity, of their shape; beyond the table, its end's."""
        normal = np.interp(log_elasticity, self.quantiles, self.normal)
        slope = np.interp(log_elasticity, self.quantiles, np.gradient(self.normal, self.quantiles))
        return np.asarray(_normal_log_density(normal, 0.0, 1.0) + np.log(slope))


ElasticityPrior = LogNormal | Tabulated


def log_normal_prior(elasticity: float, sd: float) -> LogNormal:
    """Return the log-normal prior with its median at minus ``elasticity``, for the sd of a regression's prior."""
    return LogNormal(float(np.log(-elasticity)), LOG_SD * (sd / USUAL_ELASTICITY_SD * (USUAL_ELASTICITY / elasticity)))


def settings_of_prior(mean: float, sd: float) -> tuple[float, float]:
    """Return prior elasticity and sd of a regression for mean and sd of a log: the inverse of `log_normal_prior`."""
    elasticity = -float(np.exp(mean))
    return elasticity, sd / LOG_SD * USUAL_ELASTICITY_SD * elasticity / USUAL_ELASTICITY


class OwnPrice(NamedTuple):
    """Price that a seller chose, in money, as evidence."""

    price: float
    log_elasticity: float
    """Log of minus the elasticity at which it earns the most."""
    sd: float
    """Sd of that log for a price that was chosen well, including the uncertainty of the costs."""
    informed: float
    """Prior probability that it was chosen well."""


def find_own_price(product: ProductHistory, cost: CostPosterior, informed: float) -> OwnPrice | None:
    """Return the evidence of the seller's latest regular price, if costs are known and no repricer sets it."""
    chosen = product.observed & ~product.own_days
    if not cost.known or informed == 0 or not chosen.any() or product.setting.kind == "repricer":
        return None
    log_price = np.log(product.prices_in_force[chosen])
    if product.setting.promoted:
        log_price = regular_prices(log_price, deal_windows(product.step_days)[-1])
    price = float(np.exp(log_price[-1]))
    margin = 1 - (cost.unit_cost + cost.more_fees(price)) / (cost.price_kept * price)
    if np.median(margin) <= SMALLEST_MARGIN:
        return None
    best = -np.log(np.maximum(margin, SMALLEST_MARGIN))
    return OwnPrice(price, float(best.mean()), float(np.hypot(INFORMED_SD, best.std())), informed)


class RoundPrices(NamedTuple):
    """Prices at which demand may fall at once."""

    price: FloatArray
    """``(N,)`` money, ascending."""
    probability: FloatArray
    """``(N,)`` prior probability that demand falls there, and nowhere else; the sum is below 1."""
    unit: float = NO_UNIT
    """Whole unit of prices, in money; buyers may overlook what follows it."""

    power: float = LEFT_DIGITS
    """Power of a uniform number that makes the share of it that they overlook, of `MOST_OVERLOOKED`."""

    def edges(self, low: float, high: float) -> FloatArray:
        """Return all prices from ``low`` to ``high`` at which demand may fall, in money, ascending."""
        whole = np.arange(np.ceil(low / self.unit), np.floor(high / self.unit) + 1) * self.unit
        return np.unique(np.append(self.price, whole))

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Draw the round price at which each of ``count`` curves falls, in money, infinite for none."""
        reached = np.searchsorted(np.cumsum(self.probability), rng.random(count), side="right")
        return np.append(self.price, np.inf)[reached]

    def around(self, price: float) -> FloatArray:
        """Return the last one at or below a price and the first above it, as far as there are any, in money."""
        above = int(np.searchsorted(self.price, price, side="right"))
        return self.price[max(above - 1, 0) : above + 1]


NO_ROUND_PRICES = RoundPrices(np.zeros(0), np.zeros(0))


def find_round_prices(product: ProductHistory, pooled: Tabulated | None = None) -> RoundPrices:
    """Return round prices near the tried ones, and those that the seller's endings point to; none for averages."""
    price = product.price[product.observed]
    now = product.current_price
    if product.setting.kind == "averages":
        return NO_ROUND_PRICES
    reach = price.min() / JUMP_REACH, price.max() * JUMP_REACH
    found = [(JUMP, rounds_between(*reach))]
    power = LEFT_DIGITS
    if ends_below_whole(price).mean() > 0.5:
        power = CHARMED_LEFT_DIGITS
        unit = whole_unit(now)
        found.append((CHARMED_JUMP, unit * np.arange(np.ceil(reach[0] / unit), np.floor(reach[1] / unit) + 1)))
    if now >= (above := next_round_price(now)) * (1 - JUST_BELOW):
        is_round = len(rounds_between(above * (1 - ROUNDING), above * (1 + ROUNDING))) > 0
        found.append((SHUNNED_JUMP if is_round else CHARMED_JUMP, np.array([above])))
    total: dict[float, float] = {}
    for probability, prices in found:
        for item in np.round(prices, 6).tolist():
            total[item] = total.get(item, 0.0) + probability / len(prices)
    places = sorted(total)
    if pooled is not None and pooled.power is not None:
        power = pooled.power
    return RoundPrices(np.array(places), np.array([total[item] for item in places]), float(whole_unit(now)), power)


def own_price_log_ratio(
    best: FloatArray | float, log_elasticity: FloatArray, prior: ElasticityPrior, sd: float, informed: float
) -> FloatArray:
    """Return the log of the density of elasticities with the evidence of a price over that without it.

    With it, the density is a mixture of the prior and of a normal one around ``best``, the log of minus the elasticity
    at which the price would be the best, with ``sd``. The probability of the latter follows from ``informed``, below 1,
    and the margin: a price that no plausible elasticity explains was not chosen well. Shapes broadcast.
    """
    plausible = np.exp(_normal_log_density(best, prior.mean, float(np.hypot(prior.sd, sd))))
    usual = np.exp(_normal_log_density(best, USUAL_MEAN, USUAL_SD))
    probability = informed * plausible / (informed * plausible + (1 - informed) * usual)
    ratio = np.exp(_normal_log_density(log_elasticity, best, sd) - prior.log_density(log_elasticity))
    return np.asarray(np.log(1 - probability + probability * ratio))


class StatedPrior(NamedTuple):
    """Assumptions about the elasticity at the current price, before the product's own sales count."""

    others: ElasticityPrior
    """From comparable shops, or from the seller's other products."""
    own_price: OwnPrice | None = None

    @property
    def pooled(self) -> bool:
        """Whether it follows from the seller's other products."""
        return isinstance(self.others, Tabulated)

    @property
    def bias(self) -> CommonBias:
        """Bias of the history by what other products of the seller show."""
        return self.others.bias if isinstance(self.others, Tabulated) else CommonBias()

    def log_density(self, log_elasticity: FloatArray) -> FloatArray:
        """Return the log density of logs of minus the elasticity, of their shape."""
        density = self.others.log_density(log_elasticity)
        if (own := self.own_price) is None:
            return density
        return density + own_price_log_ratio(own.log_elasticity, log_elasticity, self.others, own.sd, own.informed)


def _normal_log_density(value: FloatArray | float, mean: FloatArray | float, sd: float) -> FloatArray:
    return np.asarray(-0.5 * np.square((value - mean) / sd) - np.log(sd * np.sqrt(2 * np.pi)))
