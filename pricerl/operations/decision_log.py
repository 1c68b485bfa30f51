"""Decision log: an append-only file in which every line carries the hash of the previous one.

A line that is changed, moved or removed from the middle breaks the chain from there on. Truncation at the end goes
unnoticed: if that matters, keep a copy of the last hash elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, NamedTuple

from pricerl.errors import DataError, UsageError

try:
    import fcntl
except ImportError:  # pragma: no cover  # not on Windows, where users must avoid concurrent writers
    fcntl = None  # type: ignore[assignment]  # checked before every use

LOG_FILE = "decisions.jsonl"
BEFORE_THE_FIRST = "0" * 64
"""Previous hash of the first line."""

RENAMED = {"price_now": "current_price"}  # old name
"""Present names of keys in older entries; hashes are those of the stored line."""

REMEDY = "restore the file from a copy, or move it away to start a new one"

MOST_SHOWN = 160
"""Longest typed text in a sentence, in characters; the log holds all of it."""

Entry = dict[str, Any]


class Log(NamedTuple):
    """Decision log with an unbroken chain."""

    entries: list[Entry]
    torn: bytes
    """Bytes of an interrupted write after the last complete line; usually empty."""

    @property
    def last_hash(self) -> str:
        """Hash of the last line."""
        return str(self.entries[-1]["hash"]) if self.entries else BEFORE_THE_FIRST


def canonical(entry: Entry) -> str:
    """Return an entry in canonical form: one line of ASCII with sorted keys."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def link(draft: Entry, number: int, previous: str) -> Entry:
    """Return a draft as an entry with number, previous hash and hash.

    Args:
        draft: the other keys.
        number: line number, from 1.
        previous: hash of the previous line.
    """
    entry = {**draft, "id": number, "previous": previous}
    return {**entry, "hash": hashlib.sha256(canonical(entry).encode()).hexdigest()}


def read_log(path: Path) -> Log:
    """Read a log and check its chain; a missing file is an empty log.

    Raises:
        DataError: the chain is broken; the message names the first broken line.
        UsageError: the file cannot be read.
    """
    if not path.exists():
        return Log([], b"")
    with _opened(path, "rb") as file:
        return check_chain(file.read(), str(path))


def verify(path: Path) -> Log:
    """Read a log that must exist, with an unbroken chain and a complete last line.

    Raises:
        DataError: the chain is broken or the last line incomplete; the message names the line.
        UsageError: the file does not exist or cannot be read.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist; fit and predict create it")
    log = read_log(path)
    if log.torn:
        found = f"line {len(log.entries) + 1}: is incomplete, {len(log.torn)} bytes: a write was interrupted"
        raise DataError(str(path), [f"{found}; the next command that writes sets it aside"])
    return log


def check_chain(content: bytes, source: str) -> Log:
    """Check every complete line of a log.

    Args:
        content: content of the file.
        source: name of the file.

    Raises:
        DataError: a line is not an entry, was changed or does not follow the previous one; the first is named.
    """
    *lines, torn = content.split(b"\n")
    entries: list[Entry] = []
    previous = BEFORE_THE_FIRST
    for number, line in enumerate(lines, 1):
        entry = _parse(line)
        problem = _problem(entry, line, number, previous)
        if entry is None or problem:
            raise DataError(source, [f"line {number}: {problem}; {REMEDY}"])
        entries.append({RENAMED.get(key, key): value for key, value in entry.items()})
        previous = str(entry["hash"])
    return Log(entries, torn)


def append(path: Path, drafts: Sequence[Entry]) -> list[Entry]:
    """Append entries under a lock, all or none; an incomplete last line moves into a repair entry.

    Args:
        path: the log; created if absent.
        drafts: entries without number and hashes.

    Raises:
        DataError: the chain is broken.
        UsageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path.parent} cannot be created: {error.strerror}") from error
    with _opened(path, "ab+") as file:
        file.seek(0)
        content = file.read()
        log = check_chain(content, str(path))
        if log.torn:
            drafts = [_set_aside(log.torn), *drafts]
        entries: list[Entry] = []
        previous = log.last_hash
        for draft in drafts:
            entries.append(link(draft, len(log.entries) + len(entries) + 1, previous))
            previous = entries[-1]["hash"]
        _write_whole(file, len(content) - len(log.torn), "".join(f"{canonical(entry)}\n" for entry in entries))
    return entries


def stamp(kind: str, actor: str, reason: str) -> Entry:
    """Return the keys common to all entries: kind, time, actor and reason."""
    time = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"kind": kind, "time": time, "actor": actor, "reason": reason}


def shown(text: str, most: int = MOST_SHOWN) -> str:
    """Return a typed text on one line, of at most ``most`` characters, without control or bidirectional characters."""
    visible = "".join(char if char.isprintable() else " " for char in text)
    words = " ".join(visible.split())
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _set_aside(torn: bytes) -> Entry:
    draft = stamp("repair", "pricerl", "the previous line was incomplete: a write was interrupted; it is ignored")
    return {**draft, "torn": torn.decode("utf-8", "backslashreplace")}


def _parse(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and "hash" in entry else None


def _problem(entry: Entry | None, line: bytes, number: int, previous: str) -> str:
    """Return the fault of a line, if any; hashing the stored bytes avoids a second serialization."""
    if entry is None:
        return "is not a log entry"
    mark = f'"hash":"{entry["hash"]}",'.encode("ascii", "replace")
    if line.count(mark) != 1 or hashlib.sha256(line.replace(mark, b"")).hexdigest() != entry["hash"]:
        return "was changed after it was written; its hash does not match"
    if entry.get("previous") != previous or entry.get("id") != number:
        return "does not follow the previous line; a line was removed, inserted or moved"
    return ""


def _write_whole(file: IO[bytes], size: int, text: str) -> None:
    """Replace everything after the first ``size`` bytes; on failure, truncate to them."""
    try:
        file.truncate(size)
        rest = memoryview(text.encode())
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            file.truncate(size)
        raise


@contextlib.contextmanager
def _opened(path: Path, mode: str) -> Iterator[IO[bytes]]:
    """Open a file under an exclusive lock."""
    try:
        file = path.open(mode, buffering=0) if mode != "rb" else path.open(mode)
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {error.strerror}") from error
    with file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_SH if mode == "rb" else fcntl.LOCK_EX)
        yield file
