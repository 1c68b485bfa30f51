"""Checks of values: cells outside of their range, and those that can be read but cannot be meant.

Each finding is read right with a note, or refused with the lines that show it. Thresholds are far from what shops do:
a price that stays, a promotion or a repricer triggers none of them. Checks of amounts take a frame with a row per sale
and the columns ``line`` (in the file), ``product``, ``day``, ``price``, ``sales``, ``units``, ``profit``, ``cost``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data.cleaning.product_rows import codes_of, highest_other, order_rows
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
from pricerl.data.reading.problems import KEEP, Problem, quote
from pricerl.data.reading.tables import Parsed, TextColumn

_LARGEST = columns.LARGEST_NUMBER
_PRICES = (columns.PRODUCT_PRICE, columns.COMPETITOR_PRICE)
_COUNTS = (*columns.CONVERSIONS, columns.UNITS, columns.UNIT_COST, columns.AD_SPEND)
YEARS = [np.datetime64(f"{year}-01-01") for year in (columns.FIRST_YEAR, columns.LAST_YEAR + 1)]
"""First day that a date may be, and the one that all are before."""
RULES: list[tuple[str, tuple[str, ...], Any, Any]] = [
    (f"year must lie in {columns.FIRST_YEAR}-{columns.LAST_YEAR}", (columns.REPORT_DATE,), YEARS[0], YEARS[1]),
    ("must be a finite number of ordinary size", columns.NUMERIC, np.nextafter(-_LARGEST, 0), _LARGEST),
    ("must be positive", _PRICES, np.nextafter(0, 1), _LARGEST),
    (f"must be at least {columns.SMALLEST_PRICE:.6f}", _PRICES, columns.SMALLEST_PRICE, _LARGEST),
    ("must not be negative", _COUNTS, 0, _LARGEST),
    ("must be 0 or more and below 100", (columns.COUPONS,), 0, 100),
]
"""Rules with their columns, the smallest value, and the one that all values are below; a cell breaks its first one."""

ELSE = f"Otherwise, {KEEP}"
WRITE_ALIKE = "write one product alike, or rename one of two"
PERCENTAGE = "is a percentage, but this column is money; is it another column?"
SHARES_AND_PERCENTS = (
    "{value:.10g} looks like a share, {value_percent:.10g} on line {line_percent} like a percent; use percent "
    f"throughout, or {KEEP}"
)
_ABOVE = "is above {} on {{number}} of {{days}} days with sales;"
ABOVE = {
    columns.TOTAL_PROFIT: f"{_ABOVE.format(columns.TOTAL_SALES)} are the columns swapped, or in two currencies? {ELSE}",
    columns.UNIT_COST: (
        f"{_ABOVE.format(columns.PRODUCT_PRICE)} is it the cost of all units, or in another currency? {ELSE}"
    ),
}
OF_REVENUE = "{units:.10g} × {price:.10g} is not {sales:.10g}"
OF_UNITS = "neither {units:.10g} × {price:.10g} nor {units:.10g} is {sales:.10g}"
AS_OTHERS = (
    "as on many other rows; does it count packs or visits, or do sales hold tax or shipping? Correct or remove it"
)
PACKS = "can be units sold in packs as well as revenue; set --data.reading.sales units or revenue"
ODD_PRICE = "{odd:.10g} is {factor} {other:.10g} on line {near}; is a decimal sign or the currency wrong? " + ELSE
MOVED = (
    f"{{{{sales:.10g}}}} at a price of {{{{price:.10g}}}} is {{times}} what other days suggest; is the decimal sign "
    f"wrong? {ELSE}"
)
"""Findings and remedies, with the cells of a row in braces."""


def check_values(parsed: Parsed) -> list[Problem]:
    """Return a problem per cell outside its range, from all columns at once."""
    frame = parsed.frame
    broken: dict[tuple[str, int], Problem] = {}
    for rule, names, low, high in reversed(RULES):  # the first one that a cell breaks is written last
        for name in frame.columns.intersection(list(names), sort=False):
            values = frame[name].to_numpy()
            rows = np.flatnonzero((values < low) | (values >= high)).tolist()
            written = pd.Series(parsed.cells.get(name, values)).iloc[rows] if rows else ()
            broken |= {
                (name, row): Problem(parsed.lines[row], name, f"{rule}, found {found}", "", found)
                for row, found in zip(rows, map(quote, map(str, written)), strict=True)
            }
    return list(broken.values())


def merge_products(parsed: Parsed) -> tuple[list[str], list[Problem]]:
    """Merge, in place, products whose names differ in form only; a note per name, a problem where they share days."""
    products = parsed.frame[columns.PRODUCT]
    names = list(map(str, products.cat.categories))
    first = {fold_product(name): name for name in reversed(names)}
    kept = {name: first[fold_product(name)] for name in names}
    alike = [name for name in names if kept[name] != name]
    if not alike:
        return [], []
    merged = products.map(kept)
    twice = pd.DataFrame({"product": merged, "day": parsed.frame.get(columns.REPORT_DATE)}).duplicated()
    shared = {name: (products.isin([name, kept[name]]) & twice).to_numpy() for name in alike}
    found = {name: f"{name!r} and {kept[name]!r} differ in case, spaces or Unicode form only;" for name in alike}
    problems = [
        Problem(parsed.lines[int(rows.argmax())], columns.PRODUCT, f"{found[name]} {WRITE_ALIKE}", everywhere=True)
        for name, rows in shared.items()
        if rows.any()
    ]
    if problems:
        return [], problems
    parsed.frame[columns.PRODUCT] = pd.Categorical(merged, categories=[*dict.fromkeys(kept.values())])
    return [f"Products {text} read as one." for text in found.values()], []


def check_plausibility(parsed: Parsed, config: DataConfig) -> list[Problem]:
    """Return the values that cannot be meant; the setting ``suspicious`` keeps all but percent signs in money."""
    frame = parsed.frame
    problems = []
    for name in (name for name in columns.MONEY if name in parsed.cells):
        column = TextColumn(parsed.cells[name])
        marked = column.texts.filter(pc.match_substring(column.texts, "%")).to_pylist()
        problems += column.find_problems(name, parsed.lines, {text: f"{text.strip()} {PERCENTAGE}" for text in marked})
    if config.suspicious == "keep" or not set(columns.REQUIRED) <= set(frame.columns):
        return problems
    unknown = np.broadcast_to(np.nan, len(frame))
    rows = pd.DataFrame(
        {"line": parsed.lines, **{name: frame.get(column, unknown) for column, name in _NAMES.items()}}, copy=False
    )
    codes = codes_of(rows["product"])
    order = order_rows(codes, rows["day"].to_numpy())
    for name in frame.columns.intersection(list(_PRICES), sort=False):
        problems += _price_typos(name, frame[name].to_numpy()[order], codes[order], rows["line"].to_numpy()[order])
    for name in frame.columns.intersection(list(columns.CONVERSIONS), sort=False):
        problems += _mixed_shares(name, rows[["line", "product"]].assign(value=frame[name]))
    if not parsed.cells:  # sales and units agree, as both are sums of an export's lines
        return [*problems, *check_tax_turns(rows[(rows["price"] > 0) & (rows["units"] > 0)], parsed.lines)]
    sold = _priced_sales(rows, frame)
    return [*problems, *(_check_amounts(sold, parsed, config) if len(sold) else ())]


_NAMES = {
    columns.PRODUCT: "product",
    columns.REPORT_DATE: "day",
    columns.PRODUCT_PRICE: "price",
    columns.TOTAL_SALES: "sales",
    columns.UNITS: "units",
    columns.TOTAL_PROFIT: "profit",
    columns.UNIT_COST: "cost",
}


def _report(column: str, rows: pd.DataFrame, text: str) -> list[Problem]:
    """Return a problem per row, on its ``line``, with its cells in place of their names in the text."""
    return [Problem(int(row["line"]), column, text.format_map(row)) for row in rows.to_dict("records")]


def _firsts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the first row of each product, in the order of products."""
    return rows.drop_duplicates("product").sort_values("product")


