"""Pages that the build makes of the code: the API, the commands, the settings and the schemas of files."""

from __future__ import annotations

import argparse
import contextlib
import json
import pkgutil
import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch

import pricerl
from pricerl import errors
from pricerl.advice.files import COLUMNS
from pricerl.cli.main import COMMANDS, HELP, SETTINGS_HELP
from pricerl.cli.settings_help import GROUPS, settings_of
from pricerl.cli.usage import Parser
from pricerl.tasks.configs import SHIPPED

PACKAGE = Path(pricerl.__file__).parent
REFERENCE = "reference"
"""Folder of the pages, next to those that are written by hand."""

SUBCOMMANDS = {"price-test": ("plan", "start", "read")}

AREAS: dict[str, tuple[str, str, Sequence[str]]] = {
    "api-sac": ("The algorithm", "sac", ()),
    "api-training": ("The Lightning shell", "training", ()),
    "api-env": ("The environment's parts", "env", ()),
    "api-market": ("Reward and demand", "market", ("reward", "demand.models", "demand.config", "cost")),
    "api-guardrails": ("Limits on prices", "guardrails", ()),
}
"""Title, package and modules of each page of the API; no modules stand for all."""

ELSEWHERE = "PricingEnv, CategoryEnv"
"""Classes that ``environment.md`` documents."""

RETURNED = ("advice.collection.Advice", "advice.result.ProductAdvice", "data.history.History")
"""What the public functions return."""


def write_pages(folder: Path) -> None:
    """Write all pages below a folder; those that have not changed stay as they are, which saves their build."""
    (folder / REFERENCE).mkdir(exist_ok=True)
    for name, make in PAGES.items():
        path = folder / REFERENCE / f"{name}.md"
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def api_page() -> str:
    """Return the page of the public names, and of what they return and raise."""
    functions = [f".. autoclass:: {name}" if name[0].isupper() else f".. autofunction:: {name}" for name in public()]
    kinds = [name for name, item in vars(errors).items() if isinstance(item, type) and issubclass(item, Exception)]
    others = [f".. autoclass:: pricerl.{name}" for name in RETURNED]
    return "\n".join(
        [
            "# Python API",
            f"`import pricerl` offers {len(public())} names, read from the docstrings of this version.",
            "Everything else is imported from the module that defines it, and may change between minor versions.",
            "",
            *_directives([".. currentmodule:: pricerl", *functions]),
            "## What they return and raise",
            *_directives([*others, *(f".. autoexception:: pricerl.errors.{name}" for name in kinds)]),
            "The [exit codes](commands.md#exit-codes) of the commands follow the kinds of errors.",
            "",
            "## What you can extend",
            *["```{toctree}", ":maxdepth: 1", "", *AREAS, "```", ""],
        ]
    )


def area_page(title: str, package: str, modules: Sequence[str]) -> str:
    """Return a page of the API with the docstrings of a package's modules."""
    found = pkgutil.walk_packages([str(PACKAGE / package)], f"pricerl.{package}.")
    names = [f"pricerl.{package}.{name}" for name in modules] or [item.name for item in found if not item.ispkg]
    parts = [f"# {title}"]
    for name in names:
        parts += [
            f"## `{name.removeprefix('pricerl.').replace('.', '/')}.py`",
            *_directives([f".. automodule:: {name}\n   :exclude-members: {ELSEWHERE}"]),
        ]
    return "\n".join([*parts, ""])


def public() -> list[str]:
    """Return the names that ``import pricerl`` offers, without the version."""
    return [name for name in pricerl.__all__ if not name.startswith("_")]


def _directives(lines: Iterable[str]) -> list[str]:
    return ["```{eval-rst}", *(f"{line}\n" for line in lines), "```", ""]


