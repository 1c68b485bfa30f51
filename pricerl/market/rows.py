"""Rows of a market: one product in one posterior draw each, with everything about it that no price changes."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Response(NamedTuple):
    """What one day brings at a price, each ``(B,)``."""

    expected_units: Tensor
    """Mean units of that weekday."""
    sales: Tensor
    """Expected revenue, money."""
    profit: Tensor
    """Expected profit, money."""
    organic: Tensor
    """Organic conversion, percent; 0 where never reported."""
    ad: Tensor
    """Ad conversion, percent; 0 where never reported."""


class GridPosition(NamedTuple):
    """Where prices lie on the price grids of their products, each ``(B,)``."""

    left: Tensor
    """Grid point at or below the price, counted from 0."""
    share: Tensor
    """Grid steps from there to the price, 0 to 1; beyond them only off the grid."""


class MarketRows(NamedTuple):
    """Constants of ``B`` rows, each ``(B,)``: looked up once an episode instead of once a step."""

    first_point: Tensor
    """Position of the row's first grid point among the points of all curves."""
    log_price_low: Tensor
    """First log price of the grid."""
    log_step: Tensor
    """Distance between log prices."""
    share_kept: Tensor
    unit_cost: Tensor
    """Money."""
    fixed_cost: Tensor
    """Money a day."""
    size: Tensor
    """Negative-binomial size of a day's units."""
    memory_gain: Tensor
    """Log units won a log price below the reference price."""
    memory_loss: Tensor
    """Log units lost a log price above it."""

    def contribution(self, sales: Tensor, units: Tensor) -> Tensor:
        """Share kept of sales less unit costs, money, ``(B,)`` or ``(n, B)`` as ``sales`` and ``units``."""
        return self.share_kept * sales - self.unit_cost * units

    def profit(self, sales: Tensor, units: Tensor) -> Tensor:
        """Contribution less a day's fixed cost, money, ``(B,)`` or ``(n, B)`` as ``sales`` and ``units``."""
        return self.contribution(sales, units) - self.fixed_cost
