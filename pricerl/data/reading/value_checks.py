"""Checks of values: cells outside of their range, and those that can be read but cannot be meant.

Each finding is read right with a note, or refused with the lines that show it. Thresholds are far from what shops do:
a price that stays, a promotion or a repricer triggers none of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, FloatArray, IntArray, count_true
from pricerl.data.cleaning.product_rows import codes_of, first_rows, highest_other, order_rows
from pricerl.data.cleaning.sales_unit import (
    AGREEING,
    CENTS,
    DISCOUNTS,
    LEVEL_SPREAD,
    MOSTLY,
    can_be_packs,
    find_factor,
    find_kind,
    fits_units,
)
from pricerl.data.cleaning.tax_turns import check_tax_turns
from pricerl.data.config import DataConfig
from pricerl.data.reading import columns
from pricerl.data.reading.columns import fold_product
from pricerl.data.reading.problems import KEEP, Problem
from pricerl.data.reading.tables import Parsed, TextColumn, match_texts


def check_values(parsed: Parsed) -> list[Problem]:
    """Return a problem per cell outside its range, from all columns at once."""
    frame = parsed.frame
    problems = []
    for name in frame.columns.intersection([*columns.NUMERIC, columns.REPORT_DATE], sort=False):
        faults = _find_faults(name, frame[name])
        rows = np.flatnonzero(np.logical_or.reduce(list(faults.values())))
        if not len(rows):
            continue
        column = TextColumn(parsed.cells[name] if name in parsed.cells else list(map(str, frame[name])))
        for row in map(int, rows):
            rule = next(rule for rule, broken in faults.items() if broken[row])
            found = column.text_of(row)
            problems.append(Problem(parsed.lines[row], name, f"{rule}, found {found}", "", found))
    return problems


def _find_faults(name: str, cells: pd.Series) -> dict[str, BoolArray]:
    """Return the rows ``(N,)`` of a column that break each of its rules; blank cells break none."""
    if name == columns.REPORT_DATE:
        years = cells.dt.year.to_numpy()
        outside = (years < columns.FIRST_YEAR) | (years > columns.LAST_YEAR)
        return {f"year must lie in {columns.FIRST_YEAR}-{columns.LAST_YEAR}": outside}
    values = cells.to_numpy()
    faults = {"must be a finite number of ordinary size": np.abs(values) >= columns.LARGEST_NUMBER}
    if name in (columns.PRODUCT_PRICE, columns.COMPETITOR_PRICE):
        faults["must be positive"] = values <= 0
        faults[f"must be at least {columns.SMALLEST_PRICE:.6f}"] = values < columns.SMALLEST_PRICE
    elif name in (*columns.CONVERSIONS, columns.UNITS, columns.UNIT_COST, columns.AD_SPEND):
        faults["must not be negative"] = values < 0
    elif name == columns.COUPONS:
        faults["must be 0 or more and below 100"] = (values < 0) | (values >= 100)
    return faults


def merge_products(parsed: Parsed) -> tuple[list[str], list[Problem]]:
    """Merge, in place, products whose names differ in form only; a note per name, a problem where they share days."""
    frame = parsed.frame
    names = frame[columns.PRODUCT].array
    folded, _ = pd.factorize(np.array([fold_product(str(name)) for name in names.categories], dtype=object))
    codes = np.asarray(names.codes).astype(np.int64)
    if len(set(folded)) == len(folded):
        return [], []
    twice = pd.DataFrame({"product": folded[codes], "day": frame.get(columns.REPORT_DATE)}).duplicated().to_numpy()
    kept = np.array([int(np.argmax(folded == group)) for group in folded])
    notes = []
    problems = []
    for code in np.flatnonzero(kept != np.arange(len(kept))):
        pair = f"{names.categories[code]!r} and {names.categories[kept[code]]!r}"
        rows = np.flatnonzero(((codes == code) | (codes == kept[code])) & twice)
        if len(rows):
            found = f"{pair} differ in case, spaces or Unicode form only; write one product alike, or rename one of two"
            problems.append(Problem(parsed.lines[int(rows[0])], columns.PRODUCT, found, everywhere=True))
        else:
            notes.append(f"Products {pair} differ in case, spaces or Unicode form only; read as one.")
    if not problems:
        frame[columns.PRODUCT] = pd.Categorical.from_codes(kept[codes], dtype=names.dtype).remove_unused_categories()
    return notes, problems


def check_plausibility(parsed: Parsed, config: DataConfig) -> list[Problem]:
    """Return the values that cannot be meant; the setting ``suspicious`` keeps all but percent signs in money."""
    frame = parsed.frame
    lines = parsed.lines
    problems = []
    remedy = "is a percentage, but this column is money; is it another column?"
    for name in (name for name in columns.MONEY if name in parsed.cells):
        column = TextColumn(parsed.cells[name])
        marked = match_texts(column.texts, "%")
        problems += column.find_problems(name, lines, marked, lambda text: f"{text.strip()} {remedy}")
    if config.suspicious == "keep" or not set(columns.REQUIRED) <= set(frame.columns):
        return problems
    order = order_rows(codes_of(frame[columns.PRODUCT]), frame[columns.REPORT_DATE].to_numpy())
    for name in frame.columns.intersection([columns.PRODUCT_PRICE, columns.COMPETITOR_PRICE], sort=False):
        problems += _price_typos(name, frame, order, lines)
    for name in (name for name in columns.CONVERSIONS if name in frame.columns):
        problems += _mixed_shares(name, frame, lines)
    amounts = _check_amounts(frame, lines, config) if parsed.cells else _check_sums(frame, lines)
    return [*problems, *amounts]


TYPO = 7.0
"""Factor between a price and both of its neighbours that a misplaced decimal sign explains better than a promotion."""
STEADY = 2.0
"""Largest factor between these neighbours."""
JUMP = 40.0
"""Factor between two neighbours that no shop changes a price by: cents and whole coins, or another currency."""


def _price_typos(name: str, frame: pd.DataFrame, order: IntArray, lines: Sequence[int]) -> list[Problem]:
    """Return prices a factor of about ten or more from both neighbours, and jumps that no shop makes.

    ``order (N,)`` are the rows by product and day.
    """
    price = frame[name].to_numpy()
    order = order[price[order] > 0]
    codes = codes_of(frame[columns.PRODUCT])[order]
    level = np.log(price[order])
    at = np.flatnonzero((np.abs(np.diff(level)) > np.log(TYPO)) & (codes[1:] == codes[:-1])) + 1

    def neighbour(rows: int) -> FloatArray:
        place = np.clip(at + rows, 0, max(len(level) - 1, 0))
        return np.where((place == at + rows) & (codes[place] == codes[at]), level[place], np.nan)

    earlier, before, now, after = (neighbour(rows) for rows in (-2, -1, 0, 1))
    steady = np.log(STEADY)
    alone = (np.abs(before - after) < steady) | (np.isnan(after) & (np.abs(earlier - before) < steady))
    first = ~alone & np.isnan(earlier) & (np.abs(now - after) < steady)  # the row before is the odd one
    returns = np.abs(now - earlier) < steady  # reported with the jump before
    jump = np.abs(now - before)
    odd_rows = alone | first | (~returns & (jump > np.log(JUMP)))
    problems = []
    for place in map(int, np.flatnonzero(odd_rows) if len(order) > 2 else ()):
        row = int(at[place])
        odd, near = (row - 1, row) if first[place] else (row, row - 1)
        times = float(np.exp(jump[place]))
        factor = f"{times:.3g} times" if level[odd] > level[near] else f"1/{times:.3g} of"
        found = f"{np.exp(level[odd]):.10g} is {factor} {np.exp(level[near]):.10g} on line {lines[int(order[near])]}"
        text = f"{found}; is a decimal sign or the currency wrong? Otherwise, {KEEP}"
        problems.append(Problem(lines[int(order[odd])], name, text))
    return problems


SHARE_GAP = 5.0
"""Smallest factor between shares (up to 1) and percents (above 1) of one column: conversions do not leave such gaps."""
FEWEST_SHARES = 3
LEAST_SHARES = 0.05
"""Fewest cells of both kinds, and their smallest share of the cells above 0."""


def _mixed_shares(name: str, frame: pd.DataFrame, lines: Sequence[int]) -> list[Problem]:
    """Return a problem per product whose conversions are shares on some rows and percents on others."""
    products = frame[columns.PRODUCT]
    codes = codes_of(products)
    values = frame[name].to_numpy()
    low = (values > 0) & (values <= 1)
    high = values > 1
    count = len(products.array.categories)
    shares, percents = (np.bincount(codes[kind], minlength=count) for kind in (low, high))
    mixed = np.minimum(shares, percents) >= np.maximum(FEWEST_SHARES, LEAST_SHARES * (shares + percents))
    if not mixed.any():
        return []
    largest = np.zeros(count)
    np.maximum.at(largest, codes[low], values[low])
    smallest = np.full(count, np.inf)
    np.minimum.at(smallest, codes[high], values[high])
    mixed &= smallest >= SHARE_GAP * largest
    share_of, percent_of = (first_rows(codes, kind) for kind in (low, high))
    problems = []
    for code in np.flatnonzero(mixed).tolist():
        share = share_of[code]
        percent = percent_of[code]
        found = f"{values[share]:.10g} looks like a share, {values[percent]:.10g} on line {lines[percent]}"
        text = f"{found} like a percent; use percent throughout, or {KEEP}"
        problems.append(Problem(lines[share], name, text, str(products.array.categories[code])))
    return problems


CONTRADICTING = 0.30
"""Smallest relative difference of sales and price times units that is a contradiction on a row."""
PLAUSIBLE = (0.5, 1.5)
LARGEST_FAR_SHARE = 0.20
"""Range of sales over price times units that coupons, tax and shipping explain, and the share of rows outside."""

TAXES = (1.04, 1.28)
"""Range of the ratio of prices with and without tax."""
TAX_SHARE = 0.10
FEWEST_TAXED = 7
"""Smallest share of rows at either of the two levels where they take turns, and fewest rows."""
FEWEST_SOLD = 20
"""Fewest days with sales of a product that show what is usual."""
FAR = 7.0
"""Factor between a day's units and all others of the product that a moved decimal sign explains better than demand."""
FARTHEST = 100.0
BULK = 1000
"""Factor and number of units that no order reaches."""
SMALL = 2.0
"""The same for units below all others, if they are no whole number."""
FEWEST_COMPARED = 10
"""Fewest days with sales that show a profit to be above the sales, a cost above the price, or units to be others."""
SAMPLE = 4000
"""Rows in which taxes are searched for."""


