"""The first step of ``fit``, ``validate`` and ``test``: LightningCLI parses the words and builds the run.

LightningCLI parses and builds without running anything (``run=False``). The classes of data and model, pricing data
and SAC by default, are chosen before it parses, so that their settings are plain options.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from pydoc import locate
from typing import Any

import yaml
from jsonargparse import set_parsing_settings
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from pricerl.advice.files import check_folder
from pricerl.cli.imports import read_config, read_configs
from pricerl.cli.loading import add_own
from pricerl.cli.usage import CONFIG_OPTIONS, file_parser, option_values, replace_options
from pricerl.errors import UsageError
from pricerl.operations.log.provenance import combine
from pricerl.operations.shop import Shop
from pricerl.progress import show_stages
from pricerl.runs.checkpoint import Checkpoint, lasting_settings
from pricerl.runs.folder import RunFolder
from pricerl.runs.names import RUNS, USUAL_CLASSES, check_name, name_run
from pricerl.runs.run import Run
from pricerl.runtime import claim_compute
from pricerl.tasks.imports import GYM_CLASS, find_class, import_environment, refuse_paths
from pricerl.tasks.load import check_advising, find_checkpoint
from pricerl.tasks.options import SCRATCH_STEPS, TRAINER_DEFAULTS
from pricerl.tasks.settings import GROUPS, add_options, explained, without_class, without_training
from pricerl.terminal import write_lines
from pricerl.training.callbacks.tracking import TrackingConfig
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.off_policy import OffPolicyModule
from pricerl.training.run import find_resumed

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
"""Parsers that this process has built, by command and classes."""


class PricingCLI(LightningCLI):
    """LightningCLI that parses a command, its name and options, and builds data and module without training.

    Only ``packages`` may be imported.
    """

    def __init__(self, words: list[str], packages: Sequence[str]) -> None:
        self.command, *given = words
        self.packages = packages
        self.given: Checkpoint | None = None
        self.shop: Shop | None = None
        self.stored: list[str] = []
        self.words, named = take_classes(given, packages)
        own_data = "data" in named
        if self.command != "fit":
            self.given, self.shop = find_checkpoint(_named_run(self.words))
            self.stored, stored_classes = take_classes(self.given.words, packages, self._place)
            named = {**stored_classes, **named}
        self.classes = {**USUAL_CLASSES, **named}
        super().__init__(
            OffPolicyModule,
            ReplayDataModule,
            save_config_callback=None,
            trainer_defaults={**TRAINER_DEFAULTS, **({"max_steps": SCRATCH_STEPS} if own_data else {})},
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
        """Build the parser of the chosen classes, or take the one that an earlier command of this process built."""
        classes: dict[str, Any] = {group: locate(path) for group, path in self.classes.items()}
        self._model_class = classes["model"]
        self._datamodule_class = classes["data"]
        set_parsing_settings(docstring_parse_attribute_docstrings=False)  # reading the help texts takes a second
        key = (self.command, *classes.values())
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
        if self.command == "fit":
            self.config = self._parse(self.words)
            folder = RunFolder(self._run_folder(self.config))
            self.shop = Shop.read(folder)
            if lasting := self.shop.lasting:
                self.config = self._parse(["--config", json.dumps(lasting), *self.words])
        elif self.given is not None:
            self.given.check_settings(parser.get_defaults().as_dict())
            self._parse(self.stored, self._place)
            self.config = self._parse([*self.stored, *self.words])
        if self.config.pop("print_config"):
            write_lines(self.dump_yaml().splitlines())
            raise SystemExit
        if self.shop is not None and self.command == "fit":
            self.given = find_resumed(self.shop.folder, self.config.ckpt_path, self.config.resume)

    def _run_folder(self, options: Any) -> Path:
        """Return the folder of the run named by the options, or else by environment or file and preset."""
        if options.run_name:
            return RUNS / check_name(options.run_name)
        data = options.data
        preset = data.reward.preset if "reward" in data else self.classes["data"].rpartition(".")[2]
        return RUNS / name_run(data.get("path"), preset, data.get("env_id"))

    def _parse(self, words: list[str], place: str = "") -> Any:
        with explained(self.parser, place, f" (see {self.command} --help)"):
            return self.parser.parse_args(words)

    @property
    def _place(self) -> str:
        """The checkpoint whose stored settings a command begins with, for a message about one of them."""
        return "" if self.given is None or self.command == "fit" else f"{self.given.path}: "

    def before_instantiate_classes(self) -> None:
        """Claim the processor, and show the stages of the command unless the progress bar is turned off."""
        wanted = self.config.trainer.enable_progress_bar is not False and os.environ.get("LOCAL_RANK", "0") == "0"
        show_stages(wanted and (self.command == "fit" or sys.stderr.isatty()))
        self.compute = claim_compute(self.config.threads, self.config.matmul_precision)

    def instantiate_classes(self) -> None:
        """Build the run's data and module, refuse an invalid command, and restore the checkpoint."""
        assert self.shop is not None
        data = self.config.data
        if self._place and not any(word.startswith("--data.env_settings") for word in self.words):
            refuse_paths(data.get("env_settings"), self._place)
        import_environment(data.get("env_id"), data.get("env_settings"), self.packages, self._place)
        self.config_init = self.parser.instantiate(self.config)
        self.datamodule = self.config_init.data
        self.model = self.config_init.model
        self.built = Run(
            command=self.command,
            folder=self.shop.folder.path,
            options=self.config,
            settings=lasting_settings(self.dump()),
            checkpoint=self.given,
            data=self.datamodule,
            module=self.model,
            configs={name: self.config_init[name] for name in OWN_CONFIGS},
            known=self.shop.log.head.entries if self.command == "fit" else 0,
        )
        if self.built.advises:
            check_advising(self.built)
        elif self.command == "fit":
            check_folder(self.built.folder, "the run's folder ")
        check_trainer(self.config.trainer)
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


