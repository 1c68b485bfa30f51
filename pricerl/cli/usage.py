"""Messages about wrong options: place, finding and remedy."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pricerl.errors import UsageError, did_you_mean
from pricerl.operations.decision_log import LOG_FILE, read_log
from pricerl.terminal import print_notes

if TYPE_CHECKING:
    from pricerl.training.run import Run

KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "NoneType": "null"}
"""Types in plain words."""


FLAGS = ("--excel", "--verbose", "--strict", "-h", "--help")
"""Options that take no value."""


class Parser(argparse.ArgumentParser):
    """Parser that raises a ``UsageError`` for an invalid option instead of exiting."""

    def error(self, message: str) -> None:  # type: ignore[override]  # argparse types it NoReturn; raising is that
        """Raise a ``UsageError`` that explains an invalid option."""
        options = [name.removeprefix("--") for action in self._actions for name in action.option_strings]
        raise UsageError(f"{explain_usage(message, options)} (see {self.prog} --help)")


def explain_usage(message: str, options: Collection[str], words: Sequence[str] = ()) -> str:
    """Rewrite a message of jsonargparse or argparse with plain names of settings, without class names.

    Args:
        message: the parser's message.
        options: all options of the command, without dashes.
        words: arguments of the command; an unknown setting that is not among them is one of a configuration.
    """
    inside = re.match(r"Parser key \"(data|model)\":\s+Problem with given class_path '[^']+':\s+", message)
    group, message = (f"{inside[1]}.", message[inside.end() :]) if inside else ("", message)
    head = re.match(r'(?:Parser key "([^"]+)"|argument (\S+)):\s*', message)
    key, text = "", message
    if head:
        key, text = f"--{group}{head[1]}: " if head[1] else f"{head[2]}: ", message[head.end() :]
    if found := re.search(r"Importing '([^']+)' is not allowed", text):
        return f"{key}{found[1]} is not imported without --allow {found[1].partition('.')[0]}"
    if found := re.search(r"Expected a path but (\S+) either", text):
        return f"{key}there is no class {found[1]}"
    if inside and (found := re.match(r"the following arguments are required: (\S+)", text)):
        return f"--{group}{found[1]} is required"
    if found := re.search(r"(?:Group '([^']+)' does not accept option|^Option) '([^']+)'", text):
        name = group + ".".join(filter(None, found.groups()))
        if not any(word.partition("=")[0] == f"--{name}" for word in words):
            return f"unknown setting {name}{did_you_mean(name, options)}"
        return unknown_options([f"--{name}"], options)
    if found := re.search(r"unrecognized arguments: (.+)", text):
        names = [word.partition("=")[0].replace("--", f"--{group}", 1) for word in found[1].split() if word[0] == "-"]
        return unknown_options(names, options) if names else f"unexpected argument {found[1]!r}; options start with --"
    lines = [line.strip(" -") for line in text.splitlines() if line.strip(" -")]
    return key + (_explain_value(text) or "; ".join(lines[: 1 if key else 2]))


def unknown_options(names: Sequence[str], options: Collection[str]) -> str:
    """Return the message about unknown options; ``names`` start with dashes, ``options`` do not."""
    known = [f"--{option}" for option in options]
    return "; ".join(f"unknown option {name}{did_you_mean(name, known)}" for name in names)


def _explain_value(text: str) -> str:
    """Return what a value must be, or an empty string if the message does not say."""
    value = re.search(r"(?:Got|Given) value: (.*)|invalid (?:\w+ value|choice): '([^']*)'", text)
    if value is None:
        return ""
    found = value[1] or value[2] or ""
    listed = re.search(r"Literal\[([^\]]*)\]|\(choose from (.*)\)", text)
    if listed:
        choices = [choice.strip(" '") for choice in (listed[1] or listed[2]).split(", ")]
        return f"must be one of {', '.join(choices)}, found {found!r}{did_you_mean(found, choices)}"
    types = re.findall(r"(?<!type: )<class '(\w+)'>|invalid (\w+) value", text)
    kinds = dict.fromkeys(KINDS[name] for name in map("".join, types) if name in KINDS)
    return f"must be {' or '.join(kinds)}, found {found!r}" if kinds else ""


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


def with_first(words: Sequence[str], option: str) -> list[str]:
    """Return a command's words with a value in the first place as that of an option, such as ``--price``.

    Raises:
        UsageError: two values are given.
    """
    if not words or words[0].startswith("--") or words[0] == "-h":
        return list(words)
    if named := option_values(words[1:], option):
        raise UsageError(f"{option}: found two values, {words[0]} in the first place and {named[0]}; give one")
    return [f"{option}={words[0]}", *words[1:]]


def positive_price(price: float) -> float:
    """Return the value of ``--price``.

    Raises:
        UsageError: it is not a positive, finite number.
    """
    if not 0 < price < math.inf:
        raise UsageError(f"--price: must be a positive number, found {price:g}")
    return price


def with_file(words: Sequence[str]) -> list[str]:
    """Return a command's words with its files, the words that no option takes, as ``--data.path``.

    Raises:
        UsageError: no file is named.
    """
    files, others, taken = [], [], False
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


def with_nulls(words: Sequence[str]) -> list[str]:
    """Return a command's words with every option that is null as a configuration; the parser takes null there alone."""
    found: list[str] = []
    for word in words:
        name, _, value = word.partition("=")
        if word == "null" and found and found[-1].startswith("--") and "=" not in found[-1]:
            name, value = found.pop(), word
        if value == "null" and name.startswith("--"):
            settings: Any = None
            for key in reversed(name.removeprefix("--").split(".")):
                settings = {key: settings}
            word = f"--config={json.dumps(settings)}"
        found.append(word)
    return found