def _check_amounts(frame: pd.DataFrame, lines: Sequence[int], config: DataConfig) -> list[Problem]:
    """Return sales, profits and costs that cannot be meant; a unit cost that the settings name is meant."""
    names = [columns.PRODUCT, columns.REPORT_DATE, columns.PRODUCT_PRICE, columns.TOTAL_SALES, columns.UNITS]
    amounts = frame.reindex(columns=[*names, columns.TOTAL_PROFIT, columns.UNIT_COST])
    amounts = amounts.set_axis(["product", "day", "price", "sales", "units", "profit", "cost"], axis=1)
    amounts["price"] *= 1 - frame.get(columns.COUPONS, pd.Series(0.0, amounts.index)).fillna(0) / 100
    priced = amounts["price"].between(columns.SMALLEST_PRICE, columns.LARGEST_NUMBER, inclusive="neither")
    priced &= amounts["day"].notna()
    sold = amounts[priced & amounts["sales"].between(0, columns.LARGEST_NUMBER, inclusive="neither")]
    if not len(sold):
        return []
    price, sales, units = (sold[name].to_numpy() for name in ("price", "sales", "units"))
    are_units = find_kind(price, sales, units, config.sales) == "units"
    counted = sales if are_units else sales / price
    sold = sold.assign(units=np.where(units > 0, units, counted))
    codes = codes_of(sold["product"])
    revenue = sales * price if are_units else sales
    swapped = f"is above {columns.TOTAL_SALES}", "are the columns swapped, or in two currencies?"
    problems = _mostly_above(sold["profit"] - revenue, sold["product"], columns.TOTAL_PROFIT, swapped, lines)
    whole = f"is above {columns.PRODUCT_PRICE}", "is it the cost of all units, or in another currency?"
    if columns.UNIT_COST not in (config.columns or {}).values():
        loss = sold["cost"] - frame[columns.PRODUCT_PRICE].to_numpy()[sold.index]
        problems += _mostly_above(loss, sold["product"], columns.UNIT_COST, whole, lines)
    limit = highest_other(codes, sold["units"].to_numpy())
    if (units > 0).any():
        problems += _contradictions(sold[units > 0], are_units, lines)
    elif not are_units:
        fitting = fits_units(price, sales)
        problems += _taxed_rows(sold, fitting, lines) or _moved_points(sold, codes, fitting, limit, lines)
        problems += _coarse_sales(sold, codes, lines) if config.sales == "auto" else []
    far = (sold["units"].to_numpy() > FARTHEST * limit) & (sold["units"].to_numpy() > BULK) & (limit > 0)
    for row in np.flatnonzero(far).tolist():
        found = f"{sales[row]:.10g} is above {FARTHEST:.0f} times any other day of the product; {KEEP}"
        problems.append(Problem(lines[int(sold.index[row])], columns.TOTAL_SALES, found))
    return problems or check_tax_turns(sold, lines)


