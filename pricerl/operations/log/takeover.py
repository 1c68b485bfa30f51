"""Taking over the decision log of pricerl 1.0, a file of lines, into the database of its shop: once, checked whole."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pricerl.errors import DataError
from pricerl.operations.log.decision_log import BEFORE_THE_FIRST, Head, check_row, insert, load_chain
from pricerl.operations.log.orders import ROLLBACK
from pricerl.operations.outbox import advising_generation
from pricerl.shop.database import MODEL, OLDER, REMEDY, exists, writing
from pricerl.terminal import print_notes


def take_over(path: Path) -> None:
    """Make the database of a shop from an older log in its folder, which stays; a broken one is a ``DataError``."""
    older = path.with_name(OLDER)
    if exists(path) or not older.exists():
        return
    with writing(path) as database:
        if database.run("SELECT 1 FROM entry LIMIT 1"):  # another command was faster
            return
        *lines, _ = older.read_bytes().decode("utf-8", "replace").split("\n")
        digests = ["".join(re.findall('"hash":"(.*?)"', line)[:1]) for line in lines]
        entries = [check_row(older, number, *row) for number, row in enumerate(zip(digests, lines, strict=True), 1)]
        hashes = [BEFORE_THE_FIRST, *digests]
        insert(database, entries, Head(len(entries), hashes[-1]))
        load_chain(database, older)
        try:
            head = json.loads(older.with_suffix(".head").read_text(encoding="utf-8"))
            if hashes[head["entries"]] != head["hash"]:
                raise ValueError("another log's")
        except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise DataError(
                str(older), [f"was cut or rewritten: it has {len(entries)} entries, unlike its head; {REMEDY}"]
            ) from error
        uses = [entry for entry in entries if entry["kind"] == ROLLBACK or entry.get("command") == "fit"]
        generations = (entry.get("generation") or advising_generation(entry) for entry in reversed(uses))
        database.keep_fact(MODEL, next(filter(None, generations), ""))
        print_notes([f"{len(entries)} entries of {older} were taken over into {path}; the old file stays"])
