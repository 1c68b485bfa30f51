"""Claim of a category: what all its price changes earn together, each buyer who moves inside it counted once.

The gain of one product's change takes the others' prices as they are. In a logit choice (Train 2009, eq. 3.6) one
change multiplies the units of all others by ``f = 1 + sent / rest`` and its own by ``r``. Several changes together
multiply the units of product ``j`` by ``r_j (1 + h_j) / (1 + sum_i h_i)`` with ``h = 1 / f - 1``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.env.product import Product
from pricerl.evaluation.valuation import PathValue

LEAST_LEFT = 0.5
"""Smallest part of the weight of all choices that changes leave in a posterior draw, at which extreme draws end."""


class Claim(NamedTuple):
    """Effects per day of a product's new prices, compared with keeping the current one, in draws ``(K,)``."""

    gain: FloatArray
    """Measure of the whole category in money, if the others keep their prices."""
    kept: FloatArray
    """The product's own measure before fixed costs at the current price, in money."""
    earned: FloatArray
    """The same at the new prices."""
    units: FloatArray
    """Its units at the current price."""
    sent: FloatArray
    """Its lost units that the rest of the category sells."""


def claim_of(product: Product, keep: PathValue, path: PathValue) -> Claim | None:
    """Return the claim of a path over keeping the price; None outside a category that shows an effect."""
    lost = product.fitted.diversion
    if lost is None:
        return None
    fixed = product.fitted.cost.fixed_cost if keep.measure == "profit" else 0.0
    kept, earned = (getattr(value, keep.measure) + fixed for value in (keep, path))
    sent = lost.share * (keep.units - path.units) * (keep.elsewhere != 0)  # a shelf's value leaves out what others earn
    return Claim(path.earned - keep.earned, kept, earned, keep.units, sent)


def join_claims(claims: Sequence[Claim]) -> FloatArray:
    """Return the gain of a category's changes together, in money per day ``(K,)``.

    Draws of the same number share the category's effect, and all else is drawn for each product alone, so that the sums
    spread as the category's gain does. ``claims`` has all products, also those that keep their prices.
    """
    gain, kept, earned, units, sent = (np.stack(part) for part in zip(*claims, strict=True))
    grown = sent / (units.sum(0) - units)
    moved = 1 / np.maximum(1 + grown, LEAST_LEFT) - 1
    factor = (1 + moved) / np.maximum(1 + moved.sum(0), LEAST_LEFT)
    counted = kept * (grown.sum(0) - grown)
    return np.asarray((gain + earned * (factor - 1) - counted).sum(0))
