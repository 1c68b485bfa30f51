"""Entries written into the log of a database without a shop around it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pricerl.operations.log.decision_log import Entry, append, load
from pricerl.shop.database import writing


def record(path: Path, drafts: Sequence[Entry]) -> list[Entry]:
    """Append drafts to the log of a database, created if absent, and return the entries."""
    with writing(path) as database:
        entries, _ = append(database, load(database, path, standing=True), drafts)
    return entries
