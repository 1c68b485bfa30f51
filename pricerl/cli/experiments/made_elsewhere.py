"""Command ``add-test``: a test of prices that the shop made elsewhere becomes evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pricerl.cli.commands.decisions import record
from pricerl.cli.usage import AUTHOR, PRODUCT, RUN, parser_of
from pricerl.operations.log.visitor_tests import draft_visitor_tests


def add_test(words: Sequence[str]) -> int:
    """Count a test of prices made elsewhere: a FILE with a row per price, or price and day: visitors and orders."""
    file = {"file": {"type": Path, "help": "CSV or workbook: price, visitors, orders; perhaps product, date"}}
    options = parser_of("add-test", add_test.__doc__, RUN, PRODUCT, AUTHOR, file).parse_args(words)
    said = (options.file, options.product, options.by, options.reason)
    return record(options, lambda shop: draft_visitor_tests(shop, *said))
