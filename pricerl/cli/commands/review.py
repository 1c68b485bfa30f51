"""Command ``review``: past advice compared with what happened."""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from pathlib import Path

from pricerl.advice.translation import REVIEW_FILES, read_catalogue
from pricerl.cli.commands.decisions import receipt_lines
from pricerl.cli.loading import load_words
from pricerl.cli.usage import predict_command, takes_file
from pricerl.errors import DataError
from pricerl.formatting import CATALOGUE
from pricerl.operations import review as past_advice
from pricerl.operations.exports import read_record
from pricerl.operations.log.decision_log import LOG_FILE, read_log
from pricerl.operations.shop import Shop
from pricerl.operations.track_record import review_products
from pricerl.runs.folder import BEST
from pricerl.runs.names import find_run
from pricerl.shop.database import ask
from pricerl.terminal import table, write_lines
from pricerl.writing import write_text

MOST_REVIEWED = 60
"""Most rows of a table of ``review`` on the terminal; the page has all."""


@takes_file("review")
def review(options: Namespace, rest: list[str]) -> None:
    """Compare all past advice of a RUN with what happened, and write review.html; all options of predict apply."""
    folder = find_run(options.run_name, BEST)
    options.run_name = folder.path.name
    run = load_words("review", rest, options)
    market = run.pricing.market
    entries = read_log(folder.path / LOG_FILE).entries
    rows = review_products(market, entries, run.pricing.seed)
    if not rows:
        raise DataError(
            run.pricing.preprocessor.source,
            ["no day of the file had been advised on before; come back with a fresher file"],
        )
    measure = "profit" if all(product.cost.known for product in market.products) else "sales"
    products = market.preprocessor.products
    records = partial(ask, folder.path / LOG_FILE, read_record)
    for language, file in reversed(REVIEW_FILES.items()):  # English last, for the terminal
        CATALOGUE.set(read_catalogue(language)[0])
        news = past_advice.find_news(products, entries, records, folder.path.name, run.formatter)
        page = past_advice.lay_out_review(rows, measure, run.formatter, news)
        page = page._replace(lead=(*receipt_lines(Shop.read(folder)), *page.lead))
        path = folder.path / file
        write_text(path, past_advice.render_review(page, Path(run.pricing.preprocessor.source).name, run.formatter))
    again = [predict_command(options)] if news else []
    tables = ((title, *table(cells[:MOST_REVIEWED])) for title, cells in past_advice.review_lines(page))
    lead = [page.headline, *(f"  {line}" for line in (*page.lead, *again))]
    write_lines([*lead, *(line for lines in tables for line in ("", *lines)), "", f"open {path}"])
