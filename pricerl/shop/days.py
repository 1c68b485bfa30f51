"""Days of a shop: kept in its database, and joined by the days of every file that is read."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, grouped
from pricerl.data.cleaning.rows import DAY, Rows, find_step
from pricerl.data.config import DataConfig
from pricerl.data.days import STEP_WORDS, day_texts
from pricerl.data.history import LARGEST_CATEGORY
from pricerl.data.reading import columns
from pricerl.errors import DataError
from pricerl.formatting import plural
from pricerl.shop.database import ALIASES, READING, Database
from pricerl.shop.files import last_file
from pricerl.shop.orders import keep_orders
from pricerl.terminal import list_first, shown

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
"""Most changed values, products or groups that a message lists."""


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

    def rows(self, config: DataConfig) -> Rows:
        """Return the rows as if one file had all of them."""
        frame = self.frame.drop(columns=["read", "file"])
        auto = {name: value for name, value in self.means.items() if getattr(config, name) == "auto"}
        return Rows(self.source, frame, replace(config, **auto), lost=self.lost, currency=self.currency)

    def news(self, fresh: Rows) -> Rows:
        """Return the rows of a file that are new or have other values."""
        return replace(fresh, frame=fresh.frame[_Joined(self.frame, fresh.frame).is_new])

    def join(self, fresh: Rows, accepts_changes: bool) -> Rows:
        """Return all days, with a fresh file's; blank cells stay as they were known. Errors are as in `check`."""
        joined = self.check(fresh, accepts_changes)
        frame = joined.frame
        of, days = (frame[name].to_numpy() for name in DAY)
        lost = {name: [side[name] for side in (self.lost, fresh.lost) if name in side] for name in joined.names}
        return replace(
            fresh,
            frame=frame,
            lost={name: np.setdiff1d(np.concatenate(own), days[of == name]) for name, own in lost.items() if own},
            currency=fresh.currency or self.currency,
            unnamed=fresh.unnamed and len(joined.names) == 1,
        )

    def check(self, fresh: Rows, accepts_changes: bool) -> _Joined:
        """Return the known rows next to a fresh file's.

        Raises:
            DataError: currency or step differ, or a day that was read before has other values, unless that is accepted.
        """
        elsewhere = "name its own shop with --run_name"
        if self.currency and fresh.currency and self.currency != fresh.currency:
            raise DataError(fresh.source, [f"is in {fresh.currency}, but the shop in {self.currency}; {elsewhere}"])
        steps = [step for step in map(find_step, (fresh.frame, self.frame)) if step]
        if len({*steps}) > 1:
            new, known = (STEP_WORDS[step] for step in steps)
            raise DataError(fresh.source, [f"rows are {new}s, but the shop has {known}s; {elsewhere}"])
        joined = _Joined(self.frame, fresh.frame)
        parts = fresh.orders.parts if fresh.orders else ()
        if not accepts_changes and (found := joined.describe_changes(parts) or joined.describe_jump()):
            raise DataError(fresh.source, [f"{found}; take it all the same with --accept {CHANGED}"])
        return joined


