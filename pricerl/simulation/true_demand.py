"""Known demand curves of the simulated seller, the best price on each, and the ranges from which they are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import expit

from pricerl.arrays import FloatArray

WEEKDAY_PATTERN = (0.90, 0.92, 0.95, 1.00, 1.08, 1.12, 1.03)
"""Demand by weekday, Monday first; the mean is 1."""

SHARES_KEPT = (0.7, 0.9)

LOGIT_START_SHARE = 0.3
"""Logit curve: share of visitors who buy at the starting price."""

KINK_BELOW = 0.75
"""Factor on the elasticity below the kink."""
KINK_ABOVE = 1.5
"""Factor on the elasticity above the kink: buyers respond more to a rise than to a cut."""

GRID_PRICES = 1_001
"""Grid size before the search is refined: a linear curve is flat beyond its end and would mislead a local search."""


@dataclass(frozen=True)
class ShopRanges:
    """Ranges from which a seller's shop is drawn, lower and upper end."""

    start_prices: tuple[float, float] = (8.0, 40.0)
    """Current price."""

    elasticities: tuple[float, float] = (-2.6, -1.8)
    """Elasticity at the starting price; below -1 over the tried prices of every family, so the best price is finite."""

    optimum_steps: tuple[float, float] = (0.06, 0.12)
    """Log distance of the best price from the starting price, up or down; it determines the unit cost."""

    hold_days: tuple[int, int] = (3, 14)
    """Shortest and longest time between two price changes."""

    price_range: float = 0.2
    """Planned prices lie within this log distance of the starting price."""

    noise_size: float = 10.0
    """Negative binomial: variance = mean + mean^2 / size."""

    weekdays: tuple[float, ...] = WEEKDAY_PATTERN
    """Demand by weekday, Monday first."""

    fixed_cost: float = 0.02
    """Daily fixed cost as a share of the mean revenue at the starting price."""


def _logit_share(elasticity: float, ratio: FloatArray | float) -> FloatArray:
    slope = elasticity / (1 - LOGIT_START_SHARE)
    start = math.log(LOGIT_START_SHARE / (1 - LOGIT_START_SHARE))
    return np.asarray(expit(start + slope * (np.asarray(ratio) - 1)))


def _kinked(elasticity: float, kink: float, ratio: FloatArray) -> FloatArray:
    """Return two constant elasticities joined at the kink, relative to demand there."""
    return np.asarray((ratio / kink) ** (elasticity * np.where(ratio <= kink, KINK_BELOW, KINK_ABOVE)))


class Curve(NamedTuple):
    """Family of demand curves in the price's ratio to the starting price, at which demand is 1."""

    demand: Callable[[float, FloatArray, float], FloatArray]
    """Demand by elasticity at the starting price, ratio and the ratio at a kink."""
    local: Callable[[float, float], float] = lambda elasticity, ratio: elasticity
    """Elasticity (negative) by elasticity at the starting price and ratio; at a kink, one between its two sides."""


CONSTANT = Curve(lambda elasticity, ratio, kink: ratio**elasticity)
"""Constant elasticity, the curve of all families but `CURVES`."""
CURVES = {
    "linear": Curve(
        lambda elasticity, ratio, kink: np.maximum(0.0, 1 + elasticity * (ratio - 1)),
        lambda elasticity, ratio: elasticity * ratio / (1 + elasticity * (ratio - 1)),
    ),
    "exponential": Curve(
        lambda elasticity, ratio, kink: np.exp(elasticity * (ratio - 1)),
        lambda elasticity, ratio: elasticity * ratio,
    ),
    "logit": Curve(
        lambda elasticity, ratio, kink: _logit_share(elasticity, ratio) / LOGIT_START_SHARE,
        lambda elasticity, ratio: (
            elasticity * ratio * (1 - float(_logit_share(elasticity, ratio))) / (1 - LOGIT_START_SHARE)
        ),
    ),
    "kinked": Curve(
        lambda elasticity, ratio, kink: _kinked(elasticity, kink, ratio) / _kinked(elasticity, kink, np.asarray(1.0))
    ),
}
"""Curves by family of market, 1 at the starting price."""


