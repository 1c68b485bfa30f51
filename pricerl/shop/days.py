"""Days of a shop: kept in its database, and joined by the days of every file that is read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray
from pricerl.data.cleaning.calendar import find_step_days
from pricerl.data.cleaning.rows import DAY, Rows
from pricerl.data.config import DataConfig
from pricerl.data.days import STEP_WORDS, day_texts
from pricerl.data.reading import columns
from pricerl.errors import DataError
from pricerl.formatting import plural
from pricerl.shop.database import ALIASES, READING, Database
from pricerl.shop.orders import keep_orders
from pricerl.terminal import shown

CELLS = {
    "price": columns.PRODUCT_PRICE,
    "sales": columns.TOTAL_SALES,
    "units": columns.UNITS,
    "profit": columns.TOTAL_PROFIT,
    "organic": columns.ORGANIC_CONVERSION,
    "ad": columns.AD_CONVERSION,
    "predicted": columns.PREDICTED_SALES,
    "unit_cost": columns.UNIT_COST,
    "competitor": columns.COMPETITOR_PRICE,
    "coupons": columns.COUPONS,
    "ad_spend": columns.AD_SPEND,
    "promotion": columns.PROMOTION,
    "in_stock": columns.IN_STOCK,
}
"""Columns of a seller's file by column of the table ``day``."""

MEANT = ("sales", "missing_days", "date_order")
"""Settings of the reader that the table ``file`` keeps."""

CHANGED = "changed"
"""Value of ``--accept`` that takes new values of days that were read before."""

SAME = 1e-9
"""Largest difference of a number that was read again, as a share: another program wrote its last digit."""

ASKED = (columns.PRODUCT_PRICE, columns.TOTAL_SALES, columns.UNITS)
"""Columns whose changes are asked about; new values of others are taken."""

FAR = 3.0
"""Factor between two prices of one product that is asked about: another product, currency or unit."""

MOST_LISTED = 5
"""Most changed values that a message lists."""


@dataclass(frozen=True, eq=False)
class Days:
    """All days that a shop has read."""

    frame: pd.DataFrame
    """Rows as `Rows` has them, with the day on which each was ``read``, and the number of the ``file``."""
    lost: Mapping[str, Any]
    means: Mapping[str, Any]
    """Settings of the reader as the last file was found to mean them."""
    currency: str
    source: str
    """Name of the last file."""

    def summary(self) -> list[tuple[str, int, str, str]]:
        """Return name, number of days, first and last day of each product."""
        days = self.frame.groupby(columns.PRODUCT, observed=True)[columns.REPORT_DATE].agg(["count", "min", "max"])
        return [(str(row[0]), row[1], f"{row[2]:%Y-%m-%d}", f"{row[3]:%Y-%m-%d}") for row in days.itertuples()]

    def rows(self, config: DataConfig) -> Rows:
        """Return the rows as if one file had all of them."""
        frame = self.frame.drop(columns=["read", "file"])
        auto = {name: value for name, value in self.means.items() if getattr(config, name) == "auto"}
        return Rows(self.source, frame, replace(config, **auto), lost=self.lost, currency=self.currency)

    def news(self, fresh: Rows) -> Rows:
        """Return the rows of a file that are new or have other values."""
        return replace(fresh, frame=fresh.frame[_Joined(self.frame, fresh.frame).is_new])

    def join(self, fresh: Rows, accepts_changes: bool) -> Rows:
        """Return all days, with a fresh file's; blank cells of the file stay as they were known.

        Raises:
            DataError: currency or step differ, or a day that was read before has other values, unless that is accepted.
        """
        if self.currency and fresh.currency and self.currency != fresh.currency:
            found = f"is in {fresh.currency}, but the shop in {self.currency}; name its own shop with --run_name"
            raise DataError(fresh.source, [found])
        joined = _Joined(self.frame, fresh.frame)
        if (steps := joined.steps) and steps[0] != steps[1]:
            known, new = (STEP_WORDS[days] for days in steps)
            found = f"rows are {new}s, but the shop has {known}s; name its own shop with --run_name"
            raise DataError(fresh.source, [found])
        parts = fresh.orders.parts if fresh.orders else ()
        if not accepts_changes and (found := joined.describe_changes(parts) or joined.describe_jump()):
            raise DataError(fresh.source, [f"{found}; take it all the same with --accept {CHANGED}"])
        fresh = replace(fresh, currency=fresh.currency or self.currency)
        if joined.is_whole:
            return fresh
        lost = {name: days for name, days in {**self.lost, **fresh.lost}.items() if name in joined.names}
        lost = {name: np.setdiff1d(days, _days_of(joined.frame, name)) for name, days in lost.items()}
        return replace(fresh, frame=joined.frame, lost=lost, unnamed=fresh.unnamed and len(joined.names) == 1)


