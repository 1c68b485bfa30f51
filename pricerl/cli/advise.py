"""Commands that run a policy, and their last step: the advice, its record and files, and what is printed of them."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pricerl.advice.block import block_lines, wrapped
from pricerl.advice.report.view import View
from pricerl.advice.sentences import grounds
from pricerl.advice.sentences.answers import say
from pricerl.advice.sentences.next_steps import Place
from pricerl.advice.sentences.verdict import Record, codes_of
from pricerl.advice.what_if import answer_lines
from pricerl.cli.commands.decisions import outbox_lines
from pricerl.cli.imports import allowed_packages
from pricerl.cli.loading import given_settings, load_words
from pricerl.cli.usage import Parser, add_files, option_words, with_file, with_first, with_long_forms
from pricerl.data.naming import choose_product
from pricerl.data.reading.problems import list_names
from pricerl.errors import EXIT_ALARM, EXIT_NOT_ENOUGH_EVIDENCE, EXIT_OK, EXIT_WARNING, PROBLEMS
from pricerl.formatting import Formatter, plural
from pricerl.guardrails.limits_in_force import refuse_price
from pricerl.operations.log.decision_log import LOG_FILE, read_log
from pricerl.operations.log.orders import doubt_price
from pricerl.operations.log.provenance import describe_origin
from pricerl.operations.shop import Shop, day_of
from pricerl.reasons import Reason
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import needed_name
from pricerl.tasks.advise import MOST_SUMMARIES, deliver, describe_publication, make_advice, records_of
from pricerl.tasks.ask import check_question, load_questions
from pricerl.terminal import print_notes, table, write_json, write_lines

if TYPE_CHECKING:
    from pricerl.runs.run import Run


MOST_FAILED = 0.1
"""Share of products without advice above which the exit code is that of an alarm."""

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
    return fit(with_file(["--help" if word == "--help=all" else word for word in words]))


def predict(words: Sequence[str]) -> int:
    """Advise with a trained policy; settings on the command line override those of its checkpoint."""
    return print_advice(load_words("predict", words))


def validate(words: Sequence[str]) -> int:
    """Print the scores of a trained policy on the held-out days, next to the rules."""
    return _score(run_lightning("validate", words))


def test(words: Sequence[str]) -> int:
    """Print the scores of a trained policy on the held-out days, as ``validate`` does."""
    return _score(run_lightning("test", words))


def what_if(words: Sequence[str]) -> int:
    """Compare a PRICE with keeping the current one; all options of predict apply as well."""
    parser = Parser(prog="pricerl what-if", description=what_if.__doc__, allow_abbrev=False)
    parser.add_argument("--price", required=True, type=float, help="price to charge over the forecast horizon")
    parser.add_argument("--unit_cost", type=float, help="cost of a unit to assume, instead of that of the advice")
    parser.add_argument("--product", help="product, if the file has several")
    parser.add_argument("--ckpt_path", help="checkpoint written by fit; the best of the only run if absent")
    add_files(parser, "the seller's CSV; the files of the newest advice if absent")
    options, rest = parser.parse_known_args(with_first(words, "--price"))
    check_question(price := options.price, options.unit_cost)
    named = option_words({"ckpt_path": options.ckpt_path, "data.path": options.path})
    questions = load_questions(given_settings("what-if", [*rest, *named]), allowed_packages(rest))
    name = choose_product(questions.run.pricing.preprocessor.names, options.product, "the file")
    answer = questions.ask(name, price, options.unit_cost)
    write_lines(answer_lines(answer, questions.run.formatter))
    product = answer.product
    if refusal := refuse_price(price, product.hard_limits):
        write_lines([f"  an override would be refused: {refusal}"])
    elif doubt := doubt_price(price, product.current_price, product.history.tried_prices):
        write_lines([f"  an override would need --force: {doubt}"])
    return EXIT_OK


def run_lightning(name: str, words: Sequence[str]) -> Run:
    """Run a command by `pricerl.cli.train.run_command`, without Lightning's log lines."""
    warnings.filterwarnings("ignore", module="lightning")
    from pricerl.training import import_lightning

    import_lightning()  # before anything else imports it, and more of it
    from pricerl.cli.train import run_command

    for logger in ("lightning.pytorch", "lightning.fabric"):  # lightning sets its levels when it is imported
        logging.getLogger(logger).setLevel(logging.ERROR)
    return run_command([name, *with_long_forms(words)])


def _score(run: Run) -> int:
    """Print the scores of a run, and of a seller's products; write the advice to ``--out``, if named, but no entry."""
    write_lines(f"{score:<22} {value:>12.4f}" for score, value in sorted(run.scores.items()))
    if not run.advises or not run.is_global_zero:
        return EXIT_OK
    shop = Shop.open(RunFolder(run.folder), run.options.today)
    number = len(run.pricing.preprocessor.products)
    rows = range(number if run.options.out else min(number, MOST_SCORED))
    advised = make_advice(run, read_log(shop.log_path).entries, rows)
    for item in advised.advice[:MOST_SCORED]:
        write_lines(["", *score_lines(item.to_dict(), run.formatter)])
    if number > MOST_SCORED:
        write_lines(["", f"… and {number - MOST_SCORED} more products"])
    if run.options.out:
        origin = describe_origin(run, day_of(run.options.today, run.pricing))
        publication = describe_publication(run, origin, shop.log.head)
        publication.write(Path(run.options.out), list(records_of(advised.advice)), shop.outbox)
    return EXIT_OK


def print_advice(run: Run) -> int:
    """Record, write and print the advice of a trained policy for its history."""
    products, files, shop, recorded = deliver(run)
    stocked = records_of(products if run.pricing.stocks else ())
    costless = Reason("stock_without_cost")
    if named := [item["product"] for item in stocked if costless.code in codes_of(item["data_quality"]["findings"])]:
        print_notes([f"{list_names(named)}: {say(costless)}."])
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
    head = ("rule", *(cell.label.lower() for cell in rows[0][1]))
    texts = []
    for rule, cells in rows:
        texts.append((rule, *(" ".join([cell.value, *(f"({note})" for note in cell.notes)]) for cell in cells)))
    return [
        f"{product['product']}: per {formatter.period} over {days}, each price approached inside the guardrails",
        *table([head, *texts]),
        *(f"  {line}" for line in grounds.judge_proposal(product, formatter)),
    ]
