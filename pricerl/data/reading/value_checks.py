"""Checks of values: cells outside of their range, and those that can be read but cannot be meant.

Each finding is read right with a note, or refused with the lines that show it. Thresholds are far from what shops do:
a price that stays, a promotion or a repricer triggers none of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, FloatArray
from pricerl.data.cleaning.product_rows import order_rows
from pricerl.data.cleaning.sales_unit import SalesSetting, find_measure
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
    faults = {"must be a finite number of ordinary size": np.abs(values) > columns.LARGEST_NUMBER}
    if name in (columns.PRODUCT_PRICE, columns.COMPETITOR_PRICE):
        faults["must be positive"] = values <= 0
        faults[f"must be at least {columns.SMALLEST_PRICE:.6f}"] = values < columns.SMALLEST_PRICE
    elif name in (*columns.CONVERSIONS, columns.UNITS, columns.UNIT_COST):
        faults["must not be negative"] = values < 0
    return faults


def merge_products(parsed: Parsed) -> tuple[list[str], list[Problem]]:
    """Merge, in place, products whose names differ in case, spaces or Unicode form only.

    Returns:
        A note per merged name, and a problem per name whose rows share days with those of the other one.
    """
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
    problems += _price_typos(frame, lines)
    for name in (name for name in columns.CONVERSIONS if name in frame.columns):
        problems += _mixed_shares(name, frame, lines)
    return [*problems, *_check_amounts(frame, lines, config.sales)]


TYPO = 7.0
"""Factor between a price and both of its neighbours that a misplaced decimal sign explains better than a promotion."""
STEADY = 2.0
"""Largest factor between these neighbours."""
JUMP = 40.0
"""Factor between two neighbours that no shop changes a price by: cents and whole coins, or another currency."""


def _price_typos(frame: pd.DataFrame, lines: Sequence[int]) -> list[Problem]:
    """Return prices a factor of about ten or more from both neighbours, and jumps that no shop makes."""
    price = frame[columns.PRODUCT_PRICE].to_numpy()
    codes = np.asarray(frame[columns.PRODUCT].array.codes)
    order = order_rows(codes, frame[columns.REPORT_DATE].to_numpy())
    order = order[price[order] > 0]
    level = np.log(price[order])
    owner = codes[order]
    jumps = np.flatnonzero((np.abs(np.diff(level)) > np.log(TYPO)) & (owner[1:] == owner[:-1]))
    problems = []
    for at in map(int, jumps if len(order) > 2 else ()):
        window = range(at - 1, at + 3)
        before, here, there, after = (
            level[place] if 0 <= place < len(owner) and owner[place] == owner[at] else np.nan for place in window
        )
        last_is_odd = np.isnan(after) and abs(here - before) < np.log(STEADY)
        if abs(here - after) < np.log(STEADY) or last_is_odd:
            odd = at + 1
        elif np.isnan(before) and abs(there - after) < np.log(STEADY):
            odd = at
        elif abs(there - before) < np.log(STEADY) or abs(there - here) <= np.log(JUMP):
            continue  # reported with the jump before, or a change that shops make
        else:
            odd = at + 1
        near = at if odd > at else at + 1
        times = float(np.exp(abs(there - here)))
        factor = f"{times:.3g} times" if level[odd] > level[near] else f"1/{times:.3g} of"
        found = f"{np.exp(level[odd]):.10g} is {factor} {np.exp(level[near]):.10g} on line {lines[int(order[near])]}"
        text = f"{found}; is a decimal sign or the currency wrong? Otherwise, {KEEP}"
        problems.append(Problem(lines[int(order[odd])], columns.PRODUCT_PRICE, text))
    return problems


SHARE_GAP = 5.0
"""Smallest factor between shares (up to 1) and percents (above 1) of one column: conversions do not leave such gaps."""
FEWEST_SHARES = 3
LEAST_SHARES = 0.05
"""Fewest cells of both kinds, and their smallest share of the cells above 0."""


def _mixed_shares(name: str, frame: pd.DataFrame, lines: Sequence[int]) -> list[Problem]:
    """Return a problem per product whose conversions are shares on some rows and percents on others."""
    products = frame[columns.PRODUCT]
    low = frame[name].where((frame[name] > 0) & (frame[name] <= 1))
    high = frame[name].where(frame[name] > 1)
    shares = low.groupby(products, observed=True).agg(["count", "max"])
    percents = high.groupby(products, observed=True).agg(["count", "min"])
    fewest = np.maximum(FEWEST_SHARES, LEAST_SHARES * (shares["count"] + percents["count"]))
    mixed = (np.minimum(shares["count"], percents["count"]) >= fewest) & (percents["min"] >= SHARE_GAP * shares["max"])
    problems = []
    for product in shares.index[mixed]:
        share = int(low[products == product].first_valid_index())
        percent = int(high[products == product].first_valid_index())
        found = f"{low[share]:.10g} looks like a share, {high[percent]:.10g} on line {lines[percent]} like a percent"
        problems.append(Problem(lines[share], name, f"{found}; use percent throughout, or {KEEP}", str(product)))
    return problems


AGREEING = 0.05
CONTRADICTING = 0.30
"""Largest relative difference of sales and price times units that agree, and smallest one that is a contradiction."""
MOSTLY = 0.90
"""Share of rows that must agree for the others to be contradictions."""

TAXES = (1.04, 1.28)
"""Range of the ratio of prices with and without tax."""
TAX_SPREAD = 0.004
TAX_SHARE = 0.10
"""Relative spread of that ratio, and smallest share of rows at either of the two levels."""
RATES = (5, 5.5, 6, 7, 7.7, 8, 8.1, 8.5, 9, 9.5, 10, 12, 13, 13.5, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27)
"""Usual taxes on sales, percent; they are searched for where a file has no units."""
ROUND_DISCOUNTS = (25.0,)
"""Of these, taxes whose removal looks like a round discount: 25 % less its tax is 20 % off."""

CENTS = 0.0051
COARSEST = 0.05
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


def _check_amounts(frame: pd.DataFrame, lines: Sequence[int], setting: SalesSetting) -> list[Problem]:
    """Return sales and profits that cannot be meant; the setting says whether sales are revenue or units."""
    names = [columns.PRODUCT, columns.PRODUCT_PRICE, columns.TOTAL_SALES, columns.UNITS, columns.TOTAL_PROFIT]
    amounts = frame.reindex(columns=names).set_axis(["product", "price", "sales", "units", "profit"], axis=1)
    priced = amounts["price"].between(columns.SMALLEST_PRICE, columns.LARGEST_NUMBER, inclusive="neither")
    sold = amounts[priced & amounts["sales"].between(0, columns.LARGEST_NUMBER, inclusive="neither")]
    if not len(sold):
        return []
    price = sold["price"].to_numpy()
    sales = sold["sales"].to_numpy()
    are_units = find_measure(price, sales, sold["units"].to_numpy(), setting).kind == "units"
    problems = _profits(sold, sales * price if are_units else sales, lines)
    if are_units:
        return problems
    if (sold["units"] > 0).any():
        return [*problems, *_contradictions(sold[sold["units"] > 0], lines)]
    return [*problems, *(_taxed_rows(sold, lines) or _moved_points(sold, lines))]


def _profits(sold: pd.DataFrame, revenue: FloatArray, lines: Sequence[int]) -> list[Problem]:
    """Return a problem per product whose profit is above its revenue ``(N,)`` on most days."""
    known = np.isfinite(sold["profit"])
    above = (sold["profit"] > revenue + CENTS)[known]
    products = sold["product"][known]
    counts = above.groupby(products, observed=True).agg(["size", "sum"])
    problems = []
    for name, days, higher in counts.itertuples():
        if days < FEWEST_PROFITS or 2 * higher <= days:
            continue
        row = int(above.index[above & (products == name)][0])
        found = f"is above {columns.TOTAL_SALES} on {higher} of {days} days with sales"
        remedy = f"are the columns swapped, or in two currencies? Otherwise, {KEEP}"
        problems.append(Problem(lines[row], columns.TOTAL_PROFIT, f"{found}; {remedy}", str(name)))
    return problems


def _contradictions(sold: pd.DataFrame, lines: Sequence[int]) -> list[Problem]:
    """Return rows whose sales contradict price times units, or a problem if they mix prices with and without tax."""
    price, sales, units = (sold[name].to_numpy() for name in ("price", "sales", "units"))
    rows = sold.index.to_numpy()
    ratio = sales / (price * units)
    plain = np.abs(ratio - 1) <= TAX_SPREAD
    taxed = (ratio > TAXES[0]) & (ratio < TAXES[1])
    if plain.mean() >= TAX_SHARE and taxed.mean() >= TAX_SHARE and (plain | taxed).mean() >= MOSTLY:
        factor = float(np.median(ratio[taxed]))
        if np.mean(np.abs(ratio[taxed] / factor - 1) <= TAX_SPREAD) >= MOSTLY:
            line, other = (lines[rows[np.argmax(mask)]] for mask in (taxed, plain))
            found = f"is {factor:.3g} times price × units, but equal to it on line {other}"
            text = f"{found}; are taxes in some rows only? Otherwise, {KEEP}"
            return [Problem(line, columns.TOTAL_SALES, text, everywhere=True)]
    if np.mean(np.abs(ratio - 1) <= AGREEING) < MOSTLY:
        return []
    off = (np.abs(ratio - 1) > CONTRADICTING) & (np.abs(sales - price * units) > price)
    problems = []
    for at in np.flatnonzero(off):
        found = f"{units[at]:.10g} × {price[at]:.10g} is not {sales[at]:.10g}"
        problems.append(Problem(lines[rows[at]], columns.UNITS, f"{found}; {KEEP}"))
    return problems


def _fits(price: FloatArray, sales: FloatArray, factor: float = 1.0) -> BoolArray:
    """Return where sales ``(N,)`` are ``factor`` times a whole number of units at the price, to the cent."""
    charged = factor * price
    count = np.round(sales / charged)
    slack = CENTS * (1 + factor * count)
    return np.asarray((count >= 1) & (np.abs(sales - count * charged) <= slack) & (slack <= COARSEST * charged))


def _taxed_rows(sold: pd.DataFrame, lines: Sequence[int]) -> list[Problem]:
    """Return a problem if sales fit whole units on some rows and, with or without a usual tax, on the others."""
    price = sold["price"].to_numpy()
    sales = sold["sales"].to_numpy()
    whole = _fits(price, sales)
    others = np.flatnonzero(~whole)[:SAMPLE]
    if min(whole.mean(), 1 - whole.mean()) < TAX_SHARE or len(others) < FEWEST_PROFITS:
        return []
    factors = [1 + rate / 100 for rate in RATES]
    factors += [1 / factor for factor, rate in zip(factors, RATES, strict=True) if rate not in ROUND_DISCOUNTS]
    fitting = [_fits(price[others], sales[others], factor) for factor in factors]
    best = int(np.argmax([fits.sum() for fits in fitting]))
    if fitting[best].mean() < MOSTLY:
        return []
    rows = sold.index.to_numpy()
    line = lines[rows[others[np.argmax(fitting[best])]]]
    other = lines[rows[np.argmax(whole)]]
    found = f"is {factors[best]:.4g} times a whole number of prices, but a whole number itself on line {other}"
    remedy = f"are taxes in some rows only? Otherwise, {KEEP}"
    return [Problem(line, columns.TOTAL_SALES, f"{found}; {remedy}", everywhere=True)]


def _moved_points(sold: pd.DataFrame, lines: Sequence[int]) -> list[Problem]:
    """Return days whose sales are whole units, as on the others, only or more plausibly with the decimal sign moved.

    Products with other sales that are no whole units, such as those less returns, are not suspected of small ones.
    """
    rows = sold[["price", "sales"]].assign(product=sold["product"].cat.codes, count=sold["sales"] / sold["price"])
    rows["whole"] = _fits(rows["price"].to_numpy(), rows["sales"].to_numpy())
    fitting = rows.groupby("product")["whole"]
    days = fitting.transform("size")
    rows["limit"] = _highest_other(rows["product"], rows["count"])
    rows["least"] = rows["count"].where(rows["whole"], np.inf).groupby(rows["product"]).transform("min")
    usual = (days >= FEWEST_SOLD) & (fitting.transform("sum") >= MOSTLY * days)
    rows = rows[usual & (~rows["whole"] | (rows["count"] > FAR * rows["limit"]))]
    count = rows["count"]
    whole = rows["whole"]
    limit = rows["limit"]
    unusual = (~whole).groupby(rows["product"]).transform("sum")
    problems = []
    for factor in (10, 100):
        small = ~whole & (SMALL * count < rows["least"]) & (factor * count <= limit)
        small &= _fits(rows["price"].to_numpy(), factor * rows["sales"].to_numpy())
        small &= 2 * small.groupby(rows["product"]).transform("sum") >= unusual
        tens = (count / factor - (count / factor).round()).abs() <= CENTS
        large = whole & tens & (count > FAR * factor / 10 * limit) & (count / factor <= limit)
        for row in map(int, rows.index[small | large]):
            times = f"1/{factor} of" if small[row] else f"{factor} times"
            found = f"{rows['sales'][row]:.10g} at a price of {rows['price'][row]:.10g}"
            text = f"{found} is {times} what other days suggest; is the decimal sign wrong? Otherwise, {KEEP}"
            problems.append(Problem(lines[row], columns.TOTAL_SALES, text))
    return problems


def _highest_other(products: pd.Series, values: pd.Series) -> FloatArray:
    """Return the highest of the other values of each row's product ``(N,)``, ``-inf`` without another row."""
    highest = values.groupby(products).transform("max")
    top = values.groupby(products).idxmax()
    others = values.copy()
    others[top] = -np.inf
    highest[top] = others.groupby(products).max().to_numpy()
    return highest.to_numpy()
