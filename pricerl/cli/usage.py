"""Options of the commands: their table and quick help, the words that name them, and messages about wrong ones."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

import yaml
from docstring_parser import parse_from_object

from pricerl.errors import UsageError, did_you_mean
from pricerl.tasks.options import RUN_OPTIONS
from pricerl.tasks.settings_errors import explain_usage, unknown_options
from pricerl.terminal import print_notes, write_lines

FLAGS = ("--excel", "--verbose", "--strict", "--print_config", "-h", "--help")
"""Options that take no value."""

TABLE = Path(__file__).with_name("settings.json")
"""Settings of model, data and trainer with text and default, as the parser has them, which takes seconds to build.

``python tests/cli/settings_table.py`` writes it anew; a test fails when that is due.
"""

STANDARD = {
    "config": "YAML file with any of these settings, or the name of a shipped one, such as quickstart. Of several, "
    "later ones take precedence.",
    "seed_everything": "Seed of all random numbers.",
    "print_config": "Print all settings as YAML and exit.",
    "allow": "Package whose classes and environments may be imported; repeatable. It is imported as well.",
    "costs": "Unit costs of the products, from a day on: a CSV as init writes it. Kept in the run's checkpoint by fit.",
    "stock": "Stock, deliveries and terms of supply: a CSV, or a platform's report. Kept like the costs.",
    "excel": "Also write the tables as an Excel workbook.",
    "strict": "Refuse a file if one of its products cannot be used.",
}
"""Options from Lightning, ``--allow``, and short forms of settings of costs, report and reading."""

LONG = {
    "--excel": "--report.excel=true",
    "--verbose": "--verbose=true",
    "--strict": "--data.reading.strict=true",
    "--help=all": "--help",
}
"""Short forms of options that take no value."""

CONFIG_OPTIONS = ("--config", "-c")

Config = TypeVar("Config")

FOREIGN = {*CONFIG_OPTIONS, "--allow", "--data", "--model", "--data.class_path", "--model.class_path"}
"""Options that may bring a class of data or model whose settings only the parser knows."""


def answer_early(command: str, words: Sequence[str]) -> bool:
    """Print requested help or refuse unknown options, before anything heavy is imported; return whether help was asked.

    Options or a topic of help that are unknown are a ``UsageError``, which names them all.
    """
    topics = help_topics(words)
    if not topics:
        _refuse_unknown(command, words)
    elif command != "what-if" and topics[-1] != "all":
        write_lines(help_text(command, topics[-1]).splitlines())
        return True
    return False


def find_groups() -> dict[str, Any]:
    """Return title and settings of all groups by prefix; the empty prefix holds the options of a run."""
    run: dict[str, Any] = {name: {"text": text, "default": None} for name, text in STANDARD.items()}
    run |= {name: {"text": text, "default": default} for name, (text, default) in RUN_OPTIONS.items()}
    return {"": {"text": "the run", "settings": run}, **_read_table()["groups"]}


def help_text(command: str, topic: str) -> str:
    """Return the help of a command, or of one of its groups if a topic such as ``data.guardrails`` is given."""
    groups = find_groups()
    if topic and topic not in groups:
        raise UsageError(f"--help={topic}: there is no such group of settings{did_you_mean(topic, groups)}")
    page = argparse.HelpFormatter("", max_help_position=34, width=102)
    if topic:
        rows = {}
        for name, item in groups[topic]["settings"].items():
            default = item["default"]
            typed = default if isinstance(default, str) and default else json.dumps(default)
            rows[f"--{name}"] = f"{item['text']} [{typed}]"
        _add_rows(page, f"{topic}: {groups[topic]['text'].rstrip('.')}", rows)
        return page.format_help()
    own = {**groups.pop("")["settings"], **groups.pop("data")["settings"]}
    page.add_text(f"usage: pricerl {command} [--config FILE] [--OPTION VALUE ...]")
    page.add_text(_read_table()["commands"][command])
    _add_rows(page, "options", {f"--{name}": _first_sentence(setting["text"]) for name, setting in own.items()})
    title = "groups of settings, such as --data.guardrails.floor 9.90; --help=GROUP lists one with its defaults"
    sizes = {name: f"{_first_sentence(group['text'])} ({len(group['settings'])})" for name, group in groups.items()}
    _add_rows(page, title, sizes)
    page.add_text("A YAML file holds the same names, nested. --help=all prints everything.")
    return page.format_help()


def help_topics(words: Sequence[str]) -> list[str]:
    """Return the topics of all requests for help among the arguments, empty ones for the command itself."""
    return [word.partition("=")[2] for word in words if word.partition("=")[0] in ("-h", "--help")]


def _refuse_unknown(command: str, words: Sequence[str]) -> None:
    """Refuse unknown options, except those that only the parser knows: of another class, or of another Lightning."""
    groups = find_groups()
    known = {name for group in groups.values() for name in group["settings"]}
    known |= {"price", "product", "unit_cost"} if command == "what-if" else set()
    foreign = {"data", "model"} if any(word.partition("=")[0] in FOREIGN for word in words) else set()
    unknown = []
    for name in (word[2:].partition("=")[0] for word in words if word.startswith("--")):
        parts = name.rstrip("+").replace(".init_args", "").split(".")
        paths = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}  # a setting may hold further ones
        if not (paths & (known | foreign) or ".".join(parts) in groups or parts[-1] == "help"):
            unknown.append(f"--{name}")
    if unknown and version("lightning") != _read_table()["lightning"]:
        unknown = [name for name in unknown if not name.startswith("--trainer.")]
    if unknown:
        raise UsageError(f"{unknown_options(unknown, known)} (see {command} --help)")


@cache
def _read_table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


def _add_rows(page: argparse.HelpFormatter, title: str, rows: Mapping[str, str]) -> None:
    """Add a section of names with their texts, in two columns."""
    page.start_section(title)
    page.add_arguments([argparse.Action([], name, help=text.replace("%", "%%")) for name, text in rows.items()])
    page.end_section()


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.;])\s", text, maxsplit=1)[0].rstrip(".;")


class Parser(argparse.ArgumentParser):
    """Parser that raises a ``UsageError`` for an invalid option instead of exiting."""

    def error(self, message: str) -> None:  # type: ignore[override]  # argparse types it NoReturn; raising is that
        """Raise a ``UsageError`` that explains an invalid option."""
        options = [name.removeprefix("--") for action in self._actions for name in action.option_strings]
        raise UsageError(f"{explain_usage(message, options)} (see {self.prog} --help)")


def option_values(words: Sequence[str], *names: str) -> list[str]:
    """Return the values of all options ``name value`` and ``name=value``, in order."""
    values = []
    for word, following in zip_longest(words, words[1:]):
        name, _, value = word.partition("=")
        if name in names and value:
            values.append(value)
        elif word in names and following is not None:
            values.append(following)
    return values


def replace_options(words: Sequence[str], names: Collection[str], new: Callable[[str, str], list[str]]) -> list[str]:
    """Return a command's words with other ones instead of each option of some names and its value."""
    replaced: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        following = value if equals else next(rest, None) if name in names else None
        replaced += [word] if name not in names or following is None else new(name, following)
    return replaced


