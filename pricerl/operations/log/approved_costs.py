"""Unit costs that a person approved: decided in the log first, then written into costs.csv, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pricerl.data.naming import COSTS_FILE
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.orders import COSTS
from pricerl.runs.folder import LOCK
from pricerl.writing import explained, lock, write_file

MARK = ".costs-{}.part"
"""Empty file in a run's folder: the cost of this prepared decision is written once the log has its approval."""


def mark_cost(folder: Path, staged: int, product: str, given: Mapping[str, Any], only: bool) -> None:
    """Mark a cost that is about to be approved; a ``UsageError`` or ``DataError`` if costs.csv cannot take it."""
    from pricerl.data.row_table import TABLES  # imports pandas, here and below

    TABLES["costs"].group(COSTS_FILE, _merge(_path(folder), product, given, only))
    path = folder / MARK.format(staged)
    with explained(path):
        write_file(path, b"")


def write_costs(folder: Path, entries: Sequence[Entry], only: bool, waits: bool) -> None:
    """Write the marked costs that the log of a run's folder has; a row without a product is that of its ``only`` one.

    Whoever types costs holds the same lock. Without ``waits`` a ``UsageError`` says that another holds it.
    """
    if not any(folder.glob(MARK.format("*"))):
        return
    from pricerl.data.row_table import TABLES

    path = _path(folder)
    with explained(path), path.with_name(LOCK).open("ab") as file:
        lock(file, waits=waits)
        for entry in entries:
            mark = folder / MARK.format(entry.get("staged"))
            if not entry.get("staged") or not mark.exists():
                continue
            if entry["kind"] == COSTS:
                given = {"unit_cost": entry["unit_cost"], **({"from": entry["since"]} if entry["since"] else {})}
                TABLES["costs"].write(path, _merge(path, entry["product"], given, only))
            mark.unlink()


def _path(folder: Path) -> Path:
    """Return the path of costs.csv, next to the folder of all runs."""
    return folder.parent.parent / COSTS_FILE


def _merge(path: Path, product: str, given: Mapping[str, Any], only: bool) -> list[Mapping[str, Any]]:
    """Return the rows of costs.csv with the cost of a unit; a row of the same day keeps its other values."""
    from pricerl.data.row_table import TABLES

    known = TABLES["costs"].read(str(path), {})[0] if path.is_file() else []
    rows = [{"product": product, **row} if only else row for row in known]
    same = [row for row in rows if (row.get("product"), row.get("from")) == (product, given.get("from"))]
    others = [row for row in rows if row not in same]
    return [*others, {"product": product, **(same[0] if same else {}), **given}]