TYPO = 7.0
"""Factor between a price and both of its neighbours that a misplaced decimal sign explains better than a promotion."""
STEADY = 2.0
"""Largest factor between these neighbours."""
JUMP = 40.0
"""Factor between two neighbours that no shop changes a price by: cents and whole coins, or another currency."""


def _price_typos(name: str, price: FloatArray, codes: IntArray, lines: IntArray) -> list[Problem]:
    """Return prices a factor of about ten or more from both neighbours, and jumps that no shop makes.

    All are ``(N,)``, in order of products, their ``codes``, and days.
    """
    known = (price > 0) & (price < np.inf)
    price, codes, lines = price[known], codes[known], lines[known]
    at = 1 + np.flatnonzero((np.abs(np.diff(np.log(price))) > np.log(TYPO)) & (codes[1:] == codes[:-1]))
    near = at[:, None] + np.arange(-2, 2)
    own = (near >= 0) & (near < len(price)) & (codes.take(near, mode="clip") == codes[at, None])
    earlier, before, level, after = np.where(own, np.log(price.take(near, mode="clip")), np.nan).T
    steady = np.log(STEADY)
    alone = (np.abs(before - after) < steady) | (np.isnan(after) & (np.abs(earlier - before) < steady))
    first = ~alone & np.isnan(earlier) & (np.abs(level - after) < steady)  # the row before is the odd one
    returns = np.abs(level - earlier) < steady  # reported with the jump before
    found = (alone | first | (~returns & (np.abs(level - before) > np.log(JUMP)))) & (len(price) > 2)
    odd, other = np.where(first, [at - 1, at], [at, at - 1])[:, found]
    rows = pd.DataFrame({"line": lines[odd], "near": lines[other], "odd": price[odd], "other": price[other]})
    factors = [
        f"{one / two:.3g} times" if one > two else f"1/{two / one:.3g} of"
        for one, two in zip(rows["odd"], rows["other"], strict=True)
    ]
    return _report(name, rows.assign(factor=factors), ODD_PRICE)


