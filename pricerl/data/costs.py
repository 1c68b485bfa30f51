"""Costs that the seller knows: the settings, and the rows of ``costs.csv`` that are in force on each day."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pricerl.arrays import FloatArray
from pricerl.data.history import ProductHistory
from pricerl.data.reading.problems import list_names
from pricerl.data.row_table import FIRST_DAY, STRANGE, TABLES, Row
from pricerl.errors import UsageError, did_you_mean

COSTS = ("fixed_cost", "share_kept", "unit_cost")
"""Costs in the order in which they are fitted."""
TABLE = TABLES["costs"]


@dataclass(frozen=True)
class CostConfig:
    """Costs known to the seller; a value given here replaces the estimated one.

    The newest row of ``products`` up to the last day of a product's history is in force, else the value for all
    products, else the last one in the file's ``Unit Cost`` column, else the estimate.
    """

    unit_cost: float | None = None
    """Landed cost of one unit, in money."""
    share_kept: float | None = None
    """Share of revenue kept after fees, between 0.5 and 1."""
    fixed_cost: float | None = None
    """Ad spend and other cost per day that does not depend on units, in money; zero unless profits show it."""
    products: list | None = None  # type: ignore[type-arg]  # jsonargparse copies the list per element of a typed one
    """Costs of single products, as ``--costs FILE`` reads them. A row has ``product`` (absent if there is only one),
    ``from``, the first day in ISO format (the first of all if absent), and any of ``unit_cost``, ``fees`` in percent of
    the price, and ``fixed_cost``."""

    def __post_init__(self) -> None:
        for name in COSTS:
            if fault := TABLE.columns[name].find_fault(getattr(self, name)):
                raise UsageError(f"data.cost.{name} {fault}")
        _ = self._rows

    @cached_property
    def _rows(self) -> dict[str, list[Row]]:
        """Rows by product, oldest first; the only product may have an empty name."""
        return TABLE.group("data.cost.products", self.products)

    def daily(self, product: ProductHistory) -> FloatArray:
        """Return the product's own `COSTS` in force on each day ``(D, 3)``, NaN where ``products`` holds none."""
        found = np.full((len(product.dates), len(COSTS)), np.nan)
        for row in (*self._rows.get("", ()), *self._rows.get(product.product, ())):
            since = product.dates >= np.datetime64(row.get("from") or FIRST_DAY)
            for column, name in enumerate(COSTS):
                if row.get(name) is not None:
                    found[since, column] = row[name]
        return found

    def check_products(self, known: Collection[str], count: int) -> list[str]:
        """Return a note on costs of products that are not ``known``, if any; see `RowTable.check_products`."""
        strangers = TABLE.check_products(self._rows, known, count)
        without = set(known) - set(self._rows)
        hint = next(filter(None, (did_you_mean(name, without) for name in strangers)), ".")
        return [f"cost of {list_names(strangers)} {STRANGE}{hint}"] if strangers else []
