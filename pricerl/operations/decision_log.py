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


def read_log(path: Path) -> Log:
    """Read a log and check its chain; a missing file is an empty log.

    Raises:
        DataError: the chain is broken; the message names the first broken line.
        UsageError: the file cannot be read.
    """
    if not path.exists():
        return Log([], b"")
    with _opened(path, "rb") as file:
        return _check_chain(file.read(), str(path))


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


def _check_chain(content: bytes, source: str) -> Log:
    """Check every complete line of the content of a log, whose file is the source, and name the first broken one."""
    *lines, torn = content.split(b"\n")
    entries: list[Entry] = []
    previous = BEFORE_THE_FIRST
    for number, line in enumerate(lines, 1):
        entry = _parse(line)
        if problem := _problem(entry, line, number, previous):
            remedy = "restore the file from a copy, or move it away to start a new one"
            raise DataError(source, [f"line {number}: {problem}; {remedy}"])
        entries.append({RENAMED.get(key, key): value for key, value in entry.items()})
        previous = entry["hash"]
    return Log(entries, torn)


def append(path: Path, drafts: Sequence[Entry]) -> list[Entry]:
    """Append drafts, entries without number and hashes, to a log, created if absent, and return the new entries.

    All or none are written, under a lock. An incomplete last line moves into a repair entry.

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
        log = _check_chain(content, str(path))
        if log.torn:
            why = "the previous line was incomplete: a write was interrupted; it is ignored"
            repair = {**stamp("repair", "pricerl", why), "torn": log.torn.decode("utf-8", "backslashreplace")}
            drafts = [repair, *drafts]
        entries: list[Entry] = []
        previous = log.last_hash
        for number, draft in enumerate(drafts, len(log.entries) + 1):
            entry = {**draft, "id": number, "previous": previous}
            previous = hashlib.sha256(canonical(entry).encode()).hexdigest()
            entries.append({**entry, "hash": previous})
        _write_whole(file, len(content) - len(log.torn), "".join(f"{canonical(entry)}\n" for entry in entries))
    return entries


def stamp(kind: str, actor: str, reason: str) -> Entry:
    """Return the keys common to all entries: kind, time, actor and reason."""
    time = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"kind": kind, "time": time, "actor": actor, "reason": reason}


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _problem(entry: Any, line: bytes, number: int, previous: str) -> str:
    """Return the fault of a line, if any; hashing the stored bytes avoids a second serialization."""
    if not isinstance(entry, dict) or "hash" not in entry:
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
    """Open a file under a lock, which readers share."""
    try:
        file = path.open(mode, buffering=0)
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {error.strerror}") from error
    with file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_SH if mode == "rb" else fcntl.LOCK_EX)
        yield file
