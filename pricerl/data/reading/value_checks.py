"""Checks of values: cells outside of their range, and those that can be read but cannot be meant.

Each finding is read right with a note, or refused with the lines that show it. Thresholds are far from what shops do:
a price that stays, a promotion or a repricer triggers none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data.cleaning.product_rows import order_rows
from pricerl.data.cleaning.sales_unit import SalesSetting, find_measure
from pricerl.data.config import DataConfig
from pricerl.data.reading import columns
from pricerl.data.reading.columns import fold_product
from pricerl.data.reading.problems import KEEP, Problem
from pricerl.data.reading.texts import Cells, TextColumn, as_flags


def check_values(frame: pd.DataFrame, texts: Mapping[str, Cells], lines: Sequence[int]) -> list[Problem]:
    """Return a problem per cell outside its range, from all columns at once.

    Args:
        frame: parsed columns.
        texts: the columns as written in the file, to quote in messages; computed ones are absent.
        lines: line of each row in the seller's file.
    """
    problems = []
    for name in (*columns.NUMERIC, columns.REPORT_DATE):
        if name not in frame.columns:
            continue
        faults = _find_faults(name, frame[name])
        rows = np.flatnonzero(np.logical_or.reduce(list(faults.values())))
        if not len(rows):
            continue
        column = TextColumn(texts[name] if name in texts else list(map(str, frame[name].tolist())))
        for row in map(int, rows):
            rule = next(rule for rule, broken in faults.items() if broken[row])
            found = column.text_of(row)
            problems.append(Problem(lines[row], name, f"{rule}, found {found}", "", found))
    return problems


def _find_faults(name: str, cells: pd.Series) -> dict[str, BoolArray]:
    """Return the rows ``(N,)`` of a column that break each of its rules; blank cells break none."""
    if name == columns.REPORT_DATE:
        years = cells.dt.year.to_numpy()
        return {
            f"year must lie in {columns.FIRST_YEAR}-{columns.LAST_YEAR}": (years < columns.FIRST_YEAR)
            | (years > columns.LAST_YEAR)
        }
    values = cells.to_numpy()
    faults = {"must be a finite number of ordinary size": np.abs(values) > columns.LARGEST_NUMBER}
    if name in (columns.PRODUCT_PRICE, columns.COMPETITOR_PRICE):
        faults["must be positive"] = values <= 0
        faults[f"must be at least {columns.SMALLEST_PRICE:.6f}"] = values < columns.SMALLEST_PRICE
    elif name in (*columns.CONVERSIONS, columns.UNITS, columns.UNIT_COST):
        faults["must not be negative"] = values < 0
    return faults


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


def check_plausibility(
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
    return [*problems, *_check_sums(frame, lines, config.sales)]


def _percent_signs(texts: Mapping[str, Cells], lines: Sequence[int]) -> list[Problem]:
    problems = []
    for name in columns.MONEY:
        if name in texts:
            column = TextColumn(texts[name])
            marked = as_flags(pc.match_substring(column.texts, "%"))
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


AGREEING, CONTRADICTING = 0.05, 0.30
"""Largest relative difference of sales and price times units that agree, and smallest one that is a contradiction."""
MOSTLY = 0.90
"""Share of rows that must agree for the others to be contradictions."""

TAXES = (1.04, 1.28)
"""Range of the ratio of prices with and without tax."""
TAX_SPREAD, TAX_SHARE = 0.004, 0.10
"""Relative spread of that ratio, and smallest share of rows at either of the two levels."""
RATES = (5, 5.5, 6, 7, 7.7, 8, 8.1, 8.5, 9, 9.5, 10, 12, 13, 13.5, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27)
"""Usual taxes on sales, percent; they are searched for where a file has no units."""
ROUND_DISCOUNTS = (25.0,)
"""Of these, taxes whose removal looks like a round discount: 25 % less its tax is 20 % off."""

CENTS, COARSEST = 0.0051, 0.05
"""Rounding of sales and prices to cents, money, and its largest share of a price that leaves whole units certain."""
FEWEST_SOLD = 20
"""Fewest days with sales of a product that show what is usual."""
FAR = 7.0
"""Factor between a day's units and all others of the product that a moved decimal sign explains better than demand."""

SMALL = 2.0
"""The same for units below all others, if they are no whole number."""

FEWEST_PROFITS = 10
"""Fewest days with sales and a profit that show the profit to be above the sales."""
SAMPLE = 4000
"""Rows in which taxes are searched for."""


