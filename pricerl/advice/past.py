"""Content of the decision log that the next advice on a product depends on."""

from __future__ import annotations

from typing import NamedTuple

from pricerl.advice.account import Account
from pricerl.advice.decision import MeasuredPair


class Past(NamedTuple):
    """Results and open accounts of one product."""

    measured: MeasuredPair | None = None
    """Pair of prices of which a price test measured the better one."""
    account: Account | None = None
    """Open account of the quarter; None before the first advice."""


FIRST = Past()
"""Past of a product before its first advice."""