def _check_sums(frame: pd.DataFrame, lines: Sequence[int]) -> list[Problem]:
    """Return a day on which a tax turns in an export, whose sales and units agree as they are sums of its lines."""
    names = [columns.PRODUCT, columns.REPORT_DATE, columns.PRODUCT_PRICE, columns.UNITS]
    sold = frame.reindex(columns=names).set_axis(["product", "day", "price", "units"], axis=1)
    return check_tax_turns(sold[(sold["price"] > 0) & (sold["units"] > 0)], lines)


def _mostly_above(
    excess: pd.Series, products: pd.Series, name: str, words: tuple[str, str], lines: Sequence[int]
) -> list[Problem]:
    """Return a problem per product with an ``excess (N,)`` on most days, in the words of its finding and question."""
    found, question = words
    codes = codes_of(products)
    above = excess.to_numpy() > CENTS
    days, higher = (np.bincount(codes[flags]) for flags in (excess.notna().to_numpy(), above))
    problems = []
    for code, row in first_rows(codes, above).items():
        if days[code] < FEWEST_COMPARED or 2 * higher[code] <= days[code]:
            continue
        text = f"{found} on {higher[code]} of {days[code]} days with sales; {question} Otherwise, {KEEP}"
        problems.append(Problem(lines[excess.index[row]], name, text, str(products.array.categories[code])))
    return problems


