"""The commands that run a policy: ``fit``, ``validate``, ``test`` and ``predict``."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pricerl.errors import EXIT_NOT_ENOUGH_EVIDENCE, EXIT_OK, UsageError
from pricerl.operations.decision_log import LOG_FILE, Entry, append, read_log

if TYPE_CHECKING:
    from pricerl.advice import ProductAdvice
    from pricerl.advice.files import AdviceFiles
    from pricerl.formatting import Formatter
    from pricerl.operations.provenance import Origin
    from pricerl.training.run import Request, Run

SHORT = {"--pdf": "--report.pdf=true", "--help=all": "--help"}
"""Options of ours, in the words of the parser."""


def fit(words: Sequence[str]) -> int:
    """Train, then advise with the best policy."""
    run = run_lightning("fit", words)
    if not run.is_global_zero or run.options.trainer.fast_dev_run:
        return EXIT_OK
    if not run.advises:
        print("\n".join(run.summary))
        return EXIT_OK
    return _advise(run)


def predict(words: Sequence[str]) -> int:
    """Advise on a fresh file with a trained policy."""
    return _advise(run_lightning("predict", words))


def validate(words: Sequence[str]) -> int:
    """Print the scores of the held-out episodes, and each product's policy next to the rules."""
    return _score("validate", words)


def test(words: Sequence[str]) -> int:
    """Print the same scores as ``validate``."""
    return _score("test", words)


def run_lightning(name: str, words: Sequence[str]) -> Run:
    """Run a Lightning command without Lightning's log lines.

    Args:
        name: ``fit``, ``validate``, ``test`` or ``predict``.
        words: its options.

    Raises:
        UsageError: an option is wrong.
    """
    warnings.filterwarnings("ignore", module="lightning")
    from pricerl.advice import DecisionConfig, ReportConfig
    from pricerl.cli.lightning import run_command

    for logger in ("lightning.pytorch", "lightning.fabric"):  # lightning sets its levels when it is imported
        logging.getLogger(logger).setLevel(logging.ERROR)
    return run_command(
        [name, *(SHORT.get(word, word) for word in words)],
        {"decision": DecisionConfig, "report": ReportConfig},
        _refuse_early,
    )


def make_advice(run: Run, entries: Sequence[Entry], most: int | None = None) -> list[ProductAdvice]:
    """Advise on the products of a run, supervised by kill switch, orders and track record.

    Args:
        run: data, settings and weights.
        entries: of the run's log, before this advice.
        most: products at most; all if absent.
    """
    from pricerl.advice import advise
    from pricerl.evaluation.backtest import run_backtests
    from pricerl.operations.supervision import Supervisor

    data, decision = run.pricing, run.configs["decision"]
    dynamics = data.build_dynamics("cpu")
    backtests = run_backtests(data.preprocessor, data.market_config, data.cost, data.seed)
    horizon, formatter = run.options.horizon, formatter_of(run)
    policy = run.policy
    model = advise(policy, dynamics, decision, horizon, backtests, data.seed, most, formatter)
    settings = (data.market_config, data.cost, data.seed)
    return Supervisor(dynamics, entries, decision, settings, formatter).look_over(model)


class Delivery(NamedTuple):
    """An advice with its files and a line on its entry in the log."""

    advice: list[ProductAdvice]
    files: AdviceFiles
    recorded: str


def deliver(run: Run) -> Delivery:
    """Advise, record the advice in the run's log and write its files.

    Args:
        run: data, settings and weights.
    """
    entries = read_log(_log_path(run)).entries
    advice, origin = make_advice(run, entries), origin_of(run)
    recorded = _record(run, advice, origin, len(entries)) if run.is_global_zero else ""
    return Delivery(advice, _write_files(run, advice, origin), recorded)


def formatter_of(request: Request) -> Formatter:
    """Return the formatter of the command's locale, currency and price grid.

    Raises:
        UsageError: the locale or the currency is unknown.
    """
    from pricerl.formatting import Formatter, price_digits

    data = request.options.data
    return Formatter(request.options.locale, data.currency, price_digits(data.guardrails.price_step, data.currency))