class _Joined:
    """Known rows and fresh ones of the same products, by a number per product and day."""

    def __init__(self, known: pd.DataFrame, fresh: pd.DataFrame) -> None:
        self.names = list(dict.fromkeys([*known[columns.PRODUCT].unique(), *fresh[columns.PRODUCT].unique()]))
        self._known = known.set_index(self._keys(known))
        self._fresh = fresh.set_index(self._keys(fresh))

    def _keys(self, frame: pd.DataFrame) -> Any:
        """Return a number per product and day, in the order of both."""
        codes = frame[columns.PRODUCT].cat.set_categories(self.names).cat.codes.astype(np.int64).to_numpy()
        return codes * 2**32 + frame[columns.REPORT_DATE].to_numpy().astype("datetime64[D]").astype(np.int64)

    @property
    def is_new(self) -> BoolArray:
        """``(M,)`` whether each fresh row is of a new day or another group, or has another value of a known one."""
        fresh = self._fresh[self._fresh.columns.intersection([*CELLS.values()])]
        known = self._known.reindex(index=fresh.index, columns=fresh.columns)
        differs = (fresh.notna() & (fresh != known)).any(axis=1)
        groups = last_groups(self._known)
        moved = [name for name, group in last_groups(self._fresh).items() if groups.get(name) != group]
        regrouped = self._fresh[columns.PRODUCT].isin(moved)
        return np.asarray(differs | regrouped | ~fresh.index.isin(self._known.index))

    def describe_changes(self, parts: Collection[Any] = ()) -> str:
        """Return which values changed of days, but not ``parts``, that had ended when read; empty if none did."""
        dates = self._known[columns.REPORT_DATE]
        last = dates.groupby(self._known["file"]).transform("max")
        ended = self._known[(dates < self._known["read"]) & (dates < last) & ~dates.isin([*parts])]
        asked = [name for name in sorted(ASKED) if name in ended and name in self._fresh]
        known = ended[asked].to_numpy(dtype=np.float64)
        fresh = self._fresh.reindex(index=ended.index, columns=asked).to_numpy(dtype=np.float64)
        rows, cells = np.nonzero(np.abs(fresh - known) > SAME * np.abs(known))
        changed = zip(ended[DAY].iloc[rows].to_numpy(), cells, known[rows, cells], fresh[rows, cells], strict=True)
        listed = [
            f"{day:%Y-%m-%d}{f' of {product}' if len(self.names) > 1 else ''}: {asked[cell]} {was:g} → {now:g}"
            for (product, day), cell, was, now in changed
        ]
        words = f"{plural(len(np.unique(rows)), 'day')} read before changed: {list_first(listed, MOST_LISTED, '; ')}"
        return words if listed else ""

    def describe_jump(self) -> str:
        """Return which product's prices are far from the known ones of other days; empty if none are."""
        met = self._known[columns.PRODUCT][self._known.index.isin(self._fresh.index)].unique()
        apart = (frame[~frame[columns.PRODUCT].isin(met)] for frame in (self._known, self._fresh))
        levels = [frame.groupby(columns.PRODUCT, observed=True)[columns.PRODUCT_PRICE].median() for frame in apart]
        for name, was, now in pd.concat(levels, axis=1, join="inner").itertuples():
            if max(was, now) > FAR * min(was, now):
                return f"prices of {shown(str(name))} are near {now:g}, but were near {was:g}: is it the same product?"
        return ""

    @property
    def frame(self) -> pd.DataFrame:
        """Known rows that the fresh file lacks, and its own, in the order of products and days."""
        older = self._known[~self._known.index.isin(self._fresh.index)]
        found = pd.concat([older.drop(columns=["read", "file"]), self._fresh]).sort_index()
        cells = found.columns.intersection([*CELLS.values()])
        found[cells] = found[cells].fillna(self._known.reindex(columns=cells))
        if known := last_groups(self._known):
            found = fill_groups(found, known)
        found[columns.PRODUCT] = pd.Categorical(found[columns.PRODUCT], categories=self.names)
        return found.reset_index(drop=True)


def read_days(database: Database, products: Collection[str] | None = None) -> Days | None:
    """Return the days of some products of a shop, by default of all, or None if it has read none at all."""
    currency = "coalesce((SELECT currency FROM file WHERE currency <> '' ORDER BY id DESC LIMIT 1), '')"
    last = database.run(f"SELECT name, {currency}, {', '.join(MEANT)} FROM file ORDER BY id DESC LIMIT 1")
    if not last:
        return None
    source, currency, *means = last[0]
    about = database.run("SELECT id, name, category FROM product ORDER BY id")
    names = {number: name for number, name, _ in about if products is None or name in products}
    rows = database.run(
        f"SELECT product, date, known, added, file.id, {', '.join(f'day.{name}' for name in CELLS)}"
        " FROM day JOIN file ON day.file = file.id"
        f" WHERE product IN ({', '.join(map(str, [0, *names]))}) ORDER BY product, date"
    )
    numbers, dates, known, read, file, *cells = [*zip(*rows, strict=True)] or [()] * (5 + len(CELLS))
    groups = [*map({number: group or None for number, _, group in about}.get, numbers)]
    values = {
        **{name: np.array(own, dtype=np.float64) for name, own in zip(CELLS.values(), cells, strict=True)},
        columns.GROUP: np.array(groups, dtype=object),
    }
    frame = pd.DataFrame(
        {
            columns.PRODUCT: pd.Categorical([*map(names.get, numbers)], categories=[*names.values()]),
            **{columns.REPORT_DATE: np.array(dates, "datetime64[s]"), "read": np.array(read, "datetime64[s]")},
            "file": np.array(file, dtype=np.int64),
            **{name: own for name, own in values.items() if not (len(own) and pd.isna(own).all())},
        }
    )
    is_known = np.array(known) == 1
    lost = frame[~is_known].groupby(columns.PRODUCT, observed=True)[columns.REPORT_DATE]
    return Days(
        frame[is_known],
        {str(name): days.to_numpy().astype("datetime64[D]") for name, days in lost},
        dict(zip(MEANT, means, strict=True)),
        currency,
        source,
    )


