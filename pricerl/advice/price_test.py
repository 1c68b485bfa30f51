"""Plan of a price test: the price that halves the uncertainty in the fewest days, for how long, and at what cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pricerl.arrays import Interval, interval_of
from pricerl.env import Dynamics
from pricerl.evaluation.valuation import expect_paths, path_values

HALVES_DOUBT = 3.0
"""A normal posterior of variance s^2 is left with s^2 / 4 once the data's precision is 3 / s^2."""

MOST_TEST_DAYS = 365
"""Days; during a longer test demand would change."""

MIN_DISTANCE = 0.01
"""Share of the current price; the profit of a nearer one hardly differs."""


@dataclass(frozen=True)
class PriceTest:
    """The price within one allowed step whose profit is distinguished from that of the current price soonest."""

    price: float
    """Money."""
    days: int | None
    """Days at it, and as many at the current price, that about halve the sd of its uplift over the posterior draws;
    None where more than a year would be needed."""
    uplift: Interval
    """Profit per day over the forecast horizon minus that of keeping the price, money; below 0 the test costs that."""


@torch.no_grad()
def plan_price_test(dynamics: Dynamics, product: int, horizon: int) -> PriceTest | None:
    """Compare the lowest and the highest price within one step of the current price.

    The days needed follow from the noise ``v`` of a day's profit at both prices and the variance ``s^2`` of the gain
    over the posterior draws, ``n = 3 (v + v_now) / s^2``, both taken as normal.

    Args:
        dynamics: the market with its guardrails.
        product: product index, with known costs.
        horizon: forecast horizon, days.

    Returns:
        None where no other price is allowed.
    """
    now = float(dynamics.market.preprocessor.products[product].price[-1])
    band = dynamics.next_band(product)
    edges = (float(band.low), float(band.high)) if bool(band.feasible) else ()
    apart = [price for price in edges if abs(price / now - 1) >= MIN_DISTANCE]
    tests = [_value_test(dynamics, product, price, now, horizon) for price in apart]
    return min(tests, key=lambda test: (test.days or math.inf, -test.uplift.mean), default=None)


def _value_test(dynamics: Dynamics, product: int, price: float, now: float, horizon: int) -> PriceTest:
    paths = torch.tensor([[price], [now]], device=dynamics.market.device).expand(2, horizon)
    days = expect_paths(dynamics.market, product, paths)
    tested, kept = path_values(dynamics.market.products[product], days)
    gain = tested.profit - kept.profit
    noise = _noise(dynamics, product, paths, days.expected_units)
    needed = HALVES_DOUBT * noise / max(float(gain.var()), 1e-12)
    return PriceTest(
        price=round(price, 4),
        days=max(dynamics.guardrails.min_hold_days, math.ceil(needed)) if needed <= MOST_TEST_DAYS else None,
        uplift=interval_of(gain),
    )


def _noise(dynamics: Dynamics, product: int, paths: Tensor, expected_units: Tensor) -> float:
    """Variance of a day's profit around its expectation ``(N, K, H)``, summed over the paths ``(N, H)``.

    Units are negative-binomial, ``Var = mean + mean^2 / size``; each brings its share of the price less its cost.
    """
    market, units = dynamics.market, expected_units.double()
    share, cost = (values[product, :-1, None].double() for values in (market.share_kept, market.unit_cost))
    margin = share * paths[:, None].double() - cost
    variance = margin**2 * (units + units**2 / market.size[product].double())
    return float(variance.mean((1, 2)).sum())
