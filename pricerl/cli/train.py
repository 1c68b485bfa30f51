"""The second step of a policy command: training or scoring, which leaves the run with the weights to advise with."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.profilers import AdvancedProfiler, Profiler, SimpleProfiler

from pricerl.cli.parse import PricingCLI
from pricerl.data.stock import find_notes
from pricerl.errors import InterruptedRunError, NonFiniteError, UsageError, refuse, signals_handled
from pricerl.evaluation.pricing_data import PricingData
from pricerl.operations.log.decision_log import LOG_FILE, read_log
from pricerl.operations.log.provenance import describe_run, differing, fingerprint, other_versions
from pricerl.operations.outbox import advising_generation
from pricerl.operations.shop import Shop
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.folder import BEST, CONFIG, LAST, METRICS_FILE, Generation, RunFolder
from pricerl.runs.run import Run
from pricerl.tasks.advise import remove_old_generations
from pricerl.tasks.configs import Nested, Placed
from pricerl.tasks.imports import import_allowed
from pricerl.tasks.load import prepare_data
from pricerl.terminal import print_notes, write_lines
from pricerl.training.callbacks.checkpoint import DurableCheckpointIO, RunCheckpoint, own_saver
from pricerl.training.callbacks.metrics import MetricsLogger, RunMetrics
from pricerl.training.callbacks.progress_bar import TrainingBar
from pricerl.training.callbacks.tracking import RunTracking
from pricerl.training.devices import choose_strategy
from pricerl.training.run import has_nothing_left, is_first_process, open_generation
from pricerl.writing import write_file

HISTORY = "history"
"""Name of the data in ``--accept_changes``; all other names are settings."""

FREE = ("model.init", "model.algorithm.", "data.eval_every", "data.currency", "data.reading.query", "data.stock")
"""Beginnings of settings that a resumed run may change without a word: they do not change what is learned from, or the
history shows it."""

PROFILERS: dict[str, type[Profiler]] = {"simple": SimpleProfiler, "advanced": AdvancedProfiler}
"""Profilers by name; each writes its table to the run's folder, as Lightning's log lines are not shown."""


@contextmanager
def run_command(
    command: str, given: Sequence[str] | Nested, packages: Sequence[str], kept: Sequence[Placed] = ()
) -> Iterator[Run]:
    """Run ``fit``, ``validate`` or ``test``, and yield the run with the weights to advise with.

    `PricingCLI` documents the arguments. A training locks the run until its advice is published.
    """
    for logger in ("lightning.pytorch", "lightning.fabric"):  # lightning sets its levels when it is imported
        logging.getLogger(logger).setLevel(logging.ERROR)
    import_allowed(packages)
    cli = PricingCLI(command, given, packages, kept)
    run = cli.built
    if isinstance(run.data, PricingData):
        prepare_data(run, Shop.open(RunFolder(run.folder), run.options.today))
    with _fitted(cli) if command == "fit" else nullcontext(_score(cli)) as done:
        yield done


def _score(cli: PricingCLI) -> Run:
    """Evaluate the weights of a checkpoint on its data."""
    run = cli.built
    assert run.checkpoint is not None
    run.data.load_state_dict(run.checkpoint.data_state(type(run.data)))
    if run.advises:
        print_notes(find_notes(run.pricing.stocks, run.pricing.preprocessor.products))
    run = replace(run, generation=run.checkpoint.generation)
    trainer = build_trainer(cli, run)
    evaluate = trainer.validate if run.command == "validate" else trainer.test
    scores = evaluate(run.module, datamodule=run.data, verbose=False)[0]
    return replace(run, scores=scores, is_global_zero=trainer.is_global_zero)


@contextmanager
def _fitted(cli: PricingCLI) -> Iterator[Run]:
    """Train in a new generation or the resumed one, then load the best weights."""
    run = cli.built
    refuse({f"--keep must be 1 or more, found {run.options.keep}": run.options.keep < 1})
    folder = RunFolder(run.folder)
    writes = not run.options.trainer.fast_dev_run
    written: list[Generation] = []
    with folder.locked() if writes and is_first_process() else nullcontext(), caught_sigterm(written):
        _check_data(run)
        resumed = run.checkpoint
        ended = resumed is not None and has_nothing_left(resumed, run.options.trainer.max_steps)
        if resumed is not None and ended and is_delivered(resumed.generation, run.advises):
            yield replace(run, nothing_left=True)
            return
        try:
            if writes:
                generation, resumed = open_generation(folder, resumed, ended)
                run = replace(run, generation=generation, checkpoint=resumed)
                written.append(generation)
            run = _train(cli, run, ended)
        except BaseException as error:
            if written and is_first_process() and not isinstance(error, NonFiniteError):
                written[0].discard()
            raise
        yield run


def _check_data(run: Run) -> None:
    """Refuse data that cannot be trained on, or that differ from the resumed run's."""
    if run.advises:
        run.pricing.check_products(run.pricing.preprocessor.names, run.pricing.preprocessor)
        print_notes(find_notes(run.pricing.stocks, run.pricing.preprocessor.products))
    if run.checkpoint is not None:
        run.data.changed = refuse_changes(run, run.checkpoint, run.options.accept_changes)
        if is_first_process() and (other := other_versions(run.checkpoint)):
            print_notes([f"resumed with {', '.join(other)}: the result may differ in rounding or more"])
    alone = run.checkpoint is None and run.options.resume is None and run.options.accept_changes is not None
    refuse({"--accept_changes goes with --ckpt_path or --resume, to go on with a run": alone})


