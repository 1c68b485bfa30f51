"""Columns of a seller's file: names, header and permitted values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from pricerl.data.reading.problems import Problem
from pricerl.errors import did_you_mean

if TYPE_CHECKING:
    import pandera.pandas as pa

REPORT_DATE = "Report Date"
PRODUCT_PRICE = "Product Price"
TOTAL_SALES = "Total Sales"
ORGANIC_CONVERSION = "Organic Conversion Percentage"
AD_CONVERSION = "Ad Conversion Percentage"
TOTAL_PROFIT = "Total Profit"
PREDICTED_SALES = "Predicted Sales"
PRODUCT = "Product"
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
OPTIONAL = (*OPTIONAL_NUMBERS, PRODUCT, *FLAGS)
FILLED = (PRODUCT_PRICE, TOTAL_SALES, TOTAL_PROFIT, *CONVERSIONS, COMPETITOR_PRICE, PROMOTION)
"""Columns whose blank cells are filled."""

FIRST_YEAR = 1970
LAST_YEAR = 2100
LARGEST_NUMBER = 1e12
"""Larger than the money or units of any day; keeps products and sums of cells finite."""


def fold(name: str) -> str:
    """Return a column name without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_\-\ufeff]+", "", name).casefold()


_KNOWN = {fold(name): name for name in (*REQUIRED, *OPTIONAL)}


def count_known(cells: Sequence[str]) -> int:
    """Return the number of cells that name a known column."""
    return sum(fold(cell) in _KNOWN for cell in cells)


def match_header(cells: Sequence[str], line: int) -> tuple[dict[str, int], tuple[str, ...], list[Problem]]:
    """Match the cells of the header, on ``line`` of the file, with the known columns.

    Returns:
        Position of each known column, a note per ignored one, and the problems of missing, duplicated and misspelt
        ones; a file without problems has every required column exactly once.
    """
    named = [(position, cell.strip(), fold(cell)) for position, cell in enumerate(cells) if fold(cell)]
    folded_names = [folded for _, _, folded in named]
    positions = {_KNOWN[folded]: position for position, _, folded in reversed(named) if folded in _KNOWN}
    unknown = [cell for _, cell, folded in named if folded not in _KNOWN]
    absent = [name for name in (*REQUIRED, *OPTIONAL) if name not in positions]
    misspelt = {cell: close for cell in unknown if (close := _misspelt(cell, absent))}
    header = f"; the header has: {', '.join(cell.strip() for cell in cells[:12])}"
    problems = [
        f"column {cell!r} appears more than once; keep one"
        for at, (_, cell, folded) in enumerate(named)
        if folded in folded_names[:at]
    ]
    problems += [
        f"column {name!r} is missing{did_you_mean(name, unknown) or header}" for name in absent if name in REQUIRED
    ]
    problems += [
        f"column {cell!r} is not known; rename or remove it{did_you_mean(cell, [close])}"
        for cell, close in misspelt.items()
        if close not in REQUIRED
    ]
    notes = tuple(f"Column {cell!r} is not known and was ignored." for cell in unknown if cell not in misspelt)
    return positions, notes, [Problem(line, "", text) for text in problems]


def check_values(frame: pd.DataFrame, texts: Mapping[str, Sequence[str]]) -> list[Problem]:
    """Return a problem per cell outside its range, from all columns at once.

    Args:
        frame: parsed columns; its index holds the line of each row in the seller's file.
        texts: the same columns as written in the file, to quote in messages.
    """
    # Imported here: pandera is slow to load, and most commands never read a file.
    import pandera.errors

    try:
        _build_schema().validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as found:
        rows = {int(line): row for row, line in enumerate(frame.index)}
        cases = found.failure_cases.drop_duplicates(["index", "column"])[["index", "column", "check"]]
        return [
            Problem(int(line), str(column), f"{check}, found {texts[column][rows[int(line)]].strip()}")
            for line, column, check in cases.itertuples(index=False, name=None)
        ]
    return []


def _build_schema() -> pa.DataFrameSchema:
    import pandera.pandas as pa

    limit = pa.Check(lambda cells: cells.abs() <= LARGEST_NUMBER, error="must be a finite number of ordinary size")
    days = pa.Check.in_range(
        pd.Timestamp(FIRST_YEAR, 1, 1),
        pd.Timestamp(LAST_YEAR, 12, 31),
        error=f"year must lie in {FIRST_YEAR}-{LAST_YEAR}",
    )
    ranges = {
        **{name: [pa.Check.gt(0, error="must be positive")] for name in (PRODUCT_PRICE, COMPETITOR_PRICE)},
        **{name: [pa.Check.ge(0, error="must not be negative")] for name in (*CONVERSIONS, UNITS, UNIT_COST)},
    }
    every = {name: pa.Column(float, [limit, *ranges.get(name, [])], nullable=True, required=False) for name in NUMERIC}
    every[REPORT_DATE] = pa.Column("datetime64[s]", days, nullable=True, required=False)
    return pa.DataFrameSchema(every)


def _misspelt(cell: str, absent: Sequence[str]) -> str | None:
    """Return the absent column that an unknown one of at most 100 characters seems to be."""
    if len(cell) > 100:
        return None
    scores = {name: difflib.SequenceMatcher(None, fold(cell), fold(name)).ratio() for name in absent}
    best = max(scores, key=lambda name: scores[name], default=None)
    return best if best is not None and scores[best] >= 0.85 else None
