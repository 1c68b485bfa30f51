"""Rows with too few or too many cells: which day, and of which product, is lost with each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, DateArray
from pricerl.data.reading import columns
from pricerl.data.reading.columns import fold_product
from pricerl.data.reading.problems import Problem
from pricerl.data.reading.texts import Cells, TextColumn
from pricerl.formatting import plural

LARGEST_SHARE = 0.05
FEW = 2
"""Share of ragged rows above which a file is refused, as something is wrong with all of it, if there are more than a
few."""

SEPARATORS = (",", ";", "\t", "|")

Days = Callable[[Sequence[str]], DateArray]
"""Function from texts ``(N,)`` to their days, NaT where they are no dates."""


class RaggedRow(NamedTuple):
    """Row whose number of cells is not that of the header."""

    line: int
    """Line in the seller's file."""

    cells: tuple[str, ...]


class LostRow(NamedTuple):
    """Ragged row, with what is known of it."""

    line: int
    finding: str
    """Its number of cells, in words."""

    day: np.datetime64
    """Its day; NaT if that is not clear."""

    names: tuple[str, ...] = ()
    """Texts that can be its product, likeliest first."""


@dataclass(frozen=True)
class Losses:
    """Days that ragged rows make unknown, and their problems."""

    kept: BoolArray | Literal[True] = True
    """``(N,)`` rows that are not of an unknown day."""

    days: Mapping[str, DateArray] = field(default_factory=dict)
    """Unknown days by product."""

    reported: Sequence[Problem] = ()
    """Problems of rows whose day is unknown; the other days can be used."""

    open: Sequence[Problem] = ()
    """Problems of rows whose day is not clear."""

    def notes(self) -> list[str]:
        """Return a note on the rows whose day is unknown, if there are any."""
        if not self.reported:
            return []
        rows = plural(len(self.reported), "row")
        return [f"Wrong number of cells: {rows}, whose day counts as unknown. check FILE lists them."]


def check_share(ragged: Sequence[RaggedRow], num_rows: int, width: int, separator: str) -> list[Problem]:
    """Return a problem if too many rows are ragged, or all of them, with the likely reason.

    Args:
        ragged: rows with another number of cells than the header.
        num_rows: number of the other rows.
        width: number of cells of the header.
        separator: separator of the cells.
    """
    every = num_rows + len(ragged)
    if not ragged or (num_rows and len(ragged) <= max(FEW, LARGEST_SHARE * every)):
        return []
    first = ragged[0]
    found = f"{len(ragged):,} of {plural(every, 'row')} do not have as many cells as the header, {width}"
    why = _likely_reason(ragged, width, separator)
    return [Problem(first.line, "", f"{found}: this one has {len(first.cells)}; {why}", everywhere=True)]


def _likely_reason(ragged: Sequence[RaggedRow], width: int, separator: str) -> str:
    others = [other for other in SEPARATORS if other != separator]
    for other in others:
        if _mostly(len(separator.join(row.cells).split(other)) == width for row in ragged):
            return f"they are separated by {other!r}, the header by {separator!r}: use one separator"
    long = [row for row in ragged if len(row.cells) > width]
    if separator == "," and _mostly(_count_split_numbers(row.cells) >= len(row.cells) - width for row in long):
        return "numbers with a comma seem to have no quotes: separate the cells by ';', or quote such numbers"
    if _mostly(len(row.cells) > width for row in ragged):
        return f"texts with {separator!r} seem to have no quotes: quote them, or use another separator"
    return "cells at their ends are missing: export the file again"


def _mostly(flags: Iterable[bool]) -> bool:
    known = list(flags)
    return 2 * sum(known) > len(known)


def _count_split_numbers(cells: Sequence[str]) -> int:
    """Return how many neighbouring cells look like the parts of one number around its comma."""
    pairs = itertools.pairwise(cells)
    return sum(bool(re.fullmatch(r"\D*\d{1,3}", a) and re.fullmatch(r"\d{2,3}(\.\d+)?\D*", b)) for a, b in pairs)


def texts_at(row: RaggedRow, place: int, width: int, separator: str) -> list[str]:
    """Return the texts that a ragged row can have in the column at ``place`` of ``width``, likeliest first.

    The last cell of a short row may be cut; a long row has its additional separators before, in or after the column.
    """
    extra = len(row.cells) - width
    if extra < 0:
        found = list(row.cells[place : place + 1]) if place < len(row.cells) - 1 else []
    else:
        found = [separator.join(row.cells[place : place + extra + 1]), row.cells[place], row.cells[place + extra]]
    return [text.strip() for text in found]


