"""Rows of ``stock.csv``: stock and terms of supply with days, and what they are at the end of a history."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, timedelta
from typing import Any

import numpy as np

from pricerl.data.days import WEEK
from pricerl.data.history import ProductHistory
from pricerl.data.reading.problems import list_names
from pricerl.market.row_table import STRANGE, TABLES, Row
from pricerl.market.stock import MOST_LEAD_WEEKS, MOST_WEEKS, Stock

Stocks = Mapping[str, Sequence[Row]]
"""Rows by product, those of the only one under an empty name; units of several rows add up."""

COSTLESS = "is left out: orders need its unit cost; fill in costs.csv (pricerl init), and add --costs costs.csv"
"""Remark on the stock of a product without a known unit cost."""


def find_notes(stocks: Stocks, histories: Sequence[ProductHistory]) -> list[str]:
    """Return what is assumed about stock, and what is left out; stock of none of the products is a ``UsageError``."""
    names = {history.product for history in histories}
    strangers = TABLES["stock"].check_products(stocks, names, len(names))
    found = {STRANGE: strangers}
    for history in histories:
        for remark in find_stock(stocks, history)[1]:
            found.setdefault(remark, []).append(history.product)
    return [f"stock of {list_names(named)} {remark}." for remark, named in found.items() if named]


def find_stock(stocks: Stocks, history: ProductHistory) -> tuple[Stock | None, list[str]]:
    """Return a product's stock after its history, None if it is unknown, and remarks that follow the product's name."""
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
    arriving = [0.0] * (MOST_LEAD_WEEKS + 1)
    days = defaultdict[str, float](float)
    for row in (row for row in rows if row.get("inbound") or row.get("receiving")):
        if "arrives" not in row:
            remarks.append("on the way has no day in Arrives: it counts after the lead time")
        ordered = date.fromisoformat(row.get("as_of", str(history.next_day)))
        due = date.fromisoformat(row["arrives"]) if "arrives" in row else ordered + timedelta(lead_days)
        weeks = max(math.ceil((due - history.next_day).days / WEEK), 0)
        if weeks > MOST_LEAD_WEEKS:
            remarks.append(f"on the way for more than {MOST_LEAD_WEEKS} weeks does not count yet")
        elif due > counted:
            coming = row.get("inbound", 0.0) + row.get("receiving", 0.0)
            arriving[weeks] += coming
            if weeks:
                days[due.isoformat()] += coming
    given: dict[str, Any] = {item.name: terms[item.name] for item in fields(Stock) if item.name in terms}
    given["on_hand"] = units - float(history.units[later].sum()) + arriving[0]
    given["inbound"] = tuple(arriving[1:])
    given["due"] = tuple(sorted(days.items()))
    given["lead_weeks"] = max(math.ceil(lead_days / WEEK), 1)
    given["season_end"] = min(max(round(days_left / WEEK), 1), MOST_WEEKS)
    if days_left > MOST_WEEKS * WEEK and given.pop("leftover_value", None) is not None:
        remarks.append(f"has a Leftover Value, which counts at a Season End within {MOST_WEEKS} weeks only")
    if given["on_hand"] < 0:
        return None, ["is left out: more was sold since its count than it had; give a newer --stock"]
    return Stock(**given), remarks


def _find_count(rows: Sequence[Row], history: ProductHistory) -> tuple[date, float | None]:
    """Return the last day of the newest count, that of the rows or of the history, and its units, None without any."""
    stated = [row["in_stock"] for row in rows if "in_stock" in row]
    end = str(history.next_day - timedelta(1))
    day = date.fromisoformat(max((row.get("as_of", end) for row in rows), default=end))
    if history.stock_units is not None:
        at = int(np.flatnonzero(np.isfinite(history.stock_units))[-1])
        own = history.dates[at].item() + timedelta(history.step_days - 1)
        if own > day or not stated:
            return own, float(history.stock_units[at])
    return day, sum(stated) if stated else None
