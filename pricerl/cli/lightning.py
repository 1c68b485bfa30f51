"""``fit``, ``validate``, ``test`` and ``predict`` as one LightningCLI with a folder for every run."""

from __future__ import annotations

import re
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, set_parsing_settings
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from pricerl.cli.usage import (
    ALLOWED_CLASSES,
    check_config_files,
    check_trainer,
    explain_usage,
    names_setting,
    option_values,
)
from pricerl.errors import CheckpointError, InterruptedRunError, UsageError
from pricerl.runtime import MatmulPrecision, claim_compute
from pricerl.training.callbacks.evaluation import Evaluation
from pricerl.training.callbacks.progress import RunMetrics, TrainingBar
from pricerl.training.callbacks.saving import RunCheckpoint, RunConfig
from pricerl.training.checkpointing import BEST, LAST, RUNS, load_weights, read_checkpoint, stored_config
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.gym_data import GymDataModule
from pricerl.training.loggers import METRICS_FILE, build_loggers
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule
from pricerl.training.strategies import choose_strategy

NAMED = {"last": LAST, "best": BEST}
"""What ``--ckpt_path`` takes beside a file."""

TRAINER_DEFAULTS: dict[str, Any] = {
    "max_steps": 2000,
    "devices": 1,
    "num_sanity_val_steps": 0,
    "log_every_n_steps": 1,
    "reload_dataloaders_every_n_epochs": 1,
    "enable_model_summary": False,
}
"""``max_steps`` counts gradient updates; ``RunMetrics`` decides how often a row is written; an epoch is as long as
what is left of the run asks for."""

THREADS_HELP = (
    "CPU threads of torch. Two are up to 1.5 times as fast on two idle cores, but many times slower as soon as "
    "anything else runs beside them."
)

PRECISION_HELP = (
    "Precision of matrix products, in torch's words. With medium they are made in bfloat16 and summed in single "
    "precision where the processor has units for that (CPUs with matrix tiles, GPUs), which trains up to twice as fast."
)


