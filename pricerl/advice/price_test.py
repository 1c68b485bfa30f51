"""Plan of a price test: the price that halves the uncertainty in the fewest days, its duration and its cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pricerl.arrays import Interval, interval_of
from pricerl.env import Dynamics
from pricerl.evaluation.valuation import expect_paths, path_values
from pricerl.guardrails.today import DIGITS

HALVES_DOUBT = 3.0
"""Precision of the data, over that of a normal prior, which halves the posterior sd: s^2 becomes s^2 / 4."""


@dataclass(frozen=True)
class PriceTest:
    """Price within one allowed step whose profit is soonest distinguished from that at the current price."""

    price: float
    """Money."""
    days: int | None
    """Days at each of the two prices that about halve the posterior sd of the uplift; None if more than a year."""
    uplift: Interval
    """Daily profit over the forecast horizon minus that of keeping the price, money; if negative, the test's cost."""


@torch.no_grad()
def plan_price_test(dynamics: Dynamics, product: int, horizon: int) -> PriceTest | None:
    """Return the better test of the lowest and the highest price within one step of a product with known costs.

    The days needed follow from the noise ``v`` of a day's profit at both prices and the variance ``s^2`` of the gain
    over the posterior draws, ``n = 3 (v + v_now) / s^2``, both taken as normal. None if no other price is allowed.
    """
    now = dynamics.market.preprocessor.products[product].current_price
    band = dynamics.next_band(product)
    edges = (float(band.low), float(band.high)) if bool(band.feasible) else ()
    apart = [price for price in edges if abs(price / now - 1) >= 0.01]  # nearer prices hardly differ in profit
    tests = [_value_test(dynamics, product, price, now, horizon) for price in apart]
    return min(tests, key=lambda test: (test.days or math.inf, -test.uplift.mean), default=None)


def _value_test(dynamics: Dynamics, product: int, price: float, now: float, horizon: int) -> PriceTest:
    paths = torch.tensor([[price], [now]], device=dynamics.market.device)
    days = expect_paths(dynamics.market, product, paths, horizon)
    tested, kept = path_values(dynamics.market, product, days)
    gain = tested.earned - kept.earned
    noise = _noise(dynamics, product, paths, days.expected_units)
    step = dynamics.history.step_days
    needed = HALVES_DOUBT * noise / max(float(gain.var()), 1e-12)
    longest = 365  # demand would change during a longer test
    return PriceTest(
        price=round(price, DIGITS),
        days=max(dynamics.guardrails.min_hold_days, step * math.ceil(needed)) if step * needed <= longest else None,
        uplift=interval_of(gain),
    )


def _noise(dynamics: Dynamics, product: int, paths: Tensor, expected_units: Tensor) -> float:
    """Return the variance of daily profit given its expectation ``(N, K, H)``, summed over constant prices ``(N, 1)``.

    Units are negative binomial, ``Var = mean + mean^2 / size``; each earns the share kept of its price, less its cost.
    """
    market, units = dynamics.market, expected_units.double()
    share, cost = (values[product, :-1, None].double() for values in (market.counted_share, market.counted_cost))
    margin = share * paths[:, None].double() - cost
    variance = margin**2 * (units + units**2 / market.size[product].double())
    return float(variance.mean((1, 2)).sum())
