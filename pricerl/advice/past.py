"""Content of the decision log that the next advice on a product depends on."""

from __future__ import annotations

from typing import NamedTuple

from pricerl.advice.account import Account
from pricerl.advice.decision import MeasuredPair
from pricerl.guardrails.price_grid import FLOAT32_SLACK

SAME_PRICE = 5e-4
"""Largest difference between two prices that files and records write alike, money."""


class Past(NamedTuple):
    """Results and open accounts of one product."""

    measured: MeasuredPair | None = None
    """Pair of prices of which a price test measured the better one."""
    account: Account | None = None
    """Open account of the quarter; None before the first advice."""
    varied: tuple[float, float] | None = None
    """Two prices of the latest random draw, money; None if no price had a random part."""

    def centre(self, price: float) -> float:
        """Return the price that the current price varies around: itself unless it was drawn at random, money."""
        drawn = self.varied is not None and any(is_same_price(price, one) for one in self.varied)
        return sum(self.varied) / 2 if self.varied is not None and drawn else price


FIRST = Past()
"""Past of a product before its first advice."""


def is_same_price(price: float, other: float) -> bool:
    """Return whether two prices, money, differ by no more than the rounding of single precision and of records."""
    return abs(price - other) <= FLOAT32_SLACK * other + SAME_PRICE
