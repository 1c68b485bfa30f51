"""Command ``retrain``: a challenger on a fresh file, which replaces the model in use if it is not worse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pricerl.cli.policies import print_advice, run_lightning
from pricerl.cli.usage import Parser, option_words, with_first
from pricerl.errors import EXIT_OK, UsageError
from pricerl.operations.decision_log import stamp
from pricerl.operations.orders import RETRAIN
from pricerl.operations.promotion import GATE_FILE, Comparison, GateConfig, Verdict
from pricerl.operations.shop import Shop
from pricerl.runs import BEST, find_run
from pricerl.terminal import write_lines
from pricerl.writing import write_text

if TYPE_CHECKING:
    from pricerl.runs import Checkpoint
    from pricerl.training.run import Run


def retrain(words: Sequence[str]) -> int:
    """Train a challenger of a RUN on a fresh file and use it if it is not worse; all options of fit apply."""
    options, rest = _parser().parse_known_args(with_first(words, "--run_name"))
    config = GateConfig(options.holdout_days, options.confidence, options.profit_tolerance)
    folder = find_run(options.run_name, BEST)
    shop = Shop.open(folder, options.today)
    from pricerl.operations.challenge import check_days, judge
    from pricerl.runs import Checkpoint, without_query

    if folder.current is None:
        raise UsageError(f"{folder.path} has no complete generation yet; start with fit")
    champion = Checkpoint.read(folder.current.path / BEST)
    if options.path is None:
        shop.refuse_missing()
    path = options.path or json.dumps(shop.sources)
    given = option_words({"run_name": folder.path.name, "data.path": path, "today": options.today})
    check_days(run_lightning("predict", [*rest, *given]), champion, config)
    kept = option_words({"config": json.dumps(without_query(shop.settings))})
    run = run_lightning("fit", [*_settings_of(champion), *kept, *rest, *given])
    with run.held:
        verdict = judge(run, champion, shop.log.entries, config)
        return _conclude(run, shop, folder.current.name, verdict)


def _parser() -> Parser:
    parser, usual = Parser(prog="pricerl retrain", description=retrain.__doc__, allow_abbrev=False), GateConfig()
    parser.add_argument("--run_name", help="run, a folder in checkpoints; the only one if absent")
    parser.add_argument("--data.path", dest="path", help="the fresh file; the files of the newest advice if absent")
    parser.add_argument("--today", help="day to take as today, such as 2026-01-31; the clock's if absent")
    held = "last days of the file that both models must forecast, whole weeks"
    parser.add_argument("--holdout_days", type=int, default=usual.holdout_days, help=held)
    sure = "confidence with which the new model is not worse"
    parser.add_argument("--confidence", type=float, default=usual.confidence, help=sure)
    less = "share of profit that the new policy may earn less in the new market"
    parser.add_argument("--profit_tolerance", type=float, default=usual.profit_tolerance, help=less)
    return parser


def _settings_of(champion: Checkpoint) -> list[str]:
    """Return the champion's settings and length of training as options, which those of the command line follow.

    A challenger of a portable champion is portable too.
    """
    limits = champion.about.get("limits") or {}
    portable = "true" if champion.about.get("contains_history") is False else None
    return [*champion.words, *option_words({"trainer.max_steps": limits.get("max_steps"), "portable": portable})]


def _conclude(run: Run, shop: Shop, champion: str, verdict: Verdict) -> int:
    """Use the challenger and advise with it, or keep it aside; record the verdict."""
    assert run.generation is not None
    code = EXIT_OK
    write_text(run.generation.path / GATE_FILE, verdict.to_json())
    if verdict.promoted:
        code = print_advice(run)
    else:
        run.generation.complete()
    draft = stamp(RETRAIN, "pricerl", verdict.reason()) | {
        "generation": run.generation.name,
        "instead_of": champion,
        "promoted": verdict.promoted,
        "confidence": verdict.confidence,
        "holdout_days": verdict.holdout_days,
        "forecast": _pair(verdict.forecast),
        "profit": _pair(verdict.profit),
    }
    (*_, entry), _ = Shop.open(shop.folder, run.options.today).record([draft])
    used = run.generation.name if verdict.promoted else champion
    done = f"{shop.folder.path} uses {used} (entry {entry['id']})"
    write_lines(["", f"{run.generation.name} is {verdict.reason()}", done])
    return code


def _pair(test: Comparison) -> list[float | None]:
    """Return mean and lower limit of a comparison, None for a limit that is not finite."""
    return [float(f"{test.mean:.7g}"), float(f"{test.low:.7g}") if abs(test.low) < float("inf") else None]
