"""Reading of tests that a shop made elsewhere: rows of visitors and orders by price, and perhaps by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import chdtrc, stdtrit

from pricerl.market.visitor_tests import NORMAL, VisitorTest

LEAST_SHARED = 0.5
"""Smallest share of the evidence that is left as visitors of the same days saw all prices."""
MISMATCH = 0.001
"""Probability below which visitors are not shared out as planned (Fabijan et al. 2019)."""


def sum_up(rows: Sequence[Mapping[str, Any]], today: str) -> VisitorTest | str:
    """Return the test in some rows of a file, or why they are none; every row has visitors, its date may be absent."""
    prices, arm = np.unique([row["price"] for row in rows], return_inverse=True)
    days, at = np.unique([row.get("date", "") for row in rows], return_inverse=True)
    seen, sold = (
        np.bincount(arm * len(days) + at, [row[key] for row in rows], len(prices) * len(days)).reshape(-1, len(days))
        for key in ("visitors", "orders")
    )
    if len(prices) < 2 or not sold.any():
        return "visitors at two prices or more are needed, and orders; add the test when it has both"
    mean = seen * (sold.sum(0) / seen.sum(0))
    expected = mean.sum(1)
    mixed = 1 - np.square(seen / seen.sum(0)).sum(0)  # on each day; the next line compares it with all days together
    shared = float(sold.sum(0) @ mixed / (sold.sum() * (1 - np.square(expected / sold.sum()).sum())))
    if shared < LEAST_SHARED:
        return "its prices were shown on different days; only visitors of the same days can be compared"
    mean *= (sold.sum(1) / expected)[:, None]
    spread = float((np.square(sold - mean) / np.maximum(mean, 1e-12)).sum())
    free = int((seen > 0).sum()) - len(prices) - len(days) + 1
    noise = max(1.0, spread / free) * float(stdtrit(free, 0.975) / NORMAL) ** 2 if free > 0 else 1.0
    lists = (item.tolist() for item in (prices, seen.sum(1), sold.sum(1), expected))
    return VisitorTest(*lists, min(shared, 1.0) / noise, str(days[0]), str(days[-1]) or today)  # type: ignore[call-arg]


def find_mismatch(test: VisitorTest, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return visitors found and planned by the shares in a test's rows, if any; empty if only chance is at work."""
    share = {row["price"]: row.get("share", 1.0) for row in rows}
    due = np.array([share[price] for price in test.prices]) / sum(share.values()) * sum(test.visitors)
    return (
        ""
        if chdtrc(len(due) - 1, (np.square(test.visitors - due) / due).sum()) >= MISMATCH
        else " and ".join(f"{found:,.0f} of {plan:,.0f}" for found, plan in zip(test.visitors, due, strict=True))
    )
