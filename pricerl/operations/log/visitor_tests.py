"""Tests that a shop made elsewhere: read from a file, checked against the shop, and drafted as entries of its log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from pricerl.arrays import grouped
from pricerl.data.naming import choose_product
from pricerl.data.reading.problems import Problem
from pricerl.data.row_table import TABLES, Row
from pricerl.errors import DataError, did_you_mean, refuse
from pricerl.experiments.visitor_rows import find_mismatch, sum_up
from pricerl.guardrails.price_grid import is_outside
from pricerl.market.demand.config import GRID_MARGIN
from pricerl.market.visitor_tests import VisitorTest
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.drafts import typed_stamp
from pricerl.operations.log.orders import VISITOR_TEST
from pricerl.operations.shop import Shop
from pricerl.terminal import print_notes, shown
from pricerl.writing import hash_file

NEAR = 0.02
"""Largest difference of revenue from price times orders, as a share."""
SHARES = "visitors that were planned: some are missing, or a column Share has to say what was planned"


def draft_visitor_tests(shop: Shop, path: Path, product: str | None, by: str | None, reason: str) -> list[Entry]:
    """Draft the tests in a file, one of each product; rows without a product are of ``product`` or the only one.

    A ``DataError`` has all that is wrong with the file; one that the log has is a ``UsageError``.
    """
    rows, notes, lines, currency = TABLES[VISITOR_TEST].read_lines(str(path), {})
    if not any("product" in row for row in rows):
        rows = [{**row, "product": choose_product([*shop.newest], product, "the shop")} for row in rows]
    groups = grouped((row["product"], row) for row in rows)
    found = {name: sum_up(group, str(shop.today)) for name, group in groups.items()}
    problems = [
        *(item for row, line in zip(rows, lines, strict=True) for item in _object(row, line, shop.newest)),
        *(
            Problem(0, "", f"its prices are in {currency}, the shop's in {own}; convert them")
            for own in [shop.outbox.currency]
            if currency and own not in ("", currency)
        ),
        *(Problem(0, "", f"{shown(name)}: {why}") for name, why in found.items() if isinstance(why, str)),
    ]
    if problems:
        raise DataError(str(path), list(map(str, problems)))
    stamp = typed_stamp(VISITOR_TEST, by, reason) | {"file": hash_file(path)}
    refuse(
        {
            f"{path} is in the log, entry {entry['id']}; nothing has changed": entry.get("file") == stamp["file"]
            for entry in shop.log.entries
        }
    )
    tests = {name: test for name, test in found.items() if isinstance(test, VisitorTest)}
    uneven = {name: find_mismatch(test, groups[name]) for name, test in tests.items()}
    print_notes([*notes, *(f"{shown(name)}: {words} {SHARES}" for name, words in uneven.items() if words)])
    return [{**stamp, "product": name, "test": msgspec.to_builtins(test)} for name, test in tests.items()]


def _object(row: Row, line: int, newest: Mapping[str, Entry]) -> list[Problem]:
    """Return what is wrong with a row."""
    if (name := row["product"]) not in newest:
        return [Problem(line, "Product", f"the shop has no product {shown(name)!r}{did_you_mean(name, newest)}")]
    due = row["price"] * row["orders"]
    low, high = newest[name]["tried"]
    faults = {
        f"{row['price']:g} is far from the prices charged, {low:g} to {high:g}; correct it or its unit": (
            is_outside(row["price"], low / GRID_MARGIN, high * GRID_MARGIN)
        ),
        f"{row.get('revenue', due):g} of revenue is not price times orders, {due:.10g}; count orders at this price": (
            abs(row.get("revenue", due) - due) > NEAR * due
        ),
    }
    return [Problem(line, "", fault) for fault, is_so in faults.items() if is_so]