def refuse_changes(run: Run, checkpoint: Checkpoint, accepted: str | None) -> tuple[str, ...]:
    """Return the names of ``accepted`` differences from the resumed run; a ``UsageError`` names all others."""
    parts = {name: run.settings[name] for name in ("seed_everything", "data", "model") if name in run.settings}
    other = run.advises and checkpoint.about.get(HISTORY) not in (None, fingerprint(run))
    changed = [*([HISTORY] if other else []), *_names(differing(parts, checkpoint.about.get("settings") or {}))]
    names = [name.strip() for name in (accepted or "").split(",") if name.strip()]
    covers = {name: [item for item in changed if f"{item}.".startswith(f"{name}.")] for name in names}
    same = f"it is the same as in {checkpoint.path}; leave it out"
    refuse({f"--accept_changes {name}: {same}": not covers[name] for name in names})
    refused = ",".join(item for item in changed if not any(item in covered for covered in covers.values()))
    anew = f"{refused} differs from the run of {checkpoint.path}; begin anew without --ckpt_path and --resume"
    refuse({f"{anew}, or go on all the same with --accept_changes {refused}": refused})
    return tuple(changed)


def _names(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the names on the command line of nested settings that a resumed run may not change without a word."""
    for key, value in settings.items():
        name = prefix if key == "init_args" else f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping) and value:
            yield from _names(value, name)
        elif not name.startswith(FREE):
            yield name


def is_delivered(generation: Generation | None, advises: bool) -> bool:
    """Return whether nothing is left to publish of a run that has ended: neither its generation nor its advice.

    A seller's advice is recorded last of all. A generation that a rollback has replaced was once the current one.
    """
    if generation is None:
        return True
    folder = RunFolder(generation.path.parent)
    return (not advises and generation in folder.ended) or any(
        generation.name in (advising_generation(item), item.get("generation"), item.get("instead_of"))
        for item in read_log(folder.path / LOG_FILE).entries
    )


def wants_details(run: Run) -> bool:
    """Return whether the numbers of the training are shown: to engineers, and to sellers who ask for them."""
    return bool(run.options.verbose) or not run.advises


def _train(cli: PricingCLI, run: Run, ended: bool) -> Run:
    """Train unless training has ended before, and return the run with the best weights."""
    if run.generation is not None and not ended and is_first_process():
        write_file(run.generation.path / CONFIG, cli.dump_yaml().encode())
    trainer = build_trainer(cli, run)

    if run.advises and run.checkpoint is None:
        run.data.trainer = trainer  # whose device it uses
        run.pricing.plan(run.module.step_discount)  # before the progress bar appears
    if trainer.is_global_zero and wants_details(run) and run.options.trainer.enable_progress_bar is not False:
        write_lines([cli.compute], problems=True)
    if not ended:
        resumed = None if run.checkpoint is None else run.checkpoint.path
        try:
            trainer.fit(run.module, datamodule=run.data, ckpt_path=resumed)
        except SystemExit as stopped:  # Lightning handles Ctrl-C this way where no checkpoints are saved
            if not isinstance(stopped.__context__, KeyboardInterrupt):
                raise
            saver = own_saver(trainer)
            stands = "checkpoints are turned off, so nothing is saved" if saver is None else saver.stands()
            raise InterruptedRunError(f"interrupted; {stands}") from stopped
    run = replace(run, checkpoint=None, is_global_zero=trainer.is_global_zero)
    if not run.is_global_zero or run.generation is None:
        return run
    if not run.advises:
        RunFolder(run.folder).use(run.generation)
        remove_old_generations(run)
        write_lines(_summarize(trainer, run))
    elif run.generation.is_saved:
        best = Checkpoint.read(run.generation.model)
        best.restore_weights(run.module)
        run = replace(run, checkpoint=best)
    return run


def build_trainer(cli: PricingCLI, run: Run) -> Trainer:
    """Return the Trainer with loggers and callbacks for the run's generation."""
    wanted = cli.config.trainer
    fitted = run.generation if run.command == "fit" else None
    monitor = f"eval/{run.data.monitor}"
    own_logger = wanted.logger in (None, True)
    tracks = fitted is not None and own_logger and cli.config.wandb
    saves = fitted is not None and wanted.enable_checkpointing is not False
    about = (run.configs["tracking"], run.home, run.checkpoint, run.settings, monitor)
    tracking = [RunTracking(*about)] if tracks else []
    cli.trainer_defaults["callbacks"] = [
        RunMetrics(),
        *tracking,
        *([TrainingBar(wants_details(run))] if wanted.enable_progress_bar is not False else []),
        *([RunCheckpoint(monitor, fitted, describe_run(run))] if saves else []),
    ]
    built = cli.config_init.trainer
    plugins = built.plugins if isinstance(built.plugins, list) else [built.plugins]
    profiles = isinstance(wanted.profiler, str) and wanted.profiler in PROFILERS and not wanted.fast_dev_run
    changed: dict[str, Any] = {
        "strategy": choose_strategy(built.strategy, wanted.devices, wanted.num_nodes),
        **({"profiler": PROFILERS[wanted.profiler](dirpath=run.home, filename="profile")} if profiles else {}),
        # Lightning refuses a second writer of checkpoints
        **({"plugins": [*plugins, DurableCheckpointIO()]} if run.command == "fit" and built.plugins else {}),
        **({"logger": False} if own_logger else {}),
    }
    try:
        trainer = cli.instantiate_trainer(**changed)
    except (MisconfigurationException, ValueError, TypeError, ModuleNotFoundError) as error:
        absent = wanted.accelerator not in ("auto", "cpu")
        hint = "; --trainer.accelerator auto uses the devices of this machine" if absent else ""
        raise UsageError(f"trainer: {' '.join(str(error).split())}{hint}") from error
    if fitted is not None and own_logger:
        trainer.loggers = [MetricsLogger(fitted.path, run.checkpoint), *(item.logger for item in tracking)]
    return trainer


def caught_sigterm(written: Sequence[Generation]) -> AbstractContextManager[None]:
    """End the command with exit code 143 on SIGTERM, and say whether a generation that it writes is saved."""

    def end(number: int, frame: Any) -> None:
        saved = any(generation.is_saved for generation in written)
        stands = "go on with fit --ckpt_path last" if saved else "nothing was saved"
        raise InterruptedRunError(f"{signal.Signals(number).name}; {stands}", number)

    return signals_handled({signal.SIGTERM: end})


def _summarize(trainer: Trainer, run: Run) -> list[str]:
    """Return summary lines of training that leads to no advice."""
    saver = own_saver(trainer)
    score = trainer.callback_metrics.get("eval/episode_return")
    of = f"of {getattr(run.data, 'eval_episodes', 'the')} deterministic episodes after {trainer.global_step:,} updates"
    files = [run.folder / name for name in (LAST, BEST, METRICS_FILE) if (run.folder / name).exists()]
    return [
        str(getattr(run.data, "env_id", run.folder.name)),
        *([f"  evaluation   {float(score):.2f}, mean return {of}"] if score is not None else []),
        *([f"  best so far  {saver.best_score:.2f}"] if saver is not None and saver.best_score is not None else []),
        f"files: {', '.join(map(str, files))}",
    ]
