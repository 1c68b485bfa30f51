"""Classes of ``data`` and ``model``: chosen before parsing, and listed by the full help."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from pricerl.cli.usage import option_values, read_configs
from pricerl.terminal import write_lines
from pricerl.training.checkpointing import USUAL_CLASSES
from pricerl.training.gym_data import GymDataModule
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule


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
    gym = named or any(item.get("env_id") is not None for item in settings)
    return f"{GymDataModule.__module__}.{GymDataModule.__name__}" if gym else USUAL_CLASSES["data"]


def print_help(parser: LightningArgumentParser) -> None:
    """Print all options, including those of our models and data, which subclass mode omits."""
    parser.print_help()
    for group, part in (("model", SACModule), ("data", PricingDataModule), ("data", GymDataModule)):
        options = LightningArgumentParser(usage=f"--{group}={part.__name__}", add_help=False, description="")
        options.add_class_arguments(part, group, skip={"task", "seed"}, fail_untyped=False)
        write_lines([""])
        options.print_help()
