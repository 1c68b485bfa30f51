"""Parsers of the commands' own options, and the words of a command."""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import itertools
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, TypeAlias, TypeVar

import msgspec
import yaml

from pricerl.cli.settings_help import describe
from pricerl.errors import UsageError
from pricerl.tasks.settings_errors import explain_usage

FLAGS = ("--excel", "--verbose", "--strict", "--print_config", "-h", "--help")
"""Options that take no value."""

Options: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Arguments of ``add_argument`` by an option's names, separated by spaces."""

Command: TypeAlias = Callable[[Sequence[str]], int | None]
"""Function that runs a command on its words, and returns the exit code; None is success."""

RUN: Options = {
    "--run_name": {"help": "run, a folder in checkpoints; the only one if absent; also the first word"},
    "--ckpt_path": {"help": "a checkpoint in the run's folder, instead of its name"},
    "--today": {"help": "day to take as today, such as 2026-01-31; the clock's if absent"},
}
"""Options that name a run, and today."""

PRODUCT: Options = {"--product": {"help": "product, if there are several"}}

AUTHOR: Options = {
    "--reason": {"default": "", "help": "reason, shown by history and the audit"},
    "--by": {"help": "person who decides; your user name if absent"},
}
"""Options for the reason of a decision and the person who makes it."""

READING: tuple[str, Mapping[str, Any]] = ("data.reading", {"columns": dict[str, str], "strict": bool})
"""Group of the settings of reading, and which of them are written as JSON."""

Config = TypeVar("Config")


class Parser(argparse.ArgumentParser):
    """Parser that raises a ``UsageError`` for an invalid option instead of exiting."""

    def error(self, message: str) -> None:  # type: ignore[override]  # argparse types it NoReturn; raising is that
        """Raise a ``UsageError`` that explains an invalid option."""
        options = [name.removeprefix("--") for action in self._actions for name in action.option_strings]
        raise UsageError(f"{explain_usage(message, options)} (see {self.prog} --help)")


def function_of(name: str) -> Callable[..., int | None]:
    """Import a function by the names of its module and of it, such as ``pricerl.cli.advise:ask_market``.

    What is imported stays: looking through it for garbage would take a twentieth of a command's time.
    """
    known, collects = len(sys.modules), gc.isenabled()
    gc.disable()
    try:
        found: Callable[..., int | None] = resolve_name(name)
        if len(sys.modules) > known:
            gc.freeze()
    finally:
        if collects:
            gc.enable()
    return found


def take_options(words: Sequence[str], *names: str) -> tuple[dict[str, list[str]], list[str]]:
    """Return the values of some options by their names without dashes, in order, and the other words."""
    parser = Parser(prog="pricerl", add_help=False, allow_abbrev=False)
    for name in names:
        parser.add_argument(name, dest=name.lstrip("-"), action="append", default=[])
    found, rest = parser.parse_known_args(words)
    return vars(found), rest


def with_first(words: Sequence[str], option: str) -> list[str]:
    """Return a command's words with a value in the first place as an option's, such as ``--price``."""
    if not words or words[0].startswith("--") or words[0] == "-h":
        return list(words)
    if named := take_options(words[1:], option)[0][option.lstrip("-")]:
        raise UsageError(f"{option}: found two values, {words[0]} in the first place and {named[0]}; give one")
    return [f"{option}={words[0]}", *words[1:]]


def with_files(words: Sequence[str]) -> list[str]:
    """Return a command's words with its files, the words that no option takes, as ``--data.path``."""
    files: list[str] = []
    others: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        is_value = before.startswith("-") and "=" not in before and before not in ("-", *FLAGS)
        (others if is_value or (word.startswith("-") and word != "-") else files).append(word)
    named = any(word.partition("=")[0].rstrip("+") == "--data.path" for word in words)
    if not files and not named:
        raise UsageError("advise needs a FILE, the seller's export (fit --config quickstart shows a simulated seller)")
    return [*others, *_file_words(files, named)]


def _file_words(files: Sequence[str], more: bool = False) -> list[str]:
    """Return files as options, in addition to ``more`` that are named before."""
    return [f"--data.path{'+' if at or more else ''}={file}" for at, file in enumerate(files)]


def predict_command(options: argparse.Namespace) -> str:
    """Return the command that advises on the file of a command's options."""
    run, today = (option_words({name: getattr(options, name)}) for name in ("run_name", "today"))
    return shlex.join(["pricerl", "predict", *run, *_file_words(options.path or ()), *today])


