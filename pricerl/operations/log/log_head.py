"""Head of the decision log: number and hash of its last entry, kept in a file of their own.

A log that was cut, emptied, deleted or rewritten is no longer the one whose head was kept. The head is moved after the
entries are on the disk; after a crash between the two it is that of an earlier entry.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from pricerl.entry_parts import Count
from pricerl.errors import DataError

BEFORE_THE_FIRST = "0" * 64
"""Previous hash of the first entry, and hash of the head of an empty log."""


class Head(msgspec.Struct, frozen=True):
    """Number and hash of the last entry of a log."""

    entries: Count
    hash: str


def head_path(log: Path) -> Path:
    """Return the path of the head of a log."""
    return log.with_suffix(".head")


def read_head(log: Path) -> Head | None:
    """Return the head that was kept for a log, None if there is none.

    Raises:
        DataError: its file cannot be read or is damaged.
    """
    path = head_path(log)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Head)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(str(path), [f"is not the head of a decision log; {_remedy(log)}"]) from error


def check_head(log: Path, hashes: Sequence[str]) -> None:
    """Compare a log, given by its path and the chain of hashes of its entries, with its head.

    Raises:
        DataError: entries are missing, or another one stands where the head's was, or the head is missing.
    """
    head = read_head(log)
    if head is None:
        if hashes:
            problem = f"{head_path(log).name} is missing, so that entries cut off at the end would go unnoticed"
            raise DataError(str(log), [f"{problem}; {_remedy(log)}"])
        return
    if head.entries > len(hashes):
        what = f"was cut after entry {len(hashes)}" if hashes else "was emptied"
        what = what if log.exists() else "is missing"
        raise DataError(str(log), [f"{what}; {head_path(log).name} names {head.entries} entries; {_remedy(log)}"])
    if head.hash != (hashes[head.entries - 1] if head.entries else BEFORE_THE_FIRST):
        problem = f"was rewritten; entry {head.entries} is not the one that {head_path(log).name} names"
        raise DataError(str(log), [f"{problem}; {_remedy(log)}"])


@contextlib.contextmanager
def moving_head(log: Path, head: Head) -> Iterator[None]:
    """Write a new head, and move it into place once the body of the statement, which appends entries, succeeds.

    Everything that can fail for lack of space or permission fails before the body or in it.
    """
    path = head_path(log)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="ascii") as file:
            json.dump(msgspec.structs.asdict(head), file)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        yield
        part.replace(path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _remedy(log: Path) -> str:
    return f"restore {log.name} and {head_path(log).name} from a copy, or move both away to start a new log"
