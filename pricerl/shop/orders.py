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
    found = database.run(
        "SELECT product.name, edge.date, number, units, sales FROM edge JOIN product ON edge.product = product.id"
        " WHERE edge.date BETWEEN ? AND ?",
        ends,
    )
    known = pd.DataFrame(found, columns=[*DAY, "number", *AMOUNTS]).astype({columns.REPORT_DATE: dates.dtype})
    is_other = ~known["number"].isin([*rows.orders.numbers])
    others = known[known[columns.REPORT_DATE].isin(pd.to_datetime(ends)) & is_other]
    rows = replace(rows, orders=rows.orders._replace(parts=known[columns.REPORT_DATE].unique()))
    if others.empty:
        return rows
    keys = pd.MultiIndex.from_arrays([rows.frame[columns.PRODUCT].astype(str), dates])
    more = others.groupby(DAY)[AMOUNTS].sum().reindex(keys).fillna(0).to_numpy()
    on = " and ".join(sorted({*day_texts(others[columns.REPORT_DATE])}))
    lacking = f"{plural(others['number'].nunique(), 'order')} of earlier files on {on} that this one lacks"
    frame = rows.frame.assign(**(rows.frame[AMOUNTS] + more).round(6))
    frame.loc[more.any(axis=1), [columns.PRODUCT_PRICE, columns.COUPONS]] = np.nan  # as the part that was read first
    return replace(rows, frame=frame, notes=(*rows.notes, f"{lacking}: counted, too."))


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
    database.run_many(
        "DELETE FROM edge WHERE number = ? AND date IN (?, ?)",
        [(number, *ends) for number in known.intersection(rows.orders.numbers)],
    )
    cells = zip(days, *(lines[name].tolist() for name in ("product", "number", "units", "revenue")), strict=True)
    database.run_many(
        "INSERT INTO edge VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (date, product, number) DO UPDATE SET units = excluded.units, sales = excluded.sales",
        ((day, numbers[name], *own) for day, name, *own in cells if name in numbers),
    )
