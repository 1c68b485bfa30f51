"""Interpretation of ``Total Sales`` as revenue or units, and the units sold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, FloatArray, IntArray, count_true
from pricerl.data.cleaning.product_rows import Segments
from pricerl.data.cleaning.quality import SalesMeasure
from pricerl.reasons import Reason

SalesSetting = Literal["auto"] | SalesMeasure

WHOLE_SHARE = 0.8
"""Share of days with whole units above which a measure is accepted."""

AGREEING = 0.05
"""Largest relative difference of sales and price times units that agree."""
MOSTLY = 0.90
"""Share of rows that must agree for the others to be exceptions."""
LEVEL_SPREAD = 0.004
"""Relative spread of the ratio of prices with and without tax."""
RATES = (5, 5.5, 6, 7, 7.7, 8, 8.1, 8.5, 9, 9.5, 10, 12, 13, 13.5, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27)
"""Usual taxes on sales, percent; they are searched for where a file has no units."""
DISCOUNTS = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
FACTORS = (*DISCOUNTS, *(1 + rate / 100 for rate in RATES), *(1 / (1 + rate / 100) for rate in RATES if rate != 25))
"""Usual ratios of sales to prices times units; without its tax, 25 % leave the same as a discount of 20 %."""
CENTS = 0.0051
COARSEST = 0.05
"""Rounding of sales and prices to cents, and its largest share of a price that leaves whole units certain."""
FEWEST_ON_GRID = 20
"""Fewest days on a grid, beyond one per price, that are no chance."""


class Measure(NamedTuple):
    """Interpretation of the file's sales."""

    kind: SalesMeasure
    whole_share: float
    """Share of days on which this yields whole units."""
    doubt: Reason | None = None
    """Finding that requires a review."""


def find_kind(price: FloatArray, sales: FloatArray, units: FloatArray, setting: SalesSetting) -> SalesMeasure:
    """Decide whether sales ``(N,)``, all positive, are revenue or units, from price and the file's own ``units``."""
    shares = (float(flags.mean()) for flags in _are_whole(price, sales, units))
    return _kind_of(price, sales, units, setting, *shares)


def _kind_of(
    price: FloatArray, sales: FloatArray, units: FloatArray, setting: SalesSetting, as_revenue: float, as_units: float
) -> SalesMeasure:
    """Decide as `find_kind`, with the shares of whole units under both measures."""
    if setting != "auto":
        return setting
    given = np.isfinite(units)
    if count_true(given) >= 0.5 * len(given):
        revenue_error, units_error = (np.median(np.abs(sales - guess)[given]) for guess in (units * price, units))
        return "revenue" if revenue_error <= units_error else "units"
    return "units" if as_revenue < WHOLE_SHARE <= as_units else "revenue"


def find_measures(
    price: FloatArray, sales: FloatArray, units: FloatArray, setting: SalesSetting, products: Segments
) -> list[Measure]:
    """Decide as `find_kind` for each product, with the share of whole units and the doubt."""
    flags = (*_are_whole(price, sales, units), near_whole(sales / price, price))
    shares = np.array([products.count(part) for part in flags]) / np.maximum(products.sizes, 1)
    return [
        _measure(price[part], sales[part], units[part], setting, *own)
        for part, own in zip(products, shares.T.tolist(), strict=True)
    ]


def _measure(
    price: FloatArray,
    sales: FloatArray,
    units: FloatArray,
    setting: SalesSetting,
    as_revenue: float,
    as_units: float,
    clear: float,
) -> Measure:
    """Decide for one product by the shares of whole units under both measures, and of sales over prices."""
    kind = _kind_of(price, sales, units, setting, as_revenue, as_units)
    if kind == "units":
        return Measure(kind, as_units, None if as_units >= WHOLE_SHARE else Reason("units_not_whole"))
    is_clear = setting != "auto" or clear >= WHOLE_SHARE
    return Measure(kind, as_revenue, None if is_clear else _doubt(price, sales, units))