def _contradictions(sold: pd.DataFrame, are_units: bool, lines: Sequence[int]) -> list[Problem]:
    """Return products and rows whose sales contradict price times units, or a problem if they mix two levels of tax."""
    price, sales, units = (sold[name].to_numpy() for name in ("price", "sales", "units"))
    due = units * (1.0 if are_units else price)
    ratio = sales / due
    apart = np.exp(np.abs(np.log(ratio)))
    plain = apart <= 1 + LEVEL_SPREAD
    taxed = (apart > TAXES[0]) & (apart < TAXES[1])
    factor = float(np.median(ratio[taxed])) if taxed.any() else np.nan
    level = taxed & (np.abs(ratio / factor - 1) <= LEVEL_SPREAD)
    if level.sum() >= MOSTLY * taxed.sum() and (plain | level).mean() >= MOSTLY:
        mixed = min(plain.mean(), level.mean()) >= TAX_SHARE and factor > 1
        if levels := _two_levels(sold, plain, level, mixed, f"is {factor:.3g} times price × units", lines):
            return levels
    codes = codes_of(sold["product"])
    days = np.bincount(codes)
    near = np.abs(ratio - 1)
    agreeing = np.bincount(codes[near <= AGREEING], minlength=len(days)) >= MOSTLY * days
    off = (near > CONTRADICTING) & (np.abs(sales - due) > price) & agreeing[codes]
    low, high = (1 - AGREEING, 1 + AGREEING) if are_units else PLAUSIBLE
    far = ~((ratio >= low) & (ratio <= high))
    wrong = (days >= FEWEST_COMPARED) & (np.bincount(codes[far], minlength=len(days)) > LARGEST_FAR_SHARE * days)
    remedy = "does it count packs or visits, or do sales hold tax or shipping? Correct or remove it"
    problems = []
    for row in [*np.flatnonzero(off).tolist(), *first_rows(codes, far & wrong[codes]).values()]:
        terms = [f"{values[row]:.10g}" for values in (units, price, sales)]
        found = "neither {0} × {1} nor {0} is {2}" if are_units else "{} × {} is not {}"
        text = f"{KEEP}" if off[row] else f"as on many other rows; {remedy}; {KEEP}"
        text = f"{found.format(*terms)}{'; ' if off[row] else ', '}{text}"
        problems.append(Problem(lines[sold.index[row]], columns.UNITS, text, str(sold["product"].iloc[row])))
    return problems if off.any() else _one_if_most(problems, count_true(days > 0))


def _one_if_most(problems: list[Problem], num_products: int) -> list[Problem]:
    """Return the first of problems of different products for the whole file if they concern most, else all."""
    return [problems[0]._replace(product="", everywhere=True)] if 2 * len(problems) > num_products else problems


