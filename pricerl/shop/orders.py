"""Orders by their numbers on the first and last day of a file, which another file may have in part, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from pricerl.data.cleaning.rows import DAY, Rows
from pricerl.data.days import day_texts
from pricerl.data.reading import columns
from pricerl.formatting import plural
from pricerl.shop.database import Database

AMOUNTS = [columns.UNITS, columns.TOTAL_SALES]
"""Columns to which orders of other files are added."""


def join_orders(database: Database, rows: Rows) -> Rows:
    """Return the rows of a file with the orders on its first and last day that only other files have."""
    if rows.orders is None:
        return rows
    dates = rows.frame[columns.REPORT_DATE]
    days = day_texts(rows.orders.lines["day"])
    ends = [min(days), max(days)]
    selected = (
        "SELECT product.name, edge.date, number, units, sales FROM edge JOIN product ON edge.product = product.id"
        " WHERE edge.date BETWEEN ? AND ?"
    )
    known = pd.DataFrame(database.run(selected, ends), columns=[*DAY, "number", *AMOUNTS])
    at_end = known[columns.REPORT_DATE].isin(ends) & ~known["number"].isin([*rows.orders.numbers])
    known[columns.REPORT_DATE] = known[columns.REPORT_DATE].astype(dates.dtype)
    rows = replace(rows, orders=rows.orders._replace(parts=known[columns.REPORT_DATE].unique()))
    others = known[at_end].groupby(DAY)[AMOUNTS].sum()
    if others.empty:
        return rows
    keys = [rows.frame[columns.PRODUCT].astype(str), dates]
    more = others.reindex(pd.MultiIndex.from_arrays(keys)).fillna(0).to_numpy()
    count = known[at_end]["number"].nunique()
    days = sorted({f"{day:%Y-%m-%d}" for _, day in others.index})
    note = f"{plural(count, 'order')} of earlier files on {' and '.join(days)} that this one lacks: counted, too."
    frame = rows.frame.assign(**(rows.frame[AMOUNTS] + more).round(6))
    frame.loc[more.any(axis=1), [columns.PRODUCT_PRICE, columns.COUPONS]] = np.nan  # as the part that was read first
    return replace(rows, frame=frame, notes=(*rows.notes, note))


def keep_orders(database: Database, rows: Rows, numbers: Mapping[str, int]) -> None:
    """Keep the orders on the first and last day of a file, and none of days in between, which it has as a whole.

    An order that the file has is kept as the file has it: one that was cancelled is forgotten.
    """
    if rows.orders is None:
        return
    lines = rows.orders.lines
    days = day_texts(lines["day"])
    ends = [min(days), max(days)]
    database.run("DELETE FROM edge WHERE date > ? AND date < ?", ends)
    known = {number for (number,) in database.run("SELECT number FROM edge WHERE date IN (?, ?)", ends)}
    again = [(number, *ends) for number in known.intersection(rows.orders.numbers)]
    database.run_many("DELETE FROM edge WHERE number = ? AND date IN (?, ?)", again)
    cells = zip(days, *(lines[name].tolist() for name in ("product", "number", "units", "revenue")), strict=True)
    kept = (
        "INSERT INTO edge VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (date, product, number) DO UPDATE SET units = excluded.units, sales = excluded.sales"
    )
    database.run_many(kept, ((day, numbers[name], *own) for day, name, *own in cells if name in numbers))
