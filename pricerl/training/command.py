"""``fit``, ``validate``, ``test`` and ``predict`` as one LightningCLI with a folder for every run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError
from lightning.pytorch import Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from pricerl.errors import CheckpointError, UsageError
from pricerl.training.callbacks import Evaluation, RunCheckpoint, RunConfig, RunMetrics, TrainingBar
from pricerl.training.checkpointing import BEST, LAST, read_checkpoint, stored_config
from pricerl.training.datamodule import PricingDataModule
from pricerl.training.loggers import build_loggers
from pricerl.training.module import SACModule

RUNS = Path("checkpoints")
"""Runs land here, relative to the working directory, one folder each."""

TRAINER_DEFAULTS: dict[str, Any] = {
    "max_steps": 2000,
    "devices": 1,
    "num_sanity_val_steps": 0,
    "log_every_n_steps": 1,
    "enable_model_summary": False,
}
"""``max_steps`` counts gradient updates; the module itself decides how often it logs."""


class PricingCLI(LightningCLI):
    """Parses a command, wires data, model and trainer, and runs it.

    Args:
        args: the command and its options, without the program's name.
        groups: further settings by name, each a config dataclass, that the caller reads from ``settings``.
    """

    def __init__(self, args: list[str], groups: dict[str, type]) -> None:
        self.groups = groups
        quiet_parsers = {name: {"exit_on_error": False} for name in self.subcommands()}
        super().__init__(
            SACModule,
            PricingDataModule,
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
        parser.add_argument("--out", type=str, help="Folder for the advice; the run's folder if absent.")
        parser.add_argument("--horizon", type=int, default=14, help="Days the advice looks ahead.")
        for name, config in self.groups.items():
            parser.add_class_arguments(config, name)
        parser.link_arguments("data", "model.task", compute_fn=_task, apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.seed")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Let a checkpoint's own configuration stand beneath everything that the command says."""
        assert isinstance(args, list)
        path = _option(args, "--ckpt_path")
        if path is None or args[0] == "fit" or path in ("last", "best"):
            super().parse_arguments(parser, args)
            return
        with tempfile.TemporaryDirectory() as folder:
            stored = Path(folder) / "stored.yaml"
            stored.write_text(yaml.safe_dump(stored_config(read_checkpoint(Path(path)))), encoding="utf-8")
            super().parse_arguments(parser, [args[0], "--config", str(stored), *args[1:]])

    def _parse_ckpt_path(self) -> None:
        """Resolve ``last`` and ``best`` to the run's files and refuse what is no checkpoint, before anything starts."""
        options = self.config[self.config.subcommand]
        path = options.get("ckpt_path")
        if path is None:
            if self.config.subcommand != "fit":
                raise CheckpointError(f"{self.config.subcommand} needs --ckpt_path FILE: a checkpoint that fit wrote")
            return
        named = {"last": self.run_dir / LAST, "best": self.run_dir / BEST}
        options["ckpt_path"] = str(named.get(path, path))
        read_checkpoint(Path(options["ckpt_path"]))

    @property
    def options(self) -> Any:
        """Parsed options of the command."""
        return self.config[self.config.subcommand]

    def settings(self, group: str) -> Any:
        """The config object of one of ``groups``."""
        return self._get(self.config_init, group)

    @property
    def run_dir(self) -> Path:
        """The run's folder: of the checkpoint where one is given, else by ``run_name`` or by file and preset."""
        path = self.options.get("ckpt_path")
        if path not in (None, "last", "best") and self.config.subcommand != "fit":
            return Path(path).parent
        data = self.options.data
        source = Path(data.path).stem if data.path else "simulated"
        return RUNS / (self.options.run_name or f"{source}-{data.reward.preset}")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add loggers and callbacks for the run's folder."""
        fitting = self.subcommand == "fit"
        callbacks = [Evaluation(), RunMetrics()]
        if self.options.trainer.enable_progress_bar is not False:
            callbacks.append(TrainingBar())
        if fitting and self.options.trainer.enable_checkpointing is not False:
            callbacks.append(RunCheckpoint(self.run_dir))
        self.trainer_defaults["callbacks"] = callbacks
        if self.options.trainer.logger in (None, True):
            kwargs["logger"] = build_loggers(self.run_dir, self.options.wandb) if fitting else False
        return super().instantiate_trainer(**kwargs)


def run_command(words: list[str], groups: dict[str, type]) -> PricingCLI:
    """Run ``fit``, ``validate``, ``test`` or ``predict``; wrong options become one ``UsageError``.

    Args:
        words: the command and its options.
        groups: see ``PricingCLI``.
    """
    try:
        return PricingCLI(words, groups)
    except ArgumentError as error:
        raise UsageError(_short(str(error))) from error


def _short(message: str) -> str:
    """First lines of a parser's message, without its hints about other help pages."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return "; ".join(lines[:3])


def _task(data: PricingDataModule) -> Any:
    return data.task


def _option(args: list[str], name: str) -> str | None:
    """Value of the last ``--name value`` or ``--name=value`` among the arguments."""
    found = None
    for position, argument in enumerate(args):
        if argument == name and position + 1 < len(args):
            found = args[position + 1]
        elif argument.startswith(f"{name}="):
            found = argument.split("=", 1)[1]
    return found
