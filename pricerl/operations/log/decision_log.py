"""Decision log: entries in the shop's database, of which each carries the hash of the previous one.

An entry that was changed no longer has its hash; one that was removed, inserted or moved breaks the chain. Number and
hash of the last entry, the head, are kept next to them, so that a log that was cut is noticed as well.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pricerl.entry_parts import FORMAT, Count
from pricerl.errors import DataError, UsageError
from pricerl.operations.log.log_entries import parse_entry, parse_standing
from pricerl.shop.database import FILE, Database, exists, reading, writing

LOG_FILE = FILE
"""File of the shop's database, in which the log is."""

FEWEST_DIGITS = 12
"""Fewest digits of a hash that names an entry; among a million entries two share them with probability 0.2 %."""

BEFORE_THE_FIRST = "0" * 64
"""Previous hash of the first entry, and hash of the head of an empty log."""

ADVICE_MARK = '"kind":"advice"'
"""Part of the line of each advice, and of no other: texts inside a line have no bare quotation marks."""

REMEDY = "restore it from a copy"

Entry = dict[str, Any]


class Head(msgspec.Struct, frozen=True):
    """Number and hash of the last entry of a log."""

    entries: Count = 0
    hash: str = BEFORE_THE_FIRST


class Log(NamedTuple):
    """Entries of a decision log, oldest first, and its head."""

    entries: Sequence[Entry] = ()
    head: Head = Head()

    def find(self, digits: str) -> int | None:
        """Return the number of the entry whose hash begins with some digits, 0 before the first, None without one."""
        if BEFORE_THE_FIRST.startswith(digits):
            return 0
        return next((entry["id"] for entry in self.entries if entry["hash"].startswith(digits)), None)


def by_product(entries: Iterable[Entry]) -> dict[str | None, list[Entry]]:
    """Return the entries of each product, in their order; others under None."""
    found: dict[str | None, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.get("product"), []).append(entry)
    return found


Drafts = Sequence[Entry] | Callable[[Log], Sequence[Entry]]
"""Entries without number and hashes, or a function that makes them from the log as it stands."""

STANDING = """WHERE kind <> 'advice' OR id IN (SELECT max(id) FROM entry WHERE kind = 'advice' GROUP BY product)
    OR product IN (SELECT product FROM entry WHERE kind <> 'advice')"""
"""Entries that today's prices depend on: all but older advice on products that nobody decided on."""