def draw_truth(market: str, units: float, ranges: ShopRanges, generator: np.random.Generator) -> dict[str, Any]:
    """Draw a product's truth but for its best price; the cost ``c = k p (1 + 1/e)`` makes the drawn ratio the best."""
    start_price = round(generator.uniform(*ranges.start_prices), 2)
    elasticity = round(generator.uniform(*ranges.elasticities), 3)
    step = generator.uniform(*ranges.optimum_steps) * generator.choice([-1, 1])
    ratio = 1.0 if market == "optimal" else round(float(np.exp(step)), 3)
    share_kept = round(generator.uniform(*SHARES_KEPT), 3)
    parameters = {"elasticity": elasticity, "start_price": start_price, "units": float(units)}
    if market == "kinked":
        parameters["kink"] = ratio
    cost = share_kept * ratio * (1 + 1 / CURVES.get(market, CONSTANT).local(elasticity, ratio))
    weekdays = np.array(ranges.weekdays)
    return {
        "family": market,
        "parameters": parameters,
        "unit_cost": round(start_price * cost, 6),
        "share_kept": share_kept,
        "fixed_cost": round(ranges.fixed_cost * start_price * units, 2),
        "weekday_demand": (weekdays / weekdays.mean()).tolist(),
        "current_price": start_price,
    }


def add_best_price(truth: dict[str, Any]) -> None:
    """Add the best price to a truth, with its profit and the current price's."""
    truth["optimal_price"] = find_optimal_price(truth)
    truth["oracle_profit"] = float(expected_profit(truth, truth["optimal_price"]))
    truth["current_profit"] = float(expected_profit(truth, truth["current_price"]))


def perceived_price(price: FloatArray, share: float) -> FloatArray:
    """Return prices, in money, as buyers see them who overlook a ``share`` of what follows the whole units.

    Whole units are 10 cents below 1.00, 1.00 below 100 and 10.00 below 1,000 (Strulov-Shlain 2023, "More than a
    Penny's Worth", equation 1; there units are of 1.00).
    """
    unit = np.where(price < 1, 0.1, np.where(price < 100, 1.0, 10.0))
    whole = np.floor(price / unit + 1e-9) * unit
    return np.asarray(price - share * np.maximum(price - whole, 0.0))


def expected_units(truth: Mapping[str, Any], price: ArrayLike) -> FloatArray:
    """Return the mean daily units of a product at prices of any shape, averaged over weekdays; never negative."""
    parameters = truth["parameters"]
    start_price = parameters["start_price"]
    money = np.asarray(price, dtype=np.float64)
    if "left_digits" in parameters:
        money = perceived_price(money, parameters["left_digits"]) * (
            start_price / float(perceived_price(np.asarray(start_price), parameters["left_digits"]))
        )
    ratio = money / start_price
    curve = CURVES.get(truth["family"], CONSTANT).demand(parameters["elasticity"], ratio, parameters.get("kink", 1.0))
    if "jump" in parameters:
        threshold = parameters["threshold"] / start_price
        curve = curve * np.exp(parameters["jump"] * (float(threshold <= 1) - (ratio >= threshold)))
    return np.asarray(parameters["units"] * curve, dtype=np.float64)


def expected_profit(truth: Mapping[str, Any], price: ArrayLike) -> FloatArray:
    """Return the mean daily profit of a product in money at prices of any shape: ``(k p - c) * units(p) - A``."""
    margin = truth["share_kept"] * np.asarray(price, dtype=np.float64) - truth["unit_cost"]
    return np.asarray(margin * expected_units(truth, price) - truth["fixed_cost"])


def find_optimal_price(truth: Mapping[str, Any]) -> float:
    """Return the price with the highest expected profit, found numerically."""
    break_even = truth["unit_cost"] / truth["share_kept"]
    highest = 3.0 * max(break_even, truth["parameters"]["start_price"])
    grid = np.linspace(break_even, highest, GRID_PRICES)
    best = int(np.argmax(expected_profit(truth, grid)))
    found = minimize_scalar(
        lambda price: -float(expected_profit(truth, price)),
        bounds=(grid[max(best - 1, 0)], grid[min(best + 1, GRID_PRICES - 1)]),
        method="bounded",
        options={"xatol": 1e-9 * grid[-1]},
    )
    return float(found.x)