def commands_page() -> str:
    """Return the page of all commands with their options, and of the exit codes."""
    parts = ["# Commands", *_introduction()]
    for command in COMMANDS:
        for words in [(command, action) for action in SUBCOMMANDS.get(command, ())] or [(command,)]:
            parts += [f"## {' '.join(words)}", *_command(words)]
    return "\n".join([*parts, ""])


def _introduction() -> list[str]:
    codes = re.findall(r"(\d+) (.+?)(?=,\s+\d+ |\n$)", HELP.partition("exit codes:")[2], re.DOTALL)
    return [
        "`pricerl`, `python -m pricerl` and, in a checkout, `python main.py` are the same.",
        "Each command prints its options with `--help`.",
        "",
        "```text",
        HELP.partition("\n\n")[2].partition("exit codes:")[0].strip("\n"),
        "```",
        "",
        "## Exit codes",
        *_table(["Code", "Meaning"], [(code, " ".join(text.split())) for code, text in codes]),
    ]


def _command(words: Sequence[str]) -> list[str]:
    """Return purpose and options of a command."""
    if words[0] in SETTINGS_HELP:
        settings = "All [settings](configuration.md) are its options."
        usage = f"usage: pricerl {words[0]} [--config FILE] [--OPTION VALUE ...]"
        return [function_of(words[0]).__doc__ or "", "", settings, "", "```text", usage, "```", ""]
    parser = parser_of(words)
    rows = []
    for action in parser._actions:
        names = ", ".join(f"`{name}`" for name in action.option_strings or [action.metavar or action.dest])
        default = action.default
        typed = "" if default in (None, argparse.SUPPRESS, False) or default == [] else f"`{default}`"
        choices = f" One of {', '.join(map(str, action.choices))}." if action.choices else ""
        about = (action.help or "").replace("%%", "%")
        if not isinstance(action, argparse._HelpAction):
            rows.append((names, typed, f"{about}{choices}"))
    return [parser.description or "", "", *_table(["Option", "Default", "Meaning"], rows)]


def parser_of(words: Sequence[str]) -> Parser:
    """Return the parser that a command builds, which is all that is run of it."""
    found: list[Parser] = []

    def keep(parser: Parser, *arguments: Any, **settings: Any) -> None:
        found.append(parser)
        raise SystemExit

    command, *rest = words
    run = function_of(command)
    with contextlib.ExitStack() as stack:
        for name in ("parse_args", "parse_known_args", "parse_intermixed_args", "parse_known_intermixed_args"):
            stack.enter_context(patch.object(Parser, name, keep))
        with contextlib.suppress(SystemExit):
            run(rest)
    return found[-1]


def function_of(command: str) -> Callable[[Sequence[str]], int]:
    """Return the function that runs a command."""
    found: Callable[[Sequence[str]], int] = resolve_name(COMMANDS[command])
    return found


def configuration_page() -> str:
    """Return the page of the shipped configurations and of all settings with their defaults."""
    files = [path.relative_to(SHIPPED).as_posix() for path in sorted(SHIPPED.rglob("*.yaml"))]
    parts = [
        "# Configuration",
        "A setting is an option of the same name (`--data.guardrails.floor 9.90`) or a nested key of a YAML file.",
        "Files can be combined, the last one wins: `--config default --config profit`.",
        "A shipped file is found by its name in any folder.",
        "",
        "## Shipped files",
        *_table(["File", "Holds"], [(f"[`configs/{file}`](#{_slug(file)})", _purpose(file)) for file in files]),
    ]
    heads = ["Setting", "Default", "Meaning"]
    for prefix, (title, *_) in {"": ("",), **GROUPS}.items():
        settings = [
            (f"`{name}`", f"`{json.dumps(item.default, ensure_ascii=False)}`", item.text)
            for name, item in settings_of(prefix).items()
        ]
        about = [f"{_escaped(title)}:", ""] if prefix else []
        parts += [f"## {prefix or 'The run'}", *about, *_table(heads, settings)]
    parts.append("## Contents of the shipped files")
    for file in files:
        parts += [f"### {file}", "```yaml", (SHIPPED / file).read_text(encoding="utf-8").rstrip(), "```", ""]
    return "\n".join([*parts, ""])


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\s-]", "", heading).lower()


