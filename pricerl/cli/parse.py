"""The first step of ``fit``, ``validate``, ``test`` and ``predict``: LightningCLI parses the words and builds the run.

LightningCLI parses and builds without running anything (``run=False``), in subclass mode: ``data.class_path`` and
``model.class_path`` name the classes, pricing data and SAC by default. ``predict`` builds no Trainer.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks.timer import Interval
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.profilers import AdvancedProfiler, Profiler, SimpleProfiler

from pricerl.advice.describe import check_horizon
from pricerl.advice.exports import check_workbook
from pricerl.advice.files import ReportConfig, check_folder
from pricerl.cli.imports import import_environment, is_allowed, read_configs, refusal
from pricerl.cli.trainer_settings import check_trainer, list_plugins
from pricerl.cli.usage import RUN_OPTIONS, explain_usage, help_topics, named_files, option_values
from pricerl.decide.decision import DecisionConfig
from pricerl.errors import UsageError
from pricerl.operations.log.decision_log import LOG_FILE, read_log
from pricerl.operations.log.provenance import describe_run
from pricerl.operations.shop import Shop
from pricerl.operations.tracking import describe_tracked
from pricerl.progress import show_stages
from pricerl.runs.checkpoint import USUAL_CLASSES, Checkpoint, lasting_settings, without_query
from pricerl.runs.folder import BEST, RunFolder
from pricerl.runs.names import RUNS, USUAL_PRESET, check_name, find_run, name_run
from pricerl.runtime import MatmulPrecision, claim_compute
from pricerl.terminal import write_lines
from pricerl.training.callbacks.checkpoint import RunCheckpoint, RunConfig, TreeCheckpointIO
from pricerl.training.callbacks.metrics import RunMetrics
from pricerl.training.callbacks.progress_bar import TrainingBar
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.devices import choose_strategy
from pricerl.training.gym_data import GymDataModule
from pricerl.training.loggers import TrackingConfig, build_loggers
from pricerl.training.loop import OffPolicyModule
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule
from pricerl.training.run import Run, find_resumed, resumed_place

TRAINER_DEFAULTS: dict[str, Any] = {
    "max_steps": 2000,
    "devices": 1,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
}
"""``max_steps`` counts gradient updates; an epoch lasts until the next evaluation."""

PROFILERS: dict[str, type[Profiler]] = {"simple": SimpleProfiler, "advanced": AdvancedProfiler}
"""Profilers by name; each writes its table to the run's folder, as Lightning's log lines are not shown."""

CHOICES: dict[str, Any] = {"matmul_precision": MatmulPrecision, "format": Literal["text", "json"]}
"""Types of the options of a run that are choices."""

OWN_CONFIGS = {"decision": DecisionConfig, "report": ReportConfig, "tracking": TrackingConfig}
"""Groups of settings outside model, data and trainer."""


yaml.SafeDumper.add_representer(Interval, lambda dumper, value: dumper.represent_str(value.value))  # of a Timer


class PricingCLI(LightningCLI):
    """LightningCLI that parses a command and builds data and module without training.

    Args:
        words: the command and its options, without the program's name.
        packages: packages that may be imported.
        replays: whether everything but the checkpoint is named, to repeat a decision.
    """

    def __init__(self, words: list[str], packages: Sequence[str], replays: bool = False) -> None:
        self.command, self.packages, self.replays = words[0], packages, replays
        self.shop: Shop | None = None
        self.reads_again = False
        """Whether the files of the newest advice are read again, as none are named."""
        self.given: Checkpoint | None = None
        self.classes = {group: chosen_class(words, group, packages) for group in USUAL_CLASSES}
        super().__init__(
            OffPolicyModule,
            ReplayDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            trainer_defaults=dict(TRAINER_DEFAULTS),
            seed_everything_default=0,
            parser_kwargs={"exit_on_error": False, "prog": f"pricerl {self.command}", "description": None},
            args=words[1:],
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add trainer, model and data as LightningCLI does, but with our classes as defaults.

        Without a default, jsonargparse would take the class as optional and hide the constructor's own errors.
        """
        parser.add_lightning_class_args(self.trainer_class, "trainer")
        parser.set_defaults({f"trainer.{name}": value for name, value in TRAINER_DEFAULTS.items()})
        for name, base in (("model", OffPolicyModule), ("data", ReplayDataModule)):
            default = {"class_path": self.classes[name]}
            parser.add_subclass_arguments(base, name, default=default, fail_untyped=False, required=True)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run's options, and link the data's dimensions to the model."""
        for name, (text, default) in RUN_OPTIONS.items():
            kind = CHOICES.get(name, str if default is None else type(default))
            parser.add_argument(f"--{name}", type=kind, default=default, help=text)
        for name, config in OWN_CONFIGS.items():
            parser.add_class_arguments(config, name)
        parser.link_arguments("data.task", "model.init_args.task", apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.init_args.seed")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the command, with a given checkpoint's settings as defaults."""
        assert isinstance(args, list)
        if help_topics(args):
            print_help(parser)
            raise SystemExit
        if self.command != "fit" and not names_checkpoint(args):
            args = [*args, "--ckpt_path", "best"]
            if not option_values(args, "--run_name"):
                args += ["--run_name", _run_of(args)]
        words, given = args, option_values(args, "--ckpt_path")
        if given and self.command != "fit":
            by_name = given[-1] in ("last", "best")
            folder = self._folder_of_words(parser, args) if by_name else RunFolder.of(Path(given[-1])).path
            if self.command == "predict" and not self.replays:  # first: it may change what ``best`` leads to
                self.shop = Shop.open(RunFolder(folder), next(iter(option_values(args, "--today")), None))
            self.given = Checkpoint.read(given[-1], folder)
            words = [*self.given.words, *self._words_of_shop(args), *args]
        self.config = self._parse(parser, words)
        if self.command == "fit":
            run = RunFolder(run_folder(self.config))
            self.given = find_resumed(run, self.config.ckpt_path, self.config.resume)
        elif self.given is None and self.config.ckpt_path is not None:
            self.given = Checkpoint.read(self.config.ckpt_path, run_folder(self.config))

    def _words_of_shop(self, words: list[str]) -> list[str]:
        """Return the settings and files of the advice in force, which an advice keeps to unless others are named."""
        if self.shop is None or self.given is None:
            return []
        generation = self.given.generation
        kept = self.shop.settings if generation is None or generation.name == self.shop.generation else {}
        named = named_files(words) or any((config.get("data") or {}).get("path") for config in read_configs(words))
        files = [] if named or not self.shop.sources else ["--data.path", json.dumps(self.shop.sources)]
        if files:
            self.shop.refuse_missing()
            self.reads_again = True
        return ["--config", json.dumps(without_query(kept)), *files]

    def _folder_of_words(self, parser: LightningArgumentParser, words: list[str]) -> Path:
        """Return the run's folder; parse the arguments only if ``--run_name`` is not among them."""
        names = option_values(words, "--run_name")
        return RUNS / check_name(names[-1]) if names else run_folder(self._parse(parser, words))

    def _parse(self, parser: LightningArgumentParser, words: list[str]) -> Any:
        try:
            return parser.parse_args(words)
        except ArgumentError as error:
            names = [*parser.get_defaults().keys()]
            options = {name.replace(".init_args", "") for name in names if not name.endswith(".class_path")}
            problem = explain_usage(str(error), options, words)
            raise UsageError(f"{self._stored}{problem} (see {self.command} --help)") from error

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
        data = self.config.data.init_args
        import_environment(data.get("env_id"), data.get("env_settings"), self.packages, self._stored)
        try:
            self.config_init = self.parser.instantiate(self.config)
        except ValueError as error:  # jsonargparse's, about that of a constructor
            reason = _first_cause(error)
            if not isinstance(reason, ImportError):
                raise
            raise UsageError(f"trainer: {' '.join(str(reason).split())}") from error
        self.datamodule, self.model = self.config_init.data, self.config_init.model
        for name, value in self.datamodule.choices.items():
            self.config[f"data.init_args.{name}"] = value
        options = self.config.clone()
        options.data = options.data.init_args
        settings = lasting_settings(self._dump())
        folder = run_folder(self.config)
        if self.given is not None and self.command != "fit":
            folder = RunFolder.of(self.given.path).path
        configs = {name: self.config_init[name] for name in OWN_CONFIGS}
        self.built = Run(self.command, folder, options, settings, self.given, self.datamodule, self.model, configs)
        check_run(self.built)
        list_plugins(self.config_init.trainer.plugins)
        if self.given is not None:
            self.given.restore_weights(self.model)

    def _dump(self) -> Any:
        """Return all settings as plain values; those parsed before are not validated again."""
        return yaml.safe_load(self.parser.dump(self.config, skip_unset=False, skip_validation=True))

    def build_trainer(self, run: Run) -> Trainer:
        """Return the Trainer with loggers and callbacks for the run's generation.

        Raises:
            UsageError: Lightning refuses a setting.
        """
        wanted, generation, resumed = self.config.trainer, run.generation, run.checkpoint
        fitting = run.command == "fit"
        callbacks: list[Any] = [metrics := RunMetrics()]
        if wanted.enable_progress_bar is not False:
            callbacks.append(TrainingBar(metrics, wanted_details(run)))
        if fitting and generation is not None:
            callbacks.append(RunConfig(self.parser, self.config, generation))
            if wanted.enable_checkpointing is not False:
                monitor = f"eval/{self.datamodule.monitor}"
                callbacks.append(RunCheckpoint(monitor, generation, describe_run(run)))
        self.trainer_defaults["callbacks"] = callbacks
        strategy = choose_strategy(self.config_init.trainer.strategy, wanted.devices, wanted.num_nodes)
        changed: dict[str, Any] = {"strategy": strategy}
        if isinstance(wanted.profiler, str) and wanted.profiler in PROFILERS and not wanted.fast_dev_run:
            changed["profiler"] = PROFILERS[wanted.profiler](dirpath=run.home, filename="profile")
        if fitting:
            changed["plugins"] = [*list_plugins(self.config_init.trainer.plugins), TreeCheckpointIO(resumed)]
        own_loggers = wanted.logger in (None, True)
        if own_loggers:
            changed["logger"] = False
        try:
            trainer = self.instantiate_trainer(**changed)
        except (MisconfigurationException, ValueError, TypeError, ModuleNotFoundError) as error:
            absent = wanted.accelerator not in ("auto", "cpu")
            hint = "; --trainer.accelerator auto uses the devices of this machine" if absent else ""
            raise UsageError(f"trainer: {' '.join(str(error).split())}{hint}") from error
        if own_loggers and fitting and generation is not None:
            tracked = None
            if self.config.wandb:
                source = None if self.given is None else self.given.generation
                tracked = describe_tracked(run, self._dump(), source)
            trainer.loggers = build_loggers(generation.path, resumed_place(resumed), tracked, run.configs["tracking"])
        return trainer


