"""Columns of a seller's file: names, header and permitted values."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray
from pricerl.data.reading.aliases import ALIASES
from pricerl.data.reading.currencies import split_currency
from pricerl.data.reading.problems import Problem
from pricerl.data.reading.texts import Cells, TextColumn
from pricerl.errors import UsageError, did_you_mean

REPORT_DATE = "Report Date"
PRODUCT_PRICE = "Product Price"
TOTAL_SALES = "Total Sales"
ORGANIC_CONVERSION = "Organic Conversion Percentage"
AD_CONVERSION = "Ad Conversion Percentage"
TOTAL_PROFIT = "Total Profit"
PREDICTED_SALES = "Predicted Sales"
PRODUCT = "Product"
GROUP = "Group"
UNITS = "Units"
IN_STOCK = "In Stock"
UNIT_COST = "Unit Cost"
COMPETITOR_PRICE = "Competitor Price"
PROMOTION = "Promotion"

CONVERSIONS = (ORGANIC_CONVERSION, AD_CONVERSION)
FLAGS = (PROMOTION, IN_STOCK)
REQUIRED = (REPORT_DATE, PRODUCT_PRICE, TOTAL_SALES)
OPTIONAL_NUMBERS = (*CONVERSIONS, TOTAL_PROFIT, PREDICTED_SALES, UNITS, UNIT_COST, COMPETITOR_PRICE)
NUMERIC = (PRODUCT_PRICE, TOTAL_SALES, *OPTIONAL_NUMBERS)
OPTIONAL = (*OPTIONAL_NUMBERS, PRODUCT, GROUP, *FLAGS)
MONEY = (PRODUCT_PRICE, TOTAL_SALES, TOTAL_PROFIT, PREDICTED_SALES, UNIT_COST, COMPETITOR_PRICE)
"""Columns of money, or of money or units."""

FILLED = (PRODUCT_PRICE, TOTAL_SALES, TOTAL_PROFIT, *CONVERSIONS, COMPETITOR_PRICE, PROMOTION)
"""Columns whose blank cells are filled."""

FIRST_YEAR = 1970
LAST_YEAR = 2100
LARGEST_NUMBER = 1e12
"""Larger than the money or units of any day; keeps products and sums of cells finite."""

SMALLEST_PRICE = 1e-6
"""Money per unit; a smaller price is written in another unit."""


def fold(name: str) -> str:
    """Return a column name without case, spaces, hyphens and underscores, its accents as parts of their letters."""
    return re.sub(r"[\s_\-\ufeff]+", "", unicodedata.normalize("NFC", name)).casefold()


_KNOWN = {fold(name): name for name in (*REQUIRED, *OPTIONAL)}
_ALIASES = {fold(alias): name for name, aliases in ALIASES.items() for alias in aliases}
_SETTING = "set --data.reading.columns"


def count_known(cells: Sequence[str]) -> int:
    """Return the number of cells that name a known column, by its own or another name."""
    return sum(fold(cell) in _KNOWN or _find_alias(cell) is not None for cell in cells)


def has_required(cells: Sequence[str]) -> bool:
    """Return whether a header names every required column, by its own or another name."""
    return {_KNOWN.get(fold(cell), _find_alias(cell)) for cell in cells} >= set(REQUIRED)


def _find_alias(cell: str) -> str | None:
    """Return the column that has a cell as another name, such as its own or another name with a currency."""
    if (found := _ALIASES.get(fold(cell))) is not None:
        return found
    bare = split_currency(cell)
    name = _KNOWN.get(fold(bare.name), _ALIASES.get(fold(bare.name))) if bare.currency else None
    return name if name in MONEY else None


def check_renames(renames: Mapping[str, str]) -> None:
    """Raise a ``UsageError`` unless the values of ``renames`` are different known columns."""
    problems = [
        f"columns: {ours!r} is no column of ours{did_you_mean(str(ours), _KNOWN.values())}"
        for ours in renames.values()
        if ours not in _KNOWN.values()
    ]
    problems += [
        f"columns: {ours!r} stands for several columns" for ours, n in Counter(renames.values()).items() if n > 1
    ]
    if problems:
        raise UsageError("; ".join(problems))


def match_header(
    cells: Sequence[str], line: int, renames: Mapping[str, str] | None = None
) -> tuple[dict[str, int], tuple[str, ...], list[Problem]]:
    """Match the cells of the header, on ``line`` of the file, with the known columns.

    Args:
        cells: names in the file.
        line: line of the header, 0 if the names stand on no line.
        renames: known column by name in the file; it comes before the known columns' own names, and these before their
            aliases.

    Returns:
        Position of each known column, a note per ignored or translated one, and the problems of missing, duplicated,
        ambiguous and misspelt ones; a file without problems has every required column exactly once.
    """
    named = [(position, cell.strip(), fold(cell)) for position, cell in enumerate(cells) if fold(cell)]
    folded_names = [folded for _, _, folded in named]
    renamed = {fold(theirs): ours for theirs, ours in (renames or {}).items()}
    positions = {renamed[folded]: position for position, _, folded in reversed(named) if folded in renamed}
    own = {_KNOWN[folded]: position for position, _, folded in reversed(named) if folded in _KNOWN}
    positions = {**own, **positions}
    aliases, ambiguous = _match_aliases(named, positions)
    positions |= {name: position for name, (position, _) in aliases.items()}
    used = {*positions.values(), *(position for places in ambiguous.values() for position, _ in places)}
    unknown = [cell for position, cell, folded in named if position not in used and (folded not in _KNOWN or renamed)]
    absent = [name for name in (*REQUIRED, *OPTIONAL) if name not in positions and name not in ambiguous]
    misspelt = {cell: close for cell in unknown if (close := _misspelt(cell, absent))}
    texts = [
        f"column {cell!r} appears more than once; keep one"
        for at, (_, cell, folded) in enumerate(named)
        if folded in folded_names[:at]
    ]
    texts += [
        f"column {theirs!r}, named by data.reading.columns, is missing{did_you_mean(theirs, unknown)}"
        for theirs in renames or {}
        if fold(theirs) not in folded_names
    ]
    texts += [
        f"columns {' and '.join(repr(cell) for _, cell in places)} can both be {name!r}; {_SETTING} or remove one"
        for name, places in ambiguous.items()
    ]
    header = f"; the header has: {', '.join(cell.strip() for cell in cells[:12])}"
    texts += [
        f"column {name!r} is missing{did_you_mean(name, unknown) or header}" for name in absent if name in REQUIRED
    ]
    texts += [
        f"column {cell!r} is not known; rename or remove it{did_you_mean(cell, [close])}"
        for cell, close in misspelt.items()
        if close not in REQUIRED
    ]
    notes = [f"Column {cell!r} was read as {name}." for name, (_, cell) in aliases.items()]
    notes += [
        f"Column {cell!r} is {'not known' if fold(cell) not in _KNOWN else 'another by the setting'} and was ignored."
        for cell in unknown
        if cell not in misspelt
    ]
    return positions, tuple(notes), [Problem(line, "", text) for text in texts]


Place = tuple[int, str]
"""Position and text of a cell of the header."""


def _match_aliases(
    named: Sequence[tuple[int, str, str]], positions: Mapping[str, int]
) -> tuple[dict[str, Place], dict[str, list[Place]]]:
    """Return the cells that are other names of columns without a position, and those of which several can be one."""
    found: dict[str, list[Place]] = {}
    for position, cell, _ in named:
        name = _find_alias(cell)
        if name is not None and name not in positions and position not in positions.values():
            found.setdefault(name, []).append((position, cell))
    single = {name: places[0] for name, places in found.items() if len({fold(cell) for _, cell in places}) == 1}
    return single, {name: places for name, places in found.items() if name not in single}


def check_values(frame: pd.DataFrame, texts: Mapping[str, Cells], lines: Sequence[int]) -> list[Problem]:
    """Return a problem per cell outside its range, from all columns at once.

    Args:
        frame: parsed columns.
        texts: the same columns as written in the file, to quote in messages.
        lines: line of each row in the seller's file.
    """
    problems = []
    for name in (*NUMERIC, REPORT_DATE):
        if name not in frame.columns:
            continue
        faults = _find_faults(name, frame[name])
        rows = np.flatnonzero(np.logical_or.reduce(list(faults.values())))
        column = TextColumn(texts[name]) if len(rows) else None
        for row in map(int, rows):
            rule = next(rule for rule, broken in faults.items() if broken[row])
            found = column.text_of(row) if column else ""
            problems.append(Problem(lines[row], name, f"{rule}, found {found}", "", found))
    return problems


def _find_faults(name: str, cells: pd.Series) -> dict[str, BoolArray]:
    """Return the rows ``(N,)`` of a column that break each of its rules; blank cells break none."""
    if name == REPORT_DATE:
        years = cells.dt.year.to_numpy()
        return {f"year must lie in {FIRST_YEAR}-{LAST_YEAR}": (years < FIRST_YEAR) | (years > LAST_YEAR)}
    values = cells.to_numpy()
    faults = {"must be a finite number of ordinary size": np.abs(values) > LARGEST_NUMBER}
    if name in (PRODUCT_PRICE, COMPETITOR_PRICE):
        faults["must be positive"] = values <= 0
        faults[f"must be at least {SMALLEST_PRICE:.6f}"] = values < SMALLEST_PRICE
    elif name in (*CONVERSIONS, UNITS, UNIT_COST):
        faults["must not be negative"] = values < 0
    return faults


def _misspelt(cell: str, absent: Sequence[str]) -> str | None:
    """Return the absent column that an unknown one of at most 100 characters seems to be."""
    if len(cell) > 100:
        return None
    scores = {name: difflib.SequenceMatcher(None, fold(cell), fold(name)).ratio() for name in absent}
    best = max(scores, key=lambda name: scores[name], default=None)
    return best if best is not None and scores[best] >= 0.85 else None
