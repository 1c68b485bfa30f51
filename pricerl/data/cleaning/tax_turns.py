"""Days on which a tax enters or leaves the prices or the sales of a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pricerl.arrays import count_true
from pricerl.data.cleaning.product_rows import codes_of, order_rows
from pricerl.data.cleaning.sales_unit import CENTS, RATES
from pricerl.data.days import RECENT_DAYS, WEEK
from pricerl.data.reading.columns import PRODUCT_PRICE
from pricerl.data.reading.problems import KEEP, Problem

ALIKE = 0.75
FEWEST_PRICES = 2
"""Smallest share of products, and fewest different prices, that change alike; others change again on the same day."""
WINDOW = 2 * RECENT_DAYS
"""Days before and after the change that are compared."""
CHANCE = 1.28
"""Standard errors by which units sold must miss those at an elasticity of -1 to show that no buyer paid more."""


def check_tax_turns(sold: pd.DataFrame, lines: Sequence[int]) -> list[Problem]:
    """Return a problem if most prices change by a usual tax at once, for good, and buyers surely ignore it.

    Units must be sure to differ from those at an elasticity of -1. ``sold`` has product, day, price and units per row,
    and its index is the place of the row's line among ``lines (N,)``.
    """
    codes = codes_of(sold["product"])
    order = order_rows(codes, sold["day"].to_numpy())
    price = sold["price"].to_numpy()[order]
    changed = 1 + np.flatnonzero((np.diff(codes[order]) == 0) & (np.diff(price) != 0))
    moved = sold.iloc[order[changed]].assign(product=codes[order[changed]], before=price[changed - 1])
    products = sold["product"].nunique()
    lower, higher = np.sort(moved[["price", "before"]].to_numpy(), axis=1).T
    for rate in RATES:
        factor = 1 + rate / 100
        alike = np.abs(higher - factor * lower) <= CENTS * (1 + factor)
        if count_true(alike) < ALIKE * products:
            continue
        exact = moved.assign(lower=lower)[alike]
        exact = exact[(exact["day"] - exact["day"].mode().min()).abs() <= pd.Timedelta(days=WEEK)]
        exact = exact.drop_duplicates("product")
        if len(exact) < ALIKE * products or exact["lower"].nunique() < FEWEST_PRICES:
            continue
        row = int(exact.index[0])
        change = float(np.log(exact["price"][row] / exact["before"][row]))
        rows = sold.iloc[order].assign(product=codes[order])
        rows["since"] = (rows["day"] - rows["product"].map(exact.set_index("product")["day"])).dt.days
        spans = rows.groupby("product")["since"].agg(["min", "max"])
        days = range(max(-WINDOW, int(spans["min"].max())), min(WINDOW, int(spans["max"].min())))
        if min(-days.start, days.stop) >= WEEK and _is_ignored(rows[rows["since"].isin(days)], days, change):
            text = (
                f"on {sold['day'][row].date()} most prices became {factor if change > 0 else 1 / factor:.4g} times as "
                "high and demand did not react; does tax begin or end there? Give all prices with it, or all without. "
                f"Otherwise, {KEEP}"
            )
            return [Problem(lines[row], PRODUCT_PRICE, text, everywhere=True)]
    return []


def _is_ignored(rows: pd.DataFrame, days: range, change: float) -> bool:
    """Return whether prices stay changed from day 0 of the column ``since`` on, but daily units are as before."""
    levels = rows.groupby(["product", rows["since"] >= 0])["price"].median().unstack()
    daily = rows.groupby("since")["units"].sum().reindex(days, fill_value=0.0).to_numpy()
    sides = (daily[: -days.start], daily[-days.start :])
    if abs(np.log((levels[True] / levels[False]).median()) - change) > abs(change) / 2:
        return False
    noise = np.sqrt(sum(side.var() / len(side) / side.mean() ** 2 for side in sides))
    followed = np.sign(change) * np.log(sides[1].mean() / sides[0].mean())
    return bool(followed - CHANCE * noise > -abs(change))
