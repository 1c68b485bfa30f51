"""Files that a shop has read, by their hashes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pricerl.shop.database import Database
from pricerl.writing import hash_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pricerl.data.cleaning.rows import Rows

READ = "files read"
"""Fact with the hash of each file that was read last."""


class FilesRead(NamedTuple):
    """Files as a command read them."""

    rows: Rows
    """Rows as the files have them."""
    accepted: Collection[str] = ()
    """Answers of ``--accept``."""
    related: Iterable[Sequence[str]] | None = None
    """Products of each relation of the guardrails, or None to propose no groups."""
    hashes: Mapping[str, str] = {}
    """Hash by file, from before it was read."""
    unread: Rows | None = None
    """Rows under the shop's names that it had not read by then."""


def last_file(database: Database) -> int:
    """Return the number of the last file that had something new; 0 without any."""
    return int(database.run("SELECT coalesce(max(id), 0) FROM file")[0][0])


def were_read(database: Database, sources: Sequence[str]) -> bool:
    """Return whether a shop has read some files as they are."""
    found = hash_files(sources)
    return bool(sources) and len(found) == len(sources) and read_hashes(database).items() >= found.items()


def read_hashes(database: Database) -> dict[str, str]:
    """Return the hash of each file that a shop has read, as it was then."""
    return dict(json.loads(database.fact(READ) or "{}"))


def remember_files(database: Database, hashes: Mapping[str, str]) -> None:
    """Remember that a shop has read some files, by their hashes from before they were read."""
    database.keep_fact(READ, json.dumps({**read_hashes(database), **hashes}))


def hash_files(sources: Sequence[str]) -> dict[str, str]:
    """Return the hash of each source that is a file."""
    return {source: hash_file(Path(source)) for source in sources if Path(source).is_file()}
