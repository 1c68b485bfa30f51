"""Commands that run a policy, and their last step: the advice, its record and files, and what is printed of them."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pricerl.advice.block import block_lines, wrapped
from pricerl.advice.report.view import View
from pricerl.advice.sentences import grounds
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import Record
from pricerl.advice.what_if import answer_lines
from pricerl.cli.commands.decisions import outbox_lines
from pricerl.cli.imports import allowed_packages
from pricerl.cli.loading import given_settings, load_words, with_long_forms
from pricerl.cli.usage import file_parser, with_files, with_first
from pricerl.data.naming import choose_product
from pricerl.errors import EXIT_ALARM, EXIT_NOT_ENOUGH_EVIDENCE, EXIT_OK, EXIT_WARNING, PROBLEMS
from pricerl.formatting import Formatter, plural
from pricerl.operations.log.decision_log import LOG_FILE, read_log
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import needed_name
from pricerl.tasks.advise import MOST_SUMMARIES, deliver, make_advice, records_of
from pricerl.tasks.ask import check_question, load_questions
from pricerl.terminal import print_notes, table, write_json, write_lines
from pricerl.training import import_lightning

if TYPE_CHECKING:
    from pricerl.runs.run import Run


MOST_FAILED = 0.1
"""Share of products without advice above which the exit code means an alarm."""

MOST_SCORED = 10
"""Products whose scores are printed at most."""


def fit(words: Sequence[str]) -> int:
    """Train a policy, evaluate it, and advise with its best weights."""
    run = run_lightning("fit", words)
    with run.held:
        if run.nothing_left:
            assert run.checkpoint is not None
            ended = f"{run.checkpoint.path} has ended at update {run.checkpoint.update:,}"
            write_lines([f"nothing left to do: {ended}; a larger --trainer.max_steps goes on"])
            return EXIT_OK
        trains_only = run.options.trainer.fast_dev_run or not run.advises or not run.is_global_zero
        return EXIT_OK if trains_only else print_advice(run)


def train_and_advise(words: Sequence[str]) -> int:
    """Train on the seller's FILE and advise on their products; every option of fit applies."""
    return fit(with_files(words))


def predict(words: Sequence[str]) -> int:
    """Advise with a trained policy; settings on the command line override its checkpoint's."""
    return print_advice(load_words("predict", words))


def validate(words: Sequence[str]) -> int:
    """Print the scores of a trained policy on the held-out days, next to the rules."""
    return _score(run_lightning("validate", words))


def test(words: Sequence[str]) -> int:
    """Print the scores of a trained policy on the held-out days, as ``validate`` does."""
    return _score(run_lightning("test", words))


def what_if(words: Sequence[str]) -> int:
    """Compare a PRICE with keeping the current one; all options of predict apply as well."""
    parser = file_parser("what-if", what_if.__doc__)
    parser.add_argument("--price", required=True, type=float, help="price to charge over the forecast horizon")
    parser.add_argument("--unit_cost", type=float, help="cost of a unit to assume, instead of the advice's")
    parser.add_argument("--product", help="product, if the file has several")
    options, rest = parser.parse_known_args(with_first(words, "--price"))
    check_question(price := options.price, options.unit_cost)
    questions = load_questions(given_settings("what-if", rest, options), allowed_packages(rest))
    name = choose_product(questions.run.pricing.preprocessor.names, options.product, "the file")
    write_lines(answer_lines(questions.ask(name, price, options.unit_cost), questions.run.formatter))
    return EXIT_OK


def run_lightning(name: str, words: Sequence[str]) -> Run:
    """Run a command by `pricerl.cli.train.run_command`, without Lightning's log lines."""
    warnings.filterwarnings("ignore", module="lightning")
    import_lightning()  # before anything else imports it, and more of it
    from pricerl.cli.train import run_command  # it needs Lightning

    for logger in ("lightning.pytorch", "lightning.fabric"):  # lightning sets its levels when it is imported
        logging.getLogger(logger).setLevel(logging.ERROR)
    return run_command([name, *with_long_forms(words)])


def _score(run: Run) -> int:
    """Print the scores of a run, and of a seller's products."""
    write_lines(f"{score:<22} {value:>12.4f}" for score, value in sorted(run.scores.items()))
    if not run.advises or not run.is_global_zero:
        return EXIT_OK
    shop = Shop.open(RunFolder(run.folder), run.options.today)
    number = len(run.pricing.preprocessor.products)
    for item in make_advice(run, read_log(shop.log_path).entries, range(min(number, MOST_SCORED))).advice:
        write_lines(["", *score_lines(item.to_dict(), run.formatter)])
    write_lines(["", f"… and {number - MOST_SCORED} more products"] if number > MOST_SCORED else [])
    return EXIT_OK


def print_advice(run: Run) -> int:
    """Record, write and print the advice of a trained policy for its history."""
    products, files, shop, recorded = deliver(run)
    if problems := run.pricing.problems:
        print_notes([f"{plural(len(problems), 'problem')} in {files.table.with_name(PROBLEMS)}, such as {problems[0]}"])
    if run.options.format == "json":
        write_json(json.loads(files.document.read_text(encoding="utf-8")))
    else:
        name = needed_name(run.folder, LOG_FILE)
        place = Place(files.report, name, today=shop.today.isoformat())
        write_lines(block_lines(records_of(products), run.formatter, place))
        first = list(records_of(products[:MOST_SUMMARIES]))
        if run.options.verbose:
            for product in first:
                write_lines(["", *_evidence(product, run.formatter)])
            if len(products) > MOST_SUMMARIES:
                write_lines([f"… and {len(products) - MOST_SUMMARIES} more products in {files.table}"])
            write_lines([f"files: {files.table}, {files.document}, {files.report}", recorded])
        if shop.outbox.rows or shop.outbox.left_out:
            for at, line in enumerate(outbox_lines(shop)):
                write_lines(wrapped(line, "" if at else "Prices"))
    if failed := len(run.pricing.failed):
        return EXIT_ALARM if failed > MOST_FAILED * (failed + len(products)) else EXIT_WARNING
    unclear = all(item["decision"]["lacks_evidence"] for item in records_of(products))
    return EXIT_NOT_ENOUGH_EVIDENCE if unclear else EXIT_OK


def _evidence(product: Record, f: Formatter) -> list[str]:
    """Return the scores of one product, who decided and why, and how forecasts and orders have fared."""
    lines = [f"decided by {', then '.join(product['chain'])}: {product['reason']}"]
    lines += [f"check the data: {reason}" for reason in product["data_quality"]["reasons"]]
    lines += grounds.order_lines(product["orders"], f)
    if product["track_record"] is not None:
        lines += grounds.track_lines(product["track_record"], f)
    if product["backtest"] is not None:
        lines.append(grounds.judge_backtest(product["backtest"], f))
    return [*score_lines(product, f), *(f"  {line}" for line in lines)]


def score_lines(product: Record, formatter: Formatter) -> list[str]:
    """Return the rules and the proposed path's value of one product."""
    days = plural(len(product["days"]), formatter.period)
    rows = View.of(product, formatter, Place()).baseline_rows()
    texts = [("rule", *(cell.label.lower() for cell in rows[0][1]))]
    for rule, cells in rows:
        texts.append((rule, *(" ".join([cell.value, *(f"({note})" for note in cell.notes)]) for cell in cells)))
    return [
        f"{product['product']}: per {formatter.period} over {days}, each price approached inside the guardrails",
        *table(texts),
        *(f"  {line}" for line in grounds.judge_proposal(product, formatter)),
    ]