def _check_sums(frame: pd.DataFrame, lines: Sequence[int], setting: SalesSetting) -> list[Problem]:
    """Return sales and profits that cannot be meant.

    Args:
        frame: parsed columns, products as a categorical; with prices and sales.
        lines: line of each row in the seller's file.
        setting: whether sales are revenue or units, as `find_measure` takes it.
    """
    price, sales = (frame[name].to_numpy() for name in (columns.PRODUCT_PRICE, columns.TOTAL_SALES))
    units = frame[columns.UNITS].to_numpy() if columns.UNITS in frame.columns else np.full(len(frame), np.nan)
    in_range = (price < columns.LARGEST_NUMBER) & (sales < columns.LARGEST_NUMBER)
    sold = np.flatnonzero((price > columns.SMALLEST_PRICE) & (sales > 0) & in_range)
    if not len(sold):
        return []
    are_units = find_measure(price[sold], sales[sold], units[sold], setting).kind == "units"
    revenue = np.full(len(frame), np.nan)
    revenue[sold] = sales[sold] * price[sold] if are_units else sales[sold]
    problems = _profits(frame, revenue, lines)
    if are_units:
        return problems
    if (units[sold] > 0).any():
        return [*problems, *_contradictions(frame, sold, lines)]
    taxed = _taxed_rows(price[sold], sales[sold], sold, lines)
    return [*problems, *(taxed or _moved_points(frame, sold, lines))]


def _profits(frame: pd.DataFrame, revenue: FloatArray, lines: Sequence[int]) -> list[Problem]:
    """Return a problem per product whose profit is above its revenue ``(N,)`` on most days."""
    if columns.TOTAL_PROFIT not in frame.columns:
        return []
    profit, products = frame[columns.TOTAL_PROFIT].to_numpy(), frame[columns.PRODUCT].array
    codes = np.asarray(products.codes)
    known = np.isfinite(profit) & (revenue > 0)
    above = known & (profit > revenue + CENTS)
    days, higher = (np.bincount(codes[mask], minlength=len(products.categories)) for mask in (known, above))
    problems = []
    for code in np.flatnonzero((days >= FEWEST_PROFITS) & (2 * higher > days)):
        row = int(np.argmax(above & (codes == code)))
        found = f"is above {columns.TOTAL_SALES} on {higher[code]} of {days[code]} days with sales"
        remedy = f"are the columns swapped, or in two currencies? Otherwise, {KEEP}"
        name = str(products.categories[code])
        problems.append(Problem(lines[row], columns.TOTAL_PROFIT, f"{found}; {remedy}", name))
    return problems


def _contradictions(frame: pd.DataFrame, sold: IntArray, lines: Sequence[int]) -> list[Problem]:
    """Return rows whose sales contradict price times units, or a problem if they mix prices with and without tax.

    ``sold (N,)`` are the rows with a price and sales.
    """
    price, sales, units = (
        frame[name].to_numpy() for name in (columns.PRODUCT_PRICE, columns.TOTAL_SALES, columns.UNITS)
    )
    rows = sold[units[sold] > 0]
    ratio = sales[rows] / (price[rows] * units[rows])
    plain = np.abs(ratio - 1) <= TAX_SPREAD
    taxed = (ratio > TAXES[0]) & (ratio < TAXES[1])
    if plain.mean() >= TAX_SHARE and taxed.mean() >= TAX_SHARE and (plain | taxed).mean() >= MOSTLY:
        factor = float(np.median(ratio[taxed]))
        if np.mean(np.abs(ratio[taxed] / factor - 1) <= TAX_SPREAD) >= MOSTLY:
            line, other = (lines[int(rows[np.argmax(mask)])] for mask in (taxed, plain))
            found = (
                f"is {factor:.3g} times price × units, but equal to it on line {other}; are taxes in some rows only?"
            )
            return [Problem(line, columns.TOTAL_SALES, f"{found} Otherwise, {KEEP}", everywhere=True)]
    off = np.abs(ratio - 1) > CONTRADICTING
    if np.mean(np.abs(ratio - 1) <= AGREEING) < MOSTLY:
        return []
    off &= np.abs(sales[rows] - price[rows] * units[rows]) > price[rows]
    return [
        Problem(lines[row], columns.UNITS, f"{units[row]:.10g} × {price[row]:.10g} is not {sales[row]:.10g}; {KEEP}")
        for row in map(int, rows[off])
    ]


