"""Batched records of an episode: constants of the rows, the state, and the outcome of a decision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from pricerl.env.description import Landmarks
from pricerl.env.references import References
from pricerl.guardrails.limits import PriceLimits
from pricerl.market.market import MarketRows
from pricerl.market.reward import Spans


class Rows(NamedTuple):
    """Constants of ``B`` rows, one product in one posterior draw each: looked up once per episode."""

    market: MarketRows
    limits: PriceLimits
    """Limits on the price, each ``(B,)`` money."""
    references: References
    """Outcomes at the median and at the current price, each ``(B,)``."""
    spans: Spans
    """Historical spans over the references, each ``(B,)``."""
    gain: Tensor
    bias: Tensor
    """Gain and bias of the feature scaler, ``(F, B)`` each."""
    description: Tensor
    """``(M, B)`` description of the market in [0, 1]; ``M`` is 0 if observations have none."""
    landmarks: Landmarks | None
    """Prices from which distances are measured, or None if observations have none."""
    first_spread: Tensor
    """``(B,)`` position of the row's first grid point among the spreads of all products."""
    first_date: Tensor
    """``(B,)`` offset from steps since 1970-01-01 to columns of the calendar."""


class State(NamedTuple):
    """Everything the next day depends on, for ``B`` rows."""

    product: Tensor
    draw: Tensor
    """Indices of the row's product and of its posterior draw, ``(B,)`` each."""
    day: Tensor
    """``(B,)`` last known day in steps since 1970-01-01: days, or weeks for weekly rows."""
    rows: Rows
    window: Tensor
    """``(W * F, B)`` scaled features in [0, 1], oldest day first; ``F`` includes the description of the market."""
    prices: Tensor
    """``(14, B)`` prices charged, in money, newest last."""
    sales: Tensor
    """``(14, B)`` observed sales, in money, newest last."""
    ratios: Tensor
    """``(7, B)`` expected sales over those at the median price, newest last."""
    log_reference_price: Tensor
    """``(B,)`` log of the reference price that buyers remember."""
    trail: Tensor | None
    """``(28, B)`` prices charged, in money, newest last, or 4 weekly ones, or None if no limit uses their median."""

    @property
    def observation(self) -> Tensor:
        """``(B, W * F)`` scaled features in [0, 1], oldest day first; a view."""
        return self.window.T

    @property
    def price(self) -> Tensor:
        """``(B,)`` current price, in money."""
        return self.prices[-1]


class Outcome(NamedTuple):
    """Outcome of ``n`` days, expectations under the row's draw, each ``(B, n)``: money, conversions in percent."""

    reward: Tensor
    expected_units: Tensor
    sales: Tensor
    profit: Tensor
    organic: Tensor
    ad: Tensor


def varying(state: State) -> dict[str, Tensor]:
    """Return the fields of a state that change during an episode, product and draw included."""
    return {name: value for name, value in state._asdict().items() if isinstance(value, Tensor)}


def same_shapes(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Return whether two collections have tensors of the same names and shapes."""
    return {name: value.shape for name, value in one.items()} == {name: value.shape for name, value in other.items()}
