"""The first step of ``fit``, ``validate`` and ``test``: LightningCLI parses the words and builds the run.

LightningCLI parses and builds without running anything (``run=False``). The classes of data and model, pricing data
and SAC by default, are chosen before it parses, so that their settings are plain options.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from pydoc import locate
from typing import Any

import yaml
from jsonargparse import ArgumentError, set_parsing_settings
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.plugins import CheckpointIO

from pricerl.advice.files import check_folder
from pricerl.cli.imports import read_configs, take_classes
from pricerl.cli.usage import help_topics, named_files, option_values
from pricerl.errors import UsageError
from pricerl.operations.shop import Shop
from pricerl.progress import show_stages
from pricerl.runs.checkpoint import Checkpoint, lasting_settings
from pricerl.runs.folder import BEST, RunFolder
from pricerl.runs.names import RUNS, USUAL_CLASSES, USUAL_PRESET, check_name, find_run, name_run
from pricerl.runs.run import Run
from pricerl.runtime import claim_compute
from pricerl.tasks.imports import import_environment, refuse_paths
from pricerl.tasks.load import check_advising
from pricerl.tasks.settings import GROUPS, add_options
from pricerl.tasks.settings_errors import explain_usage
from pricerl.terminal import write_lines
from pricerl.training.callbacks.tracking import TrackingConfig
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.gym_data import GymDataModule
from pricerl.training.off_policy import OffPolicyModule
from pricerl.training.run import find_resumed

TRAINER_DEFAULTS: dict[str, Any] = {
    "max_steps": 2000,
    "devices": 1,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
}
"""``max_steps`` counts gradient updates; an epoch lasts until the next evaluation."""

SELLER_STEPS = 20
"""The same for a seller's data: the network that ships has learned on many markets and only adapts to this one."""

OWN_CONFIGS: dict[str, type] = {**GROUPS, "tracking": TrackingConfig}
"""Groups of settings outside model, data and trainer."""

REPLAY = "batches are sampled from a replay buffer"

LIMITED: dict[str, tuple[tuple[Any, ...], str]] = {
    "gradient_clip_val": ((None,), "set --model.algorithm.max_grad_norm"),
    "gradient_clip_algorithm": ((None,), "set --model.algorithm.max_grad_norm"),
    "accumulate_grad_batches": ((1,), "set --model.algorithm.batch_size"),
    # Half precision rounds the temperature; gradient scalers do not reach the bare optimizers.
    "precision": ((None, 32, "32", "32-true", "bf16-mixed"), "it must be one of 32, 32-true, bf16-mixed"),
    "limit_val_batches": ((None, 0, 1), "an evaluation is one batch; 0 leaves evaluations out"),
    "limit_test_batches": ((None, 1), "a test is one batch"),
    "limit_predict_batches": ((None, 1), "predict advises on every product and has no batches"),
    "use_distributed_sampler": ((None, True), f"{REPLAY}, which has no sampler; every rank has its own"),
    "reload_dataloaders_every_n_epochs": ((0,), f"{REPLAY}, in a stream that every epoch renews"),
    "sync_batchnorm": ((False,), "batch statistics are averaged over the processes as they are"),
    "barebones": ((False,), "it leaves out checkpoints, which advice needs"),
    "default_root_dir": ((None,), "a run is written to checkpoints/RUN; set --run_name"),
    "model_registry": ((None,), "checkpoints stay in the run's folder; upload them from there"),
}
"""Settings that are refused unless they have one of the accepted values."""

PARSERS: dict[tuple[object, ...], LightningArgumentParser] = {}
"""Parsers that this process has built: of a command, its classes, and with or without the help texts."""


