"""Fees, unit cost and fixed cost, estimated from the reported profit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar, cast

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.costs import TABLE, CostConfig
from pricerl.data.days import STEP_WORDS
from pricerl.data.history import ProductHistory
from pricerl.guardrails.price_grid import FLOAT32_SLACK

Price = TypeVar("Price", float, FloatArray)
Amount = TypeVar("Amount", bound=Any)

Measure = Literal["profit", "sales"]
"""Measure of a gain: profit, or revenue, which needs no costs."""
MIN_PROFIT_DAYS = 15
"""Minimum number of days with a reported profit for fitting three parameters."""
PRIOR_SHARE = (0.85, 0.10)
"""Prior mean and sd of the share of revenue left after a marketplace's fees."""
PRIOR_COST_TO_PRICE = (0.35, 0.20)
"""Prior mean and sd of landed unit cost over price, wide enough for most retail goods."""
PRIOR_FIXED_TO_SALES = (0.05, 0.15)
"""Prior mean and sd of daily fixed cost (ads, storage) over mean daily sales."""
MAX_MISFIT = 0.10
"""Largest median error of the profit over median sales on days with sales. Beyond it the costs count as unknown: the
column contains zeros, amounts of other days, or something other than profit."""
NUM_PROPOSALS = 4096
"""Draws from the untruncated posterior, of which those inside the truncation are used."""
HUBER_STEPS = 8
HUBER_THRESHOLD = 2.5
"""Residuals beyond this many sds are down-weighted, such as profit booked on another day."""


@dataclass(frozen=True)
class CostPosterior:
    """Draws of ``profit = share_kept * sales - unit_cost * units - fixed_cost`` per row, each ``(K,)``."""

    share_kept: FloatArray
    """Share of revenue kept after fees."""
    unit_cost: FloatArray
    fixed_cost: FloatArray
    known: bool
    """Whether the file or the seller determines the costs; otherwise the draws follow the prior."""
    profit_days: int
    """Days with a reported profit that entered the fit."""
    step_days: int = 1
    fees_known: bool = True
    """Whether the file or the seller determines the share kept."""
    fixed_known: bool = True
    """Whether the file or the seller determines the fixed cost; otherwise it is zero, and profits are before it."""
    share_paid: float = 1.0
    """Share of the posted price that buyers pay after coupons."""
    fee_steps: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    """Fees beyond the share kept, by price ``(M, 3)``; see ``CostConfig.fee_steps``."""

    @property
    def price_kept(self) -> FloatArray:
        """``(K,)`` share of the posted price left after coupons and fees."""
        return self.share_kept * self.share_paid

    @property
    def means(self) -> tuple[float, float]:
        """Mean share of the posted price kept after coupons and fees, and mean cost of a unit, in money."""
        return float(self.price_kept.mean()), float(self.unit_cost.mean())

    def more_fees(self, price: Price) -> Price:
        """Return what fees take of a unit at a price, or at each of several, beyond the share kept, in money."""
        return add_fees(self.fee_steps, self.share_paid, price)

    def mean_margin(self, price: Price) -> Price:
        """Return the profit of a unit at a price, or at each of several, at the mean costs, in money."""
        share, cost = self.means
        return share * price - cost - self.more_fees(price)

    def counted(self, measure: Measure) -> CostPosterior:
        """Return the costs that count: these or, if revenue is the measure, none."""
        if measure == "profit":
            return self
        none = np.zeros_like(self.unit_cost)
        return replace(
            self,
            share_kept=none + 1,
            unit_cost=none,
            fixed_cost=none,
            known=True,
            fees_known=True,
            fixed_known=True,
            fee_steps=self.fee_steps[:0],
        )

    def at_unit_cost(self, unit_cost: float) -> CostPosterior:
        """Return the same fees and fixed cost with a known cost of a unit, in money."""
        return replace(self, unit_cost=np.full_like(self.unit_cost, unit_cost), known=True)

    def describe(self) -> str:
        """Return one sentence on the estimated costs for the seller."""
        word = STEP_WORDS[self.step_days]
        if not self.known:
            few = f"{self.profit_days} {word}s with a profit, {MIN_PROFIT_DAYS} are needed; "
            odd = "Total Profit follows from no share of sales, unit cost and fixed cost; check it, or "
            reason = few if self.profit_days < MIN_PROFIT_DAYS else odd
            return f"unknown: {reason}fill in costs.csv (pricerl init) to get profit figures"
        fixed = "no fixed cost is known, so profits are before fixed costs"
        if self.fixed_known:
            fixed = f"fixed cost per {word} {self.fixed_cost.mean():.2f} (±{self.fixed_cost.std():.2f})"
        fees = 100 * (1 - self.share_kept.mean())
        bands = zip(self.fee_steps[:, 0], self.fee_steps[:, 1:].cumsum(0), strict=True)
        steps = (f"{fees + 100 * share:.0f} % + {fee:.2f} above {edge:.2f}, " for edge, (share, fee) in bands)
        return (
            f"fees {fees:.0f} % of the price (±{100 * self.share_kept.std():.0f}), {''.join(steps)}"
            f"unit cost {self.unit_cost.mean():.2f} (±{self.unit_cost.std():.2f}), "
            f"{fixed}, from {self.profit_days} {word}s with a profit"
        )


