"""A column whose name, such as Cost or COGS, fits the cost of one unit, of all units of a row, or something else."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from pricerl.arrays import FloatArray
from pricerl.data.reading.aliases import VAGUE_COSTS
from pricerl.data.reading.columns import PRODUCT, PRODUCT_PRICE, TOTAL_PROFIT, TOTAL_SALES, UNITS, fold
from pricerl.data.reading.currencies import split_currency

ADS = frozenset(("clicks", "impressions", "spend", "acos", "roas", "cpc", "ctr", "klicks", "impressionen"))
"""Columns next to which such a column is the cost of ads."""

LEAST_FITTING = 0.9
"""Smallest share of rows on which a unit must cost less than its price and leave the reported profit."""

ROUNDING = 0.02
"""Tolerance of that profit, as a share of sales."""


def find_vague_cost(header: Sequence[str], used: Collection[int]) -> int | None:
    """Return the place of the only such column that is not ``used``; None next to columns of ads."""
    names = [fold(split_currency(name).name) for name in header]
    vague = {fold(name) for name in VAGUE_COSTS}
    found = [at for at, name in enumerate(names) if name in vague and at not in used]
    return found[0] if len(found) == 1 and not ADS & {*names} else None


def unit_costs(cost: FloatArray, frame: pd.DataFrame) -> FloatArray | None:
    """Return the cost of one unit on each row ``(N,)``; None if the column holds something else.

    The cost of one unit hardly varies with the units of a row, that of all units is proportional to them.

    Args:
        cost: ``(N,)`` values of the column, NaN where blank.
        frame: the other columns, parsed.
    """
    if not {PRODUCT_PRICE, TOTAL_SALES} <= {*frame.columns} or (cost < 0).any():
        return None
    price, sales = frame[PRODUCT_PRICE].to_numpy(), frame[TOTAL_SALES].to_numpy()
    units = frame[UNITS].to_numpy() if UNITS in frame else sales / price
    known = (cost > 0) & (units > 0) & (price > 0)
    shares = np.where(known, cost, np.nan) / np.where(known, units, np.nan)
    owners = frame[PRODUCT].array.codes
    if _scatter(shares, owners) < _scatter(np.where(known, cost, np.nan), owners):
        cost = shares.round(6) if UNITS in frame else shares * np.nan
    profit = frame[TOTAL_PROFIT].fillna(-np.inf).to_numpy() if TOTAL_PROFIT in frame else -np.inf
    fits = (cost < price) & (profit + cost * units <= (1 + ROUNDING) * sales)
    return cost if known.any() and fits[known].mean() >= LEAST_FITTING else None


def _scatter(values: FloatArray, owners: FloatArray) -> float:
    """Return the mean distance of log values ``(N,)``, NaN where unknown, from the median of their product."""
    logs = pd.Series(np.log(values))
    return float((logs - logs.groupby(owners).transform("median")).abs().mean())
