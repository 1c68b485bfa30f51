"""The first step of ``fit``, ``validate`` and ``test``: LightningCLI parses the words and builds the run.

LightningCLI parses and builds without running anything (``run=False``). The classes of data and model, pricing data
and SAC by default, are chosen before it parses, so that their settings are plain options.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from functools import reduce
from pydoc import locate
from typing import Any

import lightning
from jsonargparse import set_parsing_settings
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from pricerl.advice.files import check_folder
from pricerl.cli.loading import add_own
from pricerl.cli.usage import file_parser, take_options
from pricerl.errors import import_extra, refuse
from pricerl.operations.log.provenance import combine
from pricerl.operations.shop import Shop
from pricerl.progress import show_stages
from pricerl.runs.checkpoint import Checkpoint, lasting_settings
from pricerl.runs.names import USUAL_CLASSES
from pricerl.runs.run import Run
from pricerl.runtime import claim_compute
from pricerl.tasks.configs import (
    Nested,
    Placed,
    TrainingConfig,
    as_yaml,
    named_classes,
    read_config,
    without_classes,
    without_training,
)
from pricerl.tasks.imports import find_class, import_environment, refuse_paths
from pricerl.tasks.load import check_advising, find_checkpoint, named_folder, stored_settings
from pricerl.tasks.options import SCRATCH_STEPS, TRAINER_DEFAULTS
from pricerl.tasks.settings import GROUPS, add_options, explained, merge_settings
from pricerl.terminal import write_lines
from pricerl.training.callbacks.tracking import TrackingConfig
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.off_policy import OffPolicyModule
from pricerl.training.run import find_resumed

BASES = {"model": OffPolicyModule, "data": ReplayDataModule}
"""Base class of each group's classes."""

OWN_CONFIGS: dict[str, type] = {**GROUPS, "tracking": TrackingConfig}
"""Groups of settings outside model, data and trainer."""

