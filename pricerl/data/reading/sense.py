"""Checks of sense: values that can be read, but cannot be meant.

Each finding is read right with a note, or refused with the lines that show it. Thresholds are far from what shops do:
a price that stays, a promotion or a repricer triggers none of them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from pricerl.arrays import FloatArray, IntArray
from pricerl.data.cleaning.product_rows import order_rows
from pricerl.data.config import DataConfig
from pricerl.data.reading import columns
from pricerl.data.reading.problems import KEEP, Problem
from pricerl.data.reading.sums import check_sums
from pricerl.data.reading.texts import Cells, TextColumn, as_flags

TYPO = 7.0
"""Factor between a price and both of its neighbours that a misplaced decimal sign explains better than a promotion."""
STEADY = 2.0
"""Largest factor between these neighbours."""
JUMP = 40.0
"""Factor between two neighbours that no shop changes a price by: cents and whole coins, or another currency."""

SHARE_GAP = 5.0
"""Smallest factor between shares (up to 1) and percents (above 1) of one column: conversions do not leave such gaps."""
FEWEST_SHARES = 3
LEAST_SHARES = 0.05
"""Fewest cells of both kinds, and their smallest share of the cells above 0."""


def fold_product(name: str) -> str:
    """Return a product's name without differences of case, spaces and Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def merge_products(frame: pd.DataFrame, lines: Sequence[int]) -> tuple[list[str], list[Problem]]:
    """Merge, in place, products whose names differ in case, spaces or Unicode form only.

    Returns:
        A note per merged name, and a problem per name whose rows share days with those of the other one.
    """
    names = frame[columns.PRODUCT].array
    folded, _ = pd.factorize(np.array([fold_product(str(name)) for name in names.categories], dtype=object))
    codes = np.asarray(names.codes).astype(np.int64)
    if len(set(folded)) == len(folded):
        return [], []
    merged = folded[codes]
    twice = pd.DataFrame({"product": merged, "day": frame.get(columns.REPORT_DATE)}).duplicated().to_numpy()
    kept = np.array([int(np.argmax(folded == group)) for group in folded])
    notes, problems = [], []
    for code in np.flatnonzero(kept != np.arange(len(kept))):
        pair = f"{names.categories[code]!r} and {names.categories[kept[code]]!r}"
        rows = np.flatnonzero((codes == code) | (codes == kept[code]))
        if twice[rows].any():
            line = lines[int(rows[np.argmax(twice[rows])])]
            found = f"{pair} differ in case, spaces or Unicode form only; write one product alike, or rename one of two"
            problems.append(Problem(line, columns.PRODUCT, found, everywhere=True))
        else:
            notes.append(f"Products {pair} differ in case, spaces or Unicode form only; read as one.")
    if not problems:
        frame[columns.PRODUCT] = pd.Categorical.from_codes(kept[codes], dtype=names.dtype).remove_unused_categories()
    return notes, problems


def check_sense(
    frame: pd.DataFrame, texts: Mapping[str, Cells], lines: Sequence[int], config: DataConfig
) -> list[Problem]:
    """Return the values that cannot be meant.

    Args:
        frame: parsed columns, products as a categorical.
        texts: the same columns as written in the file.
        lines: line of each row in the seller's file.
        config: settings; ``suspicious`` keeps all but percent signs in money.
    """
    problems = _percent_signs(texts, lines)
    if config.suspicious == "keep" or not {columns.PRODUCT_PRICE, columns.TOTAL_SALES, columns.REPORT_DATE} <= set(
        frame.columns
    ):
        return problems
    problems += _price_typos(frame, lines)
    for name in columns.CONVERSIONS:
        if name in frame.columns:
            problems += _mixed_shares(name, frame, lines)
    return [*problems, *check_sums(frame, lines, config.sales)]


