"""The commands that run a policy: ``fit``, ``validate``, ``test`` and ``predict``."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pricerl.errors import EXIT_NOT_ENOUGH_EVIDENCE, EXIT_OK, UsageError
from pricerl.operations.decision_log import LOG_FILE, Entry, append, read_log

if TYPE_CHECKING:
    from pricerl.advice import ProductAdvice
    from pricerl.advice.files import AdviceFiles
    from pricerl.cli.lightning import PricingCLI
    from pricerl.formatting import Formatter
    from pricerl.operations.provenance import Origin

SHORT = {"--pdf": "--report.pdf=true", "--help=all": "--help"}
"""Options of ours, in the words of the parser."""


def fit(words: Sequence[str]) -> int:
    """Train, then advise with the best policy."""
    command = run_lightning("fit", words)
    if not command.trainer.is_global_zero or command.options.trainer.fast_dev_run:
        return EXIT_OK
    if not command.advises:
        print("\n".join(command.training_summary()))
        return EXIT_OK
    command.load_best()
    return _advise(command)


def predict(words: Sequence[str]) -> int:
    """Advise on a fresh file with a trained policy."""
    return _advise(run_lightning("predict", words))


def validate(words: Sequence[str]) -> int:
    """Print the scores of the held-out episodes, and each product's policy next to the rules."""
    return _score("validate", words)


def test(words: Sequence[str]) -> int:
    """Print the same scores as ``validate``."""
    return _score("test", words)


def run_lightning(name: str, words: Sequence[str]) -> PricingCLI:
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


def make_advice(command: PricingCLI, entries: Sequence[Entry], most: int | None = None) -> list[ProductAdvice]:
    """Advise on the products of a command, supervised by kill switch, orders and track record.

    Args:
        command: has run, with data, settings and weights.
        entries: of the run's log, before this advice.
        most: products at most; all if absent.
    """
    from pricerl.advice import advise
    from pricerl.evaluation.backtest import backtest
    from pricerl.operations.supervision import Supervisor

    data, decision = command.datamodule, command.settings("decision")
    dynamics = data.build_dynamics("cpu")
    backtests = backtest(data.preprocessor, data.market_config, data.cost, data.seed)
    horizon, formatter = command.options.horizon, formatter_of(command)
    policy = command.model.cpu().policy
    model = advise(policy, dynamics, decision, horizon, backtests, data.seed, most, formatter)
    settings = (data.market_config, data.cost, data.seed)
    return Supervisor(dynamics, entries, decision, settings, formatter).look_over(model)


def formatter_of(command: PricingCLI) -> Formatter:
    """Return the formatter of the command's locale, currency and price grid.

    Raises:
        UsageError: the locale or the currency is unknown.
    """
    from pricerl.formatting import Formatter, price_digits

    data = command.options.data
    return Formatter(command.options.locale, data.currency, price_digits(data.guardrails.price_step, data.currency))


def origin_of(command: PricingCLI) -> Origin:
    """Return the origin of a command's decisions: data, settings, weights and code, with their hashes."""
    from pricerl.operations.provenance import Origin, collect_hashes, differing
    from pricerl.training.checkpointing import LASTING_SETTINGS, read_checkpoint, stored_config

    options, data, subcommand = command.options, command.datamodule, command.config.subcommand
    everything = yaml.safe_load(command.parser.dump(command.config, skip_none=False))[subcommand]
    settings: dict[str, Any] = {name: everything[name] for name in LASTING_SETTINGS}
    settings["data"] = {name: value for name, value in settings["data"].items() if name != "path"}
    checkpoint = _checkpoint_of(command)
    stored = {} if checkpoint is None else stored_config(read_checkpoint(checkpoint))
    config = {**settings, "horizon": options.horizon}
    return Origin(
        command=subcommand,
        path=data.path,
        checkpoint=None if checkpoint is None else checkpoint.name,
        seed=data.seed,
        horizon=options.horizon,
        threads=options.threads,
        matmul_precision=options.matmul_precision,
        settings=differing(settings, stored),
        hashes=collect_hashes(data.preprocessor.products, data.path, config, command.model.state_dict()),
    )


