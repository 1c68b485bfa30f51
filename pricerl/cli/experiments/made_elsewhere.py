"""Command ``add-test``: a test of prices that the shop made elsewhere becomes evidence."""

from __future__ import annotations

import argparse
from pathlib import Path

from pricerl.cli.commands.decisions import record
from pricerl.cli.usage import AUTHOR, PRODUCT, RUN, Options, takes
from pricerl.operations.log.visitor_tests import draft_visitor_tests

FILE: Options = {"file": {"type": Path, "help": "CSV or workbook: price, visitors, orders; perhaps product, date"}}


@takes("add-test", RUN, PRODUCT, AUTHOR, FILE)
def add_test(options: argparse.Namespace) -> None:
    """Count a test of prices made elsewhere: a FILE with a row per price, or price and day: visitors and orders."""
    record(options, lambda shop: draft_visitor_tests(shop, options.file, options.product, options.by, options.reason))
