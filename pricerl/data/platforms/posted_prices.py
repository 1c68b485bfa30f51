"""Posted prices of the order lines of an export: lines apart from ordinary sales, and the price of each day."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pricerl.arrays import BoolArray, DateArray, FloatArray, IntArray
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
"""Largest relative difference of a line's price from that of its day."""
MIXED_SHARE = 0.25
"""Share of a product's lines at other prices from which it probably has variants."""
MOST_PARTS = 6
SEPARATED = 0.1
"""Most texts of a column that separates shops or variants, and the share of other prices that it may leave."""


def find_line_prices(values: Mapping[str, FloatArray]) -> tuple[FloatArray, float]:
    """Return the posted price of each line ``(N,)``, or revenue over units, money; and the share of lines above it."""
    units = values["units"]
    net = np.divide(values["revenue"], units, out=np.zeros_like(units), where=units != 0)
    posted = values.get("price", net)
    price = np.where(posted > 0, posted, net)
    sold = units > 0
    return price, float((net > (1 + ROUNDING) * price)[sold].mean()) if sold.any() else 0.0


def set_apart(
    products: pd.Categorical[str], days: DateArray, values: Mapping[str, FloatArray]
) -> tuple[BoolArray, list[str]]:
    """Return which lines ``(N,)`` are ordinary sales, and notes on the others: gifts, returns and wholesale orders."""
    lines = pd.DataFrame({"product": products.codes, "day": days, **values})
    returned = (lines["units"] < 0) | (lines["revenue"] < 0)
    free = ~returned & ~((lines["units"] > 0) & (lines["revenue"] > 0))
    sold = lines[~(free | returned)]
    notes = []
    if number := int(free.sum()):
        notes.append(f"Set apart as no sale: {plural(number, 'line')} at 0.00, such as gifts and replacements.")
    if number := int(returned.sum()):
        share = -lines["revenue"][returned].sum() / max(sold["revenue"].sum(), 1e-9)
        found = f"{plural(number, 'line')} with returns, {share:.1%} of revenue"
        notes.append(f"Set apart: {found}. They lower neither the price nor the units sold.")
    wholesale = sold[_are_wholesale(sold)]
    if len(wholesale):
        largest = wholesale.iloc[int(wholesale["units"].argmax())]
        example = f"{largest['units']:.10g} units at {largest['revenue'] / largest['units']:.2f} on {largest['day']:%F}"
        found = f"{plural(len(wholesale), 'wholesale order')}, such as {example}"
        notes.append(f"Set apart: {found}. Their units and prices are not those of other buyers.")
    return lines.index.isin(sold.index.difference(wholesale.index)), notes


def _are_wholesale(sold: pd.DataFrame) -> BoolArray:
    """Return the lines ``(N,)`` with far more units than usual at a far lower price than the lines around them."""
    units = sold.groupby("product")["units"]
    large = sold["units"] >= WHOLESALE_UNITS * units.transform("quantile", USUAL_SHARE)
    large &= units.transform("size") >= FEWEST_LINES
    concerned = sold[sold["product"].isin(sold["product"][large])].sort_values(["product", "day"], kind="stable")
    prices = concerned.groupby("product")["price"].rolling(NEAR_LINES, center=True, min_periods=1)
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


def note_prices(
    products: pd.Categorical[str],
    values: Mapping[str, FloatArray],
    posted: FloatArray,
    groups: IntArray,
    cells: pd.DataFrame,
) -> list[str]:
    """Return notes on lines ``(N,)`` at other prices than their group's ``(G,)``, with a column that separates them."""
    price = values["price"]
    other = _differ(price, posted[groups])
    others = f"; {other.mean():.1%} of lines have another" if other.any() else ""
    found = f"Product Price is the posted one, the median of a day's lines{others}."
    share = np.bincount(products.codes, other) / np.bincount(products.codes)
    most = int(share.argmax())
    if share[most] >= MIXED_SHARE:
        mine = products.codes == most
        title = _find_separating(pd.Series(price[mine]), groups[mine], cells[mine], SEPARATED * share[most])
        remedy = "give variants names of their own."
        if title is not None:
            remedy = f"column {title!r} separates them. Read a file per shop, or {remedy}"
        found += f" Of {products.categories[most]!r} {share[most]:.0%} have: {remedy}"
    taken = 1 - float(values["revenue"].sum() / (price * values["units"]).sum())
    coupons = f"Coupons and discounts took {taken:.1%} of sales at posted prices; the price is the one before them."
    return [found, coupons] if taken >= LEAST_SHARE else [found]


def _differ(price: FloatArray, usual: FloatArray) -> BoolArray:
    return np.asarray(np.abs(price - usual) > SAME_PRICE * usual)


def _find_separating(price: pd.Series, groups: IntArray, cells: pd.DataFrame, most: float) -> str | None:
    """Return the column of ``cells (N,)`` with few texts by which at most that share of a group's prices differ."""
    for title, part in cells.items():
        if 2 <= part.nunique() <= MOST_PARTS:
            usual = price.groupby([groups, part.array.codes]).transform("median")
            if _differ(price.to_numpy(), usual.to_numpy()).mean() <= most:
                return str(title)
    return None