def _score(name: str, words: Sequence[str]) -> int:
    command = run_lightning(name, words)
    for score, value in sorted(command.scores.items()):
        print(f"{score:<22} {value:>12.4f}")
    if command.advises and command.trainer.is_global_zero:
        from pricerl.cli.console import MOST_SCORED, print_scores

        everything = command.options.out is not None
        advice = make_advice(command, read_log(_log_path(command)).entries, None if everything else MOST_SCORED)
        products = [item.to_dict() for item in advice]
        print_scores(products, command.datamodule.market.num_products, formatter_of(command))
        if everything:
            _write_files(command, advice, origin_of(command))
    return EXIT_OK


def _advise(command: PricingCLI) -> int:
    """Record, write and print the advice of a trained policy for the history it was given."""
    from pricerl.cli.console import print_summary

    entries = read_log(_log_path(command)).entries
    advice, origin = make_advice(command, entries), origin_of(command)
    recorded = _record(command, advice, origin, len(entries)) if command.trainer.is_global_zero else ""
    files = _write_files(command, advice, origin)
    print_summary([item.to_dict() for item in advice], files, formatter_of(command))
    print(recorded)
    return EXIT_NOT_ENOUGH_EVIDENCE if all(item.decision.lacks_evidence for item in advice) else EXIT_OK


def _refuse_early(command: PricingCLI) -> None:
    """Refuse options of the advice before a training that would end in vain."""
    from pricerl.advice import check_folder, check_horizon
    from pricerl.advice.report.interactive import plotly_script
    from pricerl.advice.report.pdf import find_browser

    options = command.options
    if not command.advises and command.config.subcommand == "predict":
        raise UsageError("predict advises on a seller's file; score a policy of a Gymnasium environment with test")
    check_horizon(options.horizon)
    if options.out:
        check_folder(Path(options.out), "--out ")
    if command.config.subcommand in ("fit", "predict"):
        check_folder(command.run_dir, "the run's folder ")
    if command.advises:
        formatter_of(command)
        read_log(_log_path(command))
        if options.report.interactive:
            plotly_script()
        if options.report.pdf:
            find_browser()


def _record(command: PricingCLI, advice: Sequence[ProductAdvice], origin: Origin, seen: int) -> str:
    """Append one entry per product to the run's log, and name them; ``seen`` counts the entries the advice knew."""
    from pricerl.operations.provenance import draft_advice

    log, dynamics = _log_path(command), command.datamodule.build_dynamics("cpu")
    drafts = [{**draft_advice(item, origin, dynamics, index), "seen": seen} for index, item in enumerate(advice)]
    written = append(log, drafts)[-len(drafts) :]
    first, last = written[0]["id"], written[-1]["id"]
    which = f"entry {first}" if first == last else f"entries {first} to {last}"
    return f"recorded: {which} of {log}"


def _write_files(command: PricingCLI, advice: list[ProductAdvice], origin: Origin) -> AdviceFiles:
    """Write table, document and report into the folder that the options name."""
    from pricerl.advice.files import About, publish

    data, folder = command.datamodule, Path(command.options.out or command.run_dir)
    names = origin.short_hash("model"), origin.short_hash("config")
    about = About(data.preprocessor.source, data.reward.preset, *names)
    return publish(advice, folder, about, formatter_of(command), command.settings("report"))


def _log_path(command: PricingCLI) -> Path:
    return command.run_dir / LOG_FILE


def _checkpoint_of(command: PricingCLI) -> Path | None:
    """Return the file of the weights that the command advises with; None where none was written."""
    if command.config.subcommand != "fit":
        return Path(command.options.ckpt_path)
    from pricerl.training.checkpointing import LAST

    saver: Any = command.trainer.checkpoint_callback
    path = Path(getattr(saver, "best_model_path", "") or command.run_dir / LAST)
    return path if saver is not None and path.is_file() else None