def _fits(price: FloatArray, sales: FloatArray, factor: float = 1.0) -> BoolArray:
    """Return where sales ``(N,)`` are ``factor`` times a whole number of units at the price, to the cent."""
    charged = factor * price
    count = np.round(sales / charged)
    slack = CENTS * (1 + factor * count)
    return np.asarray((count >= 1) & (np.abs(sales - count * charged) <= slack) & (slack <= COARSEST * charged))


def _taxed_rows(price: FloatArray, sales: FloatArray, sold: IntArray, lines: Sequence[int]) -> list[Problem]:
    """Return a problem if sales ``(N,)`` fit whole units on some rows and, with or without a usual tax, on the others.

    ``sold (N,)`` are the rows of the file.
    """
    whole = _fits(price, sales)
    if min(whole.mean(), 1 - whole.mean()) < TAX_SHARE:
        return []
    others = np.flatnonzero(~whole)[:SAMPLE]
    factors = [1 + rate / 100 for rate in RATES]
    factors += [1 / factor for factor, rate in zip(factors, RATES, strict=True) if rate not in ROUND_DISCOUNTS]
    fitting = [_fits(price[others], sales[others], factor) for factor in factors]
    best = int(np.argmax([fits.sum() for fits in fitting]))
    share = float(fitting[best].mean())
    if share < MOSTLY or len(others) < FEWEST_PROFITS:
        return []
    line, other = lines[int(sold[others[np.argmax(fitting[best])]])], lines[int(sold[np.argmax(whole)])]
    found = f"is {factors[best]:.4g} times a whole number of prices, but a whole number itself on line {other}"
    remedy = f"are taxes in some rows only? Otherwise, {KEEP}"
    return [Problem(line, columns.TOTAL_SALES, f"{found}; {remedy}", everywhere=True)]


def _moved_points(frame: pd.DataFrame, sold: IntArray, lines: Sequence[int]) -> list[Problem]:
    """Return days whose sales are whole units, as on the others, only or more plausibly with the decimal sign moved.

    Products with other sales that are no whole units, such as those less returns, are not suspected of small ones.
    ``sold (N,)`` are the rows with a price and sales.
    """
    price, sales = (frame[name].to_numpy()[sold] for name in (columns.PRODUCT_PRICE, columns.TOTAL_SALES))
    products = frame[columns.PRODUCT].array
    codes = np.asarray(products.codes)[sold].astype(np.int64)
    size, count = len(products.categories), sales / price
    whole = _fits(price, sales)
    days, fitting = (np.bincount(codes, mask, size) for mask in (np.ones(len(sold)), whole))
    usual = ((days >= FEWEST_SOLD) & (fitting >= MOSTLY * days))[codes]
    limit, least = _highest_other(codes, count, size), np.full(size, np.inf)
    np.minimum.at(least, codes[whole], count[whole])
    odd = usual & (~whole | (count > FAR * limit))
    sold, price, sales, count, whole = sold[odd], price[odd], sales[odd], count[odd], whole[odd]
    limit, below = limit[odd], least[codes[odd]]
    problems, codes = [], codes[odd]
    unusual = np.bincount(codes[~whole], minlength=size)
    for factor in (10, 100):
        small = ~whole & (SMALL * count < below) & _fits(price, factor * sales) & (factor * count <= limit)
        small &= (2 * np.bincount(codes[small], minlength=size) >= unusual)[codes]
        tens = np.abs(count / factor - np.round(count / factor)) <= CENTS
        large = whole & tens & (count > FAR * factor / 10 * limit) & (count / factor <= limit)
        for row in map(int, np.flatnonzero(small | large)):
            times = f"1/{factor} of" if small[row] else f"{factor} times"
            found = f"{sales[row]:.10g} at a price of {price[row]:.10g} is {times} what other days suggest"
            text = f"{found}; is the decimal sign wrong? Otherwise, {KEEP}"
            problems.append(Problem(lines[int(sold[row])], columns.TOTAL_SALES, text))
    return problems


def _highest_other(codes: IntArray, values: FloatArray, size: int) -> FloatArray:
    """Return the highest of the other values of each row's product ``(N,)``, ``-inf`` without another row."""
    highest, second = np.full(size, -np.inf), np.full(size, -np.inf)
    np.maximum.at(highest, codes, values)
    is_highest = values == highest[codes]
    np.maximum.at(second, codes[~is_highest], values[~is_highest])
    second = np.where(np.bincount(codes[is_highest], minlength=size) > 1, highest, second)
    return np.where(is_highest, second[codes], highest[codes])
