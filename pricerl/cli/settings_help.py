"""Help on the settings of a run: the docstrings and defaults of the classes that hold them."""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from itertools import chain
from pkgutil import resolve_name
from typing import Any, NamedTuple

from docstring_parser import parse_from_object

from pricerl.errors import did_you_mean, refuse
from pricerl.tasks.options import RUN_OPTIONS, TRAINER_DEFAULTS

GROUPS = {
    "data": (
        "the seller's file, or an environment",
        "evaluation.pricing_data.PricingData",
        "training.pricing_data.PricingDataModule",
        "training.gym_data.GymDataModule",
    ),
    "data.reading": ("reading and cleaning of the file", "data.config.DataConfig"),
    "data.seller": ("the simulated seller that replaces a file", "simulation.seller.SellerConfig"),
    "data.market": ("demand model", "market.demand.config.DemandConfig"),
    "data.cost": ("the seller's known costs", "data.costs.CostConfig"),
    "data.reward": ("objective", "market.reward.RewardConfig"),
    "data.guardrails": ("limits on prices", "guardrails.config.GuardrailConfig"),
    "data.env": ("episodes", "env.config.EnvConfig"),
    "model": ("Soft Actor-Critic", "training.module.SACModule"),
    "model.algorithm": ("updates of the networks", "sac.config.SACConfig"),
    "model.network": ("actor and critics", "sac.config.NetworkConfig"),
    "decision": ("evidence required to recommend another price", "decide.decision.DecisionConfig"),
    "report": ("optional parts of the report", "advice.files.ReportConfig"),
    "tracking": ("Weights & Biases, read with --wandb true only", "training.callbacks.tracking.TrackingConfig"),
    "trainer": ("Lightning's Trainer", "trainer.Trainer"),
}
"""Title of each group of settings, and the classes in ``pricerl`` that hold them; of the trainer, in Lightning."""

LINKED = {"data.seed", "model.task", "data.reward.loss_weight"}
"""Arguments that are no settings: other ones set them."""

SHORT = {
    "config": "YAML file with any of these settings, or the name of a shipped one, such as quickstart. Of several, "
    "later ones take precedence.",
    "data.path": "The seller's file, or a list with ads reports to join to it.",
    "seed_everything": "Seed of all random numbers.",
    "print_config": "Print all settings as YAML and exit.",
    "allow": "Package whose classes and environments may be imported; repeatable. It is imported as well.",
    "costs": "Unit costs of the products, from a day on: a CSV as init writes it. Kept in the run's checkpoint by fit.",
    "stock": "Stock, deliveries and terms of supply: a CSV, or a platform's report. Kept like the costs.",
    "excel": "Also write the tables as an Excel workbook.",
    "strict": "Refuse a file if one of its products cannot be used.",
}
"""Options from Lightning, ``--allow``, and short forms of settings of costs, report and reading."""


class Setting(NamedTuple):
    """Setting, or option of a run."""

    text: str
    default: Any


def settings_of(group: str) -> dict[str, Setting]:
    """Return the settings of a group by their full names; the empty group holds the options of a run."""
    if not group:
        own = {name: Setting(text, default) for name, (text, default) in RUN_OPTIONS.items()}
        return {**{name: Setting(text, None) for name, text in SHORT.items()}, **own}
    base = "lightning.pytorch" if group == "trainer" else "pricerl"
    kinds = [resolve_name(f"{base}.{place}") for place in reversed(GROUPS[group][1:])]  # the first takes precedence
    named = {f"{group}.{name}": item for kind in kinds for name, item in describe(kind).items()}
    usual = {f"trainer.{name}": value for name, value in TRAINER_DEFAULTS.items()}
    return {
        name: item._replace(default=usual.get(name, item.default)) for name, item in named.items() if name not in LINKED
    }


def describe(kind: Any) -> dict[str, Setting]:
    """Return the arguments of a class with the text of its docstrings and their defaults, but for nested classes."""
    parts = (kind.__init__, *filter(is_dataclass, reversed(kind.__mro__)), kind)
    documented = chain.from_iterable(parse_from_object(part).params for part in parts)
    texts = {item.arg_name: " ".join((item.description or "").split()) for item in documented}
    return {
        name: Setting(texts.get(name, ""), None if item.default is item.empty else item.default)
        for name, item in inspect.signature(kind).parameters.items()
        if not is_dataclass(item.default) and item.kind is not item.VAR_KEYWORD
    }


def topics_in(words: Sequence[str]) -> list[str]:
    """Return the topics of all requests for help among the arguments, empty ones for the command itself."""
    return [word.partition("=")[2] for word in words if word.partition("=")[0] in ("-h", "--help")]


def help_lines(command: str, topic: str) -> Iterator[str]:
    """Yield the help of a command, or of a group of settings such as ``data.guardrails``, or of ``all``."""
    unknown = topic not in ("", "all", *GROUPS)
    refuse({f"--help={topic}: there is no such group of settings{did_you_mean(topic, GROUPS)}": unknown})
    if not topic:
        yield from (f"usage: pricerl {command} [--config FILE] [--OPTION VALUE ...]", "")
        yield from _section("options", {f"--{name}": item.text for name, item in settings_of("").items()})
        title = "groups of settings, such as --data.guardrails.floor 9.90; --help=GROUP lists one with its defaults"
        yield from _section(title, {name: title for name, (title, *_) in GROUPS.items()})
        yield "A YAML file holds the same names, nested. --help=all prints every group."
    for group in GROUPS if topic == "all" else filter(None, [topic]):
        rows = {f"--{name}": f"{text} [{json.dumps(usual)}]" for name, (text, usual) in settings_of(group).items()}
        yield from _section(f"{group}: {GROUPS[group][0]}", rows)


def _section(title: str, rows: Mapping[str, str]) -> list[str]:
    """Return names with their texts in two columns."""
    page = argparse.HelpFormatter("", max_help_position=34, width=102)
    page.start_section(title)
    page.add_arguments([argparse.Action([], name, help=text.replace("%", "%%")) for name, text in rows.items()])
    page.end_section()
    return [*page.format_help().splitlines(), ""]
