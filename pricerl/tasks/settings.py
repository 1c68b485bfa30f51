"""Settings of an advice: stored, kept by a shop and given, made into one checked tree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any, Literal

from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings

from pricerl.advice.files import ReportConfig
from pricerl.decide.decision import DecisionConfig
from pricerl.errors import UsageError
from pricerl.evaluation.pricing_data import PricingData
from pricerl.market.reward import RewardConfig
from pricerl.runs.checkpoint import find_fault
from pricerl.runtime import MatmulPrecision
from pricerl.tasks.configs import TRAINED_DATA, AdviceConfig, Nested, Placed
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


def add_options(parser: ArgumentParser, groups: Mapping[str, type]) -> None:
    """Add the options of a task and groups of settings, one argument each."""
    for name, (text, default) in RUN_OPTIONS.items():
        kind = CHOICES.get(name, str | None if default is None else type(default))
        parser.add_argument(f"--{name}", type=kind, default=default, help=text)
    for name, config in groups.items():
        parser.add_class_arguments(config, name)
    parser.add_argument("--print_config", action="store_true", help="Print all settings as YAML and exit.")


@cache
def advice_parser(kind: type[PricingData]) -> ArgumentParser:
    """Return the parser of a task that trains nothing, for data of a kind."""
    set_parsing_settings(docstring_parse_attribute_docstrings=False)  # reading the help texts takes a second
    parser = ArgumentParser(exit_on_error=False, print_config=None)
    parser.add_argument("--config", action=AdviceConfig)
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


@cache
def usual_settings(parser: ArgumentParser) -> dict[str, Any]:
    """Return the defaults of a task that trains nothing, nested."""
    return dict(parser.get_defaults().as_dict())


def check_given(parser: ArgumentParser, given: Nested) -> None:
    """Refuse a value in place of a group of settings, which a parser takes for a configuration, and linked ones."""
    if fault := find_fault("", given, usual_settings(parser)):
        raise UsageError(fault)
    if "loss_weight" in given.get("data", {}).get("reward", {}):
        raise UsageError("data.reward.loss_weight follows decision.loss_weight; set that")


def merge_settings(parser: ArgumentParser, parts: Sequence[Placed]) -> Namespace:
    """Return all settings, of which later parts take precedence, each given with its place for a ``UsageError``."""
    merged = parser.get_defaults()
    for number, (place, part) in enumerate(parts, 1):
        with explained(parser, place):  # defaults of a user's own classes are added once, at the end
            merged = parser.parse_object(dict(part), merged, defaults=number == len(parts))
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
