"""Part of a demand estimate that is the prior's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pricerl.arrays import Share
from pricerl.data.history import ProductHistory
from pricerl.market.market import ProductMarket, elasticity_at
from pricerl.market.working_fit import WorkingFit

ENOUGH_PRECISION = 1.0
"""Precision of the elasticity from advised-price days above which a confounded history is trusted (it never earns
grade B). It is about the prior's, whose sd is 1.1."""
PRIOR_REACH = 5.0
"""Distance in sds from the prior's mean to the ends of the grid on which its variance is computed."""


class PriorPart(NamedTuple):
    """Part of an estimate that is the prior's."""

    share: Share
    """Share of the precision of the elasticity."""
    alone: bool
    """Whether the history adds almost nothing to the prior."""
    pooled: bool
    """Whether the prior follows from the seller's other products, not from comparable shops."""


def find_prior_share(fit: WorkingFit, history: ProductHistory, fitted: ProductMarket) -> float | None:
    """Return the share of the precision of the elasticity that is the prior's, 0 to 1.

    The prior is of the log of minus the elasticity; its sd counts at the estimate, or at its own median where
    demand is flatter. None where the demand model states no prior.
    """
    if (prior := fitted.prior) is None:
        return None
    grid = prior.others.mean + prior.others.sd * np.linspace(-PRIOR_REACH, PRIOR_REACH, 401)
    density = np.exp(prior.log_density(grid))
    centre = np.average(grid, weights=density)
    sd = np.sqrt(np.average(np.square(grid - centre), weights=density))
    steepness = -float(elasticity_at(fitted, history.current_price).mean())
    own = 1 / (sd * max(steepness, float(np.exp(centre)))) ** 2
    error = np.hypot(fit.slope[1], 0.0 if fitted.bias is None else fitted.bias[1])
    known = max(error**-2.0, own_precision(history, fitted))
    return float(own / (own + known))


def own_precision(history: ProductHistory, fitted: ProductMarket) -> float:
    """Return the precision of the elasticity from days at advised prices, and from tests made elsewhere."""
    own = history.own_days
    tested = sum(test.precision for test in fitted.tests)
    if not own.any():
        return tested
    log_price = np.log(history.price[own])
    units = float(history.units[own].mean())
    return tested + float(np.square(log_price - log_price.mean()).sum() * units / (1 + units / fitted.units.size))


def shows_response(history: ProductHistory, fitted: ProductMarket) -> bool:
    """Return whether days at advised prices, and tests made elsewhere, alone show how buyers react."""
    return own_precision(history, fitted) >= ENOUGH_PRECISION
