"""Cross effects: who of the buyers that a dearer product loses takes another product of its category.

In a logit choice a price that rises sends its lost buyers to the others in proportion to their shares, whatever its
size. So one number describes a category: the change ``gamma`` of each product's log units per log price of the rest,
weighted by sales. What a product's lost unit earns elsewhere then is an opportunity cost, which adds to its unit cost:
``sum_j D_j m_j`` with the diversion ``D_j = gamma w_j u_j / (-e u)`` and the margin ``m_j`` of product ``j``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import fsum
from typing import Any, NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.costs import CostConfig
from pricerl.data.days import RECENT_DAYS, steps_in
from pricerl.data.history import ProductHistory, categories_of, sales_weights
from pricerl.market.cost import Measure, decode_cost
from pricerl.market.demand.averaging import bias_of, fit_demand_regression, price_prior
from pricerl.market.demand.config import DemandConfig, DemandSettings
from pricerl.market.demand.covariates import CATEGORY, Terms, gather_covariates
from pricerl.market.demand.priors import WIDE_CROSS, CrossPrior

PROOF = 1.28
"""Standard errors by which a category's effect must exceed zero to count: without one, advice is as for one product."""
WIDENED = 1.2
"""Factor of the standard error of an effect, as shocks of a category are common to its products."""
MOST_DIVERTED = 0.95
"""Largest share of lost buyers who stay in the category."""
FLATTEST = 0.5
"""Smallest fall of log units per log price of which the buyers are divided among the others."""
COST_DRAWS = 64
"""Draws of the costs of a product whose mean its margin has."""


class Diversion(NamedTuple):
    """Buyers whom a higher price loses to the rest of the category, in posterior draws, ``(K,)`` each."""

    share: FloatArray
    """Part of them who take another product of it."""
    worth: FloatArray
    """Money that the rest earns by a unit which the product loses."""


class CrossEffect(NamedTuple):
    """Effect of one product's price on the rest of its category."""

    prior: CrossPrior
    """Posterior of ``gamma`` by the whole category."""
    units: float
    """Units that the others sell more per day, by log price of the product and ``gamma``."""
    margin: float
    """Mean profit of such a unit, in money."""

    def divert(self, units: FloatArray, elasticity: FloatArray, rng: np.random.Generator) -> Diversion:
        """Draw where the product's lost buyers go, by its units and elasticity, ``(K,)`` each."""
        gamma = np.maximum(rng.normal(*self.prior, len(units)), 0.0)
        lost = np.maximum(-elasticity, FLATTEST) * units
        share = np.minimum(gamma * self.units / lost, MOST_DIVERTED)
        return Diversion(share, share * self.margin)


def find_cross_effects(
    products: Sequence[ProductHistory],
    config: DemandConfig,
    cost: CostConfig,
    measure: Measure,
    spread: Callable[[Callable[..., Any], Sequence[Any]], Iterable[Any]] = map,
) -> dict[str, CrossEffect]:
    """Return the effects of products on the rest of their categories, where a category shows one, by product name."""
    categories = [
        members
        for members in categories_of(products)
        if all(product.setting.kind != "repricer" for product in members)  # their prices follow the category's demand
    ]
    settings = config.resolved(products[0].step_days)
    members = [product for category in categories for product in category]
    found = spread(partial(_find_evidence, settings=settings), members)
    evidence = {item.product: known for item, known in zip(members, found, strict=True)}
    effects: dict[str, CrossEffect] = {}
    for category in categories:
        known = [evidence[product.product] for product in category]
        posterior = _pool([item for item in known if not isinstance(item, Exception)])
        if posterior is not None:
            effects |= _stakes(category, posterior, cost, measure)
    return effects


def _find_evidence(product: ProductHistory, settings: DemandSettings) -> tuple[float, float]:
    """Return ``gamma`` by one product's units, without its prior, and its precision; 0 without evidence."""
    terms = Terms(bias=bias_of(product.setting, product.step_days), cross=WIDE_CROSS)
    everything = gather_covariates(product, terms)
    data, posterior = fit_demand_regression(everything.keep(product.observed), settings)
    columns = data.places(CATEGORY)
    if not len(columns) or not data.units.any():
        return 0.0, 0.0
    alone = posterior.without_prior(columns, price_prior(data, settings))
    (column,) = columns
    return float(alone.mode[column]), 1 / float(alone.covariance[column, column])


def _pool(evidence: Sequence[tuple[float, float]]) -> CrossPrior | None:
    """Return the posterior of ``gamma`` of a category, or None if it is not proven."""
    known = fsum(precision for _, precision in evidence) / WIDENED**2
    weighted = fsum(estimate * precision for estimate, precision in evidence) / WIDENED**2
    if weighted <= PROOF * known**0.5:
        return None
    mean, sd = WIDE_CROSS
    precision = known + 1 / sd**2
    return CrossPrior((weighted + mean / sd**2) / precision, precision**-0.5)


def _stakes(
    category: Sequence[ProductHistory], posterior: CrossPrior, cost: CostConfig, measure: Measure
) -> Mapping[str, CrossEffect]:
    weights = sales_weights(category)
    units, margins = np.array([_earn(product, cost, measure) for product in category]).T
    taken = np.outer(weights, units / (weights.sum() - weights))  # by the row's price, of the column's units
    np.fill_diagonal(taken, 0.0)
    worth = taken @ margins / taken.sum(1)
    return {
        product.product: CrossEffect(posterior, float(more.sum()), float(margin))
        for product, more, margin in zip(category, taken, worth, strict=True)
    }


def _earn(product: ProductHistory, cost: CostConfig, measure: Measure) -> tuple[float, float]:
    """Return the units of an average day of the last four weeks, above 0, and the margin of one today, in money."""
    recent = product.units[product.observed][-steps_in(RECENT_DAYS, product.step_days) :]
    found = decode_cost(product, cost, COST_DRAWS, np.random.default_rng(0)).counted(measure)
    return max(float(recent.mean()), 1e-9), float(found.mean_margin(product.current_price))
