"""Decode what a sale leaves: fees, unit cost and fixed cost, from the profit the seller reported."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data import ProductHistory
from pricerl.errors import UsageError

MIN_PROFIT_DAYS = 15
"""Fewer days with a reported profit than this do not identify three numbers."""

PRIOR_SHARE = (0.85, 0.10)
"""Mean and sd of the share of revenue a marketplace leaves after its fees."""

PRIOR_COST_TO_PRICE = (0.35, 0.20)
"""Mean and sd of landed unit cost over price, wide enough for most retail goods."""

PRIOR_FIXED_TO_SALES = (0.05, 0.15)
"""Mean and sd of daily fixed cost (ads, storage) over mean daily sales."""

LARGEST_MISFIT = 0.10
"""Decoded costs that miss the profit of the middle day with sales by more than this share of its sales are none: such a
column holds zeros, other days' money, or something else than profit."""

NUM_PROPOSALS = 4096
HUBER_THRESHOLD = 2.5
"""Residuals beyond this many sds are down-weighted: a profit booked on another day is not a cost."""


@dataclass(frozen=True)
class CostConfig:
    """What the seller knows about costs; a value given here wins over the decoded one."""

    unit_cost: float | None = None
    """Landed cost of one unit, in money."""

    share_kept: float | None = None
    """Share of revenue kept after fees, between 0.5 and 1."""

    fixed_cost: float | None = None
    """Ad spend and other cost a day that does not depend on units, in money."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and not np.isfinite(value):
                raise UsageError(f"cost.{item.name} must be a finite number, found {value}")
        if self.unit_cost is not None and not self.unit_cost >= 0:
            raise UsageError(f"cost.unit_cost must be 0 or more, found {self.unit_cost}")
        if self.share_kept is not None and not 0.5 <= self.share_kept <= 1:
            raise UsageError(f"cost.share_kept must lie between 0.5 and 1, found {self.share_kept}")


@dataclass(frozen=True)
class CostPosterior:
    """Draws of ``profit = share_kept * sales - unit_cost * units - fixed_cost``, each ``(K,)``."""

    share_kept: FloatArray
    unit_cost: FloatArray
    fixed_cost: FloatArray
    known: bool
    """Whether the file or the seller said enough; False means the draws are the prior alone."""
    profit_days: int
    """Days with a reported profit that entered the fit."""

    def describe(self) -> str:
        """Return one sentence about the decoded costs for people."""
        if not self.known and self.profit_days >= MIN_PROFIT_DAYS:
            return (
                "unknown: Total Profit follows from no share of sales, unit cost and fixed cost; check it, or set "
                "data.cost.unit_cost to get profit figures"
            )
        if not self.known:
            return (
                f"unknown: {self.profit_days} days with a profit, {MIN_PROFIT_DAYS} are needed; "
                "set data.cost.unit_cost to get profit figures"
            )
        parts = [
            f"{100 * self.share_kept.mean():.0f} % of sales kept (sd {100 * self.share_kept.std():.0f})",
            f"unit cost {self.unit_cost.mean():.2f} (sd {self.unit_cost.std():.2f})",
            f"fixed cost a day {self.fixed_cost.mean():.2f} (sd {self.fixed_cost.std():.2f})",
        ]
        return ", ".join(parts) + f", from {self.profit_days} days with a profit"


def decode_cost(product: ProductHistory, config: CostConfig, num_draws: int, rng: np.random.Generator) -> CostPosterior:
    """Fit ``profit = -A + k * sales - c * units`` with a Gaussian prior, k in [0.5, 1], c >= 0, A >= 0.

    Noise is estimated from the residuals and outlying days are down-weighted (Huber), then draws are
    taken from the posterior truncated to the sensible region.

    Args:
        product: one product's history; only days with ``profit_known`` enter.
        config: values the seller supplies; they replace the decoded ones.
        num_draws: K.
        rng: owner of the randomness.

    Returns:
        ``K`` draws of share kept, unit cost and fixed cost.
    """
    used = product.profit_known
    price, mean_sales = float(np.median(product.price)), float(product.sales[product.observed].mean())
    mean_sales = max(mean_sales, 1e-6 * price)
    mean = np.array([PRIOR_FIXED_TO_SALES[0] * mean_sales, PRIOR_SHARE[0], PRIOR_COST_TO_PRICE[0] * price])
    sd = np.array([PRIOR_FIXED_TO_SALES[1] * mean_sales, PRIOR_SHARE[1], PRIOR_COST_TO_PRICE[1] * price])
    prior = mean, np.diag(sd**2)
    identified = int(used.sum()) >= MIN_PROFIT_DAYS
    if identified:
        design = np.column_stack([-np.ones(used.sum()), product.sales[used], -product.units[used]])
        draws = _truncated_draws(*_linear_posterior(design, product.profit[used], *prior), num_draws, rng)
        identified = _explains(draws.mean(0), design, product.profit[used])
    if not identified:
        draws = _truncated_draws(*prior, num_draws, rng)
    fixed, share, cost = draws.T
    supplied_cost = config.unit_cost if config.unit_cost is not None else product.unit_cost
    return CostPosterior(
        share_kept=_supplied(config.share_kept, share),
        unit_cost=_supplied(supplied_cost, cost),
        fixed_cost=_supplied(config.fixed_cost, fixed),
        known=identified or supplied_cost is not None,
        profit_days=int(used.sum()),
    )


def describe_costs(product: ProductHistory, config: CostConfig) -> str:
    """Decode a product's costs and return them as one sentence."""
    return decode_cost(product, config, NUM_PROPOSALS // 8, np.random.default_rng(0)).describe()


def _linear_posterior(
    design: FloatArray, profit: FloatArray, prior_mean: FloatArray, prior_covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Gaussian posterior of the coefficients with Huber weights, ``(3,)`` and ``(3, 3)``.

    Coefficients are counted in prior sds: one price for ever makes sales and units the same column, and only the prior
    tells them apart.

    Args:
        design: ``(D, 3)``.
        profit: ``(D,)`` money.
        prior_mean: ``(3,)``.
        prior_covariance: ``(3, 3)`` diagonal.
    """
    sd = np.sqrt(np.diag(prior_covariance))
    scaled, target = design * sd, profit - design @ prior_mean
    least = max(1e-3 * float(np.abs(profit).max()), 1e-6)
    weights, noise = np.ones(len(profit)), max(float(profit.std()), least)
    for _ in range(8):
        precision = np.eye(len(sd)) + (scaled.T * weights) @ scaled / noise**2
        moved = np.linalg.solve(precision, (scaled.T * weights) @ target / noise**2)
        residual = target - scaled @ moved
        noise = max(float(np.sqrt((weights * residual**2).sum() / weights.sum())), least)
        weights = np.minimum(1.0, HUBER_THRESHOLD * noise / np.maximum(np.abs(residual), 1e-12))
    return prior_mean + sd * moved, np.asarray(np.linalg.inv(precision) * np.outer(sd, sd), dtype=np.float64)


def _explains(costs: FloatArray, design: FloatArray, profit: FloatArray) -> bool:
    """Whether costs ``(3,)`` give about the profit of the middle day with sales."""
    sold = design[:, 1] > 0
    if not sold.any():
        return True
    missed = float(np.median((design @ costs - profit)[sold]))
    return abs(missed) <= LARGEST_MISFIT * float(np.median(design[sold, 1]))


def _truncated_draws(mean: FloatArray, covariance: FloatArray, num_draws: int, rng: np.random.Generator) -> FloatArray:
    """Draws ``(K, 3)`` of (fixed, share, cost) inside the sensible region; clipped where it is hardly reached."""
    draws = rng.multivariate_normal(mean, covariance, size=NUM_PROPOSALS, method="eigh")
    inside = (draws[:, 0] >= 0) & (draws[:, 1] >= 0.5) & (draws[:, 1] <= 1) & (draws[:, 2] >= 0)
    if inside.sum() >= num_draws:
        return np.asarray(draws[inside][:num_draws])
    low, high = np.array([0, 0.5, 0]), np.array([np.inf, 1, np.inf])
    return np.clip(draws[:num_draws], low, high)


def _supplied(value: float | None, draws: FloatArray) -> FloatArray:
    return draws if value is None else np.full_like(draws, value)