def _days_of(frame: pd.DataFrame, product: str) -> Any:
    """Return the days of a product, ``(N,)`` unit D."""
    return frame.loc[frame[columns.PRODUCT] == product, columns.REPORT_DATE].to_numpy().astype("datetime64[D]")


class _Joined:
    """Known rows and fresh ones of the same products, matched by product and day."""

    def __init__(self, known: pd.DataFrame, fresh: pd.DataFrame) -> None:
        self.names = list(dict.fromkeys([*known[columns.PRODUCT].unique(), *fresh[columns.PRODUCT].unique()]))
        self._known = known
        self._fresh = fresh
        left, right = (self._keys(frame) for frame in (known, fresh))
        self._at = pd.Index(right).get_indexer(pd.Index(left))
        """``(N,)`` fresh row of each known one; -1 without one."""

    def _keys(self, frame: pd.DataFrame) -> Any:
        """Return a number per product and day."""
        codes = frame[columns.PRODUCT].cat.set_categories(self.names).cat.codes.astype(np.int64).to_numpy()
        return codes * 2**32 + frame[columns.REPORT_DATE].to_numpy().astype("datetime64[D]").astype(np.int64)

    @property
    def is_new(self) -> BoolArray:
        """``(M,)`` whether each fresh row is of a new day, or has another value of a known one."""
        found = np.ones(len(self._fresh), dtype=bool)
        both = self._at >= 0
        same = np.ones(int(both.sum()), dtype=bool)
        for name in CELLS.values():
            if name in self._fresh:
                fresh = self._fresh[name].to_numpy(dtype=float)[self._at[both]]
                known = self._known[name].to_numpy()[both] if name in self._known else np.full(len(fresh), np.nan)
                same &= ~np.isfinite(fresh) | (fresh == known)
        found[self._at[both]] = ~same
        return found

    @property
    def is_whole(self) -> bool:
        """Whether the fresh file has all that is known."""
        names = [*self._fresh[columns.PRODUCT].unique()]
        return bool((self._at >= 0).all()) and names == self.names and not any(gap.any() for _, gap in self._gaps())

    @property
    def steps(self) -> tuple[int, int] | None:
        """Days from row to row of the first product that both have twice or more, known and fresh, if any."""
        counts = [frame[columns.PRODUCT].value_counts() for frame in (self._known, self._fresh)]
        several = (set(count.index[count > 1]) for count in counts)
        name = min(set.intersection(*several), key=self.names.index, default=None)
        if name is None:
            return None
        known, fresh = (find_step_days(np.sort(_days_of(frame, name))) for frame in (self._known, self._fresh))
        return known, fresh

    def _pairs(self) -> Iterator[tuple[str, Any, Any]]:
        """Yield each column with its known and its fresh values on the same days."""
        both = self._at >= 0
        for name in ASKED:
            if name in self._known and name in self._fresh:
                yield name, self._known[name].to_numpy()[both], self._fresh[name].to_numpy()[self._at[both]]

    def _gaps(self) -> Iterator[tuple[str, BoolArray]]:
        """Yield each column with the days on which it is known, but blank in the fresh file."""
        both = self._at >= 0
        for name in CELLS.values():
            if name in self._known:
                known = np.isfinite(self._known[name].to_numpy()[both])
                blank = ~np.isfinite(self._fresh[name].to_numpy()[self._at[both]]) if name in self._fresh else True
                yield name, known & blank

    def describe_changes(self, parts: Collection[Any] = ()) -> str:
        """Return which values changed of days, but not ``parts``, that had ended when read; empty if none did."""
        both = np.flatnonzero(self._at >= 0)
        last = self._known.groupby("file")[columns.REPORT_DATE].transform("max").to_numpy()
        dates = self._known[columns.REPORT_DATE].to_numpy()
        ended = (~np.isin(dates, [*parts]) & (dates < self._known["read"].to_numpy()) & (dates < last))[both]
        found: list[tuple[Any, str, float, float]] = []
        for name, known, fresh in self._pairs():
            differs = ended & (np.abs(fresh - known) > SAME * np.abs(known))
            found += [(at, name, known[at], fresh[at]) for at in np.flatnonzero(differs)]
        if not found:
            return ""
        several = len(self.names) > 1
        listed = []
        for at, name, was, now in sorted(found, key=lambda item: item[:2])[:MOST_LISTED]:
            product, day = self._known.iloc[both[at]][DAY]
            listed.append(f"{day:%Y-%m-%d}{f' of {product}' if several else ''}: {name} {was:g} → {now:g}")
        more = f" and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
        days = plural(len({at for at, *_ in found}), "day")
        return f"{days} read before changed: {'; '.join(listed)}{more}"

    def describe_jump(self) -> str:
        """Return which product's prices are far from the known ones of other days; empty if none are."""
        known, fresh = (
            frame.groupby(columns.PRODUCT, observed=True)[columns.PRODUCT_PRICE].median()
            for frame in (self._known, self._fresh)
        )
        met = self._known[columns.PRODUCT][self._at >= 0].unique()
        for name in fresh.index.intersection(known.index).difference(met, sort=False):
            was, now = float(known[name]), float(fresh[name])
            if max(was, now) > FAR * min(was, now):
                return f"prices of {shown(str(name))} are near {now:g}, but were near {was:g}: is it the same product?"
        return ""

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Known rows that the fresh file lacks, and its own, in the order of products and days."""
        fresh = self._fresh.reset_index(drop=True).copy()
        both = self._at >= 0
        for name, gap in self._gaps():
            if gap.any():
                values = fresh[name].to_numpy(copy=True) if name in fresh else np.full(len(fresh), np.nan)
                values[self._at[both][gap]] = self._known[name].to_numpy()[both][gap]
                fresh[name] = values
        older = self._known[~both].drop(columns=["read", "file"])
        parts = [part.assign(**{columns.PRODUCT: part[columns.PRODUCT].astype(object)}) for part in (older, fresh)]
        for part in parts:
            if columns.GROUP in part:
                part[columns.GROUP] = part[columns.GROUP].astype(object)
        found: pd.DataFrame = pd.concat(parts, ignore_index=True)
        found[columns.PRODUCT] = pd.Categorical(found[columns.PRODUCT], categories=self.names)
        found[columns.REPORT_DATE] = found[columns.REPORT_DATE].astype("datetime64[s]")
        return found.sort_values(DAY, kind="stable", ignore_index=True)


def read_days(database: Database, products: Collection[str] | None = None) -> Days | None:
    """Return the days of some products of a shop, by default of all, or None if it has read none at all."""
    last = database.run("SELECT name, sales, missing_days, date_order FROM file ORDER BY id DESC LIMIT 1")
    if not last:
        return None
    source, *means = last[0]
    currencies = database.run("SELECT currency FROM file WHERE currency <> '' ORDER BY id DESC LIMIT 1")
    about = database.run("SELECT id, name, category FROM product ORDER BY id")
    about = [item for item in about if products is None or item[1] in products]
    names = {number: name for number, name, _ in about}
    groups = {number: category for number, _, category in about if category}
    cells = ", ".join(f"day.{name}" for name in CELLS)
    selected = (
        f"SELECT day.product, day.date, day.known, file.added, day.file, {cells} FROM day"
        " JOIN file ON day.file = file.id{} ORDER BY day.product, day.date"
    )
    if products is None:
        rows = database.run(selected.format(""))
    else:
        rows = [row for number in names for row in database.run(selected.format(" WHERE day.product = ?"), (number,))]
    number, dates, known, read, file, *values = [*zip(*rows, strict=True)] or [()] * (5 + len(CELLS))
    frame = pd.DataFrame(
        {
            columns.PRODUCT: pd.Categorical([names[item] for item in number], categories=[*names.values()]),
            columns.REPORT_DATE: np.array(dates, dtype="datetime64[s]"),
            "read": np.array(read, dtype="datetime64[s]"),
            "file": file,
            **{column: np.array(cell, dtype=float) for column, cell in zip(CELLS.values(), values, strict=True)},
        }
    )
    frame = frame.dropna(axis="columns", how="all") if len(frame) else frame
    if groups:
        frame[columns.GROUP] = [groups.get(item) for item in number]
    missing = ~np.array(known, dtype=bool)
    lost = {
        str(name): days.to_numpy().astype("datetime64[D]")
        for name, days in frame[missing].groupby(columns.PRODUCT, observed=True)[columns.REPORT_DATE]
    }
    return Days(
        frame[~missing], lost, dict(zip(MEANT, means, strict=True)), currencies[0][0] if currencies else "", source
    )


def known_names(database: Database) -> dict[str, str]:
    """Return the shop's name of each product by another name that files have for it."""
    return dict(json.loads(database.fact(ALIASES) or "{}"))


