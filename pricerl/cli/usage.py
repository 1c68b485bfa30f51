"""Messages about wrong options and configurations: place, finding and remedy."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pricerl.errors import UsageError, did_you_mean
from pricerl.operations.decision_log import LOG_FILE, read_log, shown

if TYPE_CHECKING:
    from pricerl.training.run import Request

ALLOWED_CLASSES = ("pricerl", "lightning")
"""Packages from which a configuration may import classes."""

PRECISIONS = (None, 32, "32", "32-true", "bf16-mixed")
"""Supported precisions: half precision rounds the temperature; gradient scalers do not reach the bare optimizers."""

KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "NoneType": "null"}
"""Types in plain words."""

PLAIN_REFUSAL = re.compile(r"argument (\S+): invalid (?:(int|float) value|choice): '([^']*)'(?: \(choose from (.*)\))?")
"""Pattern of argparse's message about an invalid value."""


class Parser(argparse.ArgumentParser):
    """Parser that raises a ``UsageError`` for an invalid option instead of exiting."""

    def error(self, message: str) -> None:  # type: ignore[override]  # argparse types it NoReturn; raising is that
        """Raise a ``UsageError`` that explains an invalid option."""
        options = [name.removeprefix("--") for action in self._actions for name in action.option_strings]
        raise UsageError(f"{explain_usage(message, options)} (see {self.prog} --help)")


def read_configs(words: Sequence[str]) -> list[dict[str, Any]]:
    """Return the settings of each ``--config``, a file or inline YAML in braces.

    Raises:
        UsageError: a configuration is missing, a folder, not text or not a YAML mapping.
    """
    return [_read_config(name) for name in option_values(words, "--config", "-c")]


def choose_product(names: Sequence[str], wanted: str | None, place: str) -> str:
    """Return the product named by ``--product``, or the only one.

    Args:
        names: known products.
        wanted: value of ``--product``.
        place: holder of the products, for the message.

    Raises:
        UsageError: the name is unknown, or missing although there are several products.
    """
    listed = ", ".join(map(shown, names[:10]))
    if wanted is None and len(names) > 1:
        raise UsageError(f"--product is needed, {place} has {len(names)}: {listed}")
    if wanted is not None and wanted not in names:
        raise UsageError(f"--product {shown(wanted)!r} is unknown; known are {listed}{did_you_mean(wanted, names)}")
    return names[0] if wanted is None else wanted


def explain_usage(message: str, options: Collection[str]) -> str:
    """Rewrite a parser's message.

    Args:
        message: message of jsonargparse or argparse.
        options: all options of the command, without dashes.
    """
    denied = re.search(r"Importing '([^']+)' is not allowed", message)
    unknown = re.search(r"unrecognized arguments: (.+)|does not accept option '([^']+)'", message)
    if denied:
        return f"{_key(message)}{denied[1]} is not allowed; only classes of {' and '.join(ALLOWED_CLASSES)} are"
    if unknown:
        return _explain_unknown(unknown[1], unknown[2], options)
    plain = PLAIN_REFUSAL.match(message)
    if plain:
        key, found = f"{plain[1]}: ", plain[3]
        types, choices = [plain[2]], [choice.strip(" '") for choice in (plain[4] or "").split(", ")]
    else:
        value = re.search(r"(?:Got|Given) value: (.*)", message)
        key, found = _key(message), value[1] if value else None
        choices = re.findall(r"'([^']*)'", "".join(re.findall(r"Literal\[([^\]]*)\]", message)))
        types = re.findall(r"<class '(\w+)'>", message)
    kinds = dict.fromkeys(KINDS[name] for name in types if name in KINDS)
    if key and found is not None and any(choices):
        return f"{key}must be one of {', '.join(choices)}, found {found!r}{did_you_mean(found, choices)}"
    if key and found is not None and kinds:
        return f"{key}must be {' or '.join(kinds)}, found {found!r}"
    lines = [line.strip(" -") for line in message.splitlines() if line.strip(" -")]
    return "; ".join(lines[:2])


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