SHARE_GAP = 5.0
"""Smallest factor between shares (up to 1) and percents (above 1) of one column: conversions do not leave such gaps."""
FEWEST_SHARES = 3
LEAST_SHARES = 0.05
"""Fewest cells of both kinds, and their smallest share of the cells above 0."""


def _mixed_shares(name: str, rows: pd.DataFrame) -> list[Problem]:
    """Return a problem per product whose conversions, above 0, are shares on some rows and percents on others."""
    codes = codes_of(rows["product"])
    value = rows["value"]
    kinds = [((value > 0) & (value <= 1)).to_numpy(), (value > 1).to_numpy()]
    shares, percents = (value[kind].groupby(codes[kind]).agg(["size", "min", "max"]) for kind in kinds)
    shares, percents = shares.align(percents, join="inner", axis=0)
    fewest = np.maximum(FEWEST_SHARES, LEAST_SHARES * (shares["size"] + percents["size"]))
    mixed = (shares["size"] >= fewest) & (percents["size"] >= fewest) & (percents["min"] >= SHARE_GAP * shares["max"])
    firsts = [_firsts(rows[kind & np.isin(codes, mixed.index[mixed])]) for kind in kinds]
    return _report(name, firsts[0].merge(firsts[1], on="product", suffixes=("", "_percent")), SHARES_AND_PERCENTS)


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
FAR_ABOVE = f"{{sales:.10g}} is above {FARTHEST:.0f} times any other day of the product; {KEEP}"
SMALL = 2.0
"""The same for units below all others, if they are no whole number."""
FEWEST_COMPARED = 10
"""Fewest days with sales that show a profit to be above the sales, a cost above the price, or units to be others."""
SAMPLE = 4000
"""Rows in which taxes are searched for."""


