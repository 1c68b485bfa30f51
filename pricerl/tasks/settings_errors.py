"""Messages about wrong settings and options, in the words of the person who gave them."""

from __future__ import annotations

import re
from collections.abc import Collection

from pricerl.errors import did_you_mean

KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "NoneType": "null"}
KINDS |= {"tuple": "a list in brackets", "list": "a list in brackets", "dict": "settings in braces"}
"""Types in plain words."""

LINKED = {"data.seed": "seed_everything"}
"""Settings that have another name outside of their group."""

PLACE = re.compile(r'(?:Parser key "([^"]+)"|argument --(\S+)):\s*')
UNKNOWN = re.compile(r"(?:Group '([^']+)' does not accept option|^Option|unrecognized arguments:) (?:'|--)([^\s='+]+)")
FORBIDDEN = re.compile(r"Importing '([^']+)' is not allowed")
ABSENT = re.compile(r"Expected a path but (\S+) either")
FOUND = re.compile(r"(?:Got|Given) value: (.*)|invalid \w+ value: '(.*)'|invalid choice: '(.*)' \(")
CHOICES = re.compile(r"Literal\[([^\]]*)\]|\(choose from (.*)\)")
TYPE = re.compile(r"(?<!type: )<class '(\w+)'>|invalid (\w+) value")
"""Parts of messages of jsonargparse and argparse."""


def explain_usage(message: str, options: Collection[str]) -> str:
    """Rewrite a message of jsonargparse or argparse with plain names of settings, without class names.

    The options of the command are given without dashes.
    """
    if unknown := UNKNOWN.search(message):
        name = ".".join(filter(None, unknown.groups()))
        return f"unknown option --{name}{did_you_mean(f'--{name}', [f'--{option}' for option in options])}"
    if refused := FORBIDDEN.search(message):
        return f"{refused[1]} is not imported without --allow {refused[1].partition('.')[0]}"
    if (place := PLACE.match(message)) is None:
        return _explain_value(message)
    name = LINKED.get(place[1], place[1] or place[2])
    return f"--{name}: {_explain_value(message[place.end() :])}"


def _explain_value(text: str) -> str:
    """Return what a value must be, or the first line of a message that does not say."""
    if absent := ABSENT.search(text):
        return f"there is no class {absent[1]}"
    value = FOUND.search(text)
    found = "" if value is None else next(filter(None, value.groups()), "")
    if value and (listed := CHOICES.search(text)):
        choices = [choice.strip(" '") for choice in (listed[1] or listed[2]).split(", ")]
        return f"must be one of {', '.join(choices)}, found {found!r}{did_you_mean(found, choices)}"
    names = map("".join, TYPE.findall(text))
    kinds = sorted({KINDS[name] for name in names if name in KINDS}, key=lambda kind: (kind == "null", kind))
    return f"must be {' or '.join(kinds)}, found {found!r}" if value and kinds else text.partition("\n")[0]
