"""The file costs.csv: what a person typed, and unit costs that one approved, which the log has first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pricerl.data.naming import COSTS_FILE
from pricerl.operations.log.decision_log import Entry
from pricerl.operations.log.orders import ADVICE, COSTS
from pricerl.shop.database import Database
from pricerl.writing import explained, locked

if TYPE_CHECKING:
    from pricerl.data.row_table import RowTable

WRITTEN = "costs written"
"""Fact with the last entry whose cost is in costs.csv."""

LOCK = ".costs.lock"
"""Lock of costs.csv, which the shops of one folder share."""

Row = Mapping[str, Any]
"""Row of costs by the keys of its columns."""


def check_cost(folder: Path, product: str, given: Mapping[str, Any], only: bool) -> None:
    """Raise a ``UsageError`` or ``DataError`` if costs.csv cannot take a cost."""
    costs_table().group(COSTS_FILE, _merge(read_costs(_path(folder)), product, given, only))


def with_approved(kept: Row, newest: Mapping[str, Entry], entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the costs of kept settings with those approved since the ``newest`` advice on their products."""
    rows = (kept["data"].get("cost") or {}).get("products") or []
    for entry in entries:
        if entry["kind"] == COSTS and entry["id"] > newest[entry["product"]]["id"]:
            rows = _merge(rows, entry["product"], _given(entry), len(newest) == 1)
    return {"data": {"cost": {"products": rows}}} if rows else {}


def unwritten(database: Database, entries: Sequence[Entry]) -> list[Entry]:
    """Return the approved costs that are not yet in costs.csv."""
    last = int(database.fact(WRITTEN) or 0)
    return [entry for entry in entries if entry["kind"] == COSTS and entry["id"] > last]


def write_costs(database: Database, folder: Path, entries: Sequence[Entry]) -> None:
    """Write approved costs into costs.csv; a row without a product is the only product's."""
    if not (costs := unwritten(database, entries)):
        return
    path = _path(folder)
    only = len({entry["product"] for entry in entries if entry["kind"] == ADVICE}) == 1
    with explained(path), locked(path.with_name(LOCK)):
        for entry in costs:
            costs_table().write(path, _merge(read_costs(path), entry["product"], _given(entry), only))
    database.keep_fact(WRITTEN, str(costs[-1]["id"]))


def costs_table() -> RowTable:
    """Return the form of a table of costs."""
    from pricerl.data.row_table import TABLES  # imports pandas

    return TABLES["costs"]


def _path(folder: Path) -> Path:
    """Return the path of costs.csv, next to the folder of all runs."""
    return folder.parent.parent / COSTS_FILE


def read_costs(path: Path) -> list[dict[str, Any]]:
    """Return the rows of costs.csv; none without the file."""
    return costs_table().read(str(path), {})[0] if path.is_file() else []


def type_costs(path: Path, known: Sequence[Row], rows: Sequence[Row]) -> None:
    """Replace the rows of some products among the ``known`` ones in costs.csv, which ends with its last row.

    Wrong values are a ``UsageError`` that names them all.
    """
    given = [{key: value for key, value in row.items() if value is not None} for row in rows]
    costs_table().group(COSTS_FILE, given)
    named = {row.get("product") for row in given}
    others = [row for row in known if row.get("product") not in named]
    if kept := [*others, *(row for row in given if row.keys() & costs_table().keys())]:
        costs_table().write(path, kept)
    elif given:
        path.unlink(missing_ok=True)


def _given(entry: Entry) -> Row:
    return {"unit_cost": entry["unit_cost"], **({"from": entry["since"]} if entry["since"] else {})}


def _merge(known: Sequence[Row], product: str, given: Row, only: bool) -> list[Row]:
    """Return rows of costs with the cost of a unit; a row of the same day keeps its other values."""
    rows = [{"product": product, **row} if only else row for row in known]
    place = product, given.get("from"), None
    same = [row for row in rows if (row.get("product"), row.get("from"), row.get("up_to")) == place]
    new = {"product": product, **(same[0] if same else {}), **given}
    return [*(row for row in rows if row not in same), new]
