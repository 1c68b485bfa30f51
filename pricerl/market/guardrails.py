"""Guardrails: the one pure projection between a proposed price and a charged one.

Training, evaluation and advice call the same function, so the price simulated is the price advised. It is total
and fail-closed: whatever is proposed, the result is finite, and where no price satisfies every limit the
price now is held.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pricerl.errors import UsageError

ROUNDING_SLACK = 1e-4
"""A price this share of a price step outside a limit counts as on it."""

FLOAT32_SLACK = 2.5e-7
"""The same as a share of the price, two float32 roundings: 49.99 is stored as 49.990002 and must count as 49.99."""


@dataclass(frozen=True)
class GuardrailConfig:
    """Limits on the price, the same for every product unless its history implies narrower ones."""

    floor: float | None = None
    """Never charge less than this, in money."""

    ceiling: float | None = None
    """Never charge more than this, in money."""

    min_margin: float = 0.0
    """Smallest share of the price that must remain after fees and unit cost; needs known costs."""

    max_change: float = 0.05
    """Largest relative change of the price at one decision."""

    max_week_change: float = 0.10
    """Largest relative change against the price of 7 days ago."""

    min_hold_days: int = 3
    """Days a new price stays before the next decision."""

    min_change: float = 0.01
    """Smaller relative changes are ignored: they cost trust and teach nothing."""

    price_step: float = 0.01
    """Prices are whole multiples of this, in money."""

    support_margin: float = 0.10
    """How far beyond the 5th and 95th percentile of tried prices the price may go, as a share."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and not np.isfinite(value):
                raise UsageError(f"guardrails.{item.name} must be a finite number, found {value}")
        if self.floor is not None and self.ceiling is not None and self.floor > self.ceiling:
            raise UsageError(
                f"guardrails.floor {self.floor} lies above guardrails.ceiling {self.ceiling}; exchange or widen them"
            )
        for name in ("ceiling", "max_change", "max_week_change", "price_step"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"guardrails.{name} must be positive, found {value}")
        for name in ("max_change", "max_week_change", "min_change", "min_margin", "support_margin"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"guardrails.{name} must be at least 0 and below 1, found {getattr(self, name)}")
        if self.min_hold_days < 1:
            raise UsageError(f"guardrails.min_hold_days must be at least 1, found {self.min_hold_days}")
        if self.min_change > self.max_change:
            raise UsageError(
                f"guardrails.min_change {self.min_change} lies above guardrails.max_change {self.max_change}; "
                "no change would ever be allowed"
            )


class PriceLimits(NamedTuple):
    """Limits of each row's product, each ``(B,)`` in money; hard limits always bind, the support box never forces."""

    floor: Tensor
    ceiling: Tensor
    support_low: Tensor
    support_high: Tensor


class PriceBand(NamedTuple):
    """Prices that satisfy every limit today, each ``(B,)``; ``low == high == price now`` where none does."""

    low: Tensor
    high: Tensor
    feasible: Tensor
    """Bool; False means that the limits exclude each other, so the price is held and someone should look."""


def support_box(tried_prices: NDArray[np.float64], config: GuardrailConfig) -> tuple[float, float]:
    """Return the lowest and highest price the history supports: 5th and 95th percentile of the days, widened."""
    low, high = np.percentile(tried_prices, [5, 95])
    return float(low * (1 - config.support_margin)), float(high * (1 + config.support_margin))


def hard_limits(config: GuardrailConfig, share_kept: float, unit_cost: float, costs_known: bool) -> tuple[float, float]:
    """Return floor and ceiling in money; the floor holds the margin where costs are known.

    ``k p - c >= m p`` gives ``p >= c / (k - m)``.
    """
    floor, ceiling = config.floor or 0.0, config.ceiling or float("inf")
    if costs_known:
        kept = share_kept - config.min_margin
        floor = max(floor, unit_cost / kept if kept > 0 else float("inf"))
    return max(floor, config.price_step), ceiling


def feasible_band(price_now: Tensor, price_week_ago: Tensor, limits: PriceLimits, config: GuardrailConfig) -> PriceBand:
    """Intersect all limits around the price now, ``(B,)`` each.

    A price now outside the support box, or beyond the week's cap because the seller moved it so, is not forced back, it
    just may not move further out: the end of a promotion is no reason to change the price again. Floor and
    ceiling do force.
    """
    outer_low = torch.maximum(price_week_ago * (1 - config.max_week_change), limits.support_low)
    outer_high = torch.minimum(price_week_ago * (1 + config.max_week_change), limits.support_high)
    low = torch.maximum(price_now * (1 - config.max_change), torch.minimum(outer_low, price_now))
    high = torch.minimum(price_now * (1 + config.max_change), torch.maximum(outer_high, price_now))
    return _on_grid(torch.maximum(low, limits.floor), torch.minimum(high, limits.ceiling), price_now, config)


def price_box(price_now: Tensor, limits: PriceLimits, config: GuardrailConfig) -> PriceBand:
    """Return the band of an absolute action: support box, floor and ceiling, without step caps, ``(B,)`` each."""
    low = torch.maximum(limits.support_low, limits.floor)
    high = torch.minimum(limits.support_high, limits.ceiling)
    return _on_grid(low, high, price_now, config)


def project(proposal: Tensor, price_now: Tensor, band: PriceBand, config: GuardrailConfig) -> Tensor:
    """Project a proposed price into today's band, ``(B,)``; total: never NaN, never outside, else the price now.

    Order: finite check, band, price grid, hysteresis.
    """
    proposal = torch.where(torch.isfinite(proposal), proposal, price_now)
    price = _from_steps(torch.round(_in_steps(proposal, config)), config)
    price = torch.minimum(torch.maximum(price, band.low), band.high)
    now_allowed = (price_now >= band.low) & (price_now <= band.high)
    small = (price - price_now).abs() < config.min_change * price_now
    return torch.where(~band.feasible | (small & now_allowed), price_now, price)


def _on_grid(low: Tensor, high: Tensor, price_now: Tensor, config: GuardrailConfig) -> PriceBand:
    """Pull limits inward to the price grid and hold the price now where nothing is left."""
    low, high = _in_steps(low, config), _in_steps(high, config)
    low = _from_steps(torch.ceil(low * (1 - FLOAT32_SLACK) - ROUNDING_SLACK), config)
    high = _from_steps(torch.floor(high * (1 + FLOAT32_SLACK) + ROUNDING_SLACK), config)
    feasible = torch.isfinite(low) & (high >= low)
    return PriceBand(torch.where(feasible, low, price_now), torch.where(feasible, high, price_now), feasible)


def _in_steps(price: Tensor, config: GuardrailConfig) -> Tensor:
    """Price in price steps."""
    per_unit = _steps_per_unit(config)
    return price / config.price_step if per_unit is None else price * per_unit


def _from_steps(steps: Tensor, config: GuardrailConfig) -> Tensor:
    """Price of a whole number of steps; 1200 cents are exactly the 12.00 that a file would be read as."""
    per_unit = _steps_per_unit(config)
    return steps * config.price_step if per_unit is None else steps / per_unit


def _steps_per_unit(config: GuardrailConfig) -> int | None:
    """Price steps in one unit of money where that is a whole number: dividing by it rounds correctly."""
    per_unit = round(1 / config.price_step)
    return per_unit if per_unit and abs(per_unit * config.price_step - 1) < 1e-9 else None