def _named_run(words: Sequence[str]) -> dict[str, Any]:
    """Return the options and settings in a command's words and configurations by which its run is found."""
    options, _ = file_parser("", None).parse_known_args(words)
    given: dict[str, Any] = {}
    for config in read_configs(words):
        given = combine(given, without_training(config))
    return add_own(given, options)


def take_classes(words: Sequence[str], packages: Collection[str], place: str = "") -> tuple[list[str], dict[str, str]]:
    """Return a command's words without the classes that they choose for model and data, and their paths by group.

    Settings of a class, ``init_args`` in a configuration, become settings of its group. The setting ``env_id`` alone
    chooses the data of a Gymnasium environment. A configuration that cannot be read, or a class that is unknown or in
    none of the ``packages`` that may be imported, is a ``UsageError``, which begins with the ``place`` of the words.
    """
    named: dict[str, Any] = {}
    env_ids: list[Any] = option_values(words, "--data.env_id")

    def take_config(option: str, name: str) -> list[str]:
        settings = read_config(name)
        for group in [group for group in USUAL_CLASSES if group in settings]:
            found = {"class_path": settings[group]} if isinstance(settings[group], str) else settings[group]
            if not isinstance(found, Mapping):
                raise UsageError(f"{group} must hold settings such as '{group}: {{...}}', found {found!r:.40}")
            settings[group] = plain = without_class(found)
            named.update({group: found["class_path"]} if "class_path" in found else {})
            env_ids.append(plain.get("env_id"))
        return [option, yaml.safe_dump(settings, default_flow_style=True, sort_keys=False, width=math.inf)]

    def take_option(option: str, value: str) -> list[str]:
        named[option.removeprefix("--").removesuffix(".class_path")] = value
        return []

    kept = replace_options(words, CONFIG_OPTIONS, take_config)
    choices = [f"--{group}{ending}" for group in USUAL_CLASSES for ending in ("", ".class_path")]
    kept = replace_options(kept, choices, take_option)
    kept = [word.replace(".init_args.", ".", 1) if word.startswith("--") else word for word in kept]
    if any(env_id is not None for env_id in env_ids):
        named.setdefault("data", GYM_CLASS)
    bases = {"model": OffPolicyModule, "data": ReplayDataModule}
    return kept, {
        group: find_class(str(name), packages, place or f"--{group}: ", bases[group]) for group, name in named.items()
    }


def check_trainer(trainer: Any) -> None:
    """Refuse settings that would be without effect, or that updates from a replay buffer do not support."""
    refused = {name: remedy for name, (accepted, remedy) in LIMITED.items() if trainer[name] not in accepted}
    if trainer.max_steps == 0 or trainer.max_steps < -1:
        refused["max_steps"] = "it must be 1 or more, or -1 for no limit"
    if (trainer.log_every_n_steps or 0) < 0:
        refused["log_every_n_steps"] = "it must be 0 or more"
    for name, remedy in refused.items():
        raise UsageError(f"--trainer.{name} {trainer[name]} is not supported: {remedy}")