def _purpose(file: str) -> str:
    """Return the first sentence, up to a colon, of the comment at the head of a shipped configuration."""
    lines = (SHIPPED / file).read_text(encoding="utf-8").splitlines()
    head = " ".join(line.lstrip("# ") for line in lines[: next(i for i, x in enumerate(lines) if x[:1] != "#")])
    return re.split(r"[.:]\s", head, maxsplit=1)[0]


def schemas_page() -> str:
    """Return the page of the columns of advice.csv and of the schema of advice.json."""
    parts = [
        "# Schemas of an advice",
        "## advice.csv",
        "One row per product and day. Low and High are 90 % limits; cells that cannot be known are empty.",
        "",
        ", ".join(f"`{column}`" for column in COLUMNS.split(",")),
        "",
        *_schema("advice/advice.schema.json"),
    ]
    return "\n".join([*parts, ""])


def log_schema_page() -> str:
    """Return the page of the schema of decisions.jsonl."""
    return "\n".join(["# Schema of the decision log", *_schema("operations/log/decisions.schema.json"), ""])


def _schema(place: str) -> list[str]:
    """Return a table of the keys of a document and of each object in it."""
    schema = json.loads((PACKAGE / place).read_text(encoding="utf-8"))
    named = {name: part for name, part in schema["$defs"].items() if "properties" in part}
    parts = [f"## {schema['title']}", _escaped(schema.get("description", "")), "", f"Schema: `pricerl/{place}`.", ""]
    for name, part in [("", schema), *named.items()]:
        for path, item in _objects(name, part):
            rows = [(f"`{key}`", _kind(about, named), about.get("description", "")) for key, about in item.items()]
            if path and path == name:
                parts += [f"### {path}", _escaped(part.get("description", "")), ""]
            elif path:
                parts += [f"### {path}"]
            parts += _table(["Key", "Type", "Meaning"], rows)
    return parts


def _objects(path: str, part: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the keys of a part of a schema, and of the objects within it that have no name, by their path."""
    keys = part.get("properties", {})
    if keys:
        yield path, keys
    for key, about in keys.items():
        yield from _objects(f"{path}.{key}" if path else key, about.get("items") or about)


def _kind(item: dict[str, Any], tables: Container[str]) -> str:
    """Return the type of a value in words, with a link to the table of an object."""
    if "$ref" in item:
        name = item["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if name in tables else name
    if "anyOf" in item:
        return " or ".join(_kind(part, tables) for part in item["anyOf"])
    if "enum" in item or "const" in item:
        return ", ".join(f"`{json.dumps(value)}`" for value in item.get("enum", [item.get("const")]))
    if item.get("type") == "array":
        return f"list of {_kind(item['items'], tables)}" if isinstance(item.get("items"), dict) else "list"
    kind = item.get("type", "any")
    return kind if isinstance(kind, str) else " or ".join(kind)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *([_escaped(cell) for cell in row] for row in rows)]
    return [*("| " + " | ".join(" ".join(cell.split()) for cell in line) + " |" for line in lines), ""]


def _escaped(text: str) -> str:
    """Return a text without signs that Markdown would read, outside of code."""
    parts = re.split(r"(``?[^`]+``?)", text)
    plain = [re.sub(r"([*<_$])", r"\\\1", part) if at % 2 == 0 else part for at, part in enumerate(parts)]
    return "".join(plain).replace("|", r"\|")


PAGES: dict[str, Callable[[], str]] = {
    "api": api_page,
    **{name: (lambda about=about: area_page(*about)) for name, about in AREAS.items()},
    "commands": commands_page,
    "configuration": configuration_page,
    "schemas": schemas_page,
    "log-schema": log_schema_page,
}
"""Names of the generated pages, and the functions that make them."""
