"""Files that a shop has read, by their hashes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pricerl.shop.database import Database
from pricerl.writing import hash_file

READ = "files read"
"""Fact with the hash of each file that was read last."""


def were_read(database: Database, sources: Sequence[str]) -> bool:
    """Return whether a shop has read some files as they are."""
    known = json.loads(database.fact(READ) or "{}")
    return bool(sources) and all(known.get(source, "") == _hash_of(source) != "" for source in sources)


def remember_files(database: Database, sources: Sequence[str]) -> None:
    """Remember that a shop has read some files as they are."""
    known = json.loads(database.fact(READ) or "{}")
    database.keep_fact(READ, json.dumps({**known, **{source: _hash_of(source) for source in sources}}))


def _hash_of(source: str) -> str:
    """Return the hash of a file; empty for other sources."""
    return hash_file(Path(source)) if Path(source).is_file() else ""
