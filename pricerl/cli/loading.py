"""Words of a command that trains nothing, as the settings of its task."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from jsonargparse import ArgumentError

from pricerl.cli.imports import allowed_packages, read_config
from pricerl.cli.usage import CONFIG_OPTIONS, help_topics, replace_options, with_long_forms
from pricerl.errors import UsageError
from pricerl.progress import show_stages
from pricerl.runs.run import Run
from pricerl.tasks.load import load_run
from pricerl.tasks.settings import advice_parser, as_yaml, check_groups, without_training
from pricerl.tasks.settings_errors import explain_usage
from pricerl.terminal import write_lines

IDLE = ("--trainer.", "--model", "--data.class_path")
"""Beginnings of options that a training alone reads."""


def load_words(command: str, words: Sequence[str]) -> Run:
    """Load the run that a command's words name, and show the stages on a terminal."""
    given = given_settings(command, words)
    if given.pop("print_config", False):
        write_lines(as_yaml(load_run(given, allowed_packages(words)).settings).splitlines())
        raise SystemExit
    bar = given.get("trainer", {}).get("enable_progress_bar")
    show_stages(bar is not False and sys.stderr.isatty())
    return load_run(given, allowed_packages(words))


def given_settings(command: str, words: Sequence[str]) -> dict[str, Any]:
    """Return the settings and options that a command's words name, nested; a wrong one is a ``UsageError``."""

    def take_config(option: str, name: str) -> list[str]:
        return [option, as_yaml(without_training(read_config(name)))]

    parser = advice_parser()
    if help_topics(words):
        parser.print_help()
        raise SystemExit
    for name in (word.partition("=")[0] for word in words):
        if (name.startswith(IDLE) or name == "--data") and name != "--trainer.enable_progress_bar":
            raise UsageError(f"{name} has no effect on {command}, which trains nothing; leave it out")
    typed = with_long_forms(replace_options(words, ["--allow"], lambda *_: []))
    try:
        found = parser.parse_args(replace_options(typed, CONFIG_OPTIONS, take_config), defaults=False)
    except ArgumentError as error:
        problem = explain_usage(str(error), [*parser.get_defaults().keys()], words)
        raise UsageError(f"{problem} (see {command} --help)") from error
    given: dict[str, Any] = found.as_dict()
    given.pop("config", None)
    check_groups(parser, given)
    return given
