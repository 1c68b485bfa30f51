"""Command ``review``: past advice compared with what happened, by month and product."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pricerl.cli.console import table
from pricerl.cli.policies import run_lightning
from pricerl.cli.usage import Parser, option_words, with_first
from pricerl.errors import EXIT_OK, DataError
from pricerl.operations.decision_log import LOG_FILE, read_log
from pricerl.runs import BEST, find_run
from pricerl.terminal import write_lines
from pricerl.writing import write_text

MOST_REVIEWED = 60
"""Most rows of a table on the terminal; the page has all."""


def review(words: Sequence[str]) -> int:
    """Compare all past advice of a RUN with what happened, and write review.html; all options of predict apply."""
    parser = Parser(prog="pricerl review", description=review.__doc__, allow_abbrev=False)
    parser.add_argument("--run_name", help="run, a folder in checkpoints; the only one if absent")
    parser.add_argument(
        "--data.path",
        dest="path",
        help="a file that reaches beyond the advice; the files of the newest advice if absent",
    )
    options, rest = parser.parse_known_args(with_first(words, "--run_name"))
    folder = find_run(options.run_name, BEST)
    given = option_words({"run_name": folder.path.name, "data.path": options.path})
    run = run_lightning("predict", [*rest, *given])
    from pricerl.operations.hindsight import review_products
    from pricerl.operations.review_page import REVIEW_FILE, lay_out_review, render_review, review_lines

    market = run.pricing.market
    rows = review_products(market, read_log(folder.path / LOG_FILE).entries, run.pricing.seed)
    if not rows:
        found = "no day of the file had been advised on before; come back with a fresher file"
        raise DataError(run.pricing.preprocessor.source, [found])
    known = all(product.cost.known for product in market.products)
    page = lay_out_review(rows, "profit" if known else "sales", run.formatter)
    path = folder.path / REVIEW_FILE
    write_text(path, render_review(page, Path(run.pricing.preprocessor.source).name, run.formatter))
    write_lines([page.headline, *(f"  {line}" for line in page.lead)])
    for title, cells in review_lines(page):
        write_lines(["", title, *table(cells[:MOST_REVIEWED])])
    write_lines(["", f"open {path}"])
    return EXIT_OK