def positive_price(price: float) -> float:
    """Return the value of ``--price``.

    Raises:
        UsageError: it is not a positive, finite number.
    """
    if not 0 < price < math.inf:
        raise UsageError(f"--price: must be a positive number, found {price:g}")
    return price


def option_words(settings: Mapping[str, Any]) -> list[str]:
    """Return settings other than None as command-line options."""
    given = {name: value for name, value in settings.items() if value is not None}
    plain = {name: str(value) if isinstance(value, (str, Path)) else json.dumps(value) for name, value in given.items()}
    return [f"--{name}={value}" for name, value in plain.items()]


def _explain_unknown(words: str | None, setting: str | None, options: Collection[str]) -> str:
    if setting is not None:
        return f"unknown setting {setting}{did_you_mean(setting, options)}"
    assert words is not None
    names = [word.split("=")[0] for word in words.split() if word.startswith("-")]
    if not names:
        return f"unexpected argument {words!r}; options start with --"
    known = [f"--{option}" for option in options]
    return "; ".join(f"unknown option {name}{did_you_mean(name, known)}" for name in names)


def _read_config(name: str) -> dict[str, Any]:
    path = Path(name)
    try:
        content = yaml.safe_load(name if name.lstrip().startswith("{") else path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        near = [str(item) for item in path.parent.glob("*.y*ml")]
        raise UsageError(f"--config {name}: there is no such file{did_you_mean(name, near)}") from error
    except IsADirectoryError as error:
        raise UsageError(f"--config {name} is a folder; name a YAML file in it") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--config {name} is not a text file; write the configuration as YAML in UTF-8") from error
    except OSError as error:
        raise UsageError(f"--config {name} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
        what = getattr(error, "problem", None) or getattr(error, "reason", "")
        raise UsageError(f"--config {name} is not valid YAML{where}: {what}") from error
    if content is not None and not isinstance(content, dict):
        raise UsageError(f"--config {name} must hold settings such as 'data:' or 'trainer:', found {content!r:.40}")
    return content or {}


def _key(message: str) -> str:
    """Return the option named in a message, with a colon, or an empty string."""
    found = re.search(r'Parser key "([^"]+)"', message)
    return f"--{found[1]}: " if found else ""


def check_request(request: Request) -> None:
    """Refuse trainer settings that manual optimization cannot support, and advice that could not be written.

    Raises:
        UsageError: the message names the option and the remedy.
    """
    from pricerl.advice import check_folder, check_horizon
    from pricerl.advice.report.interactive import plotly_script
    from pricerl.advice.report.pdf import find_browser

    options = request.options
    if not request.advises and request.command == "predict":
        raise UsageError("predict advises on a seller's file; score a policy of a Gymnasium environment with test")
    check_horizon(options.horizon)
    if options.out:
        check_folder(Path(options.out), "--out ")
    if request.command in ("fit", "predict"):
        check_folder(request.folder, "the run's folder ")
    if request.advises:
        _ = request.formatter
        read_log(request.folder / LOG_FILE)
        if options.report.interactive:
            plotly_script()
        if options.report.pdf:
            find_browser()
    _check_trainer(options.trainer)


def _check_trainer(trainer: Any) -> None:
    if trainer.gradient_clip_val is not None or trainer.gradient_clip_algorithm is not None:
        raise UsageError("--trainer.gradient_clip_val is not supported; set --model.algorithm.max_grad_norm")
    if trainer.accumulate_grad_batches != 1:
        raise UsageError("--trainer.accumulate_grad_batches is not supported; set --model.algorithm.batch_size")
    if trainer.precision not in PRECISIONS:
        known = ", ".join(value for value in PRECISIONS if isinstance(value, str))
        raise UsageError(f"--trainer.precision must be one of {known}, found {trainer.precision!r}")
    if trainer.max_steps == 0 or trainer.max_steps < -1:
        raise UsageError(f"--trainer.max_steps must be 1 or more, or -1 for no limit; found {trainer.max_steps}")