def _percent_signs(texts: Mapping[str, Cells], lines: Sequence[int]) -> list[Problem]:
    problems = []
    for name in columns.MONEY:
        column = TextColumn(texts[name]) if name in texts else None
        marked = None if column is None else as_flags(pc.match_substring(column.texts, "%"))
        if column is not None and marked is not None and marked.any():
            problems += column.find_problems(name, lines, marked, _explain_percent)
    return problems


def _explain_percent(text: str) -> str:
    return f"{text.strip()} is a percentage, but this column is money; is it another column?"


def _price_typos(frame: pd.DataFrame, lines: Sequence[int]) -> list[Problem]:
    """Return prices a factor of about ten or more from both neighbours, and jumps that no shop makes."""
    price = frame[columns.PRODUCT_PRICE].to_numpy()
    codes = np.asarray(frame[columns.PRODUCT].array.codes)
    days = frame[columns.REPORT_DATE].to_numpy()
    order = order_rows(codes, days)
    order = order[price[order] > 0]
    if len(order) < 3:
        return []
    level, owner = np.log(price[order]), codes[order]
    problems = []
    for at in np.flatnonzero((np.abs(np.diff(level)) > np.log(TYPO)) & (owner[1:] == owner[:-1])):
        problems += _explain_jump(int(at), level, owner, order, lines)
    return problems


def _explain_jump(at: int, level: FloatArray, owner: IntArray, order: IntArray, lines: Sequence[int]) -> list[Problem]:
    """Return the problem of the jump from price ``at`` to the next one, both in order of product and day."""

    def same(*places: int) -> bool:
        return all(0 <= place < len(owner) and owner[place] == owner[at] for place in places)

    def steady(one: int, other: int) -> bool:
        return same(one, other) and abs(level[one] - level[other]) < np.log(STEADY)

    here, there = at, at + 1
    if steady(here, there + 1) or (not same(there + 1) and steady(here, here - 1)):
        odd, near = there, here
    elif not same(here - 1) and steady(there, there + 1):
        odd, near = here, there
    elif steady(there, here - 1):
        return []  # reported with the jump before
    elif abs(level[there] - level[here]) > np.log(JUMP):
        odd, near = there, here
    else:
        return []
    found = f"{np.exp(level[odd]):.10g} is {_factor(level[odd] - level[near])} {np.exp(level[near]):.10g}"
    text = f"{found} on line {lines[int(order[near])]}; is a decimal sign or the currency wrong? Otherwise, {KEEP}"
    return [Problem(lines[int(order[odd])], columns.PRODUCT_PRICE, text)]


def _factor(logs: float) -> str:
    times = float(np.exp(abs(logs)))
    return f"{times:.3g} times" if logs > 0 else f"1/{times:.3g} of"


def _mixed_shares(name: str, frame: pd.DataFrame, lines: Sequence[int]) -> list[Problem]:
    """Return a problem per product whose conversions are shares on some rows and percents on others."""
    values, products = frame[name].to_numpy(), frame[columns.PRODUCT].array
    codes, size = np.asarray(products.codes).astype(np.int64), len(products.categories)
    low, high = (values > 0) & (values <= 1), values > 1
    lows, highs = (np.bincount(codes[mask], minlength=size) for mask in (low, high))
    highest, lowest = np.zeros(size), np.full(size, np.inf)
    np.maximum.at(highest, codes[low], values[low])
    np.minimum.at(lowest, codes[high], values[high])
    enough = np.minimum(lows, highs) >= np.maximum(FEWEST_SHARES, LEAST_SHARES * (lows + highs))
    problems = []
    for code in np.flatnonzero(enough & (lowest >= SHARE_GAP * highest)):
        share, percent = (int(np.argmax(mask & (codes == code))) for mask in (low, high))
        found = (
            f"{values[share]:.10g} looks like a share, {values[percent]:.10g} on line {lines[percent]} like a percent"
        )
        text = f"{found}; use percent throughout, or {KEEP}"
        problems.append(Problem(lines[share], name, text, str(products.categories[code])))
    return problems
