"""Posted prices of the order lines of an export: lines apart from ordinary sales, and the price of each day."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, FloatArray, IntArray
from pricerl.formatting import plural

FEWEST_LINES = 20
"""Fewest lines of a product that show what is usual."""
USUAL_SHARE = 0.9
WHOLESALE_UNITS = 5.0
"""Share of a product's lines with at most the usual number of units, and multiple of it that is a wholesale order."""
WHOLESALE_DISCOUNT = 0.10
"""Smallest discount of a wholesale order from the price of the lines around it. A large order at the posted price is
demand at that price."""
NEAR_LINES = 31
"""Lines around an order whose median is the price at that time."""

ROUNDING = 0.01
"""Relative rounding of a line's total."""
LEAST_SHARE = 0.001
"""Smallest share of sales given away that is noted."""
SAME_PRICE = 0.005
"""Largest relative difference of a line's price from its day's."""
MIXED_SHARE = 0.25
"""Share of a product's lines at other prices from which it probably has variants."""


def find_line_prices(values: Mapping[str, FloatArray]) -> tuple[FloatArray, float]:
    """Return the posted price of each line ``(N,)``, or revenue over units; and the share of lines above it."""
    units = values["units"]
    net = np.divide(values["revenue"], units, out=np.zeros_like(units), where=units != 0)
    posted = values.get("price", net)
    price = np.where(posted > 0, posted, net)
    sold = units > 0
    return price, float((net > (1 + ROUNDING) * price)[sold].mean()) if sold.any() else 0.0


def set_apart(lines: pd.DataFrame) -> tuple[BoolArray, list[str]]:
    """Return which lines ``(N,)`` are ordinary sales, and notes on the others: gifts, returns and wholesale orders."""
    returned = ((lines["units"] < 0) | (lines["revenue"] < 0)).to_numpy()
    kept = ((lines["units"] > 0) & (lines["revenue"] > 0)).to_numpy(copy=True)
    notes = []
    if number := int((~returned & ~kept).sum()):
        notes.append(f"Set apart as no sale: {plural(number, 'line')} at 0.00, such as gifts and replacements.")
    if number := int(returned.sum()):
        share = -lines["revenue"][returned].sum() / max(lines["revenue"][kept].sum(), 1e-9)
        notes.append(
            f"Set apart: {plural(number, 'line')} with returns, {share:.1%} of revenue. They lower neither the price "
            "nor the units sold."
        )
    sold = lines[kept].reset_index(drop=True)
    wholesale = _are_wholesale(sold)
    if number := int(wholesale.sum()):
        largest = sold.iloc[int(np.argmax(sold["units"].where(wholesale, 0)))]
        notes.append(
            f"Set apart: {plural(number, 'wholesale order')}, such as {largest['units']:.10g} units at "
            f"{largest['revenue'] / largest['units']:.2f} on {largest['day']:%F}. They show neither the units nor the "
            "prices of other buyers."
        )
    kept[kept] = ~wholesale
    return kept, notes


def _are_wholesale(sold: pd.DataFrame) -> BoolArray:
    """Return the lines ``(N,)`` with far more units than usual at a far lower price than the lines around them."""
    units = sold.groupby("product", observed=True)["units"]
    large = sold["units"] >= WHOLESALE_UNITS * units.transform("quantile", USUAL_SHARE)
    large &= units.transform("size") >= FEWEST_LINES
    concerned = sold[sold["product"].isin(sold["product"][large])].sort_values(["product", "day"], kind="stable")
    prices = concerned.groupby("product", observed=True)["price"].rolling(NEAR_LINES, center=True, min_periods=1)
    usual = prices.median().to_numpy()
    cheap = concerned["revenue"] / concerned["units"] <= (1 - WHOLESALE_DISCOUNT) * usual
    return (large & cheap.reindex(sold.index, fill_value=False)).to_numpy()


def find_medians(values: FloatArray, weights: FloatArray, groups: IntArray) -> FloatArray:
    """Return the weighted median of each group ``(G,)`` from ``values``, positive ``weights`` and ``groups (N,)``."""
    order = np.lexsort((values, groups))
    total = np.cumsum(weights[order])
    edges = np.flatnonzero(np.diff(groups[order], prepend=-1, append=-1))
    before = np.append(0.0, total)[edges]
    middle = np.searchsorted(total, (before[:-1] + before[1:]) / 2 * (1 - 1e-12))
    return np.asarray(values[order][np.clip(middle, edges[:-1], edges[1:] - 1)])


def note_prices(lines: pd.DataFrame, posted: FloatArray) -> list[str]:
    """Return notes on lines at other prices than ``posted (N,)`` on their days, and on discounts."""
    other = (lines["price"] - posted).abs() > SAME_PRICE * posted
    found = (
        "Product Price is the posted one, the median of a day's lines"
        f"{f'; {other.mean():.1%} of lines have another' if other.any() else ''}."
    )
    share = other.groupby(lines["product"], observed=True).mean()
    if share.max() >= MIXED_SHARE:
        found += f" Of {share.idxmax()!r} {share.max():.0%} have: give variants, or shops, names of their own."
    taken = 1 - float(lines["revenue"].sum() / (lines["price"] * lines["units"]).sum())
    coupons = f"Coupons and discounts took {taken:.1%} of sales at posted prices; the price is the one before them."
    return [found, coupons] if taken >= LEAST_SHARE else [found]
