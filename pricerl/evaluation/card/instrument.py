"""Elasticity from the price changes that a varying unit cost caused (instrumental variable)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pricerl.arrays import LIMIT_SDS, FloatArray
from pricerl.data.days import steps_in
from pricerl.data.history import ProductHistory
from pricerl.evaluation.sensitivity import WorkingFit, left_over

FEWEST_COSTS = 4
"""Fewest different unit costs for them to be an instrument of the price."""
BLOCK_DAYS = 14
"""Days within which surprises of demand may depend on each other."""


class Instrumented(NamedTuple):
    """Elasticity from the price changes that followed the unit cost, which moves the price and not the demand."""

    elasticity: float
    low: float
    """5 % limit (Anderson and Rubin 1949), which holds for a weak instrument, too; minus infinity for none."""
    high: float
    """95 % limit; infinity for none."""
    strength: float
    """F statistic of the log price on the log unit cost; from 10 on, the instrument is strong (Staiger, Stock 1997)."""
    regression: float
    """Elasticity from all price changes, given the same covariates."""


def instrument_elasticity(history: ProductHistory, fit: WorkingFit) -> Instrumented | None:
    """Estimate the elasticity with the unit cost of each day as an instrument of the price, given a regression.

    Price, cost and working response are taken given the covariates, whose priors count as further observations. None
    if the unit cost is unknown by day or hardly varied, or the price never did.
    """
    if history.costs is None:
        return None
    days = fit.days
    kept = len(history.costs) - 1 - days.age.astype(np.int64) // history.step_days
    cost = history.costs[kept]
    if not (cost > 0).all() or len(np.unique(cost)) < FEWEST_COSTS or np.ptp(days.log_price) == 0:
        return None
    root = np.sqrt(fit.weight)
    days = days.without_reference()
    precision = 1 / days.prior.sd
    rows = np.vstack([root[:, None] * days.covariates, np.diag(precision)])
    level = np.append(root, np.zeros(len(precision)))
    basis = np.linalg.svd(np.column_stack([rows, level]), full_matrices=False)[0]

    def rest(values: FloatArray, mean: FloatArray) -> FloatArray:
        return left_over(np.append(root * values, precision * mean), basis)

    none = np.zeros(len(precision))
    moved = rest(np.log(cost), none)
    price = rest(days.log_price, none)
    units = rest(fit.log_units, days.prior.mean)
    block = np.append(kept // steps_in(BLOCK_DAYS, history.step_days), len(history.costs) + np.arange(len(none)))
    _, block = np.unique(block, return_inverse=True)
    priced, sold, unmoved = (
        np.bincount(block, moved * item) for item in (price, units, price - moved * (moved @ price) / (moved @ moved))
    )
    square = priced.sum() ** 2 - LIMIT_SDS**2 * (priced @ priced)
    middle = priced.sum() * sold.sum() - LIMIT_SDS**2 * (priced @ sold)
    spread = np.sqrt(max(middle**2 - square * (sold.sum() ** 2 - LIMIT_SDS**2 * (sold @ sold)), 0.0))
    low, high = ((middle - spread) / square, (middle + spread) / square) if square > 0 else (-np.inf, np.inf)
    return Instrumented(
        elasticity=float(sold.sum() / priced.sum()),
        low=float(low),
        high=float(high),
        strength=float(priced.sum() ** 2 / (unmoved @ unmoved)),
        regression=float(price @ units / (price @ price)),
    )