LINKS = (
    ("data.task", "model.task", "instantiate"),
    ("seed_everything", "data.seed", "parse"),
    ("decision.loss_weight", "data.reward.loss_weight", "parse"),
)
"""Settings and the arguments that they set, with the moment at which they do."""

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
    """LightningCLI that parses the options or settings of a command, and builds data and module without training.

    Args:
        command: ``fit``, ``validate`` or ``test``.
        given: its options, or its settings as a configuration holds them.
        packages: packages that may be imported.
        kept: settings that come before the shop's and the given ones, each with its place for a message.
    """

    def __init__(
        self, command: str, given: Sequence[str] | Nested, packages: Sequence[str], kept: Sequence[Placed] = ()
    ) -> None:
        self.command = command
        self.packages = packages
        self.checkpoint: Checkpoint | None = None
        self.shop: Shop | None = None
        self.place = ""
        self.kept = kept
        self.options, sources = _take_sources(given)
        if command != "fit":
            self.checkpoint, self.shop = find_checkpoint(reduce(combine, map(without_training, sources), {}))
            self.place = f"{self.checkpoint.path}: "
            self.kept = [(self.place, stored_settings(self.checkpoint))]
        named = [(place, named_classes([settings])) for place, settings in self.kept] + [("", named_classes(sources))]
        chosen = ((place, *item) for place, classes in named for item in classes.items())
        self.classes = USUAL_CLASSES | {
            group: find_class(path, packages, place or f"--{group}: ", BASES[group]) for place, group, path in chosen
        }
        own_data = self.classes["data"] != USUAL_CLASSES["data"]
        super().__init__(
            OffPolicyModule,
            ReplayDataModule,
            save_config_callback=None,
            trainer_defaults={**TRAINER_DEFAULTS, **({"max_steps": SCRATCH_STEPS} if own_data else {})},
            seed_everything_default=0,
            parser_kwargs={
                "exit_on_error": False,
                "prog": f"pricerl {command}",
                "description": None,
                "print_config": None,
            },
            args=self.options,
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Return an empty parser, which finds configurations by their names."""
        parser = self.parser_class(**kwargs)
        parser.add_argument("-c", "--config", action=TrainingConfig)
        return parser

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
        for source, target, moment in LINKS:
            if target in known:
                parser.link_arguments(source, target, apply_on=moment)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the command on top of the settings of a given checkpoint, or of those that its shop keeps to."""
        kept = [(place, without_classes(settings)) for place, settings in self.kept]
        if self.checkpoint is not None:
            self.checkpoint.check_settings(parser.get_defaults().as_dict())
        self.config = self._parse(merge_settings(parser, kept))
        if self.command == "fit":
            data = self.config.data
            preset = data.reward.preset if "reward" in data else self.classes["data"].rpartition(".")[2]
            self.shop = Shop.read(named_folder(self.config.run_name, data.get("path"), preset, data.get("env_id")))
            if lasting := self.shop.lasting:
                self.config = self._parse(merge_settings(parser, [*kept, ("", lasting)]))
        if self.config.pop("print_config"):
            write_lines(self.dump_yaml().splitlines())
            raise SystemExit
        if self.shop is not None and self.command == "fit":
            self.checkpoint = find_resumed(self.shop.folder, self.config.ckpt_path, self.config.resume)

    def _parse(self, kept: Any) -> Any:
        """Parse what was given on top of other settings."""
        with explained(self.parser, hint=f" (see {self.command} --help)"):
            if isinstance(self.options, list):
                return self.parser.parse_args(self.options, kept)
            return self.parser.parse_object(self.options, kept)

    def before_instantiate_classes(self) -> None:
        """Claim the processor, refuse a logger that is absent, and show the stages unless the bar is turned off."""
        if self.config.wandb and self.command == "fit":
            import_extra("wandb", '--wandb true needs an extra: pip install -e ".[wandb]"')
        wanted = self.config.trainer.enable_progress_bar is not False and os.environ.get("LOCAL_RANK", "0") == "0"
        show_stages(wanted and (self.command == "fit" or sys.stderr.isatty()))
        self.compute = claim_compute(self.config.threads, self.config.matmul_precision)

    def instantiate_classes(self) -> None:
        """Build the run's data and module, refuse an invalid command, and restore the checkpoint."""
        assert self.shop is not None
        data = self.config.data
        if self.place and not any(word.startswith("--data.env_settings") for word in self.options):
            refuse_paths(data.get("env_settings"), self.place)
        import_environment(data.get("env_id"), data.get("env_settings"), self.packages, self.place)
        self.config_init = self.parser.instantiate(self.config)
        self.built = Run(
            command=self.command,
            folder=self.shop.folder.path,
            options=self.config,
            settings=lasting_settings(self.dump()),
            checkpoint=self.checkpoint,
            data=self.config_init.data,
            module=self.config_init.model,
            configs={name: self.config_init[name] for name in OWN_CONFIGS},
            known=self.shop.log.head.entries if self.command == "fit" else 0,
        )
        if self.built.advises:
            check_advising(self.built)
        elif self.command == "fit":
            check_folder(self.built.folder, "the run's folder ")
        check_trainer(self.config.trainer)
        if self.checkpoint is not None:
            self.checkpoint.restore_weights(self.built.module)

    def dump(self) -> Any:
        """Return all settings as plain values; those parsed before are not validated again."""
        dumped = json.loads(self.parser.dump(self.config, format="json", skip_unset=False, skip_validation=True))
        return dumped | {name: {"class_path": path, "init_args": dumped[name]} for name, path in self.classes.items()}

    def dump_yaml(self) -> str:
        """Return all settings as a configuration, with the version of Lightning above."""
        return f"# lightning.pytorch=={lightning.__version__}\n{as_yaml(self.dump())}"


def _take_sources(given: Sequence[str] | Nested) -> tuple[Any, list[dict[str, Any]]]:
    """Return options or settings without the classes of model and data, and what names these classes and the run.

    That is all configurations in their order, then the options.
    """
    if isinstance(given, Mapping):
        return without_classes(given), [dict(given)]
    chosen, rest = take_options(given, "--model", "--model.class_path", "--data", "--data.class_path")
    named, _ = take_options(rest, "--config", "-c", "--data.env_id")
    options, _ = file_parser("", None).parse_known_args(rest)
    classes = {group: {"class_path": path} for group in BASES for path in chosen[group] + chosen[f"{group}.class_path"]}
    ids = [{"data": {"env_id": env_id}} for env_id in named["data.env_id"]]
    sources = [*map(read_config, named["config"] + named["c"]), classes, *ids, add_own({}, options)]
    return [word.replace(".init_args.", ".", 1) if word.startswith("--") else word for word in rest], sources


def check_trainer(trainer: Any) -> None:
    """Refuse settings that would be without effect, or that updates from a replay buffer do not support."""
    faults = {
        **{name: (trainer[name] not in accepted, remedy) for name, (accepted, remedy) in LIMITED.items()},
        "max_steps": (trainer.max_steps == 0 or trainer.max_steps < -1, "it must be 1 or more, or -1 for no limit"),
        "log_every_n_steps": ((trainer.log_every_n_steps or 0) < 0, "it must be 0 or more"),
    }
    refuse(
        {f"--trainer.{it} {trainer[it]} is not supported: {remedy}": broken for it, (broken, remedy) in faults.items()}
    )