def chosen_class(words: list[str], group: str, packages: Collection[str]) -> str:
    """Return the class whose settings ``data`` or ``model`` holds.

    jsonargparse accepts a plain ``data: {…}`` or ``--data.x`` for the parser's default class, and keeps the values of
    that class, defaults included, when a ``class_path`` names another. So the default must be the intended class: the
    last one named, the Gymnasium module if its own setting ``env_id`` appears, otherwise the usual class.

    Args:
        words: arguments of the command.
        group: ``data`` or ``model``.
        packages: packages that may be imported.

    Raises:
        UsageError: a configuration cannot be read, or the class belongs to a package that is not allowed.
    """
    groups: list[Any] = [config.get(group) for config in read_configs(words)]
    groups += option_values(words, f"--{group}", f"--{group}.class_path")
    groups += [{"env_id": name} for name in option_values(words, f"--{group}.env_id")]
    settings = [{"class_path": item} if isinstance(item, str) else item or {} for item in groups]
    if wrong := [item for item in settings if not isinstance(item, dict)]:
        raise UsageError(f"{group} must hold settings such as '{group}: {{...}}', found {wrong[0]!r:.40}")
    named = [str(item["class_path"]) for item in settings if item.get("class_path")]
    if named and "." in named[-1] and not named[-1].endswith((".yaml", ".yml")):
        if not is_allowed(named[-1], packages):
            raise UsageError(refusal(named[-1], named[-1], f"--{group}: "))
        return named[-1]
    gym = named[-1:] == [GymDataModule.__name__] or any(item.get("env_id") is not None for item in settings)
    return f"{GymDataModule.__module__}.{GymDataModule.__name__}" if gym else USUAL_CLASSES[group]