def _are_whole(price: FloatArray, sales: FloatArray, units: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Return the rows ``(N,)`` with whole units if sales are revenue, and if they are units."""
    return near_whole(np.where(units > 0, units, sales / price), price), sales == np.round(sales)


def near_whole(count: FloatArray, price: FloatArray) -> BoolArray:
    """Return where units ``(N,)`` are whole, up to half a cent of price per unit and 0.05 to 0.2 units."""
    whole = np.round(count)
    return np.asarray((np.abs(count - whole) <= np.clip(count * 0.005 / price, 0.05, 0.2)) & (whole >= 1))


def _doubt(price: FloatArray, sales: FloatArray, units: FloatArray) -> Reason | None:
    """Return how revenue ``(N,)`` differs from price times reported or whole units, if it does."""
    given = units > 0
    reported = count_true(given) >= 0.5 * len(given)
    if reported:
        ratio = (sales / (price * units))[given]
        level = float(np.median(ratio))
        if np.mean(np.abs(ratio - 1) <= AGREEING) >= MOSTLY and abs(level - 1) <= LEVEL_SPREAD:
            return None
    else:
        level, share = find_factor(price, sales)
        if share < MOSTLY:
            return Reason("sales_not_whole")
    return Reason("sales_off", {"factor": level, "reported": bool(reported)})


def find_factor(price: FloatArray, sales: FloatArray) -> tuple[float, float]:
    """Return the usual factor by which most sales ``(N,)`` are whole units at the price, and the share of these."""
    shares = [float(fits_units(price, sales, factor).mean()) for factor in FACTORS]
    return FACTORS[shares.index(max(shares))], max(shares)


def fits_units(price: FloatArray, sales: FloatArray, factor: float = 1.0) -> BoolArray:
    """Return where sales ``(N,)`` are ``factor`` times a whole number of units at the price, to the cent."""
    charged = factor * price
    count = np.round(sales / charged)
    slack = CENTS * (1 + factor * count)
    return np.asarray((count >= 1) & (np.abs(sales - count * charged) <= slack) & (slack <= COARSEST * charged))


def can_be_packs(price: FloatArray, sales: FloatArray, codes: IntArray) -> BoolArray:
    """Return the products ``(P,)`` whose sales are whole and on a grid such as 4, 8 and 12 prices, as packs are.

    ``codes (N,)`` are the products of the rows.
    """
    count = np.round(sales / price)
    whole = (sales == np.round(sales)) & (np.abs(sales - count * price) <= CENTS) & (price != 1)
    rows = pd.DataFrame({"product": codes, "price": price, "count": count})[whole].sort_values(["product", "price"])
    firsts = ~rows.duplicated(["product", "price"])
    grids = np.gcd.reduceat(rows["count"].to_numpy(np.int64), np.flatnonzero(firsts))
    prices = rows[firsts].assign(grid=grids).groupby("product")["grid"].agg(["size", "min"])
    found = rows.groupby("product")["count"].agg(["size", "nunique"])
    days = np.bincount(codes)
    enough = found["size"] >= np.maximum(MOSTLY * days[found.index], FEWEST_ON_GRID + prices["size"])
    packs = enough & (prices["min"] > 1) & (found["nunique"] > 2)
    return np.asarray(packs.reindex(range(len(days)), fill_value=False))


def count_units(
    price: FloatArray, sales: FloatArray, units: FloatArray, measures: Sequence[Measure], days: Segments
) -> FloatArray:
    """Return the units sold ``(D,)``: those reported, else from price and sales, whole if revenue fits whole units."""
    are_units = days.spread([measure.kind == "units" for measure in measures])
    are_whole = days.spread([measure.kind == "revenue" and measure.whole_share >= WHOLE_SHARE for measure in measures])
    counted = np.where(are_units, sales, sales / price)
    whole = np.where(sales > 0, np.maximum(np.round(counted), 1.0), 0.0)
    counted = np.where(are_whole, whole, counted)
    return np.where((sales > 0) & (units > 0), units, counted)
