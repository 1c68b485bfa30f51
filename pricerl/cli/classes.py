"""Classes of ``data`` and ``model``: chosen before parsing, and listed by the full help."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from pricerl.cli.configs import read_configs
from pricerl.cli.imports import is_allowed, refusal
from pricerl.cli.usage import option_values
from pricerl.errors import UsageError
from pricerl.runs import USUAL_CLASSES
from pricerl.terminal import write_lines
from pricerl.training.gym_data import GymDataModule
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule


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


def print_help(parser: LightningArgumentParser) -> None:
    """Print all options, including those of our models and data, which subclass mode omits."""
    parser.print_help()
    for group, part in (("model", SACModule), ("data", PricingDataModule), ("data", GymDataModule)):
        options = LightningArgumentParser(usage=f"--{group}={part.__name__}", add_help=False, description="")
        options.add_class_arguments(part, group, skip={"task", "seed"}, fail_untyped=False)
        write_lines([""])
        options.print_help()
