"""Names of products: one that comes under a new name in a later file is asked about once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pricerl.data.cleaning.rows import DAY, Rows
from pricerl.data.days import STEP_WORDS, WEEK, day_texts
from pricerl.data.reading import columns
from pricerl.errors import DataError, refuse
from pricerl.formatting import plural
from pricerl.shop.database import Database
from pricerl.shop.days import CHANGED, FAR, MOST_LISTED, keep_days, known_names, read_days
from pricerl.shop.files import FilesRead, last_file, remember_files
from pricerl.shop.groups import GROUPED, group_rows
from pricerl.shop.orders import join_orders
from pricerl.terminal import list_first, print_notes, shown

RENAMED = "renamed"
"""Value of ``--accept`` that joins products under new names to those that they look like."""

NEW = "new"
"""Value of ``--accept`` that keeps products under new names next to those that they look like."""

WINDOW = 28
"""Rows, at the end of what the shop has, that are compared."""

LEAST_SAME = 0.8
"""Smallest share of a new product's days on which a known one has the same price and sales."""

LEAST_INFORMATION = 10.0
"""Least information in nats of equal days: another product with the same prices and spread of sales has one such run in
20,000."""

NEAR = 1.03
"""Largest factor between two price levels that count as one."""

RARE = 0.05
"""Largest chance with which a product is missing from a file, if its days with rows come by chance, that is noticed."""

VALUES = ["day", "price", "sales"]
"""Columns by which two days are equal."""

LEVEL = {
    "first": ("day", "min"),
    "last": ("day", "max"),
    "rows": ("day", "size"),
    "price": ("price", "median"),
    "sales": ("sales", "sum"),
}
"""Summary of a product's days."""

Alike = tuple[str, str, str]
"""Name in the file, name in the shop, and why they look like one product."""


def read_accepted(text: str | None) -> set[str]:
    """Return the answers of ``--accept``; unknown ones, and two to one question, are a ``UsageError``."""
    found = {*(text or "").split(",")} - {""}
    known = f"some of {CHANGED}, {GROUPED}, and {RENAMED} or {NEW}, separated by commas"
    is_wrong = found - {CHANGED, RENAMED, NEW, GROUPED} or {RENAMED, NEW} <= found
    refuse({f"--accept: must be {known}; found {text!r}": is_wrong})
    return found


def keep_files(database: Database, read: FilesRead, products: Sequence[str], today: date) -> int:
    """Keep the days of some files that are new, or other ones than before, and return how many.

    If others have added days since the files were read, these are looked at anew; errors are as in `name_rows` and
    `Days.check`.
    """
    rows = read.unread
    if rows is None or rows.known_files != last_file(database):
        rows = take_rows(database, read.rows, products, read.accepted, read.related)
        if (days := read_days(database)) is not None:
            days.check(rows, CHANGED in read.accepted)
    remember_files(database, read.hashes)
    return keep_days(database, rows, today)


def take_rows(
    database: Database,
    rows: Rows,
    products: Sequence[str],
    accepted: Collection[str],
    related: Iterable[Sequence[str]] | None = None,
) -> Rows:
    """Return a file's rows under the shop's names, with orders of other files, and groups given what is ``related``.

    Errors are as in `name_rows`.
    """
    rows = join_orders(database, name_rows(database, rows, products, accepted))
    if related is not None:
        rows = group_rows(database, rows, related, products, accepted)
    return replace(rows, known_files=last_file(database))


def name_rows(database: Database, rows: Rows, products: Sequence[str], accepted: Collection[str]) -> Rows:
    """Return the rows of a file under the names that the shop has for their ``products``.

    The only product of a file without names is the only one of the shop.

    Raises:
        DataError: a new product looks like one that the file lacks, and neither answer is ``accepted``.
    """
    if rows.unnamed and len(products) == 1:
        return rows.renamed(dict.fromkeys(rows.names, *products))
    rows = rows.renamed(known_names(database))
    strangers = {*rows.names}.difference(products)
    present = {*rows.names, *rows.lost, *(problem.product for problem in rows.skipped)}
    missing = {name for name in products if name not in present}
    alike = _find_alike(database, rows, strangers, missing) if strangers and missing and NEW not in accepted else []
    if not alike:
        return rows
    if RENAMED not in accepted:
        pairs = [f"{shown(new)} is new and looks like {shown(old)} ({why})" for new, old, why in alike]
        listed = list_first(pairs, MOST_LISTED, "; ")
        asked = "the same product? join it under the shop's name" if len(alike) == 1 else "the same products? join them"
        raise DataError(rows.source, [f"{listed}: {asked} with --accept {RENAMED}, or keep both with --accept {NEW}"])
    print_notes(f"{shown(new)} is joined to {shown(old)}, the name that the shop keeps" for new, old, _ in alike)
    aliases = {new: old for new, old, _ in alike}
    return replace(rows.renamed(aliases), aliases=aliases)


