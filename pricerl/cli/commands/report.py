"""Command ``report``: the page of a product from the last advice."""

from __future__ import annotations

import argparse
from pathlib import Path

from pricerl.advice.block import block_lines
from pricerl.advice.exports import DOCUMENT
from pricerl.advice.files import read_advice
from pricerl.advice.report.render import INDEX, formatter_of, page_of
from pricerl.advice.sentences.next_steps import Place
from pricerl.cli.commands.decisions import receipt_lines, shop_of
from pricerl.cli.usage import PRODUCT, RUN, Options, takes
from pricerl.data.naming import choose_product
from pricerl.errors import UsageError
from pricerl.operations.watching.alerts import send_page
from pricerl.terminal import write_lines
from pricerl.writing import write_text

OPTIONS: Options = {
    "--out": {"help": "folder of an advice, instead of a run"},
    "--send": {"action": "store_true", "help": "send the advice with its page, as watch its alerts"},
    "--alert_file": {"help": "file of apprise addresses, one per line; see watch"},
}


@takes("report", RUN, PRODUCT, OPTIONS)
def report(options: argparse.Namespace) -> None:
    """Make the page of a product from the last advice, or send the advice; nothing is computed again."""
    shop = None if options.out else shop_of(options)
    folder = Path(options.out) if shop is None else shop.folder.path
    document = read_advice(folder)
    if document is None:
        raise UsageError(f"{folder / DOCUMENT} is missing or of another version of pricerl; run predict first")
    document = document if shop is None else shop.decided(document)
    send = options.send or options.alert_file is not None
    products, page = document["products"], folder / INDEX
    if options.product is not None or not send:
        chosen = choose_product([product["product"] for product in products], options.product, "this advice")
        products = [product for product in products if product["product"] == chosen]
        name, html = page_of(document, chosen)
        page = folder / name
        write_text(page, html)
    write_lines([str(page)])
    if send:
        place = Place(Path(page.name), document["run"], today=document["today"])
        lines = [*block_lines(products, formatter_of(document), place), *(receipt_lines(shop) if shop else ())]
        count = send_page(f"pricerl: {document['run']}", lines, page, options.alert_file)
        write_lines([f"sent to {count} address{'' if count == 1 else 'es'}"])