def named_files(words: Sequence[str]) -> list[str]:
    """Return the files that ``--data.path`` names."""
    parser = Parser(prog="pricerl", add_help=False, allow_abbrev=False)
    add_files(parser, "")
    return parser.parse_known_args(list(words))[0].path or []


def with_costs(words: Sequence[str]) -> list[str]:
    """Return a command's words with the rows of ``--costs FILE`` as the setting that stores them.

    Raises:
        DataError: the file lists no usable costs; all its problems with their lines.
    """
    parser = Parser(prog="pricerl", add_help=False, allow_abbrev=False)
    parser.add_argument("--costs")
    options, rest = parser.parse_known_args(list(words))
    if options.costs is None:
        return rest
    from pricerl.market.cost_rows import read_costs

    rows, notes = read_costs(options.costs)
    print_notes(notes)
    return [*rest, *option_words({"data.cost.products": rows})]


def option_words(settings: Mapping[str, Any]) -> list[str]:
    """Return settings other than None as command-line options."""
    return [
        f"--{name}={value if isinstance(value, (str, Path)) else json.dumps(value)}"
        for name, value in settings.items()
        if value is not None
    ]


def check_run(run: Run) -> None:
    """Refuse trainer settings that cannot have their effect, and advice that could not be written.

    Raises:
        UsageError: the message names the option and the remedy.
    """
    from pricerl.advice import check_folder, check_horizon
    from pricerl.advice.exports import check_workbook
    from pricerl.cli.trainer_settings import check_trainer

    options = run.options
    if not run.advises and run.command == "predict":
        raise UsageError("predict advises on a seller's file; score other policies with test")
    check_horizon(options.horizon)
    if options.out:
        check_folder(Path(options.out), "--out ")
    if run.command in ("fit", "predict"):
        check_folder(run.folder, "the run's folder ")
    if run.advises:
        run.formatter_for(step_days=1)  # refuses an unknown locale or currency before a file is read
        read_log(run.folder / LOG_FILE)
        if options.report.excel:
            check_workbook()
    check_trainer(options.trainer)