def with_first(words: Sequence[str], option: str) -> list[str]:
    """Return a command's words with a value in the first place as that of an option, such as ``--price``."""
    if not words or words[0].startswith("--") or words[0] == "-h":
        return list(words)
    if named := option_values(words[1:], option):
        raise UsageError(f"{option}: found two values, {words[0]} in the first place and {named[0]}; give one")
    return [f"{option}={words[0]}", *words[1:]]


def with_file(words: Sequence[str]) -> list[str]:
    """Return a command's words with its files, the words that no option takes, as ``--data.path``."""
    files = []
    others = []
    taken = False
    for word in words:
        option = word.startswith("-") and word != "-"
        if option or taken:
            others.append(word)
        else:
            files.append(word)
        taken = option and "=" not in word and word not in FLAGS
    named = named_files(words)
    if not files and not named and not {"-h", "--help"} & {*words}:
        raise UsageError("advise needs a FILE, the seller's export (fit --config quickstart shows a simulated seller)")
    every = [*files, *named] if files else []
    return [*others, *option_words({"data.path": every[0] if len(every) == 1 else every or None})]


class _Files(argparse.Action):
    """Option of one file or a list in brackets; with a plus at its end it adds to those named before."""

    def __call__(self, parser: object, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        found = None
        with contextlib.suppress(yaml.YAMLError):
            found = yaml.safe_load(values) if values.startswith("[") else None
        files = list(map(str, found)) if isinstance(found, list) else [values]
        before = getattr(namespace, self.dest) or [] if (option or "").endswith("+") else []
        setattr(namespace, self.dest, [*before, *files])


def add_files(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--data.path``, whose value ``path`` is a list of files or None, as LightningCLI reads it."""
    parser.add_argument("--data.path", "--data.path+", dest="path", action=_Files, metavar="FILE", help=text)


def add_author_options(parser: argparse.ArgumentParser, needs_reason: bool = False) -> None:
    """Add the options for the reason of a decision and the person who makes it."""
    parser.add_argument("--reason", required=needs_reason, default="", help="reason, shown by history and the audit")
    parser.add_argument("--by", help="person who decides; your user name if absent")


def add_settings(parser: argparse.ArgumentParser, config: type) -> None:
    """Add the fields of a config class as options with their defaults; their docstrings are the help."""
    texts = {item.arg_name: item.description or "" for item in parse_from_object(config).params}
    for item in fields(config):
        text = " ".join(texts[item.name].split()).replace("%", "%%")
        parser.add_argument(f"--{item.name}", type=type(item.default), default=item.default, help=text)


def config_of(options: argparse.Namespace, config: type[Config]) -> Config:
    """Return the object of a config class that options name."""
    return config(**{item.name: getattr(options, item.name) for item in fields(config)})  # type: ignore[arg-type]


def named_files(words: Sequence[str]) -> list[str]:
    """Return the files that ``--data.path`` names."""
    parser = Parser(prog="pricerl", add_help=False, allow_abbrev=False)
    add_files(parser, "")
    return parser.parse_known_args(list(words))[0].path or []


def with_long_forms(words: Sequence[str]) -> list[str]:
    """Return a command's words with settings in place of their short forms, the rows of tables included."""
    return [LONG.get(word, word) for word in with_tables(words)]


def with_tables(words: Sequence[str]) -> list[str]:
    """Return a command's words with the rows of ``--costs`` and ``--stock`` as settings; blank days are yesterday."""

    def read(option: str, path: str) -> list[str]:
        from pricerl.data.days import read_day
        from pricerl.data.row_table import TABLES
        from pricerl.operations.shop import system_day

        today = read_day(given[-1]) if (given := option_values(words, "--today")) else system_day()
        rows, notes = TABLES[option[2:]].read(path, {} if option == "--costs" else {"as_of": str(today - timedelta(1))})
        print_notes(notes)
        return option_words({"data.cost.products" if option == "--costs" else "data.stock": rows})

    return replace_options(words, ("--costs", "--stock"), read)


def option_words(settings: Mapping[str, Any]) -> list[str]:
    """Return settings other than None as command-line options."""
    return [
        f"--{name}={value if isinstance(value, (str, Path)) else json.dumps(value)}"
        for name, value in settings.items()
        if value is not None
    ]


def file_parser(command: str, purpose: str | None) -> Parser:
    """Return a parser of the options that name a run, its fresh file and today; it leaves others to ``predict``."""
    parser = Parser(prog=f"pricerl {command}", description=purpose, allow_abbrev=False)
    parser.add_argument("--run_name", help="run, a folder in checkpoints; the only one if absent; also the first word")
    parser.add_argument("--data.path", dest="path", help="the fresh file; the files of the newest advice if absent")
    parser.add_argument("--today", help="day to take as today, such as 2026-01-31; the clock's if absent")
    return parser