def last_groups(frame: pd.DataFrame) -> dict[str, str]:
    """Return the newest group of each product that has one."""
    own = frame.reindex(columns=[*DAY, columns.GROUP]).sort_values(columns.REPORT_DATE)
    return dict(own.groupby(columns.PRODUCT, observed=True)[columns.GROUP].last().dropna().astype(str))


def fill_groups(frame: pd.DataFrame, known: Mapping[str, str]) -> pd.DataFrame:
    """Return rows with the ``known`` group of their product where they have none."""
    groups = frame.reindex(columns=[columns.GROUP])[columns.GROUP].astype(object)
    of = frame[columns.PRODUCT].astype(object).map(known)
    return frame.assign(**{columns.GROUP: groups.where(groups.notna(), of)})


def find_mates(database: Database, names: Collection[str], groups: Collection[str] = ()) -> set[str]:
    """Return all products of the categories that have one of some products, or are among some groups."""
    members = grouped(database.run("SELECT category, name FROM product WHERE category <> ''"))
    return {
        name
        for group, mates in members.items()
        if len(mates) <= LARGEST_CATEGORY and (group in groups or not {*names}.isdisjoint(mates))
        for name in mates
    }


def known_names(database: Database) -> dict[str, str]:
    """Return the shop's name of each product by another name that files have for it."""
    return dict(json.loads(database.fact(ALIASES) or "{}"))


def keep_days(database: Database, rows: Rows, today: date) -> int:
    """Keep the days of a file that are new, or other ones than before, and return how many; blank cells change none.

    The advice on a product whose group changed stands no longer.
    """
    database.keep_fact(READING, json.dumps(asdict(rows.config)))
    if rows.aliases:
        database.keep_fact(ALIASES, json.dumps({**known_names(database), **rows.aliases}))
    file = last_file(database) + 1
    database.run(
        "INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?)",
        (file, rows.source, today.isoformat(), *(getattr(rows.config, name) for name in MEANT), rows.currency),
    )
    groups = last_groups(rows.frame)
    before = dict(database.run("SELECT name, category FROM product"))
    moved = {name for name, group in groups.items() if before.get(name, group) != group}
    database.run_many(
        "INSERT INTO product SELECT coalesce(max(id), 0) + 1, ?, ?, 0 FROM product WHERE true"
        " ON CONFLICT (name) DO UPDATE SET category = coalesce(nullif(excluded.category, ''), product.category)",
        [(name, str(groups.get(name, ""))) for name in rows.names],
    )
    numbers = {name: number for number, name in database.run("SELECT id, name FROM product")}
    keep_orders(database, rows, numbers)
    newer = {
        **{name: f"coalesce(excluded.{name}, day.{name})" for name in CELLS},
        "known": "CASE WHEN excluded.known > day.known THEN excluded.known ELSE day.known END",
    }
    names = ("product", "date", "known", *CELLS, "file")
    changed = database.run_many(
        f"INSERT INTO day ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        f" ON CONFLICT (product, date) DO UPDATE SET file = excluded.file, "
        f"{', '.join(f'{name} = {value}' for name, value in newer.items())}"
        f" WHERE {' OR '.join(f'{value} IS DISTINCT FROM day.{name}' for name, value in newer.items())}",
        _cells(rows, numbers, file),
    )
    database.run_many(
        "UPDATE product SET file = ? WHERE id = ?"
        " AND (? = 1 OR EXISTS (SELECT 1 FROM day WHERE day.product = product.id AND day.file = ?))",
        [(file, numbers[name], int(name in moved), file) for name in rows.names],
    )
    if not (changed or moved or rows.aliases):
        database.run("DELETE FROM file WHERE id = ?", (file,))
    return changed


def _cells(rows: Rows, numbers: Mapping[str, int], file: int) -> Iterator[tuple[Any, ...]]:
    """Yield product, date, whether it could be read, the cells of each row, and the file."""
    frame = rows.frame.reindex(columns=[*CELLS.values()]).astype(object)
    cells = frame.where(frame.notna(), None).to_numpy().tolist()
    dates = day_texts(rows.frame[columns.REPORT_DATE])
    for name, day, values in zip(rows.frame[columns.PRODUCT], dates, cells, strict=True):
        yield numbers[name], day, 1, *values, file
    for name in rows.lost.keys() & numbers.keys():
        yield from ((numbers[name], day, 0, *[None] * len(CELLS), file) for day in day_texts(rows.lost[name]))
