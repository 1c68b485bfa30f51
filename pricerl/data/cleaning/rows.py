"""A seller's rows after reading and checking, one per product and day, before they are laid on a calendar."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from pricerl.arrays import DateArray
from pricerl.data.cleaning.calendar import find_step_days
from pricerl.data.cleaning.cleaning import clean
from pricerl.data.config import DataConfig
from pricerl.data.history import History
from pricerl.data.reading import columns
from pricerl.data.reading.problems import Problem


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

    def renamed(self, name: str) -> Rows:
        """Return the rows of the only product under another name."""
        frame = self.frame.assign(**{columns.PRODUCT: pd.Categorical([name]).repeat(len(self.frame))})
        return replace(self, frame=frame, lost=dict(zip([name], self.lost.values(), strict=False)))

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