def _priced_sales(rows: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a day, a price, after coupons, and sales."""
    coupons = frame.get(columns.COUPONS, pd.Series(0.0, rows.index)).fillna(0)
    rows = rows.assign(posted=rows["price"], price=rows["price"] * (1 - coupons / 100))
    has_price = rows["price"].between(columns.SMALLEST_PRICE, _LARGEST, inclusive="neither")
    priced = has_price & rows["sales"].between(0, _LARGEST, inclusive="neither") & rows["day"].notna()
    return rows if priced.all() else rows[priced]


def _check_amounts(sold: pd.DataFrame, parsed: Parsed, config: DataConfig) -> list[Problem]:
    """Return sales, profits and costs that cannot be meant; a unit cost that the settings name is meant."""
    price, sales, units = _amounts(sold)
    are_units = find_kind(price, sales, units, config.sales) == "units"
    sold = sold.assign(units=np.where(units > 0, units, sales if are_units else sales / price))
    problems = _mostly_above(sold, sold["profit"] - (sales * price if are_units else sales), columns.TOTAL_PROFIT)
    if columns.UNIT_COST not in (config.columns or {}).values():
        problems += _mostly_above(sold, sold["cost"] - sold["posted"], columns.UNIT_COST)
    limit = highest_other(codes_of(sold["product"]), sold["units"].to_numpy())
    if (units > 0).any():
        problems += _contradictions(sold[units > 0], are_units)
    elif not are_units:
        whole_units = fits_units(price, sales)
        odd = _taxed_rows(sold, whole_units) or _moved_points(sold, whole_units, limit)
        problems += [*odd, *(_coarse_sales(sold) if config.sales == "auto" else ())]
    far = (sold["units"] > FARTHEST * limit) & (sold["units"] > BULK) & (limit > 0)
    problems += _report(columns.TOTAL_SALES, sold[far], FAR_ABOVE)
    return problems or check_tax_turns(sold, parsed.lines)


def _amounts(sold: pd.DataFrame) -> list[FloatArray]:
    """Return price, sales and units ``(N,)``."""
    return [sold[name].to_numpy() for name in ("price", "sales", "units")]


def _count(sold: pd.DataFrame, flags: pd.Series | BoolArray | None = None) -> IntArray:
    """Return the number of rows of each row's product, or of the flagged ones among them, ``(N,)``."""
    codes = codes_of(sold["product"])
    return np.bincount(codes, flags).astype(np.int64)[codes]


def _share(flags: pd.Series | BoolArray, sold: pd.DataFrame) -> FloatArray:
    """Return the share of the rows of each row's product that are flagged, ``(N,)``."""
    return np.asarray(_count(sold, flags) / _count(sold))


def _mostly_above(sold: pd.DataFrame, excess: pd.Series, name: str) -> list[Problem]:
    """Return a problem per product with an ``excess`` on most of its known days."""
    above = (excess > CENTS).to_numpy()
    if not above.any():
        return []
    days, number = (_count(sold, part) for part in (excess.notna(), above))
    mostly = above & (days >= FEWEST_COMPARED) & (2 * number > days)
    return _report(name, _firsts(sold[mostly].assign(days=days[mostly], number=number[mostly])), ABOVE[name])


def _contradictions(sold: pd.DataFrame, are_units: bool) -> list[Problem]:
    """Return products and rows whose sales contradict price times units, or a problem if they mix two levels of tax."""
    due = sold["units"] if are_units else sold["units"] * sold["price"]
    ratio = sold["sales"] / due
    apart = np.exp(np.abs(np.log(ratio)))
    plain = apart <= 1 + LEVEL_SPREAD
    taxed = (apart > TAXES[0]) & (apart < TAXES[1])
    factor = ratio[taxed].median()
    level = taxed & ((ratio / factor - 1).abs() <= LEVEL_SPREAD)
    if level.sum() >= MOSTLY * taxed.sum() and (plain | level).mean() >= MOSTLY:
        mixed = min(plain.mean(), level.mean()) >= TAX_SHARE and factor > 1
        if levels := _two_levels(sold, plain, level, mixed, f"is {factor:.3g} times price × units"):
            return levels
    near = (ratio - 1).abs()
    off = (near > CONTRADICTING) & ((sold["sales"] - due).abs() > sold["price"])
    far = ~ratio.between(*((1 - AGREEING, 1 + AGREEING) if are_units else PLAUSIBLE))
    often = (_count(sold) >= FEWEST_COMPARED) & (_share(far, sold) > LARGEST_FAR_SHARE)
    found = OF_UNITS if are_units else OF_REVENUE
    rows = _report(columns.UNITS, sold[off & (_share(near <= AGREEING, sold) >= MOSTLY)], f"{found}; {KEEP}")
    patterns = _report(columns.UNITS, _firsts(sold[far & often]), f"{found}, {AS_OTHERS}; {KEEP}")
    return [*rows, *patterns] if rows else _one_if_most(patterns, sold)


def _one_if_most(problems: list[Problem], sold: pd.DataFrame) -> list[Problem]:
    """Return the first of problems of different products for the whole file if they concern most, else all."""
    return [problems[0]._replace(everywhere=True)] if 2 * len(problems) > sold["product"].nunique() else problems


def _two_levels(sold: pd.DataFrame, plain: BoolArray, level: BoolArray, mixed: bool, found: str) -> list[Problem]:
    """Return the problem of rows at a second level: ``mixed`` with plain ones, or all rows from or until a day."""
    taxed = sold[level & ~plain]
    whole = sold[plain & ~level]
    if min(len(taxed), len(whole)) < FEWEST_TAXED:
        return []
    first, last = taxed["day"].min(), taxed["day"].max()
    spans = {f" from {first:%F} on": sold["day"] >= first, f" until {last:%F}": sold["day"] <= last}
    when = next((text for text, span in spans.items() if level[span].mean() >= MOSTLY), "")
    if not (mixed or when):
        return []
    return [
        Problem(
            int(taxed["line"].iloc[0]),
            columns.TOTAL_SALES,
            f"{found}{when}, but not so on line {whole['line'].iloc[0]}; "
            f"is tax, or a discount, in the price or the sales alone on some days? {ELSE}",
            everywhere=True,
        )
    ]


def _taxed_rows(sold: pd.DataFrame, whole: BoolArray) -> list[Problem]:
    """Return a problem if sales fit ``whole (N,)`` units on some rows and, with or without a usual tax, on others."""
    price, sales = sold["price"].to_numpy(), sold["sales"].to_numpy()
    others = np.flatnonzero(~whole)[:SAMPLE]
    if whole.mean() < TAX_SHARE or len(others) < FEWEST_TAXED:
        return []
    factor, share = find_factor(price[others], sales[others])
    level = fits_units(price, sales, factor)
    if share < MOSTLY or factor in DISCOUNTS or level.mean() >= MOSTLY:
        return []
    mixed = 1 - whole.mean() >= TAX_SHARE
    return _two_levels(sold, whole, level, mixed, f"is {factor:.4g} times a whole number of prices")


def _coarse_sales(sold: pd.DataFrame) -> list[Problem]:
    """Return a problem per product whose sales can be units in packs as well as revenue."""
    whole = sold[_share(sold["sales"] == sold["sales"].round(), sold) >= MOSTLY]
    codes = codes_of(whole["product"])
    packs = whole[can_be_packs(whole["price"].to_numpy(), whole["sales"].to_numpy(), codes)[codes]]
    return _one_if_most(_report(columns.TOTAL_SALES, _firsts(packs), PACKS), sold)


def _moved_points(sold: pd.DataFrame, whole: BoolArray, limit: FloatArray) -> list[Problem]:
    """Return days whose sales are whole units, as on the others, only or more plausibly with the decimal sign moved.

    ``whole (N,)`` are the rows that fit whole units, ``limit (N,)`` the most units on any other day of the product.
    """
    odd = ~whole | (sold["units"].to_numpy() > FAR * limit)
    if not odd.any():
        return []
    least = sold["units"].where(whole).groupby(codes_of(sold["product"])).transform("min").to_numpy()
    odd &= (_count(sold) >= FEWEST_SOLD) & (_share(whole, sold) >= MOSTLY)  # products that show what is usual
    rows, whole, limit, least = sold[odd], whole[odd], limit[odd], least[odd]
    price, sales, count = _amounts(rows)
    problems = []
    for factor in (10, 100):
        small = ~whole & (SMALL * count < least) & (factor * count <= limit) & fits_units(price, factor * sales)
        small &= 2 * _share(small, rows) >= _share(~whole, rows)
        tens = np.abs(count / factor - np.round(count / factor)) <= CENTS
        large = whole & tens & (count > FAR * factor / 10 * limit) & (count / factor <= limit)
        for moved, times in ((small, f"1/{factor} of"), (large, f"{factor} times")):
            problems += _report(columns.TOTAL_SALES, rows[moved], MOVED.format(times=times))
    return problems
