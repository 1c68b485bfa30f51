"""Decision log: entries in the shop's database, of which each carries the hash of the previous one.

An entry that was changed no longer has its hash; one that was removed, inserted or moved breaks the chain. Number and
hash of the last entry, the head, are kept next to them, so that a log that was cut is noticed as well.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from pricerl.arrays import grouped
from pricerl.entry_parts import FORMAT, Count
from pricerl.errors import DataError, refuse
from pricerl.operations.log.log_entries import parse_entry
from pricerl.shop.database import FILE, REMEDY, Database, ask, exists, reading

LOG_FILE = FILE
"""File of the shop's database, in which the log is."""

FEWEST_DIGITS = 12
"""Fewest digits of a hash that names an entry; among a million entries two share them with probability 0.2 %."""

BEFORE_THE_FIRST = "0" * 64
"""Previous hash of the first entry, and hash of the head of an empty log."""

ADVICE_MARK = '"kind":"advice"'
"""Part of the line of each advice, and of no other: texts inside a line have no bare quotation marks."""

Entry = dict[str, Any]


class Head(msgspec.Struct, frozen=True):
    """Number and hash of the last entry of a log."""

    entries: Count = 0
    hash: str = BEFORE_THE_FIRST


class Log(NamedTuple):
    """Entries of a decision log, oldest first, its head, and what follows from the entries."""

    entries: Sequence[Entry] = ()
    head: Head = Head()
    own: Mapping[str | None, Sequence[Entry]] = MappingProxyType({})
    """Entries of each product; under None those about none."""
    newest: Mapping[str, Entry] = MappingProxyType({})
    """Newest advice by product, the oldest first."""

    def extended(self, added: Sequence[Entry], head: Head) -> Log:
        """Return the log with further entries; what they do not concern is the same objects."""
        own = {name: [*self.own.get(name, ()), *more] for name, more in by_product(added).items()}
        newest = self.newest
        if fresh := [entry for entry in added if entry["kind"] == "advice"]:
            advised = {entry["product"]: entry for entry in (*newest.values(), *fresh)}
            newest = {name: advised[name] for name in sorted(advised, key=lambda name: advised[name]["id"])}
        return Log([*self.entries, *added], head, {**self.own, **own}, newest)

    def find(self, digits: str) -> int | None:
        """Return the number of the entry whose hash begins with some digits, 0 before the first, None without one."""
        hashes = (BEFORE_THE_FIRST, *(entry["hash"] for entry in self.entries))
        return next((number for number, found in enumerate(hashes) if found.startswith(digits)), None)


NOTHING = Log()
"""Log without entries."""


def by_product(entries: Iterable[Entry]) -> dict[str | None, list[Entry]]:
    """Return the entries of each product, in their order; others under None."""
    return grouped((entry.get("product"), entry) for entry in entries)


STANDING = """WHERE kind <> 'advice' OR id IN (SELECT max(id) FROM entry WHERE kind = 'advice' GROUP BY product)
    OR product IN (SELECT product FROM entry WHERE kind <> 'advice')"""
"""Entries that today's prices depend on: all but older advice on products that nobody decided on."""
OWN = "SELECT id, hash, line FROM entry WHERE product IS NOT DISTINCT FROM ?"
"""Entries about one product, or about none."""


