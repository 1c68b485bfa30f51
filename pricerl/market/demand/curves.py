"""Posterior draws of one product's demand curve, from any demand model."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import isotonic_regression

from pricerl.arrays import FloatArray
from pricerl.data.price_setting import Kind
from pricerl.guardrails.round_prices import NO_UNIT
from pricerl.market.demand.covariates import DealResponse
from pricerl.market.demand.priors import StatedPrior
from pricerl.market.demand.reference_price import PriceMemory
from pricerl.market.level import FUTURE_ROWS, NO_SHOCK, Shock
from pricerl.market.working_fit import WorkingFit

SeasonSource = Literal["product", "catalogue"]
"""Histories from which a yearly season is known: the product's own, or the other products' alone."""
SHAPED_RANGE = (-8.0, -0.05)
"""Elasticity bounds for averages of days at similar prices, whose noise looks like cliffs."""
SMOOTHING_SHARE = 0.04
"""Width of the Gaussian that smooths a curve's slopes, as a share of the grid."""
BANDWIDTH = 0.06
"""Sd of the kernel over log prices: a day at a 6 % higher price has weight exp(-1/2)."""
HALF_LIFE_DAYS = 180.0
"""Age in days at which a day's weight is halved."""
LOWEST_LEVEL = 1e-3
"""Smallest level, as a share of the curves' demand."""
MAX_LEVEL_SD = 2.0
"""Largest sd of the log level, a factor of seven; with almost no sales, larger ones would overflow."""


@dataclass(frozen=True)
class CurveDraws:
    """Posterior draws of expected units by price."""

    log_value: FloatArray
    """``(K, G)`` log of the expected units on the grid."""
    effective_days: FloatArray
    """``(G,)`` effective number of days at similar prices: ``(sum w)^2 / sum w^2`` (Kish), at most ``sum w``."""
    size: float
    """Negative-binomial size ``r``: variance ``= m + m^2 / r``."""


@dataclass(frozen=True, eq=False)
class DemandAhead:
    """Demand of the days after the history over the curves'."""

    path: FloatArray = field(default_factory=lambda: np.ones(FUTURE_ROWS))
    """``(FUTURE_ROWS,)`` demand of each day, but for weekday and holiday: the shock of today fades, a season comes."""
    shock: Shock = NO_SHOCK
    """Shocks of demand, whose variance the noise of a day's units includes."""
    yearly_season: float | None = None
    """Probability of a yearly season, if there is one."""
    season_of: SeasonSource | None = None
    """Whose season that is."""
    deals: DealResponse | None = None
    """Response to deals; None where the model has none."""


@dataclass(frozen=True, kw_only=True)
class DemandPosterior:
    """Posterior of one product's demand."""

    units: CurveDraws
    """Draws of an average weekday's units, at the level of the days ahead."""
    weekday: FloatArray
    """``(7,)`` demand of each weekday over the average."""
    overlooked: FloatArray | None = None
    """``(K,)`` share of what follows a price's whole units that buyers overlook; None for none."""
    whole_unit: float = NO_UNIT
    """That unit, in money."""
    past: FloatArray | None = None
    """``(D,)`` demand of each day over an average one of today at the same price: by season, level and covariates."""
    ahead: DemandAhead = field(default_factory=DemandAhead)
    memory: PriceMemory | None = None
    """Reference-price effect, or None if there is none."""
    holiday: FloatArray = field(default_factory=lambda: np.ones(3))
    """``(3,)`` demand by day type over an ordinary day's; see ``data.day_types``."""
    price_setting: Kind = "plain"
    """How the prices of the history were set, which decides what may be claimed."""
    follows: float = 0.0
    """Log rise of a repricer's price per log demand, by a proven rule; 0 for none."""
    bias: tuple[float, float] | None = None
    """Prior mean and sd of the bias of the elasticity by what moved the prices; None for no bias."""
    prior: StatedPrior | None = None
    """Prior of the elasticity; None where the model states none."""
    fit: WorkingFit | None = None
    """Likeliest regression of the history; None where the model has none."""


def shape_curves(log_value: FloatArray, weights: FloatArray, log_grid: FloatArray) -> FloatArray:
    """Make curves ``(K, G)`` decrease in price: isotonic least squares by ``weights (G,)``, smoothing, bounded slope.

    Smoothing removes steps, which a policy would exploit; slopes are clipped to ``SHAPED_RANGE``.
    """
    weights = weights + 1e-3 * weights.max() + 1e-9
    below = (np.ptp(log_value) + 1) * np.arange(len(log_value))[:, None]  # each far below the last, for a single call
    joined = isotonic_regression((log_value - below).ravel(), weights=np.tile(weights, len(below)), increasing=False)
    projected = joined.x.reshape(log_value.shape) + below
    step = log_grid[1] - log_grid[0]
    slope = np.clip(np.diff(projected, axis=1) / step, *SHAPED_RANGE)
    rebuilt = slope @ _smoothed_sums(slope.shape[1]) * step
    level = (projected - rebuilt) @ weights / weights.sum()
    return np.asarray(rebuilt + level[:, None])


@cache
def _smoothed_sums(count: int) -> FloatArray:
    """Return the matrix ``(S, S + 1)`` that smooths ``S`` slopes and sums them up from 0."""
    smooth = gaussian_filter1d(np.eye(count), SMOOTHING_SHARE * (count + 1), axis=1, mode="nearest")
    return np.pad(np.cumsum(smooth, axis=1), ((0, 0), (1, 0)))


def recency_of(age: FloatArray) -> FloatArray:
    """Return the weight ``(D,)`` of days by their age in days."""
    return np.asarray(0.5 ** (age / HALF_LIFE_DAYS))


def closeness(log_price: FloatArray, log_grid: FloatArray) -> FloatArray:
    """Return the Gaussian closeness ``(D, G)`` of each day's price to each price of the grid."""
    return np.asarray(np.exp(-0.5 * ((log_price[:, None] - log_grid[None]) / BANDWIDTH) ** 2))


def effective_days(kernel: FloatArray) -> FloatArray:
    """Return the effective number of days ``(G,)`` by their recency times closeness ``(D, G)``; see `CurveDraws`."""
    total = kernel.sum(0)
    return np.asarray(np.minimum(total**2 / np.maximum(np.square(kernel).sum(0), 1e-300), total))
