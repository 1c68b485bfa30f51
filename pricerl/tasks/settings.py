"""Settings of an advice: stored, kept by a shop and given, made into one checked tree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any, Literal

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings

from pricerl.advice.files import ReportConfig
from pricerl.decide.decision import DecisionConfig
from pricerl.errors import UsageError
from pricerl.evaluation.pricing_data import PricingData
from pricerl.market.reward import RewardConfig
from pricerl.runs.checkpoint import find_fault
from pricerl.runtime import MatmulPrecision
from pricerl.tasks.options import RUN_OPTIONS
from pricerl.tasks.settings_errors import explain_usage

CHOICES: dict[str, Any] = {
    "matmul_precision": MatmulPrecision,
    "format": Literal["text", "json"],
    "waits": Literal["editor"] | None,
}
"""Types of the options that are choices."""

GROUPS = {"decision": DecisionConfig, "report": ReportConfig}
"""Groups of settings outside model, data and trainer."""

TRAINED = ("model", "trainer", "tracking")
"""Groups of settings that a training alone reads, as it does `TRAINED_DATA`; a configuration may serve both."""
TRAINED_DATA = ("num_envs", "eval_every")


def add_options(parser: ArgumentParser, groups: Mapping[str, type]) -> None:
    """Add the options of a task and groups of settings, one argument each."""
    for name, (text, default) in RUN_OPTIONS.items():
        kind = CHOICES.get(name, str | None if default is None else type(default))
        parser.add_argument(f"--{name}", type=kind, default=default, help=text)
    for name, config in groups.items():
        parser.add_class_arguments(config, name)
    parser.add_argument("--print_config", action="store_true", help="Print all settings as YAML and exit.")


@cache
def advice_parser(kind: type[PricingData] = PricingData) -> ArgumentParser:
    """Return the parser of a task that trains nothing, for data of a kind."""
    set_parsing_settings(docstring_parse_attribute_docstrings=False)  # reading the help texts takes a second
    parser = ArgumentParser(exit_on_error=False, print_config=None)
    parser.add_argument("--config", action="config")
    parser.add_argument("--seed_everything", type=bool | int, default=0)
    parser.add_argument("--trainer.enable_progress_bar", type=bool | None, default=None)
    parser.add_class_arguments(kind, "data", fail_untyped=False, instantiate=False, skip={"seed", *TRAINED_DATA})
    add_options(parser, GROUPS)
    return parser


@contextmanager
def explained(parser: ArgumentParser, place: str = "", hint: str = "") -> Iterator[None]:
    """Raise the parser's errors as a ``UsageError`` that begins with a place and ends with a hint."""
    try:
        yield
    except ArgumentError as error:
        raise UsageError(f"{place}{explain_usage(str(error), [*parser.get_defaults().keys()])}{hint}") from error


def without_training(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings without those that a training alone reads, and without classes."""
    kept = {name: value for name, value in settings.items() if name not in TRAINED}
    if isinstance(data := kept.get("data"), Mapping):
        kept["data"] = {name: value for name, value in without_class(data).items() if name not in TRAINED_DATA}
    return kept


def without_class(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a group without the class that they are arguments of."""
    plain = {name.removeprefix("init_args."): value for name, value in group.items() if name != "init_args"}
    return {name: value for name, value in {**plain, **(group.get("init_args") or {})}.items() if name != "class_path"}


def check_groups(parser: ArgumentParser, settings: Mapping[str, Any], place: str = "") -> None:
    """Refuse a value in place of a group of settings, which the parser would take for a configuration or pass on."""
    if fault := find_fault("", without_training(settings), parser.get_defaults().as_dict()):
        raise UsageError(f"{place}{fault}")


def merge_settings(parser: ArgumentParser, parts: Sequence[tuple[str, Mapping[str, Any]]]) -> Namespace:
    """Return all settings, of which later parts take precedence, each given with its place for a ``UsageError``."""
    merged = parser.get_defaults()
    for place, part in parts:
        check_groups(parser, part, place)
        if "loss_weight" in part.get("data", {}).get("reward", {}):
            raise UsageError(f"{place}data.reward.loss_weight follows decision.loss_weight; set that")
        with explained(parser, place):
            merged = parser.parse_object(without_training(part), merged)
    return merged


def build_data(kind: type[PricingData], built: Namespace) -> PricingData:
    """Return the data of instantiated settings; seed and weight of losses have one name each, outside the group."""
    groups = {**vars(built.data), "seed": int(built.seed_everything or 0)}
    if isinstance(reward := groups.get("reward"), RewardConfig):
        groups["reward"] = replace(reward, loss_weight=built.decision.loss_weight)
    return kind(**groups)


def plain_settings(parser: ArgumentParser, settings: Namespace) -> dict[str, Any]:
    """Return settings as plain values; those that were parsed are not validated again."""
    plain: dict[str, Any] = json.loads(parser.dump(settings, format="json", skip_unset=False, skip_validation=True))
    plain["data"].get("reward", {}).pop("loss_weight", None)  # it follows the decision's
    return plain


def as_yaml(settings: Mapping[str, Any]) -> str:
    """Return settings as a configuration."""
    return yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
