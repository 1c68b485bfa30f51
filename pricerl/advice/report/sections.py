"""Sections that appear only if the advice contains them: guardrails at work, orders, track record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pricerl.advice.reasons import track_lines
from pricerl.formatting import UNKNOWN, Formatter

MOST_ROWS = 31
"""Rows of a table; ``advice.json`` holds the others."""


class Section(NamedTuple):
    """A heading with sentences, or with a table."""

    title: str
    lines: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def optional_sections(product: Mapping[str, Any], f: Formatter) -> list[Section]:
    """Return the sections of a product of ``advice.json``, in the order of the page."""
    sections = [
        _guardrails(product["guardrails"][:MOST_ROWS], f),
        _orders(product["orders"][:MOST_ROWS], f),
    ]
    if product["track_record"] is not None:
        sections.append(Section("Track record", tuple(track_lines(product["track_record"], f)[1:])))
    return [section for section in sections if section.lines or section.rows]


def _guardrails(edits: Sequence[Mapping[str, Any]], f: Formatter) -> Section:
    rows = tuple(
        (
            f.weekday_date(edit["date"]),
            f.price(edit["before"]),
            f.price(edit["after"]),
            f"{edit['why']} ({edit['rule']})",
        )
        for edit in edits
    )
    return Section("Guardrails that changed the price", (), ("Day", "Proposed", "Allowed", "Guardrail"), rows)


def _orders(orders: Sequence[Mapping[str, Any]], f: Formatter) -> Section:
    rows = tuple(
        (
            f"{order['id']}",
            order["kind"],
            "kept" if order["price"] is None else f.price(order["price"]),
            f.date(order["until"]),
            order["actor"],
            order["reason"] or UNKNOWN,
            f"{order['status']}: {order['refusal']}" if order["refusal"] else order["status"],
        )
        for order in orders
    )
    return Section("Your orders", (), ("Entry", "Order", "Price", "Until", "By", "Reason", "Status"), rows)
