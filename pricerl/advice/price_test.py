"""Which price would teach most if it were charged for a while, for how long, and what that costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from pricerl.advice.price_path import LIMITS
from pricerl.arrays import FloatArray
from pricerl.env import Dynamics

HALVES_DOUBT = 3.0
"""A normal belief with variance s^2 has s^2 / 4 left once the data's precision is 3 / s^2."""

MOST_TEST_DAYS = 365
"""Days; a longer test is no advice, and demand would have moved on meanwhile."""

MIN_DISTANCE = 0.01
"""Share of the current price; a nearer price teaches nothing."""


@dataclass(frozen=True)
class PriceTest:
    """A price within one allowed step whose profit against the current price is told by the fewest days."""

    price: float
    """Money."""
    days: int | None
    """Days at it, and as many at the current price, after which the sd of its gain over the posterior draws is about
    half;
    None where more than a year would be needed."""
    gain: tuple[float, float, float]
    """Money a day against the current price while it lasts: mean and 90 % limits; negative is what the test costs."""


@torch.no_grad()
def plan_price_test(dynamics: Dynamics, product: int) -> PriceTest | None:
    """Compare the lowest and the highest price within one step of the current price.

    The days needed follow from the noise ``v`` of a day's profit at both prices and the variance ``s^2`` of the gain
    over the posterior draws, ``n = 3 (v + v_now) / s^2``, both taken as normal.

    Args:
        dynamics: the market with its guardrails.
        product: product index, with known costs.

    Returns:
        None where no other price is allowed.
    """
    now = float(dynamics.market.preprocessor.products[product].price[-1])
    tests = [_value_test(dynamics, product, price, now) for price in _reachable_edges(dynamics, product, now)]
    return min(tests, key=lambda test: (test.days or math.inf, -test.gain[0]), default=None)


def _reachable_edges(dynamics: Dynamics, product: int, now: float) -> list[float]:
    band = dynamics.next_band(product)
    edges = (float(band.low), float(band.high))
    return [edge for edge in edges if bool(band.feasible) and abs(edge / now - 1) >= MIN_DISTANCE]


def _value_test(dynamics: Dynamics, product: int, price: float, now: float) -> PriceTest:
    profit, noise = _profit_and_noise(dynamics, product, price)
    profit_now, noise_now = _profit_and_noise(dynamics, product, now)
    gain = profit - profit_now
    low, high = np.quantile(gain, LIMITS)
    days = HALVES_DOUBT * (noise + noise_now) / max(float(gain.var()), 1e-12)
    return PriceTest(
        price=round(price, 4),
        days=max(dynamics.guardrails.min_hold_days, math.ceil(days)) if days <= MOST_TEST_DAYS else None,
        gain=(float(gain.mean()), float(low), float(high)),
    )


def _profit_and_noise(dynamics: Dynamics, product: int, price: float) -> tuple[FloatArray, float]:
    """Expected profit a day ``(K,)`` in every posterior draw, and the variance of a day's profit around it.

    Units are negative-binomial, ``Var = mean + mean^2 / size``; each brings its share of the price less its cost.
    """
    market = dynamics.market
    draw = torch.arange(market.num_draws, device=market.device)
    rows = torch.full_like(draw, product)
    response = dynamics.constant_price(torch.full_like(draw, price, dtype=torch.float32), rows, draw)[1]
    units = response.expected_units.double()
    margin = (market.share_kept[product, :-1] * price - market.unit_cost[product, :-1]).double()
    variance = margin**2 * (units + units**2 / market.size[product].double())
    return np.asarray(response.profit.cpu().double().numpy()), float(variance.mean())
