"""Accounts of products, and all else in the decision log that the next advice depends on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pricerl.advice.account import Account
from pricerl.advice.past import Past
from pricerl.data import ProductHistory
from pricerl.evaluation.valuation import DAYS_PER_QUARTER
from pricerl.operations.decision_log import Entry
from pricerl.operations.orders import ADVICE
from pricerl.operations.price_test_records import find_measured


def find_account(entries: Iterable[Entry], history: ProductHistory) -> Account | None:
    """Return the account of a product that is open after a history; None if the next advice opens one.

    An advice opens an account if none is open on its last day of data, at the price of that day.

    Args:
        entries: entries of the decision log, oldest first.
        history: history of the product.
    """
    account, end = None, history.dates[-1].astype("datetime64[D]")
    for entry in entries:
        if entry["kind"] != ADVICE or entry["product"] != history.product:
            continue
        day = np.datetime64(entry["history_end"])
        if day < end and (account is None or _is_over(account, day)):
            account = Account(entry["history_end"], entry["current_price"])
    return None if account is None or _is_over(account, end) else account


def find_varied(entries: Iterable[Entry], history: ProductHistory) -> tuple[float, float] | None:
    """Return the two prices of the latest random draw that applied to a product by the end of a history, money.

    Args:
        entries: entries of the decision log, oldest first.
        history: history of the product.
    """
    varied, end = None, str(history.dates[-1].astype("datetime64[D]"))
    for entry in entries:
        if entry["kind"] == ADVICE and entry["product"] == history.product and entry["history_end"] < end:
            drawn = [part["prices"] for part in entry.get("random_prices", ()) if part["date"] <= end]
            varied = (drawn[-1][0], drawn[-1][1]) if drawn else varied
    return varied


def find_past(entries: Sequence[Entry], products: Sequence[ProductHistory], measure: str) -> dict[str, Past]:
    """Return what the log holds on some products for their next advice, by name.

    Args:
        entries: entries of the decision log, oldest first.
        products: histories.
        measure: what a price test must have compared, ``profit`` or ``sales``.
    """
    measured = find_measured(entries, products, measure)
    return {
        history.product: Past(
            measured.get(history.product), find_account(entries, history), find_varied(entries, history)
        )
        for history in products
    }


def _is_over(account: Account, day: np.datetime64) -> bool:
    return bool((day - np.datetime64(account.opened)).astype(int) >= DAYS_PER_QUARTER)
