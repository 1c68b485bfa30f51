"""Interpretation of ``Total Sales`` as revenue or units, and the units sold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from pricerl.arrays import FloatArray, count_true
from pricerl.data.cleaning.product_rows import Segments
from pricerl.data.quality import SalesMeasure

SalesSetting = Literal["auto"] | SalesMeasure

WHOLE_SHARE = 0.8
"""Share of days with whole units above which a measure is accepted."""


class Measure(NamedTuple):
    """Interpretation of the file's sales."""

    kind: SalesMeasure
    whole_share: float
    """Share of days on which this yields whole units."""
    note: str = ""
    """Caveat, or an empty string."""


def find_measure(price: FloatArray, sales: FloatArray, units: FloatArray, setting: SalesSetting) -> Measure:
    """Decide whether the sales of one product, or of a whole file, are revenue or units.

    Units are whole up to the rounding of prices to cents: half a cent per unit, at least 0.05 and at most 0.2 units.
    Rows ``(N,)`` have a price and positive sales; ``units`` are those reported in the file, NaN where blank.
    """
    ratio = sales / price
    whole = np.round(ratio)
    near_whole = (np.abs(ratio - whole) <= np.clip(ratio * 0.005 / price, 0.05, 0.2)) & (whole >= 1)
    shares: dict[SalesMeasure, float] = {
        "revenue": count_true(near_whole) / len(price),
        "units": count_true(sales == np.round(sales)) / len(price),
    }
    kind, note = _find_kind(price, sales, units, shares) if setting == "auto" else (setting, "")
    return Measure(kind, shares[kind], note)


def _find_kind(
    price: FloatArray, sales: FloatArray, units: FloatArray, shares: dict[SalesMeasure, float]
) -> tuple[SalesMeasure, str]:
    remedy = "Set --data.reading.sales to decide."
    given = np.isfinite(units)
    if count_true(given) >= 0.5 * len(given):
        revenue_error, units_error = (np.median(np.abs(sales - guess)[given]) for guess in (units * price, units))
        return "revenue" if revenue_error <= units_error else "units", ""
    if shares["revenue"] >= WHOLE_SHARE:
        ambiguous = shares["units"] >= WHOLE_SHARE and np.median(price) < 1
        note = f"Total Sales could be units as well as revenue; read as revenue. {remedy}"
        return "revenue", note if ambiguous else ""
    if shares["units"] >= WHOLE_SHARE:
        return "units", ""
    fractional = "Total Sales fit whole units neither as revenue nor as units; read as revenue with fractional units."
    return "revenue", f"{fractional} {remedy}"


def count_units(
    price: FloatArray, sales: FloatArray, units: FloatArray, measures: Sequence[Measure], days: Segments
) -> FloatArray:
    """Return the units sold ``(D,)`` from positive prices and sales of 0 or more; those reported are used if there are.

    They are whole numbers if revenue fits whole units, and then at least 1 on days with sales.
    """
    are_units = days.spread([measure.kind == "units" for measure in measures])
    are_whole = days.spread([measure.kind == "revenue" and measure.whole_share >= WHOLE_SHARE for measure in measures])
    counted = np.where(are_units, sales, sales / price)
    whole = np.where(sales > 0, np.maximum(np.round(counted), 1.0), 0.0)
    counted = np.where(are_whole, whole, counted)
    return np.where((sales > 0) & (units > 0), units, counted)