def names_checkpoint(words: Sequence[str]) -> bool:
    """Return whether options or configurations name a checkpoint."""
    named = any(word.partition("=")[0] == "--ckpt_path" for word in words)
    return named or any(config.get("ckpt_path") for config in read_configs(words))


def wanted_details(run: Run) -> bool:
    """Return whether the numbers of the training are shown: to engineers, and to sellers who ask for them."""
    return bool(run.options.verbose) or not run.advises


def _run_of(words: Sequence[str]) -> str:
    """Return the name of the run of the data file, if it has one, else of the only run.

    Raises:
        UsageError: there is none, or there are several.
    """
    files = named_files(words)
    own = name_run(files, USUAL_PRESET) if files else ""
    return own if own and (RUNS / own / BEST).exists() else find_run(None, BEST).path.name


def run_folder(options: Any) -> Path:
    """Return the folder of the run named by the options, or else by environment or file and preset.

    Raises:
        UsageError: the name is a path.
    """
    data = options.data.init_args
    if options.run_name:
        return RUNS / check_name(options.run_name)
    preset = data.reward.preset if "reward" in data else options.data.class_path.rpartition(".")[2]
    return RUNS / name_run(data.get("path"), preset, data.get("env_id"))


def print_help(parser: LightningArgumentParser) -> None:
    """Print all options, including those of our models and data, which subclass mode omits."""
    parser.print_help()
    for options in class_parsers():
        write_lines([""])
        options.print_help()


def class_parsers() -> Iterator[LightningArgumentParser]:
    """Yield a parser of the settings of each model and each kind of data."""
    for group, part in (("model", SACModule), ("data", PricingDataModule), ("data", GymDataModule)):
        options = LightningArgumentParser(usage=f"--{group}={part.__name__}", add_help=False, description="")
        options.add_class_arguments(part, group, skip={"task", "seed"}, fail_untyped=False)
        yield options


def check_run(run: Run) -> None:
    """Refuse trainer settings that cannot have their effect, and advice that could not be written.

    Raises:
        UsageError: the message names the option and the remedy.
    """
    options = run.options
    if not run.advises and run.command == "predict":
        raise UsageError("predict advises on a seller's file; score other policies with test")
    check_horizon(options.horizon)
    if options.out:
        check_folder(Path(options.out), "--out ")
    if run.command in ("fit", "predict"):
        check_folder(run.folder, "the run's folder ")
    if run.advises:
        run.formatter_for(step_days=1)  # refuses an unknown locale or currency before a file is read
        read_log(run.folder / LOG_FILE)
        if options.report.excel:
            check_workbook()
    check_trainer(options.trainer)


def _first_cause(error: BaseException) -> BaseException:
    """Return the exception from which others were raised, one after the other."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