def find_lost(
    ragged: Sequence[RaggedRow], names: Sequence[str], separator: str, date: str, product: str | None, days: Days
) -> list[LostRow]:
    """Return day and possible product of each ragged row.

    Args:
        ragged: rows with another number of cells than the header.
        names: cells of the header.
        separator: separator of the cells.
        date: header of the column with the day.
        product: header of the column with the product, if products are wanted.
        days: reads days as those of the other rows are read.
    """
    width = len(names)
    places = {name: at for at, name in reversed(list(enumerate(names)))}
    texts = [texts_at(row, places[date], width, separator) for row in ragged]
    flat = [text for found in texts for text in found]
    read = dict(zip(flat, days(flat), strict=True)) if flat else {}
    lost = []
    for row, found in zip(ragged, texts, strict=True):
        own = dict.fromkeys(read[text] for text in found if not np.isnat(read[text]))
        day = next(iter(own)) if len(own) == 1 else np.datetime64("NaT", "D")
        named = () if product is None else tuple(texts_at(row, places[product], width, separator))
        finding = f"has {plural(len(row.cells), 'cell')} where the header has {width}"
        lost.append(LostRow(row.line, finding, day, named))
    return lost


def days_like(cells: Cells, read: Days) -> Days:
    """Return a function that reads the days of further texts as those of a column are read.

    Texts of another form than all of the column are no days, and none is if they change how the column is read.

    Args:
        cells: the column.
        read: reads the days of texts that are judged together.
    """
    column = TextColumn(cells)
    own = [str(text) for text in column.texts.take(np.unique(column.codes)).to_pylist()]
    forms = set(map(_form, own))

    def days(texts: Sequence[str]) -> DateArray:
        found = np.full(len(texts), np.datetime64("NaT", "D"))
        fitting = [at for at, text in enumerate(texts) if _form(text) in forms]
        together = read([*own, *(texts[at] for at in fitting)])
        if np.array_equal(read(own).view(np.int64), together[: len(own)].view(np.int64)):
            found[fitting] = together[len(own) :]
        return found

    return days


def _form(text: str) -> str:
    return re.sub(r"\d+", "0", re.sub(r"[^\W\d_]+", "a", text.strip()))


def settle(lost: Sequence[LostRow], frame: pd.DataFrame, summed: bool) -> Losses:
    """Decide which days of which products are unknown because their rows are ragged.

    A row of an unknown product makes its day unknown for all products, except those that have their one row of the
    day.

    Args:
        lost: ragged rows.
        frame: the other rows, products as a categorical.
        summed: whether rows are sums of several of the file, so that a day may lack a part.
    """
    products = frame[columns.PRODUCT].array
    dates = frame[columns.REPORT_DATE].to_numpy().astype("datetime64[D]")
    codes = np.asarray(products.codes)
    names = list(map(str, products.categories))
    used = [names[code] for code in np.unique(codes)]
    folded = {fold_product(name): name for name in used}
    unknown: dict[str, list[np.datetime64]] = {}
    reported = []
    open_ = []
    for row in lost:
        known = list(dict.fromkeys(folded[fold_product(text)] for text in row.names if fold_product(text) in folded))
        whole = row.names and fold_product(row.names[0]) in folded
        product = known[0] if len(known) == 1 or (known and whole) else ""
        if np.isnat(row.day):
            text = f"{row.finding}, and its day is not clear; check quotes and separators"
            open_.append(Problem(row.line, "", text, product if len(used) > 1 else ""))
            continue
        there = set() if summed else {names[code] for code in codes[dates == row.day]}
        for name in [product] if product else [name for name in used if name not in there]:
            unknown.setdefault(name, []).append(row.day)
        of = f" of {product!r}" if product and len(used) > 1 else ""
        text = f"{row.finding}; {row.day}{of} counts as unknown; check quotes and separators"
        reported.append(Problem(row.line, "", text, product if len(used) > 1 else ""))
    gone = np.zeros(len(frame), dtype=bool)
    for name, days in unknown.items():
        gone |= (codes == names.index(name)) & np.isin(dates, days)
    return Losses(~gone, {name: np.unique(days) for name, days in unknown.items()}, reported, open_)