class _Files(argparse.Action):
    """Option of one file or a list in brackets; with a plus at its end it adds to those named before."""

    def __call__(self, parser: object, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        found = None
        with contextlib.suppress(yaml.YAMLError):
            found = yaml.safe_load(values) if values.startswith("[") else None
        files = list(map(str, found)) if isinstance(found, list) else [values]
        before = getattr(namespace, self.dest) or [] if (option or "").endswith("+") else []
        setattr(namespace, self.dest, [*before, *files])


def parser_of(command: str, purpose: str | None, *options: Options, allow_abbrev: bool = True) -> Parser:
    """Return a parser of a command's options."""
    parser = Parser(prog=f"pricerl {command}", description=purpose, allow_abbrev=allow_abbrev)
    for names, option in itertools.chain.from_iterable(group.items() for group in options):
        parser.add_argument(*names.split(), **option)
    return parser


def takes(command: str, *options: Options, mixed: bool = False) -> Callable[[Callable[..., int | None]], Command]:
    """Decorate a function of a command's options, which becomes one of its words; its docstring is the purpose.

    Options may stand between ``mixed`` words, such as names of files.
    """

    def parse(purpose: str | None, words: Sequence[str]) -> tuple[argparse.Namespace]:
        parser = parser_of(command, purpose, *options)
        return (parser.parse_intermixed_args(words) if mixed else parser.parse_args(words),)

    return _decorate(parse)


def takes_file(command: str, *options: Options) -> Callable[[Callable[..., int | None]], Command]:
    """Decorate a function as `takes` does, of the options of `file_parser` and the words that these leave."""
    return _decorate(lambda purpose, words: file_parser(command, purpose, *options).parse_known_args(words))


def _decorate(
    parse: Callable[[str | None, Sequence[str]], tuple[Any, ...]],
) -> Callable[[Callable[..., int | None]], Command]:
    """Return a decorator that calls a function with what its words, and its docstring as the purpose, are parsed to."""

    def decorate(run: Callable[..., int | None]) -> Command:
        @functools.wraps(run)
        def parse_and_run(words: Sequence[str]) -> int | None:
            return run(*parse(run.__doc__, words))

        return parse_and_run

    return decorate


def files_of(text: str) -> Options:
    """Return ``--data.path``, whose value ``path`` is a list of files or None, as LightningCLI reads it."""
    return {"--data.path --data.path+": {"dest": "path", "action": _Files, "metavar": "FILE", "help": text}}


def file_parser(command: str, purpose: str | None, *options: Options) -> Parser:
    """Return a parser of the options that name a run, its fresh file and today; it leaves others to ``predict``."""
    files = files_of("the fresh file; the files of the newest advice if absent")
    return parser_of(command, purpose, RUN, files, *options, allow_abbrev=False)


def settings_of(config: type, group: str = "", decoded: Mapping[str, Any] = {}) -> Options:
    """Return the fields of a config class as options with their defaults; their docstrings are the help.

    Args:
        config: config class.
        group: group of settings by whose names they are known, too.
        decoded: types of the fields that are written as JSON.
    """
    options = dict[str, Mapping[str, Any]]()
    for name, (text, usual) in describe(config).items():
        names = f"--{name} --{group}.{name}" if group else f"--{name}"
        kind = _json_of(decoded[name]) if name in decoded else type(usual) if type(usual) in (int, float) else str
        options[names] = {"dest": name, "type": kind, "default": usual, "help": text.replace("%", "%%")}
    return options


def _json_of(kind: Any) -> Callable[[str], Any]:
    """Return a function that reads a type from JSON, with the type's name, which a message mentions."""

    def decode(text: str) -> Any:
        return msgspec.json.decode(text, type=kind)

    decode.__name__ = kind.__name__
    return decode


def config_of(options: argparse.Namespace, config: type[Config]) -> Config:
    """Return the object of a config class that options name."""
    return config(**{item.name: getattr(options, item.name) for item in fields(config)})  # type: ignore[arg-type]


def option_words(settings: Mapping[str, Any]) -> list[str]:
    """Return settings other than None as command-line options."""
    return [
        f"--{name}={value if isinstance(value, (str, Path)) else json.dumps(value)}"
        for name, value in settings.items()
        if value is not None
    ]