def canonical(entry: Entry) -> str:
    """Return an entry in canonical form: one line of ASCII with sorted keys."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def read_log(path: Path, standing: bool = False) -> Log:
    """Read the log in a database, or the entries that today's prices depend on; check each entry, and the head.

    A missing database is an empty log. The first wrong entry is a ``DataError``; a database that cannot be read is a
    ``UsageError``.
    """
    if not exists(path):
        return Log()
    with reading(path) as database:
        return load(database, path, standing)


def load(database: Database, path: Path, standing: bool = False) -> Log:
    """Return the log of an open database, as `read_log` does."""
    if not database.version:
        return Log()
    collects = gc.isenabled()
    gc.disable()  # it would take most of the time, and find nothing
    try:
        rows = database.each(f"SELECT id, hash, line FROM entry {STANDING if standing else ''} ORDER BY id")
        entries = [check_row(path, number, digest, line, standing) for number, digest, line in rows]
    finally:
        if collects:
            gc.enable()
    head = find_head(database)
    (kept,) = database.run("SELECT count(*), max(id) FROM entry")
    last = entries[-1]["hash"] if entries else BEFORE_THE_FIRST
    if kept != (head.entries, head.entries or None) or last != head.hash:
        found = f"{kept[0]} entries, the last one number {kept[1] or 0}, but {head.entries} were kept"
        raise DataError(str(path), [f"was cut or rewritten: it has {found}; {REMEDY}"])
    return Log(entries, head)


def find_head(database: Database) -> Head:
    """Return the head of the log in an open database, which has a schema."""
    return Head(int(database.fact("entries") or 0), database.fact("hash") or BEFORE_THE_FIRST)


def read_own(path: Path, products: Iterable[str]) -> list[Entry]:
    """Return all entries about some products or about none, oldest first; the first wrong one is a ``DataError``."""
    if not exists(path):
        return []
    found: list[Entry] = []
    with reading(path) as database:
        for name in (None, *products) if database.version else ():
            rows = database.run(
                "SELECT id, hash, line FROM entry WHERE product IS NOT DISTINCT FROM ?", (_plain(name),)
            )
            found += [check_row(path, *row) for row in rows]
    return sorted(found, key=itemgetter("id"))


def verify(path: Path) -> Log:
    """Read a log as `read_log` does, check its chain, and refuse one that does not exist."""
    if not exists(path):
        raise UsageError(f"{path} does not exist; fit and predict create it")
    log = read_log(path)
    previous = BEFORE_THE_FIRST
    for number, entry in enumerate(log.entries, 1):
        if (entry["id"], entry["previous"]) != (number, previous):
            why = "does not follow the previous one; an entry was removed, inserted or moved"
            raise DataError(str(path), [f"entry {entry['id']}: {why}; {REMEDY}"])
        previous = entry["hash"]
    return log


def append(
    path: Path,
    drafts: Drafts,
    keep: Callable[[Database, Log, list[Entry]], object] = lambda *_: None,
    known: Log = Log(),  # noqa: B008  # it is frozen
) -> tuple[list[Entry], Log]:
    """Append drafts to a log, created if absent, and return the new entries with the log as it stands after them.

    All or none are written. Reading, checking, calling ``drafts``, writing and ``keep``, which is called with the
    database, the log after them and the new entries, are one transaction. The log is not read again where it is the
    ``known`` one. Errors are as in `read_log`.
    """
    if callable(drafts) and not exists(path):
        drafts(Log())  # its errors, before a file is made
    with writing(path) as database:
        log = known if known.entries and find_head(database) == known.head else load(database, path, standing=True)
        entries: list[Entry] = []
        previous = log.head.hash
        for number, draft in enumerate(drafts(log) if callable(drafts) else drafts, log.head.entries + 1):
            entry = {**draft, "format": FORMAT, "id": number, "previous": previous}
            previous = hashlib.sha256(canonical(entry).encode()).hexdigest()
            entries.append({**entry, "hash": previous})
            parse_entry(canonical(entries[-1]))
        after = Log([*log.entries, *entries], Head(log.head.entries + len(entries), previous))
        insert(database, entries, after.head)
        keep(database, after, entries)
    return entries, after


def insert(database: Database, entries: Iterable[Entry], head: Head) -> None:
    """Insert complete entries, and move the head."""
    rows = ((item["id"], item["kind"], _plain(item.get("product")), item["hash"], canonical(item)) for item in entries)
    database.run_many("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", rows)
    database.keep_fact("entries", str(head.entries))
    database.keep_fact("hash", head.hash)


def now() -> datetime:
    """Return the time of the system's clock."""
    return datetime.now(timezone.utc)


def stamp(kind: str, actor: str, reason: str) -> Entry:
    """Return the keys common to all entries: kind, time, actor and reason."""
    return {"kind": kind, "time": now().isoformat(timespec="seconds"), "actor": actor, "reason": reason}


def _plain(product: str | None) -> str | None:
    """Return a product's name without halves of character pairs, which no database takes."""
    return None if product is None else product.encode("utf-8", "backslashreplace").decode()


def check_row(path: Path, number: int, digest: str, line: str, standing: bool = False) -> Entry:
    """Return the entry of a row, or of a ``standing`` advice the keys that today's prices depend on.

    One that was changed or is not an entry raises a ``DataError``.
    """
    mark = f'"hash":"{digest}",'
    if line.count(mark) != 1:
        why = "is not a log entry"
    elif hashlib.sha256(line.replace(mark, "").encode()).hexdigest() != digest:
        why = "was changed after it was written; its hash does not match"
    else:
        try:
            found = parse_standing(line) if standing and ADVICE_MARK in line else parse_entry(line)
        except ValueError as error:
            why = f"is not a valid entry: {error}"
        else:
            if (found["id"], found["hash"]) == (number, digest):
                return found
            why = "is not a log entry"
    raise DataError(str(path), [f"entry {number}: {why}; {REMEDY}"])