def _two_levels(
    sold: pd.DataFrame, plain: BoolArray, level: BoolArray, mixed: bool, found: str, lines: Sequence[int]
) -> list[Problem]:
    """Return the problem of rows at a second level: ``mixed`` with plain ones, or all rows from or until a day."""
    taxed = level & ~plain
    whole = plain & ~level
    if min(taxed.sum(), whole.sum()) < FEWEST_TAXED:
        return []
    days = sold["day"].to_numpy()
    first, last = (str(day)[:10] for day in (days[taxed].min(), days[taxed].max()))
    spans = {f" from {first} on": days >= days[taxed].min(), f" until {last}": days <= days[taxed].max()}
    when = next((text for text, span in spans.items() if level[span].mean() >= MOSTLY), "")
    if not (mixed or when):
        return []
    line, other = (lines[int(sold.index.to_numpy()[mask][0])] for mask in (taxed, whole))
    found = f"{found}{when}, but not so on line {other}"
    text = f"{found}; is tax, or a discount, in the price or the sales alone on some days? Otherwise, {KEEP}"
    return [Problem(line, columns.TOTAL_SALES, text, everywhere=True)]


def _taxed_rows(sold: pd.DataFrame, whole: BoolArray, lines: Sequence[int]) -> list[Problem]:
    """Return a problem if sales fit ``whole (N,)`` units on some rows and, with or without a usual tax, on others."""
    price = sold["price"].to_numpy()
    sales = sold["sales"].to_numpy()
    others = np.flatnonzero(~whole)[:SAMPLE]
    if whole.mean() < TAX_SHARE or len(others) < FEWEST_TAXED:
        return []
    factor, share = find_factor(price[others], sales[others])
    level = fits_units(price, sales, factor)
    if share < MOSTLY or factor in DISCOUNTS or level.mean() >= MOSTLY:
        return []
    mixed = 1 - whole.mean() >= TAX_SHARE
    return _two_levels(sold, whole, level, mixed, f"is {factor:.4g} times a whole number of prices", lines)


def _coarse_sales(sold: pd.DataFrame, codes: IntArray, lines: Sequence[int]) -> list[Problem]:
    """Return a problem per product whose sales can be units in packs as well as revenue."""
    text = "can be units sold in packs as well as revenue; set --data.reading.sales units or revenue"
    packs = can_be_packs(sold["price"].to_numpy(), sold["sales"].to_numpy(), codes)
    problems = [
        Problem(lines[sold.index[row]], columns.TOTAL_SALES, text, str(sold["product"].iloc[row]))
        for row in (first_rows(codes, packs[codes]).values() if packs.any() else ())
    ]
    return _one_if_most(problems, count_true(np.bincount(codes) > 0))


def _moved_points(
    sold: pd.DataFrame, codes: IntArray, whole: BoolArray, limit: FloatArray, lines: Sequence[int]
) -> list[Problem]:
    """Return days whose sales are whole units, as on the others, only or more plausibly with the decimal sign moved.

    ``whole (N,)`` are the rows that fit whole units, ``limit (N,)`` the most units on any other day of the product.
    """
    count = sold["units"].to_numpy()
    days = np.bincount(codes)
    least = np.full(len(days), np.inf)
    np.minimum.at(least, codes[whole], count[whole])
    usual = (days >= FEWEST_SOLD) & (np.bincount(codes[whole], minlength=len(days)) >= MOSTLY * days)
    rows = np.flatnonzero(usual[codes] & (~whole | (count > FAR * limit)))
    count = count[rows]
    whole = whole[rows]
    limit = limit[rows]
    codes = codes[rows]
    price, sales = (sold[name].to_numpy()[rows] for name in ("price", "sales"))
    unusual = np.bincount(codes, ~whole)
    problems = []
    for factor in (10, 100):
        small = ~whole & (SMALL * count < least[codes]) & (factor * count <= limit)
        small &= fits_units(price, factor * sales)
        small &= 2 * np.bincount(codes, small)[codes] >= unusual[codes]
        tens = np.abs(count / factor - np.round(count / factor)) <= CENTS
        large = whole & tens & (count > FAR * factor / 10 * limit) & (count / factor <= limit)
        for place in np.flatnonzero(small | large).tolist():
            times = f"1/{factor} of" if small[place] else f"{factor} times"
            found = f"{sales[place]:.10g} at a price of {price[place]:.10g}"
            text = f"{found} is {times} what other days suggest; is the decimal sign wrong? Otherwise, {KEEP}"
            problems.append(Problem(lines[sold.index[rows[place]]], columns.TOTAL_SALES, text))
    return problems
