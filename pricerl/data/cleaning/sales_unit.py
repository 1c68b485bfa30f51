"""Does ``Total Sales`` count money or pieces, and how many pieces were that?"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from pricerl.arrays import BoolArray, FloatArray

SalesMeasure = Literal["revenue", "units"]

WHOLE_SHARE = 0.8
"""Share of days from which a measure is believed to give whole units."""

PRICE_ROUNDING = 0.005
"""Money: a price written in cents is off by up to half a cent, so n units are off by n times that."""

NEAR_WHOLE = 0.05
LOOSEST_NEAR_WHOLE = 0.2
"""Distance from a whole number, in units; the looser one caps what price rounding may excuse."""


class Measure(NamedTuple):
    """What the file's sales count."""

    kind: SalesMeasure
    """Revenue in money, or units."""

    whole_share: float
    """Share of the days on which that gives a whole number of units."""

    note: str
    """What was doubtful about it, or an empty string."""


def find_measure(price: FloatArray, sales: FloatArray, units: FloatArray, setting: str) -> Measure:
    """Find out what sales count.

    Args:
        price: ``(N,)`` price of the days with a price and positive sales.
        sales: ``(N,)`` their sales.
        units: ``(N,)`` the file's own units, NaN where blank.
        setting: ``auto``, ``revenue`` or ``units``; the last two decide by themselves.

    Returns:
        The measure, its share of whole units and a note where the numbers leave a doubt.
    """
    shares = {"revenue": _near_whole(sales / price, price), "units": float(np.mean(sales == np.round(sales)))}
    told = np.isfinite(units)
    if setting != "auto":
        stated: SalesMeasure = "units" if setting == "units" else "revenue"
        return Measure(stated, shares[stated], "")
    if told.mean() >= 0.5:
        as_revenue = np.median(np.abs(sales - units * price)[told]) <= np.median(np.abs(sales - units)[told])
        kind: SalesMeasure = "revenue" if as_revenue else "units"
        return Measure(kind, shares[kind], "")
    if shares["revenue"] >= WHOLE_SHARE:
        return Measure("revenue", shares["revenue"], _cheap_product_note(price, shares["units"]))
    if shares["units"] >= WHOLE_SHARE:
        return Measure("units", shares["units"], "")
    return Measure("revenue", shares["revenue"], _doubt())


def count_units(price: FloatArray, sales: FloatArray, units: FloatArray, measure: Measure) -> FloatArray:
    """Return the units sold.

    Args:
        price: ``(D,)`` positive prices.
        sales: ``(D,)`` sales in the file's own measure, 0 or more.
        units: ``(D,)`` the file's own units, which win where they are given and something sold.
        measure: what sales count.

    Returns:
        ``(D,)`` units; whole numbers where revenue fits whole units, at least 1 where something sold.
    """
    counted = sales if measure.kind == "units" else _units_of_revenue(price, sales, measure)
    return np.where((sales > 0) & (units > 0), units, counted)


def known_unit_days(price: FloatArray, sales: FloatArray) -> BoolArray:
    """Return ``(D,)`` True where a price and positive sales are recorded."""
    return np.isfinite(price) & (sales > 0)


def _units_of_revenue(price: FloatArray, sales: FloatArray, measure: Measure) -> FloatArray:
    exact = sales / price
    if measure.whole_share < WHOLE_SHARE:
        return exact
    return np.where(sales > 0, np.maximum(np.round(exact), 1.0), 0.0)


def _near_whole(ratio: FloatArray, price: FloatArray) -> float:
    excused = np.clip(ratio * PRICE_ROUNDING / price, NEAR_WHOLE, LOOSEST_NEAR_WHOLE)
    whole = np.round(ratio)
    return float(np.mean((np.abs(ratio - whole) <= excused) & (whole >= 1)))


def _cheap_product_note(price: FloatArray, whole_sales: float) -> str:
    if np.median(price) >= 1 or whole_sales < WHOLE_SHARE:
        return ""
    return (
        "Total Sales could be units as well as revenue; read as revenue, --data.reading.sales units decides otherwise."
    )


def _doubt() -> str:
    return (
        "Total Sales fit whole units neither as revenue nor as units; read as revenue with fractional units, "
        "--data.reading.sales decides."
    )
