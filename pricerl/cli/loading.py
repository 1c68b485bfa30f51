"""Words of a command that trains nothing, as the settings of its task."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from jsonargparse import Namespace

from pricerl.cli.usage import option_words, take_options
from pricerl.data.days import read_day
from pricerl.data.row_table import TABLES
from pricerl.errors import UsageError
from pricerl.evaluation.pricing_data import PricingData
from pricerl.operations import shop
from pricerl.operations.log.provenance import combine
from pricerl.progress import show_stages
from pricerl.runs.run import Run
from pricerl.tasks.configs import Nested, as_yaml, read_config, without_training
from pricerl.tasks.imports import OWN, allowed_packages
from pricerl.tasks.load import load_run
from pricerl.tasks.options import TRAINING_OPTIONS
from pricerl.tasks.settings import advice_parser, check_given, explained
from pricerl.terminal import print_notes, write_lines

LONG = {"--excel": "--report.excel=true", "--verbose": "--verbose=true", "--strict": "--data.reading.strict=true"}
"""Short forms of options that take no value."""


def load_words(
    command: str, words: Sequence[str], options: argparse.Namespace | None = None, whole: bool = True
) -> Run:
    """Load the run that a command's words and its own options name.

    Only a ``whole`` catalogue has the products about which nothing is new.
    """
    given, packages = given_settings(command, words, options)
    if given.pop("print_config", False):
        write_lines(as_yaml(load_run(given, packages).settings).splitlines())
        raise SystemExit
    return load_run(given, packages, whole)


def given_settings(
    command: str, words: Sequence[str], options: argparse.Namespace | None = None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the settings that words and options name, nested, and the packages that the words allow.

    A wrong one is a ``UsageError``. Stages are shown from here on, on a terminal or as the words ask for.
    """
    parser = advice_parser(PricingData)
    typed, packages = long_words([*words, *option_words({"today": getattr(options, "today", None)})])
    with explained(parser, hint=f" (see {command} --help)"):
        given: dict[str, Any] = parser.parse_args(typed, defaults=False).as_dict()
    given.pop("config", None)
    bar = given.get("trainer", {}).get("enable_progress_bar")
    show_stages(sys.stderr.isatty() if bar is None else bar)
    check_given(parser, given)
    return given if options is None else add_own(given, options), packages


def untrained_settings(words: Sequence[str]) -> dict[str, Any] | None:
    """Return the settings of an advice without training, or None if an option or a configuration asks for one."""
    named, _ = take_options(words, "--config", "-c", *(f"--{name}" for name in TRAINING_OPTIONS))
    configs = [read_config(name) for name in named.pop("config") + named.pop("c")]
    if any(named.values()) or any(config != without_training(config) for config in configs):
        return None
    try:
        given, packages = given_settings("advise", words)
    except UsageError:  # of a training, or wrong: its parser explains that
        return None
    return None if given.pop("print_config", False) or packages != OWN else given


def add_own(given: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return settings with the run, file and day that a command's own options name."""
    own = {name: value for name, value in vars(options).items() if name in ("run_name", "ckpt_path", "today") and value}
    path = {"data": {**given.get("data", {}), "path": options.path}} if options.path else {}
    return {**given, **own, **path}


def long_words(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return a command's words with settings in place of their short forms, and the packages that it may import."""
    taken, rest = take_options(words, "--allow", "--costs", "--stock", "--today")
    named = {name: taken[name][-1] if taken[name] else None for name in ("costs", "stock", "today")}
    rest += option_words({**read_tables(**named), "today": named["today"]})
    return [LONG.get(word, word) for word in rest], allowed_packages(taken["allow"])


def nested_settings(usual: Nested, named: Nested) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return settings by their command-line names as a tree, and the packages that they allow.

    Those that are None count as absent. A configuration takes precedence over the ``usual`` ones, the others over it.
    """
    given = {name: value for name, value in named.items() if value is not None}
    packages = allowed_packages([given.pop("allow")] if "allow" in given else [])
    config = read_config(given.pop("config")) if "config" in given else {}
    given |= read_tables(given.pop("costs", None), given.pop("stock", None), given.get("today"))
    known = {name: value for name, value in usual.items() if value is not None}
    below, above = (Namespace(part).as_dict() for part in (known, given))  # type: ignore[no-untyped-call]
    return combine(combine(below, config), above), packages


def read_tables(costs: str | None, stock: str | None, today: str | None) -> dict[str, Any]:
    """Return the rows of tables of costs and stock as settings; blank days of the stock are yesterday."""
    rows = {}
    if costs:
        rows["data.cost.products"] = _read_table("costs", costs, {})
    if stock:
        day = shop.system_day() if today is None else read_day(today)
        rows["data.stock"] = _read_table("stock", stock, {"as_of": str(day - timedelta(1))})
    return rows


def _read_table(name: str, path: str, usual: Mapping[str, str]) -> list[dict[str, Any]]:
    rows, notes = TABLES[name].read(path, usual)
    print_notes(notes)
    return rows