def keep_days(database: Database, rows: Rows, today: date) -> int:
    """Keep the days of a file that are new, or other ones than before, and return how many; blank cells change none."""
    config = rows.config
    database.keep_fact(READING, json.dumps(asdict(config)))
    if rows.aliases:
        database.keep_fact(ALIASES, json.dumps({**known_names(database), **rows.aliases}))
    (file,) = database.run("SELECT coalesce(max(id), 0) + 1 FROM file")[0]
    about = (file, rows.source, today.isoformat(), *(getattr(config, name) for name in MEANT), rows.currency)
    database.run("INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?)", about)
    groups: dict[str, str] = {}
    if columns.GROUP in rows.frame:
        known = rows.frame.sort_values(columns.REPORT_DATE).groupby(columns.PRODUCT, observed=True)[columns.GROUP]
        groups = {str(name): str(group) for name, group in known.last().dropna().items()}
    database.run_many(
        "INSERT INTO product SELECT coalesce(max(id), 0) + 1, ?, ?, 0 FROM product WHERE true"
        " ON CONFLICT (name) DO UPDATE SET category = excluded.category",
        [(name, groups.get(name, "")) for name in rows.names],
    )
    numbers = {name: number for number, name in database.run("SELECT id, name FROM product")}
    keep_orders(database, rows, numbers)
    newer = {name: f"coalesce(excluded.{name}, day.{name})" for name in CELLS}
    newer["known"] = "CASE WHEN excluded.known > day.known THEN excluded.known ELSE day.known END"
    names = ("product", "date", "known", *CELLS, "file")
    kept = (
        f"INSERT INTO day ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        f" ON CONFLICT (product, date) DO UPDATE SET file = excluded.file, "
        f"{', '.join(f'{name} = {value}' for name, value in newer.items())}"
        f" WHERE {' OR '.join(f'{value} IS DISTINCT FROM day.{name}' for name, value in newer.items())}"
    )
    new: Counter[int] = Counter()
    for product, own in groupby(_cells(rows, numbers), itemgetter(0)):
        new[product] += database.run_many(kept, ((*row, file) for row in own))
    database.run_many("UPDATE product SET file = ? WHERE id = ?", [(file, item) for item in new if new[item]])
    if not new.total():
        database.run("DELETE FROM file WHERE id = ?", (file,))
    return new.total()


def _cells(rows: Rows, numbers: Mapping[str, int]) -> Iterator[tuple[Any, ...]]:
    """Yield product, date, whether it could be read, and the cells of each row."""
    frame = rows.frame
    dates = day_texts(frame[columns.REPORT_DATE])
    blank: list[float | None] = [None] * len(frame)
    cells = [
        [None if value != value else value for value in frame[name].astype(float).tolist()] if name in frame else blank
        for name in CELLS.values()
    ]
    for name, day, *values in zip(frame[columns.PRODUCT].astype(str), dates, *cells, strict=True):
        yield numbers[name], day, 1, *values
    for name, days in rows.lost.items():
        for day in day_texts(days):
            yield numbers[name], day, 0, *[None] * len(CELLS)
