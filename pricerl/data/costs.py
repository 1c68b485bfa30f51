"""Costs that the seller knows: the settings, and the rows of ``costs.csv`` that are in force on each day."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pricerl.arrays import DateArray, FloatArray
from pricerl.data.history import ProductHistory
from pricerl.data.reading.problems import list_names
from pricerl.data.row_table import FIRST_DAY, STRANGE, TABLES, Row
from pricerl.errors import did_you_mean, refuse

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
    """Costs of single products or of groups, as ``--costs FILE`` reads them. A row has ``product`` (the name of one or
    of a group; absent if there is only one), ``from``, the first day in ISO format (the first of all if absent), and
    any of ``unit_cost``, ``fees`` in percent of the price, ``fixed_cost``, and ``unit_fee`` in money. Its fees hold for
    prices ``up_to`` one, and for all if absent.
    """

    def __post_init__(self) -> None:
        faults = {name: TABLE.columns[name].find_fault(getattr(self, name)) for name in COSTS}
        refuse({f"data.cost.{name} {fault}": fault for name, fault in faults.items()})
        for rows in self._rows.values() if self.share_kept is None else ():
            last = max((row.get("up_to", np.inf) for row in rows if "share_kept" in row), default=np.inf)
            refuse(
                {
                    f"data.cost.products: {rows[0].get('product', 'product')}: fees end at a price of {last:g}; add a "
                    "row without Up To, for those above": last < np.inf
                }
            )

    @cached_property
    def _rows(self) -> dict[str, list[Row]]:
        """Rows by product, oldest first, fees of all prices first; the only product may have an empty name."""
        return TABLE.group("data.cost.products", self.products)

    def daily(self, product: ProductHistory) -> FloatArray:
        """Return the product's own `COSTS` and fee per unit in force on each day ``(D, 4)``, or NaN."""
        return self._in_force(product, product.dates, product.price)

    def fee_steps(self, product: ProductHistory) -> FloatArray:
        """Return what fees take beyond the share kept at the last price, by price, ``(M, 3)``.

        Above the price of a step, in money, they take this share of the price and this money per unit more.
        """
        edges = sorted({row["up_to"] for row in self._rows_of(product) if "up_to" in row})
        ends = np.array([product.price[-1], *edges, np.inf])
        _, kept, _, per_unit = self._in_force(product, np.full(len(ends), product.dates[-1]), ends).T
        kept = np.nan_to_num(kept, nan=np.nan if self.share_kept is None else self.share_kept)
        more = np.nan_to_num([kept[0] - kept[1:], per_unit[1:]])
        steps = np.column_stack([[0.0, *edges], np.diff(more, prepend=0.0).T])
        return np.asarray(steps[steps[:, 1:].any(1)])

    def _rows_of(self, product: ProductHistory) -> Iterator[Row]:
        """Yield the rows of all products, of its group and of its own, so that the last one that fits is in force."""
        for name in dict.fromkeys(("", product.group, product.product)):
            yield from self._rows.get(name, ())

    def _in_force(self, product: ProductHistory, dates: DateArray, prices: FloatArray) -> FloatArray:
        """Return a product's `COSTS` and fee per unit on dates ``(D,)`` at prices ``(D,)``, ``(D, 4)``."""
        found = np.full((len(dates), len(COSTS) + 1), np.nan)
        for row in self._rows_of(product):
            since = dates >= np.datetime64(row.get("from") or FIRST_DAY)
            cheap = prices <= row.get("up_to", np.inf)
            for column, cost in enumerate((*COSTS, "unit_fee")):
                if row.get(cost) is not None:
                    found[since & cheap if cost in ("share_kept", "unit_fee") else since, column] = row[cost]
        return found

    def check_products(self, known: Collection[str], count: int) -> list[str]:
        """Return a note on costs of products that are not ``known``, if any; see `RowTable.check_products`."""
        strangers = TABLE.check_products(self._rows, known, count)
        without = set(known) - set(self._rows)
        hint = next(filter(None, (did_you_mean(name, without) for name in strangers)), ".")
        return [f"cost of {list_names(strangers)} {STRANGE}{hint}"] if strangers else []