def add_fees(steps: Iterable[Any], share_paid: Any, price: Amount) -> Amount:
    """Return what fees take of a unit beyond the share kept, in money; steps are as in ``CostConfig.fee_steps``."""
    taken = ((price > edge) * (share * share_paid * price + unit_fee) for edge, share, unit_fee in steps)
    return cast("Amount", sum(taken, start=0.0 * price))


def decode_cost(product: ProductHistory, config: CostConfig, num_draws: int, rng: np.random.Generator) -> CostPosterior:
    """Fit share kept, unit cost and fixed cost to the reported profit, as ``K`` draws.

    The model is ``profit = -A + k * sales - c * units`` with a Gaussian prior, truncated to k in [0.5, 1], c >= 0 and
    A >= 0; outlying days are down-weighted (Huber 1964). A cost that ``config.products`` holds for a day enters it as
    known, so that a cost that changed does not bias the others. Values for all products and of the file's column
    replace the estimate only after the fit. Without such profits, a fixed cost that nobody gave is zero.
    """
    used = product.profit_known
    price = float(np.median(product.price))
    mean_sales = max(float(product.sales[product.observed].mean()), 1e-6 * price)
    scale = [mean_sales, 1.0, price]
    mean, sd = np.array([PRIOR_FIXED_TO_SALES, PRIOR_SHARE, PRIOR_COST_TO_PRICE]).T * scale
    identified = int(used.sum()) >= MIN_PROFIT_DAYS
    daily = config.daily(product)
    own = daily[:, :-1] * [product.step_days, 1, 1]
    if identified:
        sales = product.sales[used]
        given = own[used]
        design = np.column_stack([-np.ones(used.sum()), sales, -product.units[used]])
        profit = product.profit[used] - np.nansum(design * given, axis=1)
        profit = profit + np.nan_to_num(daily[used, -1]) * product.units[used]
        design = np.where(np.isnan(given), design, 0.0)
        normals = rng.standard_normal((NUM_PROPOSALS, 3))
        draws = _truncated_draws(*_linear_posterior(design, profit, mean, sd), num_draws, normals)
        missed = (design @ draws.mean(0) - profit)[sales > 0]  # money by which the costs miss the profit
        identified = not missed.size or abs(float(np.median(missed))) <= MAX_MISFIT * float(np.median(sales[sales > 0]))
    if not identified:
        draws = _truncated_draws(mean, np.diag(sd**2), num_draws, rng.standard_normal((NUM_PROPOSALS, 3)))
        draws[:, 0] = 0.0
    fixed = None if config.fixed_cost is None else config.fixed_cost * product.step_days
    general = fixed, config.share_kept, product.unit_cost if config.unit_cost is None else config.unit_cost
    supplied = [every if np.isnan(last) else last for last, every in zip(own[-1], general, strict=True)]
    fixed_cost, share_kept, unit_cost = (
        drawn if value is None else np.full_like(drawn, value) for value, drawn in zip(supplied, draws.T, strict=True)
    )
    fixed_known, fees_known, known = (identified or value is not None for value in supplied)
    return CostPosterior(
        share_kept,
        unit_cost,
        fixed_cost,
        known,
        int(used.sum()),
        product.step_days,
        fees_known,
        fixed_known,
        product.share_paid,
        config.fee_steps(product) * [1 + FLOAT32_SLACK, 1, 1],
    )


def describe_costs(product: ProductHistory, config: CostConfig) -> str:
    """Estimate a product's costs and return them as one sentence."""
    return decode_cost(product, config, NUM_PROPOSALS // 8, np.random.default_rng(0)).describe()


def _linear_posterior(
    design: FloatArray, profit: FloatArray, prior_mean: FloatArray, prior_sd: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return mean and covariance of the coefficients ``(3,)`` of a design ``(D, 3)`` for profit ``(D,)``, in money.

    Coefficients are scaled by their prior sds: under a price that never changed, only the prior separates them.
    """
    scaled = design * prior_sd
    target = profit - design @ prior_mean
    least = max(1e-3 * float(np.abs(profit).max()), 1e-6)
    weights = np.ones(len(profit))
    noise = max(float(profit.std()), least)
    for _ in range(HUBER_STEPS):
        precision = np.eye(len(prior_sd)) + (scaled.T * weights) @ scaled / noise**2
        moved = np.linalg.solve(precision, (scaled.T * weights) @ target / noise**2)
        residual = target - scaled @ moved
        noise = max(float(np.sqrt((weights * residual**2).sum() / weights.sum())), least)
        weights = np.minimum(1.0, HUBER_THRESHOLD * noise / np.maximum(np.abs(residual), 1e-12))
    return prior_mean + prior_sd * moved, np.asarray(np.linalg.inv(precision) * np.outer(prior_sd, prior_sd))


def _truncated_draws(mean: FloatArray, covariance: FloatArray, num_draws: int, normals: FloatArray) -> FloatArray:
    """Draw (fixed, share, cost) inside the truncation, ``(K, 3)``; clip draws if too few are inside."""
    variances, axes = np.linalg.eigh(covariance)
    factor = (axes * np.sqrt(np.abs(variances))).T
    low = np.array([0, TABLE.columns["share_kept"].low, 0])
    high = np.array([np.inf, 1, np.inf])
    draws = mean + normals @ factor
    inside = draws[((draws >= low) & (draws <= high)).all(1)]
    return np.asarray((inside if len(inside) >= num_draws else np.clip(draws, low, high))[:num_draws])