def _find_alike(database: Database, rows: Rows, strangers: Collection[str], missing: Collection[str]) -> list[Alike]:
    """Return the new products of a file that look like products of the shop that it lacks."""
    cells = [*DAY, columns.PRODUCT_PRICE, columns.TOTAL_SALES]
    fresh = _days_of(rows.frame[rows.frame[columns.PRODUCT].isin([*strangers])][cells].itertuples(index=False), "new")
    ends = database.run("SELECT max((SELECT max(date) FROM day WHERE day.product = product.id)) FROM product")
    dates = rows.frame[columns.REPORT_DATE]
    days = np.array([dates.min(), dates.max(), ends[0][0] or "1970-01-01"], "datetime64[D]").astype(np.int64)
    first, last, end = days.tolist()
    span = Span(first, last, end, rows.step_days)
    until = min(span.last, span.end)
    begin = until - WINDOW * span.step
    days_known = database.run(
        "SELECT name, date, price, sales FROM product JOIN day ON day.product = product.id"
        " WHERE date > ? AND date <= ? AND known = 1 ORDER BY product.id, date",
        day_texts([begin, until]),
    )
    known = _days_of([row for row in days_known if row[0] in missing], "old")
    found = _find_equal(fresh[fresh["day"] > begin], known, STEP_WORDS[span.step])
    taken = {name for new, old, _ in found for name in (new, old)}
    return found + _find_following(fresh[~fresh["new"].isin(taken)], known[~known["old"].isin(taken)], span)


class Span(NamedTuple):
    """Days since 1970-01-01 of a file and a shop."""

    first: int
    last: int
    end: int
    """Last day that the shop has."""
    step: int
    """Days from row to row."""


def _days_of(found: Iterable[Any], name: str) -> pd.DataFrame:
    """Return days with product, price and sales as a frame, whose values are equal if they print alike."""
    frame = pd.DataFrame(found, columns=[name, *VALUES])
    days = pd.to_datetime(frame["day"]).to_numpy().astype("datetime64[D]").astype(np.int64)
    return frame.assign(day=days, **frame[VALUES[1:]].astype(float).round(6))


def _find_equal(fresh: pd.DataFrame, known: pd.DataFrame, word: str) -> list[Alike]:
    """Return the new products that have price and sales of a known one on most of the days that both could have."""
    fresh = fresh.dropna()
    unique, others = (frame.drop_duplicates(VALUES, keep=False) for frame in (fresh, known))
    met = unique.merge(others, on=VALUES).value_counts(["new", "old"])
    if not (met > 1).any():
        return []
    rows, alike = (fresh.groupby(["new", *own])["day"].transform("size") for own in ((), VALUES[1:]))
    fresh = fresh.assign(nats=np.log(rows / alike))
    ends = known.groupby("old", as_index=False).agg(first=("day", "min"), last=("day", "max"))
    both = met[met > 1].index.to_frame(index=False).merge(fresh, on="new").merge(ends, on="old")
    both = both[both["day"].between(both["first"], both["last"])]
    both = both.merge(known.assign(same=True), how="left", on=["old", *VALUES])
    pairs = both.assign(nats=both["nats"].where(both["same"].notna(), 0.0)).groupby(["new", "old"])
    rated = pairs.agg(days=("day", "size"), same=("same", "count"), nats=("nats", "sum")).reset_index()
    rated = rated[(rated["same"] >= LEAST_SAME * rated["days"]) & (rated["nats"] >= LEAST_INFORMATION)]
    best = rated.sort_values("nats", ascending=False, kind="stable").drop_duplicates("new").drop_duplicates("old")
    return [
        (new, old, f"same price and sales on {same} of {plural(days, word)}")
        for new, old, days, same, _ in best.itertuples(index=False)
    ]


def _find_following(fresh: pd.DataFrame, known: pd.DataFrame, span: Span) -> list[Alike]:
    """Return the new products that begin where a known one ends, with its level of prices, as no other one does.

    A known product has ended if its rows were so regular that the file would have some. If more have ended than new
    ones begin, the file has only some of the products.
    """
    if span.last <= span.end or known.empty:
        return []
    reach = WEEK + span.step
    old = known.groupby("old").agg(**LEVEL).sort_values("price")
    absent = (span.last - np.maximum(old["last"], span.first - span.step)) / span.step
    regular = (old["rows"] / ((span.end - old["first"]) / span.step + 2)).clip(upper=1)  # a file of weeks, days
    old = old[(old["last"] > span.end - reach) & ((1 - regular) ** absent < RARE)]
    early = fresh["day"] < fresh.groupby("new")["day"].transform("min") + WINDOW * span.step
    new = fresh[early].groupby("new").agg(**LEVEL).sort_values("price")
    new = new[(new["first"] >= span.end) & (new["first"] < max(span.first, span.end) + reach)]
    if not 0 < len(old) <= len(new):
        return []
    at = _only_near(new["price"], old["price"])
    rows = np.flatnonzero((at >= 0) & (_only_near(old["price"], new["price"])[at] == np.arange(len(at))))
    begins = new.iloc[rows].reset_index()
    ended = old.iloc[at[rows]].reset_index()
    level = begins["sales"] / (np.minimum(span.last - begins["first"], WINDOW * span.step) + span.step)
    was = ended["sales"] / (span.end - ended["first"] + span.step)
    why = "same level of prices and sales; one ends on {}, the other begins on {}"
    near = (level < FAR * was) & (was < FAR * level)
    listed = zip(begins["new"][near], ended["old"][near], ended["last"][near], begins["first"][near], strict=True)
    return [(new, old, why.format(*day_texts(days))) for new, old, *days in listed]


def _only_near(prices: pd.Series, others: pd.Series) -> Any:
    """Return the place ``(N,)`` of the only one of the ``others``, in order, near each price; -1 if none or several."""
    low = np.searchsorted(others, prices / NEAR)
    return np.where(np.searchsorted(others, prices * NEAR, side="right") - low == 1, low, -1)