class PricingCLI(LightningCLI):
    """LightningCLI that parses a command, its name and options, and builds data and module without training.

    Only ``packages`` may be imported.
    """

    def __init__(self, words: list[str], packages: Sequence[str]) -> None:
        self.command = words[0]
        self.packages = packages
        self.shop: Shop | None = None
        self.given: Checkpoint | None = None
        self.words, self.named = take_classes(words[1:], packages)
        trainer = dict(TRAINER_DEFAULTS)
        if "data" not in self.named:
            trainer["max_steps"] = SELLER_STEPS
        super().__init__(
            OffPolicyModule,
            ReplayDataModule,
            save_config_callback=None,
            trainer_defaults=trainer,
            seed_everything_default=0,
            parser_kwargs={
                "exit_on_error": False,
                "prog": f"pricerl {self.command}",
                "description": None,
                "print_config": None,
            },
            args=self.words,
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def setup_parser(
        self, add_subcommands: bool, main_kwargs: dict[str, Any], subparser_kwargs: dict[str, Any]
    ) -> None:
        """Build the parser of the chosen classes, or take that of an earlier command of this process."""
        self.classes = {**USUAL_CLASSES, **self.named}
        classes: dict[str, Any] = {group: locate(path) for group, path in self.classes.items()}
        self._model_class = classes["model"]
        self._datamodule_class = classes["data"]
        helps = any(".help" in word for word in self.words) or bool(help_topics(self.words))
        set_parsing_settings(docstring_parse_attribute_docstrings=helps)  # reading the help texts takes a second
        key = (self.command, helps, *classes.values())
        if key not in PARSERS:
            super().setup_parser(add_subcommands, main_kwargs, subparser_kwargs)
            PARSERS[key] = self.parser
        self.parser = PARSERS[key]

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run's options, and link seed and weight of losses to the data, their dimensions to the model."""
        add_options(parser, OWN_CONFIGS)
        known = parser.get_defaults()
        if "model.task" in known:
            parser.link_arguments("data.task", "model.task", apply_on="instantiate")
        if "data.seed" in known:
            parser.link_arguments("seed_everything", "data.seed")
        if "data.reward.preset" in known:
            parser.link_arguments("decision.loss_weight", "data.reward.loss_weight")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the command, with a given checkpoint's settings as defaults."""
        words = self.words
        if help_topics(words):
            for part in help_parsers(parser):
                part.print_help()
                write_lines([""])
            raise SystemExit
        if self.command != "fit":
            words = self._with_stored(words)
        self.config = self._parse(words)
        if self.command == "fit":
            folder = RunFolder(self._run_folder(self.config))
            self.shop = Shop.read(folder)
            if lasting := self.shop.lasting:
                self.config = self._parse(["--config", json.dumps(lasting), *words])
        if self.config.pop("print_config"):
            write_lines(self.dump_yaml().splitlines())
            raise SystemExit
        if self.shop is not None and self.command == "fit":
            self.given = find_resumed(self.shop.folder, self.config.ckpt_path, self.config.resume)
        elif self.given is None and self.config.ckpt_path is not None:
            self.given = Checkpoint.read(self.config.ckpt_path, self._run_folder(self.config))

    def _with_stored(self, words: list[str]) -> list[str]:
        """Read the checkpoint and the shop, and return the words with their settings in front."""
        given = [word for word in words if word.partition("=")[0] == "--ckpt_path"]
        if not given and not any(config.get("ckpt_path") for config in read_configs(words)):
            words = [*words, "--ckpt_path", "best"]
            if not option_values(words, "--run_name"):
                files = named_files(words)
                own = name_run(files, USUAL_PRESET) if files else ""
                words += ["--run_name", own if (RUNS / own / BEST).exists() else find_run(None, BEST).path.name]
        given = option_values(words, "--ckpt_path")
        if not given:
            return words
        if given[-1] in ("last", "best"):
            names = option_values(words, "--run_name")
            folder = RUNS / check_name(names[-1]) if names else self._run_folder(self._parse(words))
        else:
            folder = RunFolder.of(Path(given[-1])).path
        self.given = Checkpoint.read(given[-1], folder)
        stored, named = take_classes(self.given.words, self.packages, self._stored)
        self.named = {**named, **self.named}
        self.setup_parser(False, self.parser_kwargs, {})
        self.given.check_settings(self.parser.get_defaults().as_dict())
        return [*stored, *words]

    def _run_folder(self, options: Any) -> Path:
        """Return the folder of the run named by the options, or else by environment or file and preset."""
        if options.run_name:
            return RUNS / check_name(options.run_name)
        data = options.data
        preset = data.reward.preset if "reward" in data else self.classes["data"].rpartition(".")[2]
        return RUNS / name_run(data.get("path"), preset, data.get("env_id"))

    def _parse(self, words: list[str]) -> Any:
        try:
            return self.parser.parse_args(words)
        except ArgumentError as error:
            problem = explain_usage(str(error), [*self.parser.get_defaults().keys()], words)
            problem = problem.replace("--data.seed:", "--seed_everything:")  # whose value it takes
            typed = {word.partition("=")[0] for word in self.words}
            place = "" if typed & {part.rstrip(":;") for part in problem.split()} else self._stored
            raise UsageError(f"{place}{problem} (see {self.command} --help)") from error

    @property
    def _stored(self) -> str:
        """The checkpoint whose stored settings a command begins with, for a message about one of them."""
        return "" if self.given is None or self.command == "fit" else f"{self.given.path}: "

    def before_instantiate_classes(self) -> None:
        """Claim the processor, and show the stages of the command unless the progress bar is turned off."""
        wanted = self.config.trainer.enable_progress_bar is not False and os.environ.get("LOCAL_RANK", "0") == "0"
        show_stages(wanted and (self.command == "fit" or sys.stderr.isatty()))
        self.compute = claim_compute(self.config.threads, self.config.matmul_precision)

    def instantiate_classes(self) -> None:
        """Build the run's data and module, refuse an invalid command, and restore the checkpoint."""
        data = self.config.data
        if self._stored and not any(word.startswith("--data.env_settings") for word in self.words):
            refuse_paths(data.get("env_settings"), self._stored)
        import_environment(data.get("env_id"), data.get("env_settings"), self.packages, self._stored)
        try:
            self.config_init = self.parser.instantiate(self.config)
        except ValueError as error:  # jsonargparse's, about that of a constructor
            reason: BaseException = error
            while reason.__cause__ is not None:
                reason = reason.__cause__
            if not isinstance(reason, ImportError):
                raise
            raise UsageError(f"trainer: {' '.join(str(reason).split())}") from error
        self.datamodule = self.config_init.data
        self.model = self.config_init.model
        settings = lasting_settings(self.dump())
        folder = self._run_folder(self.config)
        if self.given is not None and self.command != "fit":
            folder = RunFolder.of(self.given.path).path
        configs = {name: self.config_init[name] for name in OWN_CONFIGS}
        self.built = Run(
            *(self.command, folder, self.config, settings, self.given, self.datamodule, self.model, configs),
            known=0 if self.shop is None else self.shop.log.head.entries,
        )
        check_run(self.built)
        list_plugins(self.config_init.trainer.plugins)
        if self.given is not None:
            self.given.restore_weights(self.model)

    def dump(self) -> Any:
        """Return all settings as plain values; those parsed before are not validated again."""
        dumped = json.loads(self.parser.dump(self.config, format="json", skip_unset=False, skip_validation=True))
        for group, path in self.classes.items():
            dumped[group] = {"class_path": path, "init_args": dumped[group]}
        return dumped

    def dump_yaml(self) -> str:
        """Return all settings as a configuration, with the version of Lightning above."""
        header, *_ = self.parser.dump_header or [""]
        return f"# {header}\n{yaml.safe_dump(self.dump(), sort_keys=False, allow_unicode=True)}"


def help_parsers(parser: LightningArgumentParser) -> list[LightningArgumentParser]:
    """Return a run's parser, and one of the settings of Gymnasium data, which it lacks."""
    gym = LightningArgumentParser(usage=f"--data={GymDataModule.__name__}", add_help=False, description="")
    gym.add_class_arguments(GymDataModule, "data", skip={"seed"}, fail_untyped=False)
    return [parser, gym]


def check_run(run: Run) -> None:
    """Refuse trainer settings that cannot have their effect, and advice that could not be written."""
    if run.advises:
        check_advising(run)
    elif run.command == "fit":
        check_folder(run.folder, "the run's folder ")
    check_trainer(run.options.trainer)


def check_trainer(trainer: Any) -> None:
    """Refuse settings that would be without effect, or that updates from a replay buffer do not support."""
    for name, (accepted, remedy) in LIMITED.items():
        value = trainer[name]
        if value not in accepted:
            raise UsageError(f"--trainer.{name} {value} is not supported: {remedy}")
    if trainer.max_steps == 0 or trainer.max_steps < -1:
        raise UsageError(f"--trainer.max_steps must be 1 or more, or -1 for no limit; found {trainer.max_steps}")
    if (trainer.log_every_n_steps or 0) < 0:
        raise UsageError(f"--trainer.log_every_n_steps must be 0 or more; found {trainer.log_every_n_steps}")


def list_plugins(plugins: Any) -> list[Any]:
    """Return the plugins of a trainer setting; refuse those that write checkpoints."""
    listed = [] if plugins is None else list(plugins) if isinstance(plugins, (list, tuple)) else [plugins]
    for plugin in listed:
        if isinstance(plugin, CheckpointIO):
            raise UsageError(
                f"--trainer.plugins {type(plugin).__name__} is not supported: checkpoints are written durably and in "
                "one step, and every command reads them"
            )
    return listed
