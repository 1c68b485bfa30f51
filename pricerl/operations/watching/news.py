"""News of the latest days: likely causes of a change of demand, and stop rules of an advice that have triggered."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

from pricerl.arrays import IntArray
from pricerl.data.cleaning.calendar import find_runs
from pricerl.data.days import RECENT_DAYS, YEAR, steps_in
from pricerl.data.history import ProductHistory
from pricerl.decide.standing import TrackRecord
from pricerl.formatting import Formatter, plural, sentence, translate
from pricerl.guardrails.price_grid import same_price
from pricerl.terminal import shown

LATEST_DAYS = 14
"""Days at the end of the file on which a finding counts as present."""
STRONGEST = 5.0
"""Strongest response that explains a change of demand: its share over a median price's share, own or competitor's."""
FEWEST_EMPTY = 2
"""Fewest days without sales that suggest a stock-out, if they are twice as frequent as before."""
SHARE_OF_CHANGE = 0.5
"""Smallest part of a change that last year's same days must show to call it the season."""
MISSED = {
    True: "{share:percent.0} more units than forecast were sold in {days:days}: {actual:number.0} instead of "
    "{predicted:number.0} (90 %: {low:number.0} to {high:number.0})",
    False: "{share:percent.0} fewer units than forecast were sold in {days:days}: {actual:number.0} instead of "
    "{predicted:number.0} (90 %: {low:number.0} to {high:number.0})",
}
"""Words on units by whether they are beyond their forecast."""


class Cause(NamedTuple):
    """Cause or news, as a clause, and what to do, as a sentence."""

    words: str
    step: str


def find_cause(history: ProductHistory, rows: IntArray, change: float, f: Formatter) -> Cause:
    """Return the likely cause of a ``change`` of demand, as a share, on some last rows: the first that the file shows.

    They are a stock-out, the seller's own price, the competitor's price, and the season of the year before.
    """
    before = np.arange(max(0, rows[0] - steps_in(RECENT_DAYS, history.step_days)), rows[0])
    again = translate("Ask for new advice with this file.")
    sold_out = False if history.in_stock is None else ~history.in_stock
    empty = (history.units == 0) | sold_out
    count = int(empty[rows].sum())
    if change < 0 and count >= FEWEST_EMPTY and empty[rows].mean() > 2 * empty[before].mean():
        return Cause(
            f.say("{count} of {all:days} had no stock or no sales", {"count": count, "all": len(rows)}),
            translate("Restock, and mark such days with 0 in a column In Stock; no price is to blame for them."),
        )
    own = "your price went from {old:price} to {new:price}, and buyers may react more strongly than forecast"
    charged = [(own, history.price, -1)]
    unexplained = "price and stock in the file do not explain it"
    if history.competitor is not None:
        charged.append(("the competitor's price went from {old:price} to {new:price}", history.competitor, 1))
        unexplained = "price, stock and competitor in the file do not explain it"
    for words, prices, helps in charged:
        old, new = (float(np.median(prices[part])) for part in (before, rows))
        if STRONGEST * (new / old - 1) * helps * np.sign(change) >= abs(change):
            return Cause(f.say(words, {"old": old, "new": new}), again)
    if rows[0] - len(before) >= YEAR // history.step_days:
        now, then = (history.units[part - YEAR // history.step_days].mean() for part in (rows, before))
        if then > 0 and (now / then - 1) / change >= SHARE_OF_CHANGE:
            share = f.percent(now / then - 1, 0, "+")
            return Cause(f.say("the same days of last year changed by {share}, too", {"share": share}), again)
    look = translate("Look at the listing, reviews, ads and delivery times first. ") if change < 0 else ""
    return Cause(translate(unexplained), look + again)


def find_stop(
    record: Mapping[str, Any], history: ProductHistory, run: str, f: Formatter, named: bool = False
) -> Cause | None:
    """Return that the stop rule of a product's last advice has triggered, and what to charge, if it has.

    The command has the product's name if the run has several. Without any advice the ``record`` is empty.
    """
    if (rule := record.get("stop_rule")) is None:
        return None
    rows = np.flatnonzero((history.dates > np.datetime64(record["data_quality"]["last_day"])) & history.observed)
    moved = np.array([not same_price(history.price[row], rule["price"]) for row in rows], dtype=bool)
    runs = find_runs(moved & (history.units[rows] < rule["units"]))
    first = next((start for start, end in runs if end - start >= rule["days"]), None)
    if first is None or not moved[-1]:
        return None  # enough was sold, or the price was taken back
    words = [
        *("pricerl", "override", f"{rule['price']:.{f.price_decimals}f}", "--reason", "stop rule"),
        *("--until", str(history.last_day + timedelta(days=LATEST_DAYS)), "--run_name", run),
        *(("--product", shown(history.product)) if named else ()),
    ]
    last = f.date(str(history.dates[rows[first + rule["days"] - 1]]))
    known = {**rule, "units": plural(rule["units"], "unit"), "last": last, "command": shlex.join(words)}
    return Cause(
        f.say("the stop rule has triggered, fewer than {units} on {days:days} running until {last}", known),
        f.say("Charge {price:price} again in your shop, and record it: {command}", known),
    )


def find_miss(record: TrackRecord | None, history: ProductHistory, f: Formatter) -> tuple[float, Cause] | None:
    """Return how far units at advised prices were from their forecast, as a share, with words and the likely cause.

    Nothing is returned if they were inside its 90 % limits, or if no advised price was charged.
    """
    if record is None or (found := record.total["units"]) is None or found.inside:
        return None
    change = found.actual / found.predicted - 1
    first = np.datetime64(next(day.date for day in record.days if day.outcome == "followed"))
    cause = find_cause(history, np.flatnonzero(history.dates >= first), change, f)
    known = {**asdict(found), "days": record.followed, "share": abs(change)}
    return change, Cause(f.say(MISSED[change > 0], known), f"{sentence(cause.words)} {cause.step}")
