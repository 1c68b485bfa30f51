"""Rows of many products one after another, counted and searched per product without a loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pricerl.arrays import BoolArray, IntArray


class Segments:
    """Rows of ``P`` products, stored one product after another.

    Args:
        sizes: ``(P,)`` number of rows of each product.
    """

    def __init__(self, sizes: IntArray | Sequence[int]) -> None:
        self.sizes: IntArray = np.asarray(sizes, dtype=np.int64)
        """``(P,)`` number of rows of each product."""
        self.edges: IntArray = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.sizes)])
        """``(P + 1,)`` first row of each product, and the number of all rows."""

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def starts(self) -> IntArray:
        """``(P,)`` first row of each product."""
        return self.edges[:-1]

    @property
    def rows(self) -> int:
        """Number of all rows."""
        return int(self.edges[-1])

    def spread(self, values: Any) -> Any:
        """Return values ``(P,)`` repeated for each row, ``(N,)``."""
        return np.repeat(np.asarray(values), self.sizes)

    def part(self, product: int) -> slice:
        """Return the rows of one product."""
        return slice(int(self.edges[product]), int(self.edges[product + 1]))

    def parts(self, chosen: BoolArray) -> Iterator[slice]:
        """Yield the rows of each product that is chosen, ``(P,)``."""
        return map(self.part, np.flatnonzero(chosen).tolist())

    def count(self, flags: BoolArray) -> IntArray:
        """Return the number of True in ``flags (N,)`` by product, ``(P,)``."""
        return np.diff(np.searchsorted(np.flatnonzero(flags), self.edges))

    def any(self, flags: BoolArray) -> BoolArray:
        """Return whether ``flags (N,)`` are True on any row of each product, ``(P,)``."""
        return self.count(flags) > 0

    def first(self, flags: BoolArray) -> IntArray:
        """Return the first row of each product with True in ``flags (N,)``, the row after its last one without any."""
        at = np.append(np.flatnonzero(flags), self.rows)
        return np.asarray(np.minimum(at[np.searchsorted(at[:-1], self.starts)], self.edges[1:]))

    def last(self, flags: BoolArray) -> IntArray:
        """Return the last row of each product with True in ``flags (N,)``, the row before its first without any."""
        at = np.append(-1, np.flatnonzero(flags))
        return np.asarray(np.maximum(at[np.searchsorted(at[1:], self.edges[1:])], self.starts - 1))
