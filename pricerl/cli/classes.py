"""Classes of ``data`` and ``model``: chosen before parsing, and hidden in the parser's messages."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from pricerl.cli.usage import explain_usage, option_values, read_configs
from pricerl.training.checkpointing import USUAL_CLASSES
from pricerl.training.gym_data import GymDataModule
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule

GYM_DATA = f"{GymDataModule.__module__}.{GymDataModule.__name__}"

NESTED = re.compile(
    r"Parser key \"(data|model)\":\s+Problem with given class_path '[^']+':\s+(?!Importing)(.*)", re.DOTALL
)
"""Pattern of a message about a class's setting; the group is the part after the class."""

UNKNOWN = re.compile(
    r"(?:Group '([^']+)' does not accept option|^Option) '([^']+)'|unrecognized arguments: --([^\s=]+)="
)


def data_class(words: list[str]) -> str:
    """Return the DataModule class whose settings ``data`` holds.

    jsonargparse accepts a plain ``data: {…}`` or ``--data.x`` for the parser's default class, and keeps the values of
    that class, defaults included, when a ``class_path`` names another. So the default must be the intended class: the
    Gymnasium module if it is named or its own setting ``env_id`` appears, otherwise the pricing module.

    Args:
        words: arguments of the command.

    Raises:
        UsageError: a configuration cannot be read.
    """
    groups: list[Any] = [config.get("data") for config in read_configs(words)]
    groups += [{"class_path": name} for name in option_values(words, "--data", "--data.class_path")]
    groups += [{"env_id": name} for name in option_values(words, "--data.env_id")]
    settings = [{"class_path": group} if isinstance(group, str) else group or {} for group in groups]
    named = any(str(item.get("class_path")).endswith("GymDataModule") for item in settings)
    return GYM_DATA if named or any(item.get("env_id") is not None for item in settings) else USUAL_CLASSES["data"]


def explain(message: str, words: list[str], known: Collection[str]) -> str:
    """Rewrite a parser's message with plain setting names, without class names.

    Args:
        message: message of jsonargparse.
        words: arguments of the command.
        known: settings of the command.
    """
    options = {name.replace(".init_args", "") for name in known if not name.endswith(".class_path")}
    nested = NESTED.match(message)
    prefix, inner = (f"{nested[1]}.", nested[2]) if nested else ("", message)
    unknown, missing = UNKNOWN.search(inner), re.match(r"the following arguments are required: (.*)", inner)
    no_class = re.match(r"Parser key \"(data|model)\":\s+- Expected a path but (\S+) either", message)
    if no_class:
        return f"--{no_class[1]}: there is no class {no_class[2]}"
    if unknown:
        name = prefix + ".".join(filter(None, unknown.groups()))
        given = any(word.split("=")[0] == f"--{name}" for word in words)
        inner = f"unrecognized arguments: --{name}" if given else f"does not accept option '{name}'"
    elif missing:
        return f"--{prefix}{missing[1]} is required"
    return explain_usage(inner.replace('Parser key "', f'Parser key "{prefix}'), options)


def asks_help(words: list[str]) -> bool:
    """Return whether the arguments request help."""
    return any(word.split("=")[0] in ("-h", "--help") for word in words)


def print_help(parser: LightningArgumentParser) -> None:
    """Print all options, including those of our models and data, which subclass mode omits."""
    parser.print_help()
    for group, part in (("model", SACModule), ("data", PricingDataModule), ("data", GymDataModule)):
        options = LightningArgumentParser(usage=f"--{group}={part.__name__}", add_help=False, description="")
        options.add_class_arguments(part, group, skip={"task", "seed"}, fail_untyped=False)
        print()
        options.print_help()
