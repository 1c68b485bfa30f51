"""Commands that run a policy, and their last step: the advice, its record and files, and what is printed of them."""

from __future__ import annotations

import warnings
from argparse import Namespace
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from pricerl.advice.clearance import find_clearance
from pricerl.advice.what_if import answer_lines
from pricerl.cli.answer import print_answer, score_lines
from pricerl.cli.commands.decisions import record, shop_of
from pricerl.cli.loading import given_settings, load_words, long_words, untrained_settings
from pricerl.cli.usage import AUTHOR, PRODUCT, Options, takes_file, with_files
from pricerl.data.naming import choose_product, list_sources
from pricerl.errors import EXIT_ALARM, EXIT_NOT_ENOUGH_EVIDENCE, EXIT_OK, EXIT_WARNING
from pricerl.operations.log.decision_log import read_log
from pricerl.operations.shop import Shop
from pricerl.runs.folder import RunFolder
from pricerl.tasks.advise import deliver, make_advice
from pricerl.tasks.ask import check_question, draft_clearance, load_questions
from pricerl.tasks.configs import Nested, Placed
from pricerl.tasks.load import begin_run, load_run
from pricerl.tasks.standing import keep_standing
from pricerl.terminal import write_lines

if TYPE_CHECKING:
    from pricerl.runs.run import Run


MOST_FAILED = 0.1
"""Share of products without advice above which the exit code means an alarm."""

MOST_SCORED = 10
"""Products whose scores are printed at most."""

CLEARED: Options = {
    "--by": {"required": True, "help": "last day of sale, such as 2026-08-31"},
    "--reason": AUTHOR["--reason"],
    "--author": AUTHOR["--by"],
}
"""Options of ``clear``."""


def fit(words: Sequence[str], kept: Sequence[Placed] = ()) -> int:
    """Train a policy, evaluate it, and advise with its best weights."""
    with run_lightning("fit", *long_words(words), kept) as run:
        if run.nothing_left:
            assert run.checkpoint is not None
            ended = f"{run.checkpoint.path} has ended at update {run.checkpoint.update:,}"
            write_lines([f"nothing left to do: {ended}; a larger --trainer.max_steps goes on"])
            return EXIT_OK
        trains_only = run.options.trainer.fast_dev_run or not run.advises or not run.is_global_zero
        return EXIT_OK if trains_only else print_advice(run)


def train_and_advise(words: Sequence[str]) -> int:
    """Advise on the products of the seller's FILE; every option of fit applies.

    The network that ships gives the first advice, at once. A run that has one, and options of the training, train.
    """
    words = with_files(words)
    given = untrained_settings(words)
    with nullcontext() if given is None else begin_run(given) as run:
        return fit(words) if run is None else print_advice(run)


def advise_with_policy(words: Sequence[str]) -> int:
    """Advise as ``predict`` does where something is new."""
    return print_advice(load_words("predict", words, whole=False))


def validate(words: Sequence[str]) -> None:
    """Print the scores of a trained policy on the held-out days, next to the rules."""
    _score("validate", words)


def test(words: Sequence[str]) -> None:
    """Print the scores of a trained policy on the held-out days, as ``validate`` does."""
    _score("test", words)


def ask_market(options: Namespace, rest: Sequence[str]) -> None:
    """Answer ``what-if`` by the market, from the options of it and of predict."""
    check_question(price := options.price, options.unit_cost)
    questions = load_questions(*given_settings("what-if", rest, options))
    name = choose_product(questions.run.pricing.preprocessor.names, options.product, "the file")
    write_lines(answer_lines(questions.ask(name, price, options.unit_cost), questions.run.formatter))


@takes_file("clear", PRODUCT, CLEARED)
def clear(options: Namespace, rest: list[str]) -> None:
    """Clear the stock of PRODUCT by a day along a path of weekly prices; all options of predict apply as well."""
    said = (options.product, options.by, options.author, options.reason)
    entry = draft_clearance(shop_of(options), *said)
    run = load_run(*given_settings("clear", rest, options))
    found = find_clearance(run.pricing, entry["product"], entry["until"])
    write_lines(found.lines(run.formatter))
    if found.is_needed:
        record(options, lambda shop: [draft_clearance(shop, *said)])


def run_lightning(
    command: str, given: Sequence[str] | Nested, packages: Sequence[str], kept: Sequence[Placed] = ()
) -> AbstractContextManager[Run]:
    """Run a command by `pricerl.cli.train.run_command`."""
    warnings.filterwarnings("ignore", module="lightning")
    from pricerl.cli.train import run_command  # it imports Lightning

    return run_command(command, given, packages, kept)


def _score(command: str, words: Sequence[str]) -> None:
    """Print the scores of a run, and of a seller's products."""
    with run_lightning(command, *long_words(words)) as run:
        write_lines(f"{score:<22} {value:>12.4f}" for score, value in sorted(run.scores.items()))
    if not run.advises or not run.is_global_zero:
        return
    shop = Shop.open(RunFolder(run.folder), run.options.today)
    number = len(run.pricing.preprocessor.products)
    for item in make_advice(run, read_log(shop.log_path).entries, range(min(number, MOST_SCORED))).advice:
        write_lines(["", *score_lines(item.to_dict(), run.formatter)])
    write_lines(["", f"… and {number - MOST_SCORED} more products"] if number > MOST_SCORED else [])


def print_advice(run: Run) -> int:
    """Record, write and print the advice of a trained policy for its history."""
    _, work, files, shop, recorded, until = deliver(run)
    options = run.options
    print_answer(work, shop, files, run.formatter, run.pricing.problems, recorded, options.format, options.verbose)
    code = EXIT_OK
    if failed := len(run.pricing.failed):
        code = EXIT_ALARM if failed > MOST_FAILED * (failed + len(work)) else EXIT_WARNING
    elif work.lacking == len(work):
        code = EXIT_NOT_ENOUGH_EVIDENCE
    if until is not None:
        keep_standing(shop, list_sources(run.pricing.path) or shop.sources, until, code)
    return code
