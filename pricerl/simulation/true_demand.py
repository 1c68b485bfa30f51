"""Known demand curves of the simulated seller, and the best price on each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import expit

from pricerl.arrays import FloatArray

LOGIT_START_SHARE = 0.3
"""Logit curve: share of visitors who buy at the starting price."""

KINK_BELOW, KINK_ABOVE = 0.75, 1.5
"""Factors on the elasticity below and above the kink: buyers respond more to a rise than to a cut."""

SEARCH_RANGE = 3.0
"""Upper end of the search for the best price, over the larger of unit cost (after fees) and starting price."""

GRID_PRICES = 1_001
"""Grid size before the search is refined: a linear curve is flat beyond its end and would mislead a local search."""


def expected_units(truth: Mapping[str, Any], price: ArrayLike) -> FloatArray:
    """Return the mean daily units at a price, averaged over weekdays.

    Args:
        truth: one product's truth, with ``family`` and ``parameters``.
        price: positive money per unit, any shape.

    Returns:
        Units of the price's shape; never negative.
    """
    parameters = truth["parameters"]
    ratio = np.asarray(price, dtype=np.float64) / parameters["start_price"]
    return np.asarray(parameters["units"] * _shape(truth["family"], parameters, ratio), dtype=np.float64)


def expected_profit(truth: Mapping[str, Any], price: ArrayLike) -> FloatArray:
    """Return the mean daily profit at a price: ``(k p - c) * units(p) - A``.

    Args:
        truth: one product's truth, with costs, family and parameters.
        price: positive money per unit, any shape.

    Returns:
        Money of the price's shape.
    """
    margin = truth["share_kept"] * np.asarray(price, dtype=np.float64) - truth["unit_cost"]
    return np.asarray(margin * expected_units(truth, price) - truth["fixed_cost"])


def find_optimal_price(truth: Mapping[str, Any]) -> float:
    """Return the price with the highest expected profit, money per unit, found numerically.

    Args:
        truth: one product's truth, with costs, family and parameters.
    """
    break_even = truth["unit_cost"] / truth["share_kept"]
    grid = np.linspace(break_even, SEARCH_RANGE * max(break_even, truth["parameters"]["start_price"]), GRID_PRICES)
    best = int(np.argmax(expected_profit(truth, grid)))
    found = minimize_scalar(
        lambda price: -float(expected_profit(truth, price)),
        bounds=(grid[max(best - 1, 0)], grid[min(best + 1, GRID_PRICES - 1)]),
        method="bounded",
        options={"xatol": 1e-9 * grid[-1]},
    )
    return float(found.x)


def local_elasticity(family: str, parameters: Mapping[str, float], ratio: float) -> float:
    """Return the elasticity (negative) at ``ratio`` times the starting price; at a kink, one between its two sides.

    Args:
        family: name of the curve.
        parameters: parameters of the curve.
        ratio: price over starting price.
    """
    elasticity = parameters["elasticity"]
    if family == "linear":
        return elasticity * ratio / (1 + elasticity * (ratio - 1))
    if family == "exponential":
        return elasticity * ratio
    if family == "logit":
        stay_away = 1 - float(_logit_share(elasticity, np.asarray(ratio)))
        return elasticity * ratio * stay_away / (1 - LOGIT_START_SHARE)
    return elasticity


def _shape(family: str, parameters: Mapping[str, float], ratio: FloatArray) -> FloatArray:
    """Return demand relative to that at the starting price."""
    elasticity = parameters["elasticity"]
    if family == "linear":
        return np.maximum(0.0, 1 + elasticity * (ratio - 1))
    if family == "exponential":
        return np.exp(elasticity * (ratio - 1))
    if family == "logit":
        return _logit_share(elasticity, ratio) / LOGIT_START_SHARE
    if family == "kinked":
        return _kinked(elasticity, parameters["kink"], ratio)
    return ratio**elasticity


def _logit_share(elasticity: float, ratio: FloatArray) -> FloatArray:
    slope = elasticity / (1 - LOGIT_START_SHARE)
    start = math.log(LOGIT_START_SHARE / (1 - LOGIT_START_SHARE))
    return np.asarray(expit(start + slope * (ratio - 1)))


def _kinked(elasticity: float, kink: float, ratio: FloatArray) -> FloatArray:
    """Return two constant elasticities joined at the kink, relative to the starting price."""

    def curve(at: FloatArray) -> FloatArray:
        side = np.where(at <= kink, KINK_BELOW, KINK_ABOVE)
        return np.asarray((at / kink) ** (elasticity * side))

    return curve(ratio) / curve(np.asarray(1.0))
