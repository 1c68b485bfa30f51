"""Command ``check``: what a file holds, or every problem in it."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from pricerl.advice.block import wrapped
from pricerl.advice.sentences.data_report import report_lines, summary_of
from pricerl.cli.usage import READING, Options, config_of, files_of, settings_of, takes
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.reading.problems import problem_table
from pricerl.data.reading.reader import read_history
from pricerl.errors import DataError, list_problems, refuse
from pricerl.formatting import plural
from pricerl.market.cost import describe_costs
from pricerl.shop.groups import describe_groups, propose_groups
from pricerl.terminal import write_lines
from pricerl.writing import write_text

FULL_REPORTS = 20
"""Products whose reports are printed in full without ``--verbose``."""

OPTIONS: Options = {
    "files": {"nargs": "*", "help": "the seller's CSV, and ads reports to join to it"},
    **files_of("the same, by the option name of the other commands"),
    "--problems": {"help": "CSV to write all problems to; the screen shows 20"},
    "--verbose": {"action": "store_true", "help": f"all reports in full, not only {FULL_REPORTS} products'"},
    "--evidence": {"action": "store_true", "help": "the card of evidence of each product as well"},
}


@takes("check", OPTIONS, settings_of(DataConfig, *READING), mixed=True)
def check(options: Namespace) -> None:
    """Print the content of a history file, or every problem in it."""
    files = options.path or options.files
    refuse({"check needs a FILE, the seller's CSV (see check --help)": not files})

    config = config_of(options, DataConfig)
    try:
        history = read_history(files, config)
    except DataError as error:
        _write_problems(options.problems, error.table)
        raise
    _write_problems(options.problems, problem_table(history.problems))
    full = len(history.products) if options.verbose else FULL_REPORTS
    few = replace(history, products=history.products[:full], reports=history.reports[:full])
    prepared = DataPreprocessor.fit(few, config)
    cards = _cards(prepared) if options.evidence else [[]] * len(few.products)
    for product, report, card in zip(few.products, prepared.reports, cards, strict=True):
        write_lines([*report_lines(report), f"  {'costs':<16} {describe_costs(product, CostConfig())}", *card])
    if short := history.reports[full:]:
        rest = f"{plural(len(short), 'more product')}, a line each; check --verbose prints their reports:"
        write_lines([rest, *(f"  {summary_of(report)}" for report in short)])
    if proposed := propose_groups({item.product: item.group for item in history.products}):
        write_lines(wrapped(describe_groups(proposed, "advise FILE "), "groups"))
    problems = list_problems([str(problem) for problem in history.problems], files)
    write_lines(["problems of skipped files and products and unknown days:", *problems] if problems else [])


def _write_problems(path: str | None, found: str) -> None:
    """Write a table of problems, if there are any, to the file that is named for it."""
    if path and found:
        write_text(Path(path), found)


def _cards(prepared: DataPreprocessor) -> list[list[str]]:
    """Return the lines of the card of evidence of every product."""
    from pricerl.tasks.evidence import draw_cards  # it imports torch

    texts = [
        [(line.verdict, f"{line.question.capitalize()}: {line.finding} {line.remedy}") for line in card]
        for card in draw_cards(prepared)
    ]
    return [["  evidence", *(line for label, text in card for line in wrapped(text, label))] for card in texts]
