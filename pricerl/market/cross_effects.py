"""Cross effects: who of the buyers that a dearer product loses takes another product of its category.

In a logit choice a price that rises sends its lost buyers to the others in proportion to their units. The share of them
who stay is nearly the same for all products, and stays so where nests make all responses steeper. So it describes a
category: the change ``gamma`` of each product's log units per log price of the rest, over the fall of log units per own
log price, both pooled. What a product's lost unit earns elsewhere is an opportunity cost, which adds to its unit cost:
the share times the others' mean margin by units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.costs import CostConfig
from pricerl.data.days import RECENT_DAYS, steps_in
from pricerl.data.history import ProductHistory, categories_of
from pricerl.market.cost import Measure, decode_cost
from pricerl.market.demand.averaging import bias_of, fit_demand_regression
from pricerl.market.demand.config import DemandConfig, DemandSettings
from pricerl.market.demand.covariates import CATEGORY, Terms, gather_covariates
from pricerl.market.demand.priors import CrossPrior
from pricerl.market.demand.regression import LOOSE_SD

PROOF = 1.28
"""Standard errors by which a category's effect must exceed zero to count: without one, advice is as for one product."""
SHARE, SHARE_SD = 0.25, 0.35
"""Mean and sd of the share before any evidence: published own-brand substitution is a fifth of the own effect."""
APART = 0.1
"""Sd of the shares of a category's products around its own: 0.01 to 0.06 in a logit, 0.04 to 0.11 in a nested one, 0.4
where products replace each other in one direction only (benchmarks/categories.py, 2026)."""
IN_COMMON = 0.3
"""Correlation of two products' errors by the shocks of their category. It counts as far as the prices of their rests
have products in common, so the variance of a mean over ``N`` products is ``1 + IN_COMMON (N - 2)`` times larger."""
MOST_DIVERTED = 0.95
"""Largest share of lost buyers who stay in the category."""
FLATTEST = 0.5
"""Smallest fall of log units per log price of which the buyers are divided among the others."""
COST_DRAWS = 64
"""Draws of the costs of a product whose mean its margin has."""
Evidence = tuple[float, float, float, float]
"""``gamma`` and the fall of log units per own log price by one product's units, each with its precision."""


class Diversion(NamedTuple):
    """Buyers whom a higher price loses to the rest of the category, in posterior draws, ``(K,)`` each."""

    share: FloatArray
    """Part of them who take another product of it."""
    worth: FloatArray
    """Money that the rest earns by a unit which the product loses."""
    data: float
    """Part of the share that follows from the category's sales; the prior gives the rest."""


class CrossEffect(NamedTuple):
    """Effect of one product's price on the rest of its category."""

    share: float
    """Posterior mean of the share of lost buyers who take another product, by the whole category."""
    sd: float
    """Its posterior sd."""
    data: float
    """See `Diversion`."""
    response: float
    """Fall of log units per log price of a product of the category."""
    margin: float = 0.0
    """Mean profit of a unit of the others, in money."""

    @property
    def prior(self) -> CrossPrior:
        """Prior of ``gamma`` in the product's own regressions."""
        return CrossPrior(self.response * self.share, self.response * float(np.hypot(self.sd, APART)))

    def divert(self, count: int, seed: int, number: int) -> Diversion:
        """Draw where the lost buyers of the product of a number go, ``(count,)`` draws of the category's share."""
        whole = np.random.default_rng(seed).normal(self.share, self.sd, count)
        own = np.random.default_rng([seed, number, 1]).normal(0.0, APART, count)
        share = np.clip(whole + own, 0.0, MOST_DIVERTED)
        return Diversion(share, share * self.margin, self.data)


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
        pooled = _pool([item for item in known if not isinstance(item, Exception) and item[1]])
        if pooled is not None:
            effects |= _stakes(category, pooled, cost, measure)
    return effects


def _find_evidence(product: ProductHistory, settings: DemandSettings) -> Evidence:
    """Return the evidence of one product's units; zeros without any."""
    terms = Terms(bias=bias_of(product.setting, product.step_days), cross=CrossPrior(0.0, LOOSE_SD))
    everything = gather_covariates(product, terms)
    data, posterior = fit_demand_regression(everything.keep(product.observed), settings)
    columns = data.places(CATEGORY)
    if not len(columns) or not data.units.any():
        return 0.0, 0.0, 0.0, 0.0
    (column,) = columns
    precision = 1 / posterior.covariance.diagonal()
    return float(posterior.mode[column]), float(precision[column]), float(-posterior.mode[1]), float(precision[1])


def _pool(evidence: Sequence[Evidence]) -> CrossEffect | None:
    """Return the effect of a category by what its products show, or None if it is not proven."""
    if not evidence:
        return None
    gamma, known, fall, fall_known = np.array(evidence).T
    response = max(float(np.average(fall, weights=fall_known)), FLATTEST)
    precision = response**2 * known.sum() / (1 + IN_COMMON * max(len(gamma) - 2, 0))
    share = float(np.average(gamma, weights=known)) / response
    if share <= PROOF * precision**-0.5:
        return None
    data = float(precision / (precision + SHARE_SD**-2))
    return CrossEffect(data * share + (1 - data) * SHARE, SHARE_SD * (1 - data) ** 0.5, data, response)


def _stakes(
    category: Sequence[ProductHistory], pooled: CrossEffect, cost: CostConfig, measure: Measure
) -> Mapping[str, CrossEffect]:
    units, margins = np.array([_earn(product, cost, measure) for product in category]).T
    others = 1 - np.eye(len(category))
    worth = others @ (units * margins) / (others @ units)
    return {item.product: pooled._replace(margin=margin) for item, margin in zip(category, worth.tolist(), strict=True)}


def _earn(product: ProductHistory, cost: CostConfig, measure: Measure) -> tuple[float, float]:
    """Return the units of an average day of the last four weeks, above 0, and the margin of one today, in money."""
    recent = product.units[product.observed][-steps_in(RECENT_DAYS, product.step_days) :]
    found = decode_cost(product, cost, COST_DRAWS, np.random.default_rng(0)).counted(measure)
    return max(float(recent.mean()), 1e-9), float(found.mean_margin(product.current_price))
