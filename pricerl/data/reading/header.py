"""Header of a seller's file: the known column of each name, and a column such as Cost that may be the unit cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from pricerl.arrays import FloatArray
from pricerl.data.reading import columns
from pricerl.data.reading.columns import fold
from pricerl.data.reading.currencies import split_currency
from pricerl.data.reading.problems import Problem
from pricerl.errors import did_you_mean, refuse

ALIASES = msgspec.yaml.decode(
    (Path(__file__).parents[1] / "column_names.yaml").read_bytes(), type=dict[str, tuple[str, ...]]
)
"""Other names by column; an unknown name that is one of them is read as that column if no other cell can be it."""

VAGUE_COSTS = ALIASES.pop("Vague Costs")
"""Names of a column that may hold the cost of one unit, of all units of a row, or of something else."""

_VAGUE = set(map(fold, VAGUE_COSTS))

_KNOWN = {fold(name): name for name in (*columns.REQUIRED, *columns.OPTIONAL)}
_WIDTHS = {fold(name): width for width, name in enumerate((columns.GROUP, *ALIASES[columns.GROUP]))}
"""Place of each name of a group among them, narrowest first."""
_NAMES = {fold(alias): name for name, aliases in ALIASES.items() for alias in aliases} | _KNOWN


def count_known(cells: Sequence[str]) -> int:
    """Return the number of cells that name a known column, by its own or another name."""
    return sum(_find_column(cell) is not None for cell in cells)


def has_required(cells: Sequence[str]) -> bool:
    """Return whether a header names every required column, by its own or another name."""
    return set(map(_find_column, cells)) >= set(columns.REQUIRED)


def _find_column(cell: str) -> str | None:
    """Return the column that has a cell as its own or another name, of money also with a currency."""
    if name := _NAMES.get(fold(cell)):
        return name
    bare = split_currency(cell)
    return _NAMES.get(fold(bare.name)) if bare.currency and _NAMES.get(fold(bare.name)) in columns.MONEY else None


def check_renames(renames: Mapping[str, str]) -> None:
    """Raise a ``UsageError`` unless the values of ``renames`` are different known columns."""
    known = _KNOWN.values()
    counts = Counter(renames.values())
    refuse(
        {
            **{f"columns: {it!r} is no column of ours{did_you_mean(str(it), known)}": it not in known for it in counts},
            **{f"columns: {it!r} stands for several columns": count > 1 for it, count in counts.items()},
        }
    )


def match_header(
    cells: Sequence[str], line: int, renames: Mapping[str, str] | None = None
) -> tuple[dict[str, int], list[str], list[Problem]]:
    """Match the cells of the header, on ``line`` of the file, with the known columns.

    The names of ``renames``, known column by name in the file, come before own names, and these before aliases. Of
    several groups the narrowest counts: a parent product before a type, and that before a category.

    Returns:
        Position of each known column, a note per ignored or translated one, and the problems of missing, duplicated,
        ambiguous and misspelt ones; a file without problems has every required column exactly once.
    """
    names = {place: cell.strip() for place, cell in enumerate(cells) if fold(cell)}
    folded = {place: fold(name) for place, name in names.items()}
    first = {name: place for place, name in reversed(folded.items())}
    renamed = {fold(theirs): ours for theirs, ours in (renames or {}).items()}
    known = {_KNOWN[name]: place for name, place in first.items() if name in _KNOWN}
    positions = known | {renamed[name]: place for name, place in first.items() if name in renamed}
    free = {place: _find_column(cell) for place, cell in names.items() if place not in positions.values()}
    meant = [name for name in free.values() if name and name not in positions]
    others = {name: [place for place, alias in free.items() if alias == name] for name in meant}
    if groups := others.get(columns.GROUP):
        others[columns.GROUP] = [min(groups, key=lambda place: _WIDTHS[folded[place]])]
    ambiguous = {name: places for name, places in others.items() if len({folded[place] for place in places}) > 1}
    aliases = {name: places[0] for name, places in others.items() if name not in ambiguous}
    positions |= aliases
    used = {*positions.values(), *chain(*ambiguous.values())}
    unknown = [names[place] for place in names if place not in used and (folded[place] not in _KNOWN or renamed)]
    absent = {folded: name for folded, name in _KNOWN.items() if name not in {*positions, *ambiguous}}
    close = {cell: get_close_matches(fold(cell), absent, 1, 0.85) for cell in unknown if len(cell) <= 100}
    misspelt = {cell: absent[found[0]] for cell, found in close.items() if found}
    listed = {name: " and ".join(repr(names[place]) for place in places) for name, places in ambiguous.items()}
    header = f"; the header has: {', '.join(cell.strip() for cell in cells[:12])}"
    lacking = [name for name in absent.values() if name in columns.REQUIRED]
    problems = [
        *(f"column {names[at]!r} appears more than once; keep one" for at in names if first[folded[at]] != at),
        *(
            f"column {theirs!r}, named by data.reading.columns, is missing{did_you_mean(theirs, unknown)}"
            for theirs in renames or {}
            if fold(theirs) not in first
        ),
        *(f"columns {two} can both be {it!r}; set --data.reading.columns or remove one" for it, two in listed.items()),
        *(f"column {it!r} is missing{did_you_mean(it, unknown) or header}" for it in lacking),
        *(
            f"column {cell!r} is not known; rename or remove it{did_you_mean(cell, [name])}"
            for cell, name in misspelt.items()
            if name not in columns.REQUIRED
        ),
    ]
    group = names.get(positions.get(columns.GROUP, -1), "")
    ignored = {cell: _describe_unused(cell, group) for cell in unknown if cell not in misspelt}
    notes = [
        *(f"Column {names[place]!r} was read as {name}." for name, place in aliases.items()),
        *(f"Column {cell!r} is {why} and was ignored." for cell, why in ignored.items()),
    ]
    return positions, notes, [Problem(line, "", text) for text in problems]


def _describe_unused(cell: str, group: str) -> str:
    """Return why a column is not read, next to the one that is read as group, or none."""
    is_wider = _WIDTHS.get(fold(cell), 0) > _WIDTHS.get(fold(group), np.inf)
    return f"wider than {group!r}" if is_wider else "another by the setting" if fold(cell) in _KNOWN else "not known"


ADS = frozenset(("clicks", "impressions", "spend", "acos", "roas", "cpc", "ctr", "klicks", "impressionen"))
"""Columns next to which such a column is the cost of ads."""

LEAST_FITTING = 0.9
"""Smallest share of rows on which a unit must cost less than its price and leave the reported profit."""

ROUNDING = 0.02
"""Tolerance of that profit, as a share of sales."""


def find_vague_cost(header: Sequence[str], used: Collection[int]) -> int | None:
    """Return the place of the only such column that is not ``used``; None next to columns of ads."""
    names = [fold(split_currency(name).name) for name in header]
    found = [at for at, name in enumerate(names) if name in _VAGUE and at not in used]
    return found[0] if len(found) == 1 and ADS.isdisjoint(names) else None


def unit_costs(cost: FloatArray, frame: pd.DataFrame) -> FloatArray | None:
    """Return the cost of one unit on each row ``(N,)``, unless the column ``cost (N,)`` holds something else.

    The cost of one unit hardly varies with the units of a row, the cost of all units is proportional to them.
    """
    if not {columns.PRODUCT_PRICE, columns.TOTAL_SALES} <= {*frame.columns} or (cost < 0).any():
        return None
    price = frame[columns.PRODUCT_PRICE].to_numpy()
    sales = frame[columns.TOTAL_SALES].to_numpy()
    units = frame[columns.UNITS].to_numpy() if columns.UNITS in frame else sales / price
    known = (cost > 0) & (units > 0) & (price > 0)
    shares = np.where(known, cost, np.nan) / np.where(known, units, np.nan)
    owners = frame[columns.PRODUCT].array.codes
    if _scatter(shares, owners) < _scatter(np.where(known, cost, np.nan), owners):
        cost = shares.round(6) if columns.UNITS in frame else shares * np.nan
    profit = frame[columns.TOTAL_PROFIT].fillna(-np.inf).to_numpy() if columns.TOTAL_PROFIT in frame else -np.inf
    fits = (cost < price) & (profit + cost * units <= (1 + ROUNDING) * sales)
    return cost if known.any() and fits[known].mean() >= LEAST_FITTING else None


def _scatter(values: FloatArray, owners: FloatArray) -> float:
    """Return the mean distance of log values ``(N,)``, NaN where unknown, from the median of their product."""
    logs = pd.Series(np.log(values))
    return float((logs - logs.groupby(owners).transform("median")).abs().mean())
