"""A seller's rows after reading and checking, one per product and day, before they are laid on a calendar."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pricerl.arrays import DateArray
from pricerl.data.cleaning.calendar import find_step_days
from pricerl.data.cleaning.cleaning import clean
from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.reading import columns
from pricerl.data.reading.problems import Problem
from pricerl.data.reading.tables import Orders

DAY = [columns.PRODUCT, columns.REPORT_DATE]
"""Columns that identify a row."""

SUMMED = (columns.TOTAL_SALES, columns.UNITS, columns.TOTAL_PROFIT, columns.AD_SPEND)
"""Columns whose values add up."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Checked rows of one file, or of all files that a shop has read."""

    source: str
    """Name of the file as the user wrote it."""
    frame: pd.DataFrame
    """One row per product and day: product (categories in their order of appearance), date and numbers."""
    config: DataConfig
    """How the file was read."""
    notes: tuple[str, ...] = ()
    skipped: tuple[Problem, ...] = ()
    """Problems of products that were left out."""
    lost: Mapping[str, DateArray] = field(default_factory=dict)
    """Days by product of which a row exists that cannot be read."""
    problems: tuple[Problem, ...] = ()
    """Problems of rows whose day is unknown."""
    currency: str = ""
    """ISO 4217 code of the prices; empty if the file names none."""
    unnamed: bool = False
    """Whether the file names no product, so that its only one has the name of the file."""
    orders: Orders | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    """The shop's name by the file's of each product that was renamed."""

    @property
    def names(self) -> list[str]:
        """Names of the products."""
        return [str(name) for name in self.frame[columns.PRODUCT].unique()]

    @property
    def step_days(self) -> int:
        """Days from row to row of the first product with several rows."""
        for _, rows in self.frame.groupby(columns.PRODUCT, observed=True, sort=False):
            if len(rows) > 1:
                return find_step_days(np.sort(rows[columns.REPORT_DATE].to_numpy().astype("datetime64[D]")))
        return 1

    def renamed(self, names: Mapping[str, str]) -> Rows:
        """Return the rows with other names of some products; days of products that become one are summed."""
        known = self.frame[columns.PRODUCT].cat.categories
        if names.keys().isdisjoint(known):
            return self
        new = [names.get(name, name) for name in known]
        places = {name: place for place, name in enumerate(dict.fromkeys(new))}
        codes: Any = np.array([places[name] for name in new])[self.frame[columns.PRODUCT].cat.codes]
        frame = self.frame.assign(**{columns.PRODUCT: pd.Categorical.from_codes(codes, pd.Index([*places]))})
        if len(places) < len(new):
            twice = frame.duplicated(DAY, keep=False)
            # the name with the most sales gives the price
            each = frame[twice].sort_values(columns.TOTAL_SALES).groupby(DAY, observed=True)
            total = partial(pd.Series.sum, min_count=1)
            how: Any = {name: total if name in SUMMED else "last" for name in frame if name not in DAY}
            summed = each.agg(how).reset_index()
            frame = pd.concat([frame[~twice], summed]).sort_values(DAY, ignore_index=True)
        lost = {names.get(name, name): days for name, days in self.lost.items()}
        orders = self.orders and self.orders._replace(lines=self.orders.lines.replace({"product": dict(names)}))
        return replace(self, frame=frame, lost=lost, orders=orders)

    def select(self, products: Collection[str]) -> Rows:
        """Return the rows of some products."""
        frame = self.frame[self.frame[columns.PRODUCT].isin([*products])].reset_index(drop=True)
        left = [name for name in frame[columns.PRODUCT].cat.categories if name in products]
        frame[columns.PRODUCT] = frame[columns.PRODUCT].cat.set_categories(left)
        return replace(self, frame=frame, lost={name: days for name, days in self.lost.items() if name in products})

    def clean(self) -> History:
        """Lay the rows on calendars; a ``DataError`` if no product can be used."""
        history = clean(self.frame, self.source, self.config, self.notes, self.skipped, self.lost)
        found = tuple(sorted([*history.problems, *self.problems]))
        return replace(history, currency=self.currency, problems=found, unnamed=self.unnamed)
