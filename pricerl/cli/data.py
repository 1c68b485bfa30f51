"""Commands about files: ``check`` reads a history; ``init``, ``simulate``, ``report`` write files."""

from __future__ import annotations

import argparse
import itertools
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pricerl.cli.imports import SHIPPED
from pricerl.cli.usage import Parser, add_files, add_settings, config_of, find_groups
from pricerl.data.naming import COSTS_FILE
from pricerl.errors import EXIT_OK, DataError, UsageError, list_problems
from pricerl.formatting import plural
from pricerl.terminal import write_lines
from pricerl.writing import write_text

if TYPE_CHECKING:
    from pricerl.data.config import DataConfig
    from pricerl.data.preprocessor import DataPreprocessor

GUARDRAILS = "guardrails.yaml"

READING = "data.reading"
"""Group of the settings of reading a file."""


def _mapping(text: str) -> dict[str, str]:
    """Return an option that is a JSON object of texts."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f'must be a JSON object such as {{"Net paid": "Total Sales"}}, found {text!r}')
    return {str(name): str(column) for name, column in found.items()}


FULL_REPORTS = 20
"""Products whose reports are printed in full without ``--verbose``."""


def check(words: Sequence[str]) -> int:
    """Print the content of a history file, or every problem in it."""
    parser = Parser(prog="pricerl check", description=check.__doc__)
    parser.add_argument("files", nargs="*", help="the seller's CSV, and ads reports to join to it")
    add_files(parser, "the same, by the option name of the other commands")
    parser.add_argument("--problems", help="CSV to write all problems to; the screen shows 20")
    parser.add_argument(
        "--verbose", action="store_true", help=f"all reports in full, not only those of {FULL_REPORTS} products"
    )
    parser.add_argument("--evidence", action="store_true", help="the card of evidence of each product as well")
    _add_reading(parser)
    options = parser.parse_intermixed_args(words)
    files = options.path or options.files
    if not files:
        raise UsageError("check needs a FILE, the seller's CSV (see check --help)")
    from pricerl.advice.sentences.data_report import report_lines, summary_of
    from pricerl.data.costs import CostConfig
    from pricerl.data.preprocessor import DataPreprocessor
    from pricerl.data.reading.problems import problem_table
    from pricerl.data.reading.reader import read_history
    from pricerl.market.cost import describe_costs

    config = _reading(options)
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
    problems = list_problems([str(problem) for problem in history.problems], files)
    write_lines(["problems of skipped files and products and unknown days:", *problems] if problems else [])
    return EXIT_OK


def _cards(prepared: DataPreprocessor) -> list[list[str]]:
    """Return the lines of the card of evidence of every product."""
    from pricerl.advice.block import wrapped
    from pricerl.evaluation.card.evidence_card import draw_card
    from pricerl.evaluation.working_fit import fit_demand
    from pricerl.market.fitting import fit_market

    cards = []
    for product, fitted in zip(prepared.products, fit_market(prepared, conversions=False).products, strict=True):
        card = draw_card(fit_demand(product), product, fitted, tested=False)
        lines = [wrapped(f"{line.question.capitalize()}: {line.finding} {line.remedy}", line.verdict) for line in card]
        cards.append(["  evidence", *itertools.chain.from_iterable(lines)])
    return cards


def _add_reading(parser: Parser) -> None:
    """Add the settings of reading a file as options, by their own names and by those of the other commands."""
    for long, setting in find_groups()[READING]["settings"].items():
        name = long.rpartition(".")[2]
        usual = setting["default"]
        choices = ("true", "false") if name == "strict" else None
        kind = _mapping if name == "columns" else type(usual) if type(usual) in (int, float) else str
        text = setting["text"].replace("%", "%%")
        parser.add_argument(f"--{name}", f"--{long}", dest=name, type=kind, default=usual, choices=choices, help=text)


def _reading(options: argparse.Namespace) -> DataConfig:
    """Return the settings of reading that options name."""
    from pricerl.data.config import DataConfig

    options.strict = options.strict == "true"
    return config_of(options, DataConfig)


def _write_problems(file: str | None, table: str) -> None:
    if file and table:
        write_text(Path(file), table)


def init(words: Sequence[str]) -> int:
    """Write guardrails.yaml, the limits on prices, and costs.csv, for the costs of the products, into this folder."""
    parser = Parser(prog="pricerl init", description=init.__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="the seller's file, whose products costs.csv lists")
    parser.add_argument("--run_name", help="run whose products it lists instead; the only one if absent")
    _add_reading(parser)
    products, endings = _products(parser.parse_intermixed_args(words))
    texts = {GUARDRAILS: (SHIPPED / GUARDRAILS).read_text(encoding="utf-8")}
    uses = {GUARDRAILS: "holds the limits on prices. Edit it, then: pricerl advise FILE --config"}
    if endings:
        offer = f"charm_endings: null  # most of your prices end in {list(endings)}: write that here to keep to it"
        texts[GUARDRAILS] = texts[GUARDRAILS].replace("charm_endings: null", offer)
    if products:
        from pricerl.data.row_table import TABLES

        texts[COSTS_FILE] = TABLES["costs"].template(products)
        uses[COSTS_FILE] = "lists your products. Fill in what a unit costs you, then: pricerl advise FILE --costs"
    written = []
    kept = []
    for name, text in texts.items():
        if Path(name).exists() or Path(name).is_symlink():
            option = uses[name].split()[-1]
            kept.append(f"{name} exists and stays as it is; use it with {option} {name}, or rename it")
        else:
            write_text(Path(name), text)
            written.append(f"{name} {uses[name]} {name}")
    if not written:
        raise UsageError("; ".join(kept))
    write_lines([*kept, *written])
    return EXIT_OK


def _products(options: argparse.Namespace) -> tuple[dict[str, float | None], tuple[float, ...]]:
    """Return the products of the named files, or of the newest advice of a run, with known unit costs and endings."""
    if options.files:
        from pricerl.data.reading.reader import read_history
        from pricerl.guardrails.price_grid import usual_endings

        found = read_history(options.files, _reading(options)).products
        prices = [price for item in found for price in item.price[item.observed]]
        return {item.product: item.unit_cost for item in found}, usual_endings(prices)
    from pricerl.advice.exports import DOCUMENT
    from pricerl.advice.files import read_advice
    from pricerl.runs.names import find_run, runs_with

    runs = runs_with(DOCUMENT) if options.run_name is None else [find_run(options.run_name, DOCUMENT)]
    advice = read_advice(runs[0].path) if len(runs) == 1 else None
    return ({} if advice is None else {item["product"]: None for item in advice["products"]}), ()


def simulate(words: Sequence[str]) -> int:
    """Write a simulated seller, and its true demand in a file next to it."""
    from pricerl.data.days import DAY
    from pricerl.simulation.seller import SellerConfig, write_seller

    parser = Parser(prog="pricerl simulate", description=simulate.__doc__)
    parser.add_argument("--out", required=True, help="CSV to write; the truth goes to FILE.truth.json")
    add_settings(parser, SellerConfig)
    options = parser.parse_args(words)
    out = Path(options.out)
    seller = config_of(options, SellerConfig)
    write_seller(seller, out)
    advise = shlex.join(["pricerl", "advise", f"{out}", "--today", f"{seller.dates[-1] + DAY}"])
    write_lines([f"{out}", f"{out}.truth.json", f"For advice on the day after its last: {advise}"])
    return EXIT_OK


def report(words: Sequence[str]) -> int:
    """Make the page of a product from the last advice, or send the advice; nothing is computed again."""
    from pricerl.advice.exports import DOCUMENT
    from pricerl.advice.files import read_advice
    from pricerl.advice.report.render import INDEX, page_of
    from pricerl.cli.commands.decisions import add_run_options, shop_of
    from pricerl.data.naming import choose_product

    parser = Parser(prog="pricerl report", description=report.__doc__)
    add_run_options(parser)
    parser.add_argument("--product", help="product, if the advice has several")
    parser.add_argument("--out", help="folder of an advice, instead of a run")
    parser.add_argument("--send", action="store_true", help="send the advice with its page, as watch its alerts")
    parser.add_argument("--alert_file", help="file of apprise addresses, one per line; see watch")
    options = parser.parse_args(words)
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
        if shop is None:
            write_text(page, html)
        else:
            shop.publish_page(name, html)
    write_lines([str(page)])
    if send:
        _send(document, products, page, options.alert_file)
    return EXIT_OK


def _send(
    document: Mapping[str, Any], products: Sequence[Mapping[str, Any]], page: Path, addresses: str | None
) -> None:
    """Send products of an advice, as the terminal prints them, with their page."""
    from pricerl.advice.block import block_lines
    from pricerl.advice.report.render import formatter_of
    from pricerl.advice.sentences.next_steps import Place
    from pricerl.operations.watching.alerts import send_page

    run = document["run"]
    lines = block_lines(products, formatter_of(document), Place(Path(page.name), run, today=document["today"]))
    count = send_page(f"pricerl: {run}", lines, page, addresses)
    write_lines([f"sent to {count} address{'' if count == 1 else 'es'}"])
