"""Command ``add-test``: a test of prices that the shop made elsewhere becomes evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pricerl.cli.commands.decisions import author_parser, record
from pricerl.operations.log.visitor_tests import draft_visitor_tests


def add_test(words: Sequence[str]) -> int:
    """Count a test of prices made elsewhere: a FILE with a row per price, or price and day: visitors and orders."""
    parser = author_parser("add-test", add_test.__doc__)
    parser.add_argument("file", type=Path, help="CSV or workbook: price, visitors, orders; perhaps product, date")
    options = parser.parse_args(words)
    said = (options.file, options.product, options.by, options.reason)
    return record(options, lambda shop: draft_visitor_tests(shop, *said))
