"""Run of a policy command: training, scoring, and the weights to advise with."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from jsonargparse import set_parsing_settings
from lightning.pytorch import Trainer

from pricerl.cli.imports import allowed_packages, import_allowed, without_allow
from pricerl.cli.lightning import PricingCLI
from pricerl.cli.options import help_topics
from pricerl.cores import Watch
from pricerl.errors import InterruptedRunError
from pricerl.operations.backtests import start_backtests
from pricerl.operations.decision_log import LOG_FILE, Entry, read_log
from pricerl.operations.track_record import find_own_prices
from pricerl.terminal import write_lines
from pricerl.training.callbacks.checkpoint import own_saver
from pricerl.training.checkpointing import BEST, LAST, Checkpoint
from pricerl.training.loggers import METRICS_FILE
from pricerl.training.run import Run


def run_command(words: list[str], watch: Watch, entries: Sequence[Entry] | None = None) -> Run:
    """Run ``fit``, ``validate``, ``test`` or ``predict``, and return the run with the weights to advise with.

    Args:
        words: the command and its options.
        watch: observation of the cores since the command started.
        entries: entries of the run's log that decide which prices are pricerl's own; all of them if absent.

    Raises:
        UsageError: an option is wrong.
        CheckpointError: the checkpoint cannot be used.
        InterruptedRunError: Ctrl-C while training.
    """
    helps = bool(help_topics(words)) or any(".help" in word for word in words)
    set_parsing_settings(docstring_parse_attribute_docstrings=helps)  # the help texts, which take a second to read
    packages = allowed_packages(words)
    import_allowed(packages)
    cli = PricingCLI(without_allow(words), packages)
    known = read_log(cli.built.folder / LOG_FILE).entries if entries is None else entries
    if cli.built.advises and known:
        cli.built.pricing.mark_own_prices(partial(find_own_prices, known))
    if words[0] == "fit":
        return _fit(cli, watch)
    run = cli.built
    assert run.checkpoint is not None
    run.checkpoint.restore_data(run.data)
    return run if words[0] == "predict" else _score(cli, run)


def _fit(cli: PricingCLI, watch: Watch) -> Run:
    """Train, then load the best weights."""
    run = cli.built
    if run.advises:
        run.pricing.guardrails.check_products(run.pricing.preprocessor.names)
    trainer = cli.build_trainer()
    if run.advises and trainer.world_size == 1 and not run.options.trainer.fast_dev_run:
        run = replace(run, backtests=start_backtests(run, watch))
    if run.advises and run.checkpoint is None:
        _ = run.pricing.market  # before the progress bar appears
    if trainer.is_global_zero and run.options.trainer.enable_progress_bar is not False:
        write_lines([cli.compute], problems=True)
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(run.module, datamodule=run.data, ckpt_path=None if run.checkpoint is None else run.checkpoint.path)
    except SystemExit as stopped:  # Lightning handles Ctrl-C this way, and then ignores a second one
        if not isinstance(stopped.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        done = trainer.global_step
        saved = f" after {done} updates; {run.folder / LAST} is saved, resume with fit --ckpt_path last"
        raise InterruptedRunError(f"interrupted{saved if done else ''}") from stopped
    run = replace(run, checkpoint=None, is_global_zero=trainer.is_global_zero)
    if not run.advises and run.is_global_zero and not run.options.trainer.fast_dev_run:
        write_lines(_summarize(trainer, run))
    saver = own_saver(trainer)
    path = None if saver is None else Path(saver.best_model_path or saver.last)
    if not run.advises or not run.is_global_zero or path is None or not path.is_file():
        return run
    checkpoint = Checkpoint.read(path)
    checkpoint.restore_weights(run.module)
    return replace(run, checkpoint=checkpoint)


def _score(cli: PricingCLI, run: Run) -> Run:
    """Run the evaluation episodes."""
    trainer = cli.build_trainer()
    evaluate = trainer.validate if run.command == "validate" else trainer.test
    scores = evaluate(run.module, datamodule=run.data, verbose=False)[0]
    return replace(run, scores=scores, is_global_zero=trainer.is_global_zero)


def _summarize(trainer: Trainer, run: Run) -> list[str]:
    """Return summary lines of training in a Gymnasium environment."""
    settings, metrics, saver = run.options.data, trainer.callback_metrics, own_saver(trainer)
    lines = [str(settings.env_id)]
    if "eval/episode_return" in metrics:
        lines.append(
            f"  evaluation   {float(metrics['eval/episode_return']):.2f}, mean return of "
            f"{settings.eval_episodes} deterministic episodes after {trainer.global_step:,} updates"
        )
    if saver is not None and saver.best_model_score is not None:
        lines.append(f"  best so far  {float(saver.best_model_score):.2f}")
    files = [run.folder / name for name in (LAST, BEST, METRICS_FILE) if (run.folder / name).exists()]
    return [*lines, f"files: {', '.join(map(str, files))}"]
