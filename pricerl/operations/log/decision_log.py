"""Decision log: an append-only file in which every line carries the hash of the previous one.

A line that is changed, moved or removed from the middle breaks the chain from there on. Number and hash of the last
entry, the head, are kept in a file of their own: a log that was cut, emptied, deleted or rewritten is no longer the one
whose head was kept. The head is moved after the entries are on the disk; after a crash between the two it is that of an
earlier entry.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from pricerl.entry_parts import FORMAT, Count
from pricerl.errors import DataError, UsageError
from pricerl.operations.log.log_entries import check_entry, parse_entry
from pricerl.writing import lock, naming, replacing, sync_folder, write_through

LOG_FILE = "decisions.jsonl"
FEWEST_DIGITS = 12
"""Fewest digits of a hash that names an entry; among a million entries two share them with probability 0.2 %."""

BEFORE_THE_FIRST = "0" * 64
"""Previous hash of the first entry, and hash of the head of an empty log."""

Entry = dict[str, Any]


class Head(msgspec.Struct, frozen=True):
    """Number and hash of the last entry of a log."""

    entries: Count
    hash: str


class Log(NamedTuple):
    """Decision log with an unbroken chain that contains its head."""

    entries: Sequence[Entry]
    torn: bytes
    """Bytes of an interrupted write after the last complete line; usually empty."""

    @property
    def head(self) -> Head:
        """Number and hash of the last entry."""
        return Head(len(self.entries), _last_hash(self.entries))

    def find(self, digits: str) -> int | None:
        """Return the number of the entry whose hash begins with some digits, 0 before the first, None without one."""
        if BEFORE_THE_FIRST.startswith(digits):
            return 0
        return next((entry["id"] for entry in self.entries if entry["hash"].startswith(digits)), None)


def by_product(entries: Iterable[Entry]) -> dict[str | None, list[Entry]]:
    """Return the entries of each product, in their order; those of none under None."""
    found: dict[str | None, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.get("product"), []).append(entry)
    return found


Drafts = Sequence[Entry] | Callable[[Sequence[Entry]], Sequence[Entry]]
"""Entries without number and hashes, or a function that makes them from the entries of the log."""


def canonical(entry: Entry) -> str:
    """Return an entry in canonical form: one line of ASCII with sorted keys."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def read_log(path: Path) -> Log:
    """Read a log; check its chain, each entry and its head. A missing file is an empty log.

    The first wrong line, or the head, is a ``DataError``; a file that cannot be read is a ``UsageError``.
    """
    if not path.exists() and _never_existed(path):
        return Log((), b"")
    with _opened(path, "rb") as (_, log):
        return log


def verify(path: Path) -> Log:
    """Read a log as `read_log` does, and refuse one that does not exist or whose last line is incomplete."""
    log = read_log(path)
    if not path.exists():
        raise UsageError(f"{path} does not exist; fit and predict create it")
    if log.torn:
        found = f"line {len(log.entries) + 1}: is incomplete, {len(log.torn)} bytes: a write was interrupted"
        raise DataError(str(path), [f"{found}; the next command that writes sets it aside"])
    return log


def _never_existed(path: Path) -> bool:
    """Refuse an absent log that was deleted; return False if a first writer has just made it."""
    head = read_head(path)
    if path.exists():  # writers make the log before its head
        return False
    if head is not None:
        check_head(path, ())
    return True


_BEFORE: list[tuple[int, bytes, Sequence[Entry]]] = [(0, hashlib.sha256().digest(), ())]
"""Size and hash of the lines that this process checked last, with their entries: lines are checked once."""


def _check(content: bytes, path: Path) -> Log:
    """Check every complete line of a log, name the first wrong one, and compare the rest with the head."""
    size, digest, checked = _BEFORE[-1]
    known = hashlib.sha256(memoryview(content)[:size]).digest() == digest
    *lines, torn = content[size if known else 0 :].split(b"\n")
    entries = [*checked] if known else []
    collects = gc.isenabled()
    gc.disable()  # it would take most of the time, and find nothing
    try:
        for number, line in enumerate(lines, len(entries) + 1):
            entry, problem = _examine(line, number, _last_hash(entries))
            if problem:
                remedy = "restore the file from a copy, or move it and its head away to start a new one"
                raise DataError(str(path), [f"line {number}: {problem}; {remedy}"])
            entries.append(entry)
    finally:
        if collects:
            gc.enable()
    whole = len(content) - len(torn)
    _BEFORE[:] = [(whole, hashlib.sha256(memoryview(content)[:whole]).digest(), entries)]
    check_head(path, entries)
    return Log(entries, torn)


def _last_hash(entries: Sequence[Entry]) -> str:
    return entries[-1]["hash"] if entries else BEFORE_THE_FIRST


Publish = Callable[[Log], Callable[[], object]]
"""Function that prepares what follows from a log, and returns a function that shows it in one step."""


