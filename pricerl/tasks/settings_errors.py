"""Messages about wrong settings and options, in the words of the person who gave them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from pricerl.errors import did_you_mean

KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "NoneType": "null"}
KINDS |= {"tuple": "a list in brackets", "list": "a list in brackets", "dict": "settings in braces"}
"""Types in plain words."""


def explain_usage(message: str, options: Collection[str], words: Sequence[str] = ()) -> str:
    """Rewrite a message of jsonargparse or argparse with plain names of settings, without class names.

    The options of the command are given without dashes. An unknown setting that is not among the command's ``words`` is
    one of a configuration.
    """
    head = re.match(r'(?:Parser key "([^"]+)"|argument (\S+)):\s*', message)
    key = ""
    text = message
    if head:
        key = f"--{head[1]}: " if head[1] else f"{head[2]}: "
        text = message[head.end() :]
    if found := re.search(r"Importing '([^']+)' is not allowed", text):
        return f"{key}{found[1]} is not imported without --allow {found[1].partition('.')[0]}"
    if found := re.search(r"Expected a path but (\S+) either", text):
        return f"{key}there is no class {found[1]}"
    if found := re.match(r"the following arguments are required: ((?:data|model)\.\S+)", text):
        return f"--{found[1]} is required"
    if found := re.search(r"(?:Group '([^']+)' does not accept option|^Option) '([^']+)'", text):
        name = ".".join(filter(None, found.groups()))
        if not any(word.partition("=")[0] == f"--{name}" for word in words):
            return f"unknown setting {name}{did_you_mean(name, options)}"
        return unknown_options([f"--{name}"], options)
    if found := re.search(r"unrecognized arguments: (.+)", text):
        names = [word.partition("=")[0] for word in found[1].split() if word[0] == "-"]
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
    ordered = sorted(kinds, key=lambda kind: kind == "null")
    return f"must be {' or '.join(ordered)}, found {found!r}" if kinds else ""
