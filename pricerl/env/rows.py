"""Rows of an env: one product in one posterior draw each, with everything that stays the same for a whole episode."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from torch import Tensor

from pricerl.env.references import References
from pricerl.guardrails import PriceLimits
from pricerl.market import MarketRows
from pricerl.market.reward import Spans


class Rows(NamedTuple):
    """Constants of ``B`` rows: looked up once an episode instead of once a step."""

    market: MarketRows
    limits: PriceLimits
    """Each ``(B,)``, money."""
    references: References
    """Each ``(B,)``."""
    spans: Spans
    """Each ``(B,)``."""
    gain: Tensor
    """``(F, B)`` of the feature scaler."""
    bias: Tensor
    """``(F, B)`` of the feature scaler."""
    description: Tensor
    """``(M, B)`` what the market is like, in [0, 1]; ``M`` is 0 where observations do not say."""
    first_spread: Tensor
    """``(B,)`` position of the row's first grid point among the spreads of all products."""
    first_date: Tensor
    """``(B,)`` what added to a day gives its column in the calendar."""


Fields = TypeVar("Fields", PriceLimits, References, Spans)


def gather(values: Fields, product: Tensor, draw: Tensor | None = None) -> Fields:
    """Pick each row's entry of every field: ``(P,)`` by product ``(B,)``, ``(P, K + 1)`` by product and draw."""
    picked = [value[product] if value.dim() == 1 else value[product, draw] for value in values]
    return type(values)(*picked)
