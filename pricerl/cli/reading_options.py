"""Options of commands that read a file, by the names of the settings of reading."""

from __future__ import annotations

import argparse
import json

from pricerl.cli.usage import Parser, config_of, find_groups
from pricerl.data.config import DataConfig

READING = "data.reading"
"""Group of the settings of reading a file."""


def _mapping(text: str) -> dict[str, str]:
    """Return an option that is a JSON object of texts."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f'must be a JSON object such as {{"Net paid": "Total Sales"}}, found {text!r}')
    return {str(name): str(column) for name, column in found.items()}


def add_reading(parser: Parser) -> None:
    """Add the settings of reading a file as options, by their own names and by those of the other commands."""
    for long, setting in find_groups()[READING]["settings"].items():
        name = long.rpartition(".")[2]
        usual = setting["default"]
        choices = ("true", "false") if name == "strict" else None
        kind = _mapping if name == "columns" else type(usual) if type(usual) in (int, float) else str
        text = setting["text"].replace("%", "%%")
        parser.add_argument(f"--{name}", f"--{long}", dest=name, type=kind, default=usual, choices=choices, help=text)


def reading_of(options: argparse.Namespace) -> DataConfig:
    """Return the settings of reading that options name."""
    options.strict = options.strict == "true"
    return config_of(options, DataConfig)
