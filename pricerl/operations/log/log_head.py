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
from typing import NamedTuple

from pricerl.errors import DataError

HEAD_FILE = "decisions.head"
"""File of the head of ``decisions.jsonl``, in the same folder."""

BEFORE_THE_FIRST = "0" * 64
"""Previous hash of the first entry, and hash of the head of an empty log."""

REMEDY = "restore {log} and {head} from a copy, or move both away to start a new log"


class Head(NamedTuple):
    """Number and hash of the last entry of a log."""

    entries: int
    hash: str


def head_path(log: Path) -> Path:
    """Return the path of the head of a log."""
    return log.with_suffix(Path(HEAD_FILE).suffix)


def read_head(log: Path) -> Head | None:
    """Return the head that was kept for a log, None if there is none.

    Raises:
        DataError: its file cannot be read or is damaged.
    """
    path = head_path(log)
    try:
        content = json.loads(path.read_bytes())
        head = Head(content["entries"], content["hash"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(str(path), [f"is not the head of a decision log; {_remedy(log)}"]) from error
    if type(head.entries) is not int or head.entries < 0 or not isinstance(head.hash, str):
        raise DataError(str(path), [f"is not the head of a decision log; {_remedy(log)}"])
    return head


def check_head(log: Path, hashes: Sequence[str]) -> None:
    """Compare a log with its head.

    Args:
        log: the log's path.
        hashes: hashes of its entries, a chain.

    Raises:
        DataError: entries are missing, or another one stands where the head's was, or the head is missing.
    """
    head = read_head(log)
    found = len(hashes)
    if head is None:
        if hashes:
            problem = f"{head_path(log).name} is missing, so that entries cut off at the end would go unnoticed"
            raise DataError(str(log), [f"{problem}; {_remedy(log)}"])
        return
    if head.entries > found:
        what = "was emptied" if not found else f"was cut after entry {found}"
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
            json.dump(head._asdict(), file)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        yield
        part.replace(path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _remedy(log: Path) -> str:
    return REMEDY.format(log=log.name, head=head_path(log).name)
