"""Answers of ``predict`` and ``what-if`` from the newest advice where nothing is new, without a market or a network."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from pricerl.advice.files import AdviceFiles
from pricerl.advice.what_if import answer_lines, read_off
from pricerl.cli.answer import print_answer
from pricerl.cli.usage import PRODUCT, Options, file_parser, function_of, takes_file
from pricerl.data.naming import choose_product, list_sources
from pricerl.formatting import plural
from pricerl.operations.exports import read_publication, read_record, read_work_list
from pricerl.operations.shop import Shop
from pricerl.runs.folder import BEST
from pricerl.runs.names import RUNS, USUAL_PRESET, find_run, name_run
from pricerl.shop.database import reading
from pricerl.tasks.standing import Standing, find_standing, renew_standing
from pricerl.terminal import print_notes, write_lines

ASKED: Options = {
    "--price": {"required": True, "type": float, "help": "price to charge over the forecast horizon"},
    "--unit_cost": {"type": float, "help": "cost of a unit to assume, instead of the advice's"},
}
"""Options of ``what-if``."""


def predict(words: Sequence[str]) -> int | None:
    """Advise with a trained policy; settings on the command line override its checkpoint's."""
    bar = {"--trainer.enable_progress_bar": {"help": "changes no advice"}}
    options, others = file_parser("predict", predict.__doc__, bar).parse_known_args(words)
    if others or (found := _find(options)) is None:
        return function_of("pricerl.cli.advise:advise_with_policy")(words)  # imports torch
    standing, shop = found
    publication, after = renew_standing(shop)
    work = read_work_list(after.log_path)
    print_notes([f"nothing is new for {plural(len(work), 'product')}: the last advice stands"])
    print_answer(work, after, AdviceFiles.of(shop.folder.path), publication.formatter, publication.problems)
    return standing.code


@takes_file("what-if", ASKED, PRODUCT)
def what_if(options: Namespace, rest: list[str]) -> None:
    """Compare a PRICE with keeping the current one; all options of predict apply as well."""
    found = None if rest or options.unit_cost is not None else _find(options)
    if found is None or not _read_off(found[1], options.product, options.price):
        function_of("pricerl.cli.advise:ask_market")(options, rest)


def _find(options: Namespace) -> tuple[Standing, Shop] | None:
    """Return the newest advice of the run that options name if it stands."""
    own = RUNS / name_run(options.path, USUAL_PRESET) if options.path else None
    if options.ckpt_path is not None or not any(RUNS.glob(f"*/{BEST}")):
        return None
    folder = find_run(options.run_name or (own.name if own and (own / BEST).exists() else None), BEST)
    return find_standing(folder, list_sources(options.path), options.today)


def _read_off(shop: Shop, product: str | None, price: float) -> bool:
    """Print the answer that the curves of an advice have, if they do."""
    with reading(shop.log_path) as database:
        record = read_record(database, choose_product([*shop.newest], product, "the file"))
        publication = read_publication(database)
    answer = read_off(record, price)
    if answer is None or publication is None:
        return False
    write_lines(answer_lines(answer, publication.formatter))
    return True
