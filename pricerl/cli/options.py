"""Fast help and option checks of the policy commands: settings are read from source, without imports."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pricerl.cli import policies
from pricerl.cli.configs import OPTIONS, find_config
from pricerl.cli.signatures import Parameter, find_class, parameters, summary
from pricerl.cli.usage import option_values, unknown_options
from pricerl.errors import UsageError, did_you_mean
from pricerl.terminal import write_lines

CLASSES = (
    ("data", "pricerl.training.pricing_data", "PricingDataModule"),
    ("data", "pricerl.training.gym_data", "GymDataModule"),
    ("model", "pricerl.training.module", "SACModule"),
    ("decision", "pricerl.decide", "DecisionConfig"),
    ("report", "pricerl.advice", "ReportConfig"),
    ("tracking", "pricerl.training.wandb_logging", "TrackingConfig"),
    ("trainer", "lightning.pytorch.trainer.trainer", "Trainer"),
)
"""Groups of settings, with module and name of the class that defines each."""

RUN_OPTIONS: dict[str, tuple[str, str | bool | int | None]] = {
    "run_name": ("Name of the run's folder; derived from file and preset if absent.", None),
    "ckpt_path": ("Checkpoint: a file, or last or best in the run's folder.", None),
    "resume": ("Go on with the newest usable save of the run: auto.", None),
    "accept_changes": (
        "Data and settings in which a resumed run may differ: history, data.reward and so on, separated by commas; "
        "history also takes a file that is older than that of the last advice, or shorter.",
        None,
    ),
    "keep": ("Generations of the run to keep whole; of older ones the weights behind decisions stay.", 5),
    "portable": ("Leave the seller's history out of the checkpoints; predict then needs --data.path.", False),
    "wandb": ("Log fit, or the advice of predict, to Weights & Biases; offline without a key.", False),
    "threads": (
        "CPU threads of torch. Two are up to 1.5 times as fast on two idle cores, but many times slower if "
        "other processes run on them.",
        1,
    ),
    "matmul_precision": (
        "Precision of matrix products, in torch's terms. With medium they are made in bfloat16 and summed in single "
        "precision where the processor has units for that (GPUs, CPUs with matrix tiles or bfloat16 in AVX-512), which "
        "trains up to twice as fast.",
        "highest",
    ),
    "today": ("Day to take as today, such as 2026-01-31; the clock's if absent, and a simulated seller's own.", None),
    "out": ("Folder for a copy of the advice, next to that in the run's folder.", None),
    "horizon": ("Forecast horizon in days.", 14),
    "verbose": ("Print the evidence on every product, too.", False),
    "format": ("Format of the advice on standard output: text, or json for programs.", "text"),
    "locale": ("Locale of numbers, money and dates.", "en_US"),
}
"""Options of a run with help and default; the type is that of the default."""

STANDARD = {
    "config": "YAML file with any of these settings, or the name of a shipped one, such as quickstart. Of several, "
    "later ones take precedence.",
    "seed_everything": "Seed of all random numbers.",
    "print_config": "Print all settings as YAML and exit.",
    "allow": "Package whose classes and environments may be imported; repeatable. It is imported as well.",
    "costs": "Unit costs of the products, from a day on: a CSV as init writes it. Kept in the run's checkpoint by fit.",
    "excel": "Also write the tables as an Excel workbook.",
    "strict": "Refuse a file if one of its products cannot be used.",
}
"""Options from Lightning, ``--allow``, and short forms of settings of costs, report and reading."""


class Group(NamedTuple):
    """Settings with a common prefix, by full name."""

    text: str
    settings: dict[str, Parameter]


def answer_early(command: str, words: Sequence[str]) -> bool:
    """Print requested help or refuse unknown options, before anything heavy is imported.

    Args:
        command: a command that runs a policy.
        words: its options and their values.

    Returns:
        Whether help was printed.

    Raises:
        UsageError: options or the help topic are unknown; the message names them all.
    """
    topics = help_topics(words)
    if not topics:
        _refuse_unknown(command, words)
    elif command != "what-if" and topics[-1] != "all":
        write_lines(help_text(command, topics[-1]).splitlines())
        return True
    return False


def find_groups() -> dict[str, Group]:
    """Return all settings by prefix; the empty prefix holds the options of a run."""
    run = {name: Parameter(None, None, text) for name, text in STANDARD.items()}
    run |= {name: Parameter(None, repr(default), text) for name, (text, default) in RUN_OPTIONS.items()}
    groups = {"": Group("the run", run)}
    for prefix, module, name in CLASSES:
        for found, group in _groups_of(prefix, module, name, ""):
            for name, setting in group.settings.items():
                groups.setdefault(found, group).settings.setdefault(name, setting)
    return groups


def help_text(command: str, topic: str) -> str:
    """Return the help of a command, or of one of its groups if a topic such as ``data.guardrails`` is given.

    Raises:
        UsageError: there is no such group.
    """
    groups = find_groups()
    if topic and topic not in groups:
        raise UsageError(f"--help={topic}: there is no such group of settings{did_you_mean(topic, groups)}")
    page = argparse.HelpFormatter("", max_help_position=34, width=102)
    if topic:
        settings = groups[topic].settings.items()
        rows = {f"--{name}": f"{item.text} [{item.default or 'required'}]" for name, item in settings}
        _add_rows(page, f"{topic}: {groups[topic].text.rstrip('.')}", rows)
        return page.format_help()
    own = {**groups.pop("").settings, **groups.pop("data").settings}
    page.add_text(f"usage: pricerl {command} [--config FILE] [--OPTION VALUE ...]")
    page.add_text(getattr(policies, command).__doc__)
    _add_rows(page, "options", {f"--{name}": _first_sentence(setting.text) for name, setting in own.items()})
    title = "groups of settings, such as --data.guardrails.floor 9.90; --help=GROUP lists one with its defaults"
    sizes = {name: f"{_first_sentence(group.text)} ({len(group.settings)})" for name, group in groups.items()}
    _add_rows(page, title, sizes)
    page.add_text("A YAML file holds the same names, nested. --help=all prints everything.")
    return page.format_help()


def help_topics(words: Sequence[str]) -> list[str]:
    """Return the topics of all requests for help among the arguments, empty ones for the command itself."""
    return [word.partition("=")[2] for word in words if word.partition("=")[0] in ("-h", "--help")]


def _refuse_unknown(command: str, words: Sequence[str]) -> None:
    """Refuse unknown options, except with ``class_path``, whose class only the parser imports."""
    groups = find_groups()
    known = {name for group in groups.values() for name in group.settings}
    known |= {"price", "product"} if command == "what-if" else set()
    foreign = {"data", "model"} if _names_a_class(words) else set()
    unknown = []
    for name in (word[2:].partition("=")[0] for word in words if word.startswith("--")):
        parts = name.rstrip("+").replace(".init_args", "").split(".")
        paths = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}  # a setting may hold further ones
        if not (paths & (known | foreign) or ".".join(parts) in groups or parts[-1] == "help"):
            unknown.append(f"--{name}")
    if unknown:
        raise UsageError(f"{unknown_options(unknown, known)} (see {command} --help)")


def _names_a_class(words: Sequence[str]) -> bool:
    """Return whether options or configurations choose a class for data or model."""
    if any(word.partition("=")[0] in ("--data", "--model") or ".class_path" in word for word in words):
        return True
    files = [Path(find_config(name)) for name in option_values(words, *OPTIONS)]
    return any("class_path" in path.read_text(encoding="utf-8", errors="replace") for path in files if path.is_file())


def _groups_of(prefix: str, module: str, name: str, text: str) -> Iterator[tuple[str, Group]]:
    """Yield the settings of a class under a prefix, then those of its nested configurations."""
    module, node = find_class(module, name)
    own, nested = Group(text or summary(node), {}), []
    for parameter, item in parameters(module, node).items():
        kind = item.annotation.id if isinstance(item.annotation, ast.Name) else ""
        setting = f"{prefix}.{parameter}"
        if kind.endswith("Config"):
            nested.append((setting, module, kind, item.text))
        elif setting not in ("model.task", "data.seed"):  # set by the command line itself
            own.settings[setting] = item
    yield prefix, own
    for inner in nested:
        yield from _groups_of(*inner)


def _add_rows(page: argparse.HelpFormatter, title: str, rows: Mapping[str, str]) -> None:
    """Add a section of names with their texts, in two columns."""
    page.start_section(title)
    page.add_arguments([argparse.Action([], name, help=text.replace("%", "%%")) for name, text in rows.items()])
    page.end_section()


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.;])\s", text, maxsplit=1)[0].rstrip(".;")
