"""Checks of sums: sales and profits that contradict prices and units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.data.cleaning.sales_unit import SalesSetting, find_measure
from pricerl.data.reading import columns
from pricerl.data.reading.problems import KEEP, Problem

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


def check_sums(frame: pd.DataFrame, lines: Sequence[int], setting: SalesSetting) -> list[Problem]:
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
