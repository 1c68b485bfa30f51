"""Command ``predict``: the newest advice again where nothing is new, else a new one."""

from __future__ import annotations

from collections.abc import Sequence

from pricerl.advice.files import AdviceFiles
from pricerl.cli.answer import print_answer
from pricerl.cli.usage import file_parser
from pricerl.data.naming import list_sources
from pricerl.formatting import plural
from pricerl.operations.exports import read_work_list
from pricerl.runs.folder import BEST
from pricerl.runs.names import RUNS, USUAL_PRESET, find_run, name_run
from pricerl.tasks.standing import find_standing, renew_standing
from pricerl.terminal import print_notes


def predict(words: Sequence[str]) -> int:
    """Advise with a trained policy; settings on the command line override its checkpoint's."""
    if (code := _answer_standing(words)) is not None:
        return code
    from pricerl.cli.advise import advise_with_policy  # it imports torch

    return advise_with_policy(words)


def _answer_standing(words: Sequence[str]) -> int | None:
    """Print the newest advice again if nothing is new, and return its exit code."""
    parser = file_parser("predict", predict.__doc__)
    parser.add_argument("--trainer.enable_progress_bar")  # changes no advice
    options, others = parser.parse_known_args(words)
    plain = not others and options.ckpt_path is None
    own = RUNS / name_run(options.path, USUAL_PRESET) if options.path else None
    if not plain or not any(RUNS.glob(f"*/{BEST}")):
        return None
    folder = find_run(options.run_name or (own.name if own and (own / BEST).exists() else None), BEST)
    if (found := find_standing(folder, list_sources(options.path), options.today)) is None:
        return None
    standing, shop = found
    publication, after = renew_standing(shop)
    work = read_work_list(after.log_path)
    print_notes([f"nothing is new for {plural(len(work), 'product')}: the last advice stands"])
    print_answer(work, after, AdviceFiles.of(folder.path), publication.formatter, publication.problems)
    return standing.code