def canonical(entry: Entry) -> str:
    """Return an entry in canonical form: one line of ASCII with sorted keys."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def read_log(path: Path, standing: bool = False) -> Log:
    """Read the log in a database, or the entries that today's prices depend on; check each entry, and the head.

    A missing database is an empty log. The first wrong entry is a ``DataError``; a database that cannot be read is a
    ``UsageError``.
    """
    return ask(path, load, path, standing)


def load(database: Database, path: Path, standing: bool = False, known: Log = NOTHING) -> Log:
    """Return the log of an open database, as `read_log` does; of one that is ``known``, only what follows is read."""
    where = f"WHERE id > {known.head.entries}" if known.entries else STANDING if standing else ""
    rows = database.each(f"SELECT id, hash, line FROM entry {where} ORDER BY id")
    added = [check_row(path, number, digest, line, standing and not known.entries) for number, digest, line in rows]
    head = find_head(database)
    if known.entries and not _follow(added, known.head, head):
        return load(database, path, standing)
    log = known.extended(added, head)
    (kept,) = database.run("SELECT count(*), max(id) FROM entry")
    last = log.entries[-1]["hash"] if log.entries else BEFORE_THE_FIRST
    if kept != (head.entries, head.entries or None) or last != head.hash:
        raise DataError(
            str(path),
            [
                f"was cut or rewritten: it has {kept[0]} entries, the last one number {kept[1] or 0}, but "
                f"{head.entries} were kept; {REMEDY}"
            ],
        )
    return log


def _follow(added: Sequence[Entry], before: Head, after: Head) -> bool:
    """Return whether entries lead from one head to another, and are no advice, which makes older advice needless."""
    hashes = [before.hash, *(entry["hash"] for entry in added)]
    chained = [entry["previous"] for entry in added] == hashes[:-1] and hashes[-1] == after.hash
    return chained and all(entry["kind"] != "advice" for entry in added)


def find_head(database: Database) -> Head:
    """Return the head of the log in an open database."""
    return Head(int(database.fact("entries") or 0), database.fact("hash") or BEFORE_THE_FIRST)


def read_own(path: Path, products: Iterable[str]) -> list[Entry]:
    """Return all entries about some products or about none, oldest first; the first wrong one is a ``DataError``."""
    with reading(path) as database:
        rows = [row for name in (None, *products) for row in database.run(OWN, (_plain(name),))]
    return [check_row(path, *row) for row in sorted(rows)]


def read_last(path: Path, count: int) -> list[Entry]:
    """Return the last entries of a log, the newest first; errors are as in `read_own`."""
    rows = ask(path, Database.run, "SELECT id, hash, line FROM entry ORDER BY id DESC LIMIT ?", (count,))
    return [check_once(path, *row) for row in rows]


def verify(path: Path) -> Log:
    """Read a log as `read_log` does, check its chain, and refuse one that does not exist."""
    refuse({f"{path} does not exist; fit and predict create it": not exists(path)})
    return ask(path, load_chain, path)


def load_chain(database: Database, path: Path) -> Log:
    """Return the whole log of an open database, of which each entry must follow the one before."""
    log = load(database, path)
    hashes = [BEFORE_THE_FIRST, *(entry["hash"] for entry in log.entries)]
    for number, (entry, previous) in enumerate(zip(log.entries, hashes, strict=False), 1):
        if (entry["id"], entry["previous"]) != (number, previous):
            raise DataError(
                str(path),
                [
                    f"entry {entry['id']}: does not follow the previous one; an entry was removed, inserted or moved; "
                    f"{REMEDY}"
                ],
            )
    return log


def append(database: Database, log: Log, drafts: Iterable[Entry]) -> tuple[list[Entry], Log]:
    """Append drafts, entries without number and hashes, to the log of a database that is being written.

    Returns the new entries, and the log as it stands after them.
    """
    entries: list[Entry] = []
    previous = log.head.hash
    for number, draft in enumerate(drafts, log.head.entries + 1):
        entry = {**draft, "format": FORMAT, "id": number, "previous": previous}
        previous = hashlib.sha256(canonical(entry).encode()).hexdigest()
        entries.append({**entry, "hash": previous})
        parse_entry(canonical(entries[-1]))
    after = log.extended(entries, Head(log.head.entries + len(entries), previous))
    insert(database, entries, after.head)
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
    why = "was changed after it was written; its hash does not match"
    if hashlib.sha256(line.replace(f'"hash":"{digest}",', "").encode()).hexdigest() == digest:
        try:
            found = parse_entry(line, standing and ADVICE_MARK in line)
            if (found.get("id"), found.get("hash")) == (number, digest):
                return found
            why = "is another entry"
        except ValueError as error:
            why = f"is not a valid entry: {error}"
    raise DataError(str(path), [f"entry {number}: {why}; {REMEDY}"])


check_once = lru_cache(maxsize=256)(check_row)
"""`check_row`, once for rows that are read again and again."""