def origin_of(run: Run) -> Origin:
    """Return the origin of a command's decisions: data, settings, weights and code, with their hashes."""
    from pricerl.operations.provenance import Origin, collect_hashes, differing

    options, data, checkpoint = run.options, run.pricing, run.checkpoint
    stored = {} if checkpoint is None else checkpoint.settings
    config = {**run.settings, "horizon": options.horizon}
    return Origin(
        command=run.command,
        path=data.path,
        checkpoint=None if checkpoint is None else checkpoint.path.name,
        seed=data.seed,
        horizon=options.horizon,
        threads=options.threads,
        matmul_precision=options.matmul_precision,
        settings=differing(run.settings, stored),
        hashes=collect_hashes(data.preprocessor.products, data.path, config, run.module.state_dict()),
    )


def _score(name: str, words: Sequence[str]) -> int:
    run = run_lightning(name, words)
    for score, value in sorted(run.scores.items()):
        print(f"{score:<22} {value:>12.4f}")
    if run.advises and run.is_global_zero:
        from pricerl.cli.console import MOST_SCORED, print_scores

        everything = run.options.out is not None
        advice = make_advice(run, read_log(_log_path(run)).entries, None if everything else MOST_SCORED)
        products = [item.to_dict() for item in advice]
        print_scores(products, run.pricing.market.num_products, formatter_of(run))
        if everything:
            _write_files(run, advice, origin_of(run))
    return EXIT_OK


def _advise(run: Run) -> int:
    """Record, write and print the advice of a trained policy for the history it was given."""
    from pricerl.cli.console import print_summary

    advice, files, recorded = deliver(run)
    print_summary([item.to_dict() for item in advice], files, formatter_of(run))
    print(recorded)
    return EXIT_NOT_ENOUGH_EVIDENCE if all(item.decision.lacks_evidence for item in advice) else EXIT_OK


def _refuse_early(request: Request) -> None:
    """Refuse options of the advice before a training that would end in vain."""
    from pricerl.advice import check_folder, check_horizon
    from pricerl.advice.report.interactive import plotly_script
    from pricerl.advice.report.pdf import find_browser

    options = request.options
    if not request.advises and request.command == "predict":
        raise UsageError("predict advises on a seller's file; score a policy of a Gymnasium environment with test")
    check_horizon(options.horizon)
    if options.out:
        check_folder(Path(options.out), "--out ")
    if request.command in ("fit", "predict"):
        check_folder(request.folder, "the run's folder ")
    if request.advises:
        formatter_of(request)
        read_log(_log_path(request))
        if options.report.interactive:
            plotly_script()
        if options.report.pdf:
            find_browser()


def _record(run: Run, advice: Sequence[ProductAdvice], origin: Origin, seen: int) -> str:
    """Append one entry per product to the run's log, and name them; ``seen`` counts the entries the advice knew."""
    from pricerl.operations.provenance import draft_advice

    log, dynamics = _log_path(run), run.pricing.build_dynamics("cpu")
    drafts = [{**draft_advice(item, origin, dynamics, index), "seen": seen} for index, item in enumerate(advice)]
    written = append(log, drafts)[-len(drafts) :]
    first, last = written[0]["id"], written[-1]["id"]
    which = f"entry {first}" if first == last else f"entries {first} to {last}"
    return f"recorded: {which} of {log}"


def _write_files(run: Run, advice: list[ProductAdvice], origin: Origin) -> AdviceFiles:
    """Write table, document and report into the folder that the options name."""
    from pricerl.advice.files import About, publish

    data, folder = run.pricing, Path(run.options.out or run.folder)
    names = origin.short_hash("model"), origin.short_hash("config")
    about = About(data.preprocessor.source, data.reward.preset, *names)
    return publish(advice, folder, about, formatter_of(run), run.configs["report"])


def _log_path(request: Request) -> Path:
    return request.folder / LOG_FILE
