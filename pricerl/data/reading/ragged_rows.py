"""Rows that are none of a product and day: sums of others, and those that cost their day, cut or without a product."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, compress
from typing import Any

import numpy as np

from pricerl.arrays import BoolArray, DateArray, grouped
from pricerl.data.reading import columns
from pricerl.data.reading.columns import fold_product
from pricerl.data.reading.numbers import NO_NAMES, is_blank
from pricerl.data.reading.problems import Problem
from pricerl.data.reading.tables import (
    Cells,
    LostRow,
    Parsed,
    RaggedRow,
    TextColumn,
    TextTable,
    text_frame,
)
from pricerl.formatting import plural

LARGEST_SHARE = 0.05
FEW = 2
"""Share of ragged rows above which a file is refused, as something is wrong with all of it, if there are more than a
few."""

SUM_WORDS = (
    r"(?i)\b((grand|sub)[ -]?)?(total|totals|totale|totales|totais|totaux|sum|suma|soma|somma|somme)\b"
    r"|\b(zwischen|gesamt)?summe\b|\bgesamt(ergebnis)?\b"
)
"""Words of lines that are sums of others, in English, German, French, Spanish, Italian and Portuguese."""


def check_share(table: TextTable) -> list[Problem]:
    """Return a problem if too many rows of a table are ragged, or all of them."""
    ragged = table.ragged
    every = len(table.lines) + len(ragged)
    if not ragged or (len(table.lines) and len(ragged) <= max(FEW, LARGEST_SHARE * every)):
        return []
    return [
        Problem(
            ragged[0].line,
            "",
            f"{len(ragged):,} of {plural(every, 'row')} do not have as many cells as the header, {len(table.header)}: "
            f"this one has {len(ragged[0].cells)}; use {table.separator!r} throughout, and quotes around numbers and "
            "texts that contain it, or export the file again",
            everywhere=True,
        )
    ]


def leave_out(table: TextTable, date: int, product: int | None) -> tuple[TextTable, list[str]]:
    """Return a table without lines called a sum in place of the date, or of the product if undated, and a note.

    Rows without a product, unless there are many, become ragged ones. ``date`` and ``product`` are columns' places.
    """
    days = TextColumn(table.frame.iloc[:, date])
    names = days if product is None else TextColumn(table.frame.iloc[:, product])
    sums = days.match(SUM_WORDS) | days.choose(is_blank) & names.match(SUM_WORDS)
    unnamed = names.choose(lambda text: text.strip() in NO_NAMES) & ~sums
    unnamed &= product is not None and unnamed.sum() <= max(FEW, LARGEST_SHARE * len(unnamed))
    kept = ~(sums | unnamed)
    if kept.all() or not kept.any():
        return table, []
    nameless = [RaggedRow(table.lines[row], tuple(table.frame.iloc[row])) for row in np.flatnonzero(unnamed).tolist()]
    rest = replace(
        table,
        frame=text_frame(table.header, (part[kept].cat.remove_unused_categories() for _, part in table.frame.items())),
        lines=list(compress(table.lines, kept)),
        ragged=(*table.ragged, *nameless),
    )
    note = f"{plural(int(sums.sum()), 'line')} of sums left out, such as line {table.lines[int(sums.argmax())]}."
    return rest, [note] if sums.any() else []


def find_lost(
    table: TextTable, date: int, product: int | None, dates: Cells, read: Callable[..., Sequence[Any]]
) -> list[LostRow]:
    """Return day and possible product of each ragged row of a table, from the columns at ``date`` and ``product``.

    Texts of another form than all ``dates`` of the rows that count are no days, and none is if they change how these
    are read. Texts ``(N,)`` are judged together by ``read``, a function such as `read_dates`.
    """
    if not table.ragged:
        return []
    width = len(table.header)
    candidates = [_texts_at(row.cells, date, width, table.separator) for row in table.ragged]
    column = TextColumn(dates)
    own = [str(text) for text in column.texts.take(np.unique(column.codes)).to_pylist()]
    forms = set(map(_form_of, own))
    fitting = [text for text in chain(*candidates) if _form_of(text) in forms]
    together, alone = (read(texts, range(len(texts)))[0] for texts in ([*own, *fitting], own))
    unchanged = np.array_equal(together[: len(own)], alone, equal_nan=True)
    days = dict(zip(fitting, together[len(own) :], strict=True)) if unchanged else {}
    lost = []
    for row, texts in zip(table.ragged, candidates, strict=True):
        found = {days[text] for text in texts if text in days and not np.isnat(days[text])}
        day = found.pop() if len(found) == 1 else np.datetime64("NaT", "D")
        finding, remedy = (
            ("has no product", "fill it in")
            if len(row.cells) == width
            else (f"has {plural(len(row.cells), 'cell')} where the header has {width}", "check quotes and separators")
        )
        names = [] if product is None else _texts_at(row.cells, product, width, table.separator)
        lost.append(LostRow(row.line, finding, day, names, remedy))
    return lost


def _texts_at(cells: Sequence[str], place: int, width: int, separator: str) -> list[str]:
    """Return the texts that a ragged row can have in the column at ``place`` of ``width``, likeliest first."""
    extra = len(cells) - width
    if extra < 0:
        return [cells[place].strip()] if place < len(cells) - 1 else []
    joined = separator.join(cells[place : place + extra + 1])
    return [text.strip() for text in (joined, cells[place], cells[place + extra])]


def _form_of(text: str) -> str:
    return re.sub(r"\d+", "0", re.sub(r"[^\W\d_]+", "a", text.strip()))


def settle(parsed: Parsed, summed: bool) -> tuple[BoolArray, dict[str, DateArray], list[Problem], list[Problem]]:
    """Decide which days of which products are unknown because their rows are ragged.

    A row of an unknown product makes its day unknown for all products, except those that have their one row of the
    day. If rows are ``summed`` from several of the file, a day may lack a part.

    Returns:
        The rows ``(N,)`` that are not of an unknown day, the unknown days by product, and the problems of rows whose
        day is unknown, so that the other days can be used, and of those whose day is not clear.
    """
    frame = parsed.frame
    products = frame[columns.PRODUCT]
    used = list(map(str, products.unique()))
    folded = {fold_product(name): name for name in used}
    unknown = []
    reported = []
    unclear = []
    for row in parsed.lost:
        names = [folded.get(fold_product(text), "") for text in row.names]
        known = {*names} - {""}
        product = names[0] if len(known) != 1 and names else "".join(known)
        owner = product if len(used) > 1 else ""
        if np.isnat(row.day):
            unclear.append(Problem(row.line, "", f"{row.finding}, and its day is not clear; {row.remedy}", owner))
            continue
        there = set() if summed else set(products[frame[columns.REPORT_DATE] == row.day])
        unknown += [(name, row.day) for name in used if name == product or (not product and name not in there)]
        day = f"{row.day} of {product!r}" if owner else str(row.day)
        reported.append(Problem(row.line, "", f"{row.finding}; {day} counts as unknown; {row.remedy}", owner))
    lost = {name: np.unique(days) for name, days in grouped(unknown).items()}
    kept = np.ones(len(frame), dtype=bool)
    for name, days in lost.items():
        kept &= ~((products == name) & np.isin(frame[columns.REPORT_DATE], days))
    return kept, lost, reported, unclear
