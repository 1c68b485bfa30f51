"""Words of a command that trains nothing, as the settings of its task."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pricerl.cli.imports import allowed_packages, read_config
from pricerl.cli.usage import CONFIG_OPTIONS, option_values, option_words, replace_options
from pricerl.data.days import read_day
from pricerl.data.row_table import TABLES
from pricerl.operations import shop
from pricerl.progress import show_stages
from pricerl.runs.run import Run
from pricerl.tasks.load import load_run
from pricerl.tasks.settings import advice_parser, as_yaml, check_groups, explained, without_training
from pricerl.terminal import print_notes, write_lines

LONG = {"--excel": "--report.excel=true", "--verbose": "--verbose=true", "--strict": "--data.reading.strict=true"}
"""Short forms of options that take no value."""


def load_words(
    command: str, words: Sequence[str], options: argparse.Namespace | None = None, whole: bool = True
) -> Run:
    """Load the run that a command's words and its own options name, and show the stages on a terminal.

    Only a ``whole`` catalogue has the products about which nothing is new.
    """
    given = given_settings(command, words, options)
    if given.pop("print_config", False):
        write_lines(as_yaml(load_run(given, allowed_packages(words)).settings).splitlines())
        raise SystemExit
    bar = given.get("trainer", {}).get("enable_progress_bar")
    show_stages(bar is not False and sys.stderr.isatty())
    return load_run(given, allowed_packages(words), whole)


def given_settings(command: str, words: Sequence[str], options: argparse.Namespace | None = None) -> dict[str, Any]:
    """Return the settings that words and options name, nested; a wrong one is a ``UsageError``."""

    def take_config(option: str, name: str) -> list[str]:
        return [option, as_yaml(without_training(read_config(name)))]

    parser = advice_parser()
    typed = with_long_forms(replace_options(words, ["--allow"], lambda *_: []))
    with explained(parser, hint=f" (see {command} --help)"):
        found = parser.parse_args(replace_options(typed, CONFIG_OPTIONS, take_config), defaults=False)
    given: dict[str, Any] = found.as_dict()
    given.pop("config", None)
    check_groups(parser, given)
    return given if options is None else add_own(given, options)


def add_own(given: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return settings with the run, file and day that a command's own options name."""
    own = {name: value for name, value in vars(options).items() if name in ("run_name", "ckpt_path", "today") and value}
    path = {"data": {**given.get("data", {}), "path": options.path}} if options.path else {}
    return {**given, **own, **path}


def with_long_forms(words: Sequence[str]) -> list[str]:
    """Return a command's words with settings in place of their short forms.

    The rows of ``--costs`` and ``--stock`` are settings; their blank days are yesterday.
    """

    def read(option: str, path: str) -> list[str]:
        today = read_day(given[-1]) if (given := option_values(words, "--today")) else shop.system_day()
        rows, notes = TABLES[option[2:]].read(path, {} if option == "--costs" else {"as_of": str(today - timedelta(1))})
        print_notes(notes)
        return option_words({"data.cost.products" if option == "--costs" else "data.stock": rows})

    return [LONG.get(word, word) for word in replace_options(words, ("--costs", "--stock"), read)]