def append(path: Path, drafts: Drafts, publish: Publish | None = None) -> list[Entry]:
    """Append drafts to a log, created if absent, and return the new entries.

    All or none are written. Reading, checking, calling ``drafts``, writing and moving the head are one transaction
    under a lock. An incomplete last line moves into a repair entry. ``publish`` is called under the same lock with the
    log as it will be, before it is written; what it returns is called after that. If it fails, nothing is written.
    A broken log is a ``DataError``. One that cannot be written is a ``UsageError``, whose message begins with recorded
    where only what follows from it failed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path.parent} cannot be created: {error.strerror}") from error
    if not path.exists() and _never_existed(path) and callable(drafts):
        drafts(())  # its errors, before a file is made
    with _opened(path, "ab+") as (file, log):
        drafts = drafts(log.entries) if callable(drafts) else drafts
        if log.torn:
            why = "the previous line was incomplete: a write was interrupted; it is ignored"
            repair = {**stamp("repair", "pricerl", why), "torn": log.torn.decode("utf-8", "backslashreplace")}
            drafts = [repair, *drafts]
        entries: list[Entry] = []
        previous = log.head.hash
        lines: list[str] = []
        for number, draft in enumerate(drafts, len(log.entries) + 1):
            entry = {**draft, "format": FORMAT, "id": number, "previous": previous}
            previous = hashlib.sha256(canonical(entry).encode()).hexdigest()
            entries.append({**entry, "hash": previous})
            lines.append(f"{canonical(entries[-1])}\n")
            check_entry(parse_entry(lines[-1].encode()))
        after = Log([*log.entries, *entries], b"")
        show = None if publish is None else publish(after)
        if not head_path(path).exists():  # a first entry that promises a head has one, whatever happens
            with moving_head(path, log.head):
                pass
        _write_whole(path, file, file.tell() - len(log.torn), "".join(lines), after.head)
        try:
            sync_folder(path.parent)
            if show is not None:
                show()
        except (OSError, UsageError) as error:
            raise UsageError(f"recorded, but not yet published: {error}; the next command publishes it") from error
    return entries


def stamp(kind: str, actor: str, reason: str) -> Entry:
    """Return the keys common to all entries: kind, time, actor and reason."""
    time = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"kind": kind, "time": time, "actor": actor, "reason": reason}


def _examine(line: bytes, number: int, previous: str) -> tuple[Entry, str]:
    """Return the entry of a line and its fault, if any."""
    found: Entry = {}
    with contextlib.suppress(ValueError):
        found = parse_entry(line)
    if "hash" not in found:
        return {}, "is not a log entry"
    mark = f'"hash":"{found["hash"]}",'.encode("ascii", "replace")
    if line.count(mark) != 1 or hashlib.sha256(line.replace(mark, b"")).hexdigest() != found["hash"]:
        return {}, "was changed after it was written; its hash does not match"
    if found.get("previous") != previous or found.get("id") != number:
        return {}, "does not follow the previous line; a line was removed, inserted or moved"
    try:
        check_entry(found)
    except ValueError as error:
        return found, f"is not a valid entry: {error}"
    return found, ""


def _write_whole(path: Path, file: IO[bytes], size: int, text: str, head: Head) -> None:
    """Replace everything after the first ``size`` bytes and move the head; on failure, truncate to them."""
    try:
        with naming(path), moving_head(path, head):
            file.truncate(size)
            rest = memoryview(text.encode())
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            file.truncate(size)
        raise


def publish_again(path: Path, publish: Publish) -> None:
    """Show what follows from a log that exists, under its lock; errors are those of `read_log`."""
    with _opened(path, "ab+") as (_, log):
        publish(log)()


@contextlib.contextmanager
def _opened(path: Path, mode: str) -> Iterator[tuple[IO[bytes], Log]]:
    """Open a log under a lock, which readers share, so that content and head belong together; read and check it."""
    try:
        file = path.open(mode, buffering=0)
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {error.strerror}") from error
    with file:
        lock(file, shared=mode == "rb")
        file.seek(0)
        yield file, _check(file.read(), path)


def head_path(log: Path) -> Path:
    """Return the path of the head of a log."""
    return log.with_suffix(".head")


def read_head(log: Path) -> Head | None:
    """Return the head that was kept for a log, None if there is none; a damaged one is a ``DataError``."""
    path = head_path(log)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Head)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(str(path), [f"is not the head of a decision log; {_remedy(log)}"]) from error


def check_head(log: Path, entries: Sequence[Entry]) -> None:
    """Refuse a log, given by its path and its entries, that does not contain its head."""
    head = read_head(log)
    name = head_path(log).name
    problem = ""
    if head is None:
        problem = f"{name} is missing, so that entries cut off at the end would go unnoticed" if entries else ""
    elif head.entries > len(entries):
        what = f"was cut after entry {len(entries)}" if entries else "was emptied"
        problem = f"{what if log.exists() else 'is missing'}; {name} names {head.entries} entries"
    elif head.hash != _last_hash(entries[: head.entries]):
        problem = f"was rewritten; entry {head.entries} is not the one that {name} names"
    if problem:
        raise DataError(str(log), [f"{problem}; {_remedy(log)}"])


@contextlib.contextmanager
def moving_head(log: Path, head: Head) -> Iterator[None]:
    """Write a new head, and move it into place once the body of the statement, which appends entries, succeeds.

    Everything that can fail for lack of space or permission fails before the body or in it.
    """
    with replacing(head_path(log)) as part:
        write_through(part, f"{json.dumps(msgspec.structs.asdict(head))}\n".encode())
        yield


def _remedy(log: Path) -> str:
    return f"restore {log.name} and {head_path(log).name} from a copy, or move both away to start a new log"
