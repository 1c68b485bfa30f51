"""Command ``report``, and what decisions read from and write next to the last advice of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pricerl.advice.expectation import expectation_words, objection_words
from pricerl.advice.exports import PRICES, render_prices
from pricerl.advice.files import FORMAT
from pricerl.advice.report.render import page_of
from pricerl.cli.usage import Parser, choose_product
from pricerl.errors import EXIT_OK, UsageError
from pricerl.formatting import PLAIN_DIGITS, Formatter
from pricerl.operations.approvals import approved_prices
from pricerl.operations.decision_log import read_log
from pricerl.operations.orders import ADVICE
from pricerl.terminal import write_lines
from pricerl.writing import write_text

DOCUMENT = "advice.json"


def report(words: Sequence[str]) -> int:
    """Make the page of a product from the last advice; nothing is computed again."""
    from pricerl.cli.decisions import add_run_options, log_of

    parser = Parser(prog="pricerl report", description=report.__doc__)
    add_run_options(parser)
    parser.add_argument("--product", help="product, if the advice has several")
    parser.add_argument("--out", help="folder of an advice, instead of a run")
    options = parser.parse_args(words)
    folder = Path(options.out) if options.out else log_of(options).parent
    document = read_advice(folder)
    if document is None:
        raise UsageError(f"{folder / DOCUMENT} is missing or of another version of pricerl; run predict first")
    names = [product["product"] for product in document["products"]]
    name, html = page_of(document, choose_product(names, options.product, "this advice"))
    path = folder / name
    write_text(path, html)
    write_lines([str(path)])
    return EXIT_OK


def read_advice(folder: Path) -> dict[str, Any] | None:
    """Return the ``advice.json`` of a folder; None if it is missing, damaged, or of another format."""
    try:
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and document.get("format") == FORMAT else None


def expected_lines(folder: Path, product: str, price: float) -> list[str]:
    """Return the expected effect of an ordered price, money, and the objections to it, from the last advice."""
    document = read_advice(folder)
    found = (
        None if document is None else next((item for item in document["products"] if item["product"] == product), None)
    )
    if document is None or found is None:
        return []
    f = Formatter(*(document[name] for name in ("locale", "currency", "price_decimals", "step_days")))
    return [*expectation_words(found, price, f), *objection_words(found, price, f)]


def renew_prices(log: Path) -> list[str]:
    """Write ``prices.csv`` anew after a decision if approval is required; return a line about it."""
    document = read_advice(log.parent)
    if document is None or not document["approval_required"]:
        return []
    entries = read_log(log).entries
    first = {entry["product"]: entry["days"][0]["date"] for entry in entries if entry["kind"] == ADVICE}
    prices = list(approved_prices(entries, first))
    text = render_prices(prices, document["currency"], max(PLAIN_DIGITS, document["price_decimals"]))
    path = log.parent / PRICES
    write_text(path, text)
    return [f"{path} holds {len(prices)} approved or ordered {'price' if len(prices) == 1 else 'prices'}"]