class PricingCLI(LightningCLI):
    """Parses a command, wires data, model and trainer, and runs it.

    ``data.env_id``, wherever it is set, makes the data a Gymnasium environment; otherwise they are a seller's.

    Args:
        args: the command and its options, without the program's name.
        groups: further settings by name, each a config dataclass, that the caller reads from ``settings``.
        check: looks at the parsed command before anything starts, and refuses what would only fail at its end.
    """

    def __init__(self, args: list[str], groups: dict[str, type], check: Callable[[PricingCLI], None]) -> None:
        self.groups, self.check = groups, check
        self.checkpoint: dict[str, Any] | None = None
        self.scores: Mapping[str, float] = {}
        quiet_parsers = {name: {"exit_on_error": False} for name in self.subcommands()}
        super().__init__(
            SACModule,
            chosen_data(args),
            save_config_callback=RunConfig,
            save_config_kwargs={"overwrite": True},
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=0,
            parser_kwargs={"exit_on_error": False, **quiet_parsers},
            args=args,
            auto_configure_optimizers=False,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run's own options and let the data tell the model its dimensions."""
        parser.add_argument("--run_name", type=str, help="Folder of the run; made from file and preset if absent.")
        parser.add_argument("--wandb", type=bool, default=False, help="Log to Weights & Biases, offline without a key.")
        parser.add_argument("--threads", type=int, default=1, help=THREADS_HELP)
        parser.add_argument("--matmul_precision", type=MatmulPrecision, default="highest", help=PRECISION_HELP)
        parser.add_argument("--out", type=str, help="Folder for the advice; the run's folder if absent.")
        parser.add_argument("--horizon", type=int, default=14, help="Days the advice looks ahead.")
        parser.add_argument("--locale", type=str, default="en_US", help="Locale of numbers, money and dates.")
        for name, config in self.groups.items():
            parser.add_class_arguments(config, name)
        parser.link_arguments("data", "model.task", compute_fn=_task, apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.seed")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Let a checkpoint's own configuration stand beneath everything that the command says."""
        assert isinstance(args, list)
        given = option_values(args, "--ckpt_path")
        if not given or args[0] == "fit":
            self._parse(parser, args)
            return
        if given[-1] in NAMED:
            self._parse(parser, args)
        path = self._named_checkpoint(given[-1])
        with tempfile.TemporaryDirectory() as folder:
            stored = Path(folder) / "stored.yaml"
            stored.write_text(yaml.safe_dump(stored_config(read_checkpoint(path))), encoding="utf-8")
            self._parse(parser, [args[0], "--config", str(stored), *args[1:], f"--ckpt_path={path}"])

    def _parse(self, parser: LightningArgumentParser, args: list[str]) -> None:
        try:
            super().parse_arguments(parser, args)
        except ArgumentError as error:
            command = self._subcommand_parsers.get(args[0], parser)
            options = {action.dest for action in command._actions}
            raise UsageError(f"{explain_usage(str(error), options)} (see {args[0]} --help)") from error

    def _parse_ckpt_path(self) -> None:
        """Resolve ``last`` and ``best`` to the run's files and refuse what is no checkpoint, before anything starts."""
        path = self.options.get("ckpt_path")
        if path is None:
            if self.config.subcommand != "fit":
                raise CheckpointError(f"{self.config.subcommand} needs --ckpt_path FILE: a checkpoint that fit wrote")
            return
        self.options["ckpt_path"] = str(self._named_checkpoint(path))
        self.checkpoint = read_checkpoint(Path(self.options["ckpt_path"]))

    def _named_checkpoint(self, path: str) -> Path:
        """The file that a path, or ``last`` or ``best``, means."""
        return self.run_dir / NAMED[path] if path in NAMED else Path(path)

    def before_instantiate_classes(self) -> None:
        """Refuse a wrong command early, then claim what computes."""
        self.check(self)
        check_trainer(self.options.trainer)
        self.compute = claim_compute(self.options.threads, self.options.matmul_precision)

    def _run_subcommand(self, subcommand: str) -> None:
        """Turn Ctrl-C, which Lightning answers with ``SystemExit(1)`` and a deaf process, into an error of its own."""
        handler = signal.getsignal(signal.SIGINT)
        try:
            super()._run_subcommand(subcommand)
        except SystemExit as stopped:
            if not isinstance(stopped.__context__, KeyboardInterrupt):
                raise
            signal.signal(signal.SIGINT, handler)
            done = self.trainer.global_step
            saved = f" after {done} updates; {self.run_dir / LAST} is saved, fit goes on with --ckpt_path last"
            raise InterruptedRunError(f"interrupted{saved if subcommand == 'fit' and done else ''}") from stopped

    @property
    def options(self) -> Any:
        """Parsed options of the command."""
        return self.config[self.config.subcommand]

    def before_fit(self) -> None:
        """Say what computes, where there is a bar to say it beside."""
        if self.trainer.is_global_zero and self.options.trainer.enable_progress_bar is not False:
            print(self.compute, file=sys.stderr)

    def validate(self, **arguments: Any) -> None:
        """Score the policy; the caller prints ``scores``."""
        self.scores = self.trainer.validate(**{**arguments, "verbose": False})[0]

    def test(self, **arguments: Any) -> None:
        """Score the policy; the caller prints ``scores``."""
        self.scores = self.trainer.test(**{**arguments, "verbose": False})[0]

    @property
    def advises(self) -> bool:
        """Whether the command is about a seller's data, which ends in advice."""
        return "env_id" not in self.options.data

    def training_summary(self) -> list[str]:
        """What a training in a Gymnasium environment came to, and where it lies."""
        seen = self.trainer.callback_metrics
        lines = [f"{self.options.data.env_id}"]
        if "eval/episode_return" in seen:
            lines.append(
                f"  evaluation   {float(seen['eval/episode_return']):.2f}, mean return of "
                f"{self.options.data.eval_episodes} deterministic episodes after {self.trainer.global_step:,} updates"
            )
        saver: Any = self.trainer.checkpoint_callback
        if getattr(saver, "best_model_score", None) is not None:
            lines.append(f"  best so far  {float(saver.best_model_score):.2f}")
        files = [self.run_dir / name for name in (LAST, BEST, METRICS_FILE) if (self.run_dir / name).exists()]
        return [*lines, f"files: {', '.join(map(str, files))}"]

    def load_best(self) -> None:
        """Put this run's best weights into the model; a run that ended before an evaluation keeps its last ones."""
        callback = self.trainer.checkpoint_callback
        if isinstance(callback, RunCheckpoint) and callback.best_model_path:
            best = Path(callback.best_model_path)
            load_weights(self.model, read_checkpoint(best), best)

    def settings(self, group: str) -> Any:
        """The config object of one of ``groups``."""
        return self._get(self.config_init, group)

    @property
    def run_dir(self) -> Path:
        """The run's folder: of the checkpoint where one is given, else by ``run_name`` or by file and preset."""
        path = self.options.get("ckpt_path")
        if path is not None and path not in NAMED and self.config.subcommand != "fit":
            return Path(path).parent
        return RUNS / (self.options.run_name or _default_name(self.options.data))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add loggers and callbacks for the run's folder, once file and checkpoint are known to be good."""
        fitting, wanted = self.subcommand == "fit", self.options.trainer
        if self.checkpoint is not None:
            load_weights(self.model, self.checkpoint, Path(self.options["ckpt_path"]))
        if fitting and isinstance(self.datamodule, PricingDataModule):
            self.datamodule.guardrails.check_products(self.datamodule.preprocessor.names)
        callbacks = [Evaluation(), RunMetrics()]
        if wanted.enable_progress_bar is not False:
            callbacks.append(TrainingBar())
        if fitting and wanted.enable_checkpointing is not False:
            callbacks.append(RunCheckpoint(self.run_dir))
        self.trainer_defaults["callbacks"] = callbacks
        kwargs["strategy"] = choose_strategy(wanted.strategy, wanted.devices, wanted.num_nodes)
        own_loggers = wanted.logger in (None, True)
        if own_loggers:
            kwargs["logger"] = False
        try:
            trainer = super().instantiate_trainer(**kwargs)
        except (MisconfigurationException, ValueError, TypeError, ModuleNotFoundError) as error:
            absent = wanted.accelerator not in ("auto", "cpu")
            hint = "; --trainer.accelerator auto takes what this machine has" if absent else ""
            raise UsageError(f"trainer: {error}{hint}") from error
        if own_loggers and fitting:
            resumed_at = None if self.checkpoint is None else int(self.checkpoint["global_step"])
            trainer.loggers = build_loggers(self.run_dir, self.options.wandb, resumed_at)
        return trainer


def run_command(words: list[str], groups: dict[str, type], check: Callable[[PricingCLI], None]) -> PricingCLI:
    """Run ``fit``, ``validate``, ``test`` or ``predict``; wrong options become one ``UsageError``.

    Args:
        words: the command and its options.
        groups: see ``PricingCLI``.
        check: see ``PricingCLI``.
    """
    asks_help = any(word.split("=")[0] in ("-h", "--help") or word.startswith("--help.") for word in words)
    # A field's docstring is its help; reading all of them takes a second.
    set_parsing_settings(docstring_parse_attribute_docstrings=asks_help)
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=list(ALLOWED_CLASSES))
    return PricingCLI(words, groups, check)


def chosen_data(args: list[str]) -> type[ReplayDataModule]:
    """Find out whose data the command is about, before its options can be parsed.

    Args:
        args: the command and its options.

    Raises:
        UsageError: a configuration cannot be read.
        CheckpointError: the checkpoint cannot be read.
    """
    check_config_files(args)
    if names_setting(args, "data", "env_id"):
        return GymDataModule
    given = option_values(args, "--ckpt_path")
    path = _file_meant(given[-1], option_values(args, "--run_name")) if given and args[0] != "fit" else None
    stored = {} if path is None else stored_config(read_checkpoint(path))
    return GymDataModule if "env_id" in stored.get("data", {}) else PricingDataModule


def _file_meant(path: str, run_names: list[str]) -> Path | None:
    """The checkpoint to look into; None for ``last`` or ``best`` of a run whose name is not given."""
    if path not in NAMED:
        return Path(path)
    return RUNS / run_names[-1] / NAMED[path] if run_names else None


def _default_name(data: Any) -> str:
    """Name of a run: by environment, or by file and preset."""
    if "env_id" in data:
        return re.sub(r"[^\w.-]+", "-", str(data.env_id))
    return f"{Path(data.path).stem if data.path else 'simulated'}-{data.reward.preset}"


def _task(data: ReplayDataModule) -> Any:
    return data.task
