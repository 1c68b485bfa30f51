"""Sections that appear only where the advice carries them, whatever their fields are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pricerl.advice.report.formatting import UNKNOWN, number
from pricerl.advice.report.sanitize import clean

TITLES = {
    "guardrails": "Guardrails that changed the price",
    "orders": "What people ordered",
    "alarm": "Why the model was stopped",
    "track_record": "Track record",
}
"""Keys of a product in ``advice.json`` and the headings of their sections, in the order of the page."""

MOST_ROWS = 31
MOST_TEXT = 300


class Section(NamedTuple):
    """A heading with lines of text, or a table below it."""

    title: str
    lines: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def optional_sections(product: Mapping[str, Any]) -> list[Section]:
    """Sections of the keys that the product has and that hold anything."""
    return [_section(title, product[key]) for key, title in TITLES.items() if product.get(key)]


def _section(title: str, value: Any) -> Section:
    if isinstance(value, Mapping):
        return Section(title, lines=tuple(f"{_words(key)}: {_text(item)}" for key, item in value.items()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        shown = value[:MOST_ROWS]
        if all(isinstance(item, Mapping) for item in shown):
            columns = tuple(dict.fromkeys(key for item in shown for key in item))
            rows = tuple(tuple(_text(item.get(key)) for key in columns) for item in shown)
            return Section(title, columns=tuple(_words(key) for key in columns), rows=rows)
        return Section(title, lines=tuple(_text(item) for item in shown))
    return Section(title, lines=(_text(value),))


def _text(value: Any) -> str:
    """Any value in a few words; triples are a mean and its 90 % limits."""
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return number(value, 0)
    if isinstance(value, float):
        return number(value, 2)
    if isinstance(value, Mapping):
        return "; ".join(f"{_words(key)} {_text(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_text(item) for item in value[:MOST_ROWS])
    return clean(str(value), MOST_TEXT)


def _words(key: str) -> str:
    text = clean(str(key), MOST_TEXT).replace("_", " ")
    return text[:1].upper() + text[1:]
