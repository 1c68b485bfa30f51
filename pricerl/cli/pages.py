"""Command ``report``, and what decisions read from the last advice of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pricerl.advice.expectation import expectation_words, objection_words
from pricerl.advice.exports import DOCUMENT
from pricerl.advice.files import FORMAT
from pricerl.advice.report.render import page_of
from pricerl.cli.usage import Parser
from pricerl.errors import EXIT_OK, UsageError
from pricerl.formatting import Formatter
from pricerl.operations.shop import choose_product
from pricerl.terminal import write_lines
from pricerl.writing import write_text


def report(words: Sequence[str]) -> int:
    """Make the page of a product from the last advice; nothing is computed again."""
    from pricerl.cli.decisions import add_run_options, shop_of

    parser = Parser(prog="pricerl report", description=report.__doc__)
    add_run_options(parser)
    parser.add_argument("--product", help="product, if the advice has several")
    parser.add_argument("--out", help="folder of an advice, instead of a run")
    options = parser.parse_args(words)
    shop = None if options.out else shop_of(options)
    folder = Path(options.out) if shop is None else shop.folder.path
    document = read_advice(folder)
    if document is None:
        raise UsageError(f"{folder / DOCUMENT} is missing or of another version of pricerl; run predict first")
    names = [product["product"] for product in document["products"]]
    name, html = page_of(document, choose_product(names, options.product, "this advice"))
    if shop is None:
        write_text(folder / name, html)
    else:
        shop.publish_page(name, html)
    write_lines([str(folder / name)])
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
