"""Taking over the decision log of pricerl 1.0, a file of lines, into the database of its shop: once, checked whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pricerl.errors import DataError
from pricerl.operations.log.decision_log import BEFORE_THE_FIRST, REMEDY, Entry, Head, check_row, insert
from pricerl.operations.log.orders import ADVICE, ROLLBACK
from pricerl.operations.outbox import generation_of
from pricerl.shop.database import MODEL, Database, exists, writing
from pricerl.terminal import print_notes

OLDER = "decisions.jsonl"
"""Log of pricerl 1.0 in the folder of a run; its head is a file of the same name with another ending."""


def take_over(path: Path) -> None:
    """Make the database of a shop from an older log in its folder, which stays; a broken one is a ``DataError``."""
    older = path.with_name(OLDER)
    if exists(path) or not older.exists():
        return
    with writing(path) as database:
        if not database.run("SELECT 1 FROM entry LIMIT 1"):
            entries = _read(older)
            _insert(database, entries)
            print_notes([f"{len(entries)} entries of {older} were taken over into {path}; the old file stays"])


def _insert(database: Database, entries: Sequence[Entry]) -> None:
    insert(database, entries, Head(len(entries), entries[-1]["hash"] if entries else BEFORE_THE_FIRST))
    for entry in entries:
        trained = entry["kind"] == ADVICE and entry["command"] == "fit"
        name = entry["generation"] if entry["kind"] == ROLLBACK else generation_of(entry) if trained else ""
        if name:
            database.keep_fact(MODEL, name)


def _read(older: Path) -> list[Entry]:
    """Read every complete line, and check the chain and its head."""
    entries: list[Entry] = []
    previous = BEFORE_THE_FIRST
    *lines, _ = older.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            digest = str(json.loads(line)["hash"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(str(older), [f"entry {number}: is not a log entry; {REMEDY}"]) from error
        entry = check_row(older, number, digest, line.decode("utf-8", "replace"))
        if entry["previous"] != previous:
            raise DataError(str(older), [f"entry {number}: does not follow the previous one; {REMEDY}"])
        previous = entry["hash"]
        entries.append(entry)
    try:
        head = json.loads(older.with_suffix(".head").read_text(encoding="utf-8"))
        known = [BEFORE_THE_FIRST, *(entry["hash"] for entry in entries)]
        intact = known[head["entries"]] == head["hash"]
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        intact = False
    if not intact:
        raise DataError(str(older), [f"was cut or rewritten: it has {len(entries)} entries, unlike its head; {REMEDY}"])
    return entries
