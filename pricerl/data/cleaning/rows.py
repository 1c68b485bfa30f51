"""A seller's rows after reading and checking, one per product and day, before they are laid on a calendar."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from pricerl.arrays import DateArray, grouped
from pricerl.data.cleaning.calendar import step_of
from pricerl.data.cleaning.cleaning import find_days
from pricerl.data.cleaning.findings import Context, build_histories, summarize
from pricerl.data.cleaning.missing_days import find_missing_days
from pricerl.data.cleaning.product_rows import codes_of, order_rows, split_products
from pricerl.data.cleaning.quality import ProductReport
from pricerl.data.config import DataConfig
from pricerl.data.days import find_holidays
from pricerl.data.history import History, ProductHistory
from pricerl.data.reading import columns
from pricerl.data.reading.problems import Problem, describe_skipped, refuse
from pricerl.data.reading.tables import AMOUNTS, ORDER, Orders

DAY = [columns.PRODUCT, columns.REPORT_DATE]
"""Columns that identify a row."""

DECIMALS = 6
"""Sums are rounded to a millionth, so that equal ones stay equal."""

SUMMED = (columns.TOTAL_SALES, columns.UNITS, columns.TOTAL_PROFIT, columns.AD_SPEND)
"""Columns whose values add up."""


def find_step(frame: pd.DataFrame) -> int | None:
    """Return the days from row to row of each product, as `step_of` does."""
    codes = codes_of(frame[columns.PRODUCT])
    days = frame[columns.REPORT_DATE].to_numpy().astype("datetime64[D]")
    order = order_rows(codes, days)
    return step_of(np.diff(days[order]).astype(np.int64)[np.diff(codes[order]) == 0])


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
    far_above: tuple[str, float] | None = None
    """Platform that hides offers far above their recent prices, and the share above those at which pricerl stops."""
    unnamed: bool = False
    """Whether the file names no product, so that its only one has the name of the file."""
    orders: Orders | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    """The shop's name by the file's of each product that was renamed."""
    known_files: int = -1
    """Number of the last file that the shop had when it named the products; -1 before."""

    @property
    def names(self) -> list[str]:
        """Names of the products."""
        return [str(name) for name in self.frame[columns.PRODUCT].unique()]

    @property
    def groups(self) -> set[str]:
        """Names of the groups of the products."""
        return set(map(str, self.frame.get(columns.GROUP, ()))) - {""}

    @property
    def step_days(self) -> int:
        """Days from row to row: 7, or 1."""
        return find_step(self.frame) or 1

    def renamed(self, names: Mapping[str, str]) -> Rows:
        """Return the rows with other names of some products; days of products that become one are summed."""
        known = self.frame[columns.PRODUCT].cat.categories
        if names.keys().isdisjoint(known):
            return self
        new = {name: names.get(name, name) for name in known}
        products = pd.Categorical(self.frame[columns.PRODUCT].map(new), categories=[*dict.fromkeys(new.values())])
        frame = self.frame.assign(**{columns.PRODUCT: products})
        if len(products.categories) < len(new):
            twice = frame.duplicated(DAY, keep=False)
            # the name with the most sales gives the price
            each = frame[twice].sort_values(columns.TOTAL_SALES).groupby(DAY, observed=True)
            total = each[[name for name in SUMMED if name in frame]].sum(min_count=1).round(DECIMALS)
            one = each.last().assign(**total).reset_index()
            frame = pd.concat([frame[~twice], one]).sort_values(DAY, ignore_index=True)
        orders = self.orders
        if orders is not None:
            lines = orders.lines.replace({"product": dict(names)}).groupby(ORDER, as_index=False)[AMOUNTS].sum()
            orders = orders._replace(lines=lines.round(dict.fromkeys(AMOUNTS, DECIMALS)))
        lost = grouped((names.get(name, name), days) for name, days in self.lost.items())
        lost_days = {name: np.unique(np.concatenate(days)) for name, days in lost.items()}
        return replace(self, frame=frame, lost=lost_days, orders=orders)

    def select(self, products: Collection[str]) -> Rows:
        """Return the rows of some products."""
        frame = self.frame[self.frame[columns.PRODUCT].isin([*products])].reset_index(drop=True)
        frame[columns.PRODUCT] = frame[columns.PRODUCT].cat.remove_unused_categories()
        return replace(self, frame=frame, lost={name: days for name, days in self.lost.items() if name in products})

    def clean(self) -> History:
        """Lay the rows of every product on a calendar.

        Raises:
            DataError: no product has a sale and enough days, or one has not and ``config.strict`` is set; names each.
        """
        products: list[ProductHistory] = []
        reports: list[ProductReport] = []
        problems = list(self.skipped)
        several = self.frame[columns.PRODUCT].nunique() > 1 or bool(self.skipped)
        days = self.frame[columns.REPORT_DATE].to_numpy()
        step = self.step_days
        missing = find_missing_days(self.frame, self.config.missing_days, self.lost)
        holidays = (
            find_holidays(self.config.country, days.min(), days.max()) if self.config.country and step == 1 else None
        )
        for part in split_products(self.frame):
            findings, refused = find_days(part, Context(self.config, step, missing, holidays))
            histories = build_histories(findings)
            products += histories
            reports += summarize(histories, findings)
            problems += [
                Problem(0, "", f"product {name!r}: {refused[name]}" if several else refused[name], name)
                for name in part.names
                if name in refused
            ]
        if problems and (self.config.strict or not products):
            refuse(self.source, problems)
        noted = (*describe_skipped(problems, len(products)), *self.notes)
        return History(
            self.source,
            tuple(products),
            tuple(replace(report, notes=(*noted, *report.notes)) for report in reports),
            tuple(sorted([*problems, *self.problems])),
            self.currency,
            self.unnamed,
        )
