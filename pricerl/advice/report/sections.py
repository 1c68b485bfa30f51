"""Optional sections of the page: changes by guardrails, orders, track record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pricerl.advice.reasons import track_lines
from pricerl.formatting import UNKNOWN, Formatter

MOST_ROWS = 31
"""Most rows of a table; ``advice.json`` contains all."""


class Section(NamedTuple):
    """A heading with sentences, or with a table."""

    title: str
    lines: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def optional_sections(product: Mapping[str, Any], f: Formatter) -> list[Section]:
    """Return the sections of a product of ``advice.json``, in the order of the page."""
    edits = tuple(_edit_cells(edit, f) for edit in product["guardrails"][:MOST_ROWS])
    orders = tuple(_order_cells(order, f) for order in product["orders"][:MOST_ROWS])
    record = product["track_record"]
    sections = [
        Section("Guardrails that changed the price", (), ("Day", "Proposed", "Allowed", "Guardrail"), edits),
        Section("Your orders", (), ("Entry", "Order", "Price", "Until", "By", "Reason", "Status"), orders),
        Section("Track record", () if record is None else tuple(track_lines(record, f)[1:])),
    ]
    return [section for section in sections if section.lines or section.rows]


def _edit_cells(edit: Mapping[str, Any], f: Formatter) -> tuple[str, ...]:
    why = f"{edit['why']} ({edit['rule']})"
    return f.weekday_date(edit["date"]), f.price(edit["before"]), f.price(edit["after"]), why


def _order_cells(order: Mapping[str, Any], f: Formatter) -> tuple[str, ...]:
    price = "kept" if order["price"] is None else f.price(order["price"])
    status = f"{order['status']}: {order['refusal']}" if order["refusal"] else order["status"]
    reason = order["reason"] or UNKNOWN
    return str(order["id"]), order["kind"], price, f.date(order["until"]), order["actor"], reason, status
