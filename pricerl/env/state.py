"""What a decision starts from, what it can expect, and what it brought."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from pricerl.env.rows import Rows
from pricerl.market import GridPosition, Response


class State(NamedTuple):
    """Everything the next day depends on, for ``B`` rows."""

    product: Tensor
    """``(B,)`` product index."""
    draw: Tensor
    """``(B,)`` which posterior draw the row lives in."""
    day: Tensor
    """``(B,)`` days of the last known day since 1970-01-01."""
    rows: Rows
    """What stays the same in every row."""
    window: Tensor
    """``(W * F, B)`` scaled features in [0, 1], oldest day first; ``F`` counts what describes the market, too."""
    prices: Tensor
    """``(14, B)`` prices charged, money, newest last."""
    sales: Tensor
    """``(14, B)`` observed sales, money, newest last."""
    ratios: Tensor
    """``(7, B)`` expected sales over those at the reference price, newest last."""
    log_reference_price: Tensor
    """``(B,)`` log of the price that buyers are used to."""
    trail: Tensor | None
    """``(28, B)`` prices charged, money, newest last; None where no limit looks at a product's trailing price."""

    @property
    def observation(self) -> Tensor:
        """``(B, W * F)`` scaled features in [0, 1], oldest day first; a view."""
        return self.window.T

    @property
    def price(self) -> Tensor:
        """``(B,)`` price now, money."""
        return self.prices[-1]


class Expected(NamedTuple):
    """What can be expected of a price on the days it is charged."""

    price: Tensor
    """``(B,)`` money."""
    position: GridPosition
    """Where it lies on the grid."""
    level: Response
    """On an average weekday."""
    dates: Tensor
    """``(3 or 4, n, B)`` what the calendar knows of those days."""
    units: Tensor
    """``(n, B)`` expected units."""
    lift: Tensor
    """``(n, B)``, or ``(1, 1)`` where nobody remembers prices: what buyers' memory makes of each day."""


class Outcome(NamedTuple):
    """What the days of one decision brought, each ``(B, n)`` for ``n`` days, expectations under the row's market."""

    reward: Tensor
    expected_units: Tensor
    sales: Tensor
    profit: Tensor
    organic: Tensor
    ad: Tensor
