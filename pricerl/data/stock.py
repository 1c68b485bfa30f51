"""Stock of a product: shelf, supplier and season as ``stock.csv`` has them, and what they are after a history."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

import numpy as np

from pricerl.arrays import grouped
from pricerl.data.days import WEEK
from pricerl.data.history import ProductHistory
from pricerl.data.reading.problems import list_names
from pricerl.data.row_table import STRANGE, TABLES, Row

MOST_LEAD_WEEKS = 6
MOST_WEEKS = 26
"""Longest lead time, and the planned half-year."""

Stocks = Mapping[str, Sequence[Row]]
"""Rows by product, rows of the only one under an empty name; units of several rows add up."""


@dataclass(frozen=True)
class Stock:
    """Stock of one product, the terms of its supply, and the limits on its orders, as `TABLES` checked them."""

    on_hand: float
    """Units that can be sold today."""
    inbound: tuple[float, ...] = ()
    """Units that arrive in one week, two weeks, and so on, at most six."""
    due: tuple[tuple[str, float], ...] = ()
    """The same with their days, ISO format, and units; empty if only the weeks are known."""
    lead_weeks: int = 2
    """Weeks from an order to its arrival, 1 to 6."""
    late_share: float = 0.1
    """Share of deliveries that come a week late."""
    storage_fee: float = 0.0
    """Money per unit left at the end of a week."""
    spoilage: float = 0.0
    """Share of the units left at the end of a week that perish."""
    leftover_value: float | None = None
    """Money per unit left or on the way at the end; its unit cost if absent, as for a product that goes on selling."""
    season_end: int = MOST_WEEKS
    """Weeks until the product stops selling, 1 to 26."""
    season: tuple[float, ...] = ()
    """Expected demand of each of the 26 weeks as a multiple of today's; 1 in every week if empty."""
    largest_order: float | None = None
    """Units."""
    smallest_order: float = 0.0
    """Units; a smaller order is not placed at all."""
    pack_size: float = 1.0
    """Units per pack: orders are whole packs."""
    budget: float | None = None
    """Most money, at unit cost, in units on hand and on the way; an order beyond it is cut."""

    @property
    def is_cleared(self) -> bool:
        """Whether nothing more is ordered."""
        return self.largest_order == 0


def clear_by(stocks: Stocks, days: Mapping[str, str]) -> Stocks:
    """Return stocks in which products sell until their last ``days``, ISO format, and nothing more is ordered.

    What is left then is worth nothing, unless a leftover value is known.
    """
    found: dict[str, Sequence[Row]] = dict(stocks)
    for product, day in days.items():
        rows = [*found.pop("", ()), *found.pop(product, ())] or [{}]
        worth = {} if any("leftover_value" in row for row in rows) else {"leftover_value": 0.0}
        found[product] = [{**row, **worth, "season_end": day, "largest_order": 0.0} for row in rows]
    return found


def find_notes(stocks: Stocks, histories: Sequence[ProductHistory], known: Iterable[str] = ()) -> list[str]:
    """Return what is assumed about stock, and what is left out; stock of none of the products is a ``UsageError``.

    Products that are ``known`` may have no history here.
    """
    names = {*known, *(history.product for history in histories)}
    strange = TABLES["stock"].check_products(stocks, names, len(names))
    remarks = ((remark, item.product) for item in histories for remark in find_stock(stocks, item)[1])
    found = grouped([*((STRANGE, name) for name in strange), *remarks])
    return [f"stock of {list_names(named)} {remark}." for remark, named in found.items() if named]


def find_stock(stocks: Stocks, history: ProductHistory) -> tuple[Stock | None, list[str]]:
    """Return a product's stock after its history, if known, and remarks that follow the product's name."""
    rows = [*stocks.get("", ()), *stocks.get(history.product, ())]
    counted, units = _find_count(rows, history)
    terms = {key: value for row in rows for key, value in row.items()}
    days_left = (date.fromisoformat(terms.get("season_end", "9999-12-31")) - history.next_day).days + 1
    if not rows or units is None or days_left <= 0:
        why = "its season is over" if days_left <= 0 else "In Stock has no units"
        return None, [f"is left out: {why}"] if rows else []
    remarks = [] if "lead_days" in terms else [f"has no Lead Time: {Stock.lead_weeks} weeks are assumed"]
    lead_days = terms.get("lead_days", Stock.lead_weeks * WEEK)
    later = history.dates > np.datetime64(counted)
    if later.any():
        remarks.append("was counted before the history ends: later sales are taken off; give a newer --stock")
    coming = defaultdict[date, float](float)
    for row in (row for row in rows if row.get("inbound") or row.get("receiving")):
        if "arrives" not in row:
            remarks.append("on the way has no day in Arrives: it counts after the lead time")
        ordered = date.fromisoformat(row.get("as_of", str(history.next_day)))
        due = date.fromisoformat(row["arrives"]) if "arrives" in row else ordered + timedelta(lead_days)
        if due > history.next_day + timedelta(weeks=MOST_LEAD_WEEKS):
            remarks.append(f"on the way for more than {MOST_LEAD_WEEKS} weeks does not count yet")
        elif due > counted:
            coming[due] += row.get("inbound", 0.0) + row.get("receiving", 0.0)
    arriving = [0.0] * (MOST_LEAD_WEEKS + 1)
    for due, number in coming.items():
        arriving[max(math.ceil((due - history.next_day).days / WEEK), 0)] += number
    on_hand = units - float(history.units[later].sum()) + arriving[0]
    if on_hand < 0:
        return None, ["is left out: more was sold since its count than it had; give a newer --stock"]
    if days_left > MOST_WEEKS * WEEK and terms.pop("leftover_value", None) is not None:
        remarks.append(f"has a Leftover Value, which counts at a Season End within {MOST_WEEKS} weeks only")
    given: dict[str, Any] = {
        **{item.name: terms[item.name] for item in fields(Stock) if item.name in terms},
        "on_hand": on_hand,
        "inbound": tuple(arriving[1:]),
        "due": tuple((str(due), coming[due]) for due in sorted(coming) if due > history.next_day),
        "lead_weeks": max(math.ceil(lead_days / WEEK), 1),
        "season_end": min(max(round(days_left / WEEK), 1), MOST_WEEKS),
    }
    return Stock(**given), remarks


def _find_count(rows: Sequence[Row], history: ProductHistory) -> tuple[date, float | None]:
    """Return the last day of the newest count, in the rows or in the history, and its units, if any."""
    stated = [row["in_stock"] for row in rows if "in_stock" in row]
    end = str(history.next_day - timedelta(1))
    day = date.fromisoformat(max((row.get("as_of", end) for row in rows), default=end))
    if history.stock_units is not None:
        at = int(np.flatnonzero(np.isfinite(history.stock_units))[-1])
        own = history.dates[at].item() + timedelta(history.step_days - 1)
        if own > day or not stated:
            return own, float(history.stock_units[at])
    return day, sum(stated) if stated else None
