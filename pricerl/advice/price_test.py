"""Plan of a price test: weeks at another price, far enough from the current one to show whether a change pays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtri

from pricerl.arrays import FloatArray, Interval, interval_of
from pricerl.env import Dynamics
from pricerl.evaluation.valuation import expect_paths, path_values
from pricerl.guardrails.price_grid import from_steps, in_steps
from pricerl.guardrails.today import DIGITS

POWER = 0.80
"""Probability with which a test should make the decision clear."""

LENGTHS = (14, 28, 42, 56)
"""Days of a test, half of them at each price: demand would change during a longer one."""

DISTANCES = (-0.20, -0.10, 0.10, 0.20)
"""Distances of the tested prices from the current one, as shares. The largest is that of an order without --force."""

NEAREST = 0.02
"""Nearer prices hardly differ in units."""

MOST_DRAWS = 128
"""Posterior draws that stand for the truth; more would change the probability by less than 0.02."""

NOISE = np.asarray(ndtri(np.array([0.1, 0.3, 0.5, 0.7, 0.9])))
"""Equally probable errors of measurement, in standard errors."""


@dataclass(frozen=True)
class PriceTest:
    """Weeks at another price in turn with weeks at the current one, which show how demand reacts."""

    price: float
    """Money."""
    days: int
    """Days of the whole test, half of them at each price."""
    decides: float
    """Probability that the decision on the proposed change is clear after the test: for or against it."""
    cost: float
    """Largest cost of the whole test, money: it costs more in one of 20 plausible scenarios."""
    uplift: Interval
    """Measure per day over the forecast horizon minus that of keeping the price, money."""


@torch.no_grad()
def plan_price_test(
    dynamics: Dynamics, product: int, gain: FloatArray, needed: float, horizon: int
) -> PriceTest | None:
    """Return the shortest test that makes a decision clear with probability ``POWER``, then the cheapest.

    If there is none, the test with the highest probability. Its prices are inside the hard limits and those tried.

    Args:
        dynamics: market with its guardrails.
        product: product index.
        gain: ``(K,)`` gain of the change in question in every posterior draw.
        needed: share of the draws in which a change must gain; the decision is clear above it or below its complement.
        horizon: rows over which the test is valued.

    Returns:
        None if no price is far enough from the current one.
    """
    now = dynamics.market.preprocessor.products[product].current_price
    prices = _testable_prices(dynamics, product, now)
    if not prices:
        return None
    paths = torch.tensor([[now], *([price] for price in prices)], device=dynamics.market.device)
    days = expect_paths(dynamics.market, product, paths, horizon)
    kept, *values = path_values(dynamics.market, product, days)
    units = days.expected_units.double().mean(2).cpu().numpy()
    noise = (1 / units).mean(1) + 1 / float(
        dynamics.market.size[product]
    )  # variance of a row's log units: Var(units) = mean + mean^2 / size
    tests = []
    for place, (price, value) in enumerate(zip(prices, values, strict=True), start=1):
        ratio, uplift = np.log(units[place] / units[0]), interval_of(value.earned - kept.earned)
        for length in LENGTHS:
            rows = length // 2 / dynamics.history.step_days
            error = math.sqrt((noise[0] + noise[place]) / rows)
            decides = probability_of_clarity(gain, ratio, error, needed)
            cost = rows * max(0.0, -uplift.low)
            tests.append(PriceTest(round(price, DIGITS), length, decides, cost, uplift))
    enough = [test for test in tests if test.decides >= POWER]
    if enough:
        return min(enough, key=lambda test: (test.days, test.cost))
    return max(tests, key=lambda test: (round(test.decides, 2), -test.cost))


def probability_of_clarity(gain: FloatArray, ratio: FloatArray, error: float, needed: float) -> float:
    """Return the probability that a measurement of the log ratio of units decides whether a change gains.

    Each posterior draw in turn is the truth; the measurement weighs all draws by its normal likelihood (a preposterior
    analysis; Raiffa and Schlaifer 1961).

    Args:
        gain: ``(K,)`` gain of the change in every posterior draw.
        ratio: ``(K,)`` log of the units at the tested price over those at the current one.
        error: standard error of the measured ratio.
        needed: share of the draws in which a change must gain.
    """
    chosen = np.linspace(0, len(gain) - 1, min(len(gain), MOST_DRAWS)).astype(np.int64)
    gain, ratio = gain[chosen], ratio[chosen]
    measured = ratio[:, None] + error * NOISE
    away = (measured[..., None] - ratio) / error
    weights = np.exp(-0.5 * (away**2 - (away**2).min(-1, keepdims=True)))
    better = (weights * (gain > 0)).sum(-1) / weights.sum(-1)
    needed = max(needed, 0.5)
    return float(((better >= needed) | (better <= 1 - needed)).mean())


def _testable_prices(dynamics: Dynamics, product: int, now: float) -> list[float]:
    """Return prices at ``DISTANCES`` on the price grid, moved inside the hard limits and the prices tried, money."""
    history, step = dynamics.market.preprocessor.products[product], dynamics.guardrails.price_step
    tried = history.price[history.observed]
    low = max(float(dynamics.limits.floor[product]), float(tried.min()), step)
    high = min(float(dynamics.limits.ceiling[product]), float(tried.max()))
    wanted = (min(max(now * (1 + distance), low), high) for distance in DISTANCES)
    prices = dict.fromkeys(from_steps(round(in_steps(price, step)), step) for price in wanted)
    inside = [price for price in prices if low - step / 2 <= price <= high + step / 2]
    return [price for price in inside if abs(price / now - 1) >= NEAREST]
