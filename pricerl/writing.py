"""Durable writes: a file is either the old one or the new one, even after a power failure."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from pricerl.errors import UsageError, refuse


def write_file(path: Path, content: bytes) -> None:
    """Write a file under a temporary name in its folder, flush it to the disk and move it into place.

    If that fails, with an ``OSError``, an existing file is untouched.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    with naming(path), rewriting(path) as file:
        file.write(content)
    sync_folder(path.parent)


@contextlib.contextmanager
def rewriting(path: Path) -> Iterator[IO[bytes]]:
    """Open a file under a temporary name, and move it into place once it is written and on the disk."""
    with replacing(path) as part, part.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_through(path: Path, content: bytes, mode: str = "wb") -> None:
    """Write or append bytes to a file, and flush them to the disk."""
    with path.open(mode) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def refuse_folders(folder: Path, names: Iterable[str]) -> None:
    """Refuse files whose name a folder has, or whose folder has the name of a file: the first is a ``UsageError``."""
    for path in map(folder.joinpath, names):
        refuse(
            {
                f"{path} is a folder, where a file is to be written; rename it, or choose another folder": (
                    path.is_dir() and not path.is_symlink()
                ),
                f"{path.parent} is a file, where a folder is needed; rename it, or choose another folder": (
                    path.parent.is_file()
                ),
            }
        )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name in the same folder, and move what was made there into place; remove it on failure."""
    part = path.with_name(f".{path.name}.part")  # a leftover one may be deleted
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk, where the system can."""
    if os.name != "nt":  # Windows cannot open folders
        with naming(folder):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


@contextlib.contextmanager
def locked(path: Path, patience: float = 30.0) -> Iterator[None]:
    """Hold a lock, kept in a small database of its own; whoever ends, in whatever way, releases it.

    Another holder who does not end within ``patience`` seconds is a ``BlockingIOError``.
    """
    # a server's threads share it
    connection = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    except sqlite3.OperationalError as error:
        raise BlockingIOError(errno.EWOULDBLOCK, "another command holds it", str(path)) from error
    finally:
        connection.close()


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add a file's name to system errors that lack one, such as errors of writing to an open file."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def hash_file(path: Path) -> str:
    """Return the SHA-256 checksum of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            found.update(block)
    return found.hexdigest()


@contextlib.contextmanager
def explained(target: Path, remedy: str = "earlier files are untouched") -> Iterator[None]:
    """Turn an error of writing into a ``UsageError`` of one sentence."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise UsageError(f"{error.filename or target} cannot be written: {why}; {remedy}") from error


def write_text(path: Path, text: str) -> None:
    """Write a text as `write_file` does, into a folder that is created if absent; raise a ``UsageError`` on failure."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text.encode())


def give_name(file: Path, target: Path) -> None:
    """Give a file a second name in one step, or a copy where there are no hard links."""
    if is_same(file, target):
        return
    with replacing(target) as part:
        part.unlink(missing_ok=True)
        try:
            os.link(file, part)
        except OSError:
            shutil.copy2(file, part)
    sync_folder(target.parent)


def is_same(file: Path, other: Path) -> bool:
    """Return whether two names lead to one file, or to a copy that `give_name` made of it."""
    if not file.exists() or not other.exists() or other.is_symlink():
        return False
    one, two = file.stat(), other.stat()
    return file.samefile(other) or (one.st_size, one.st_mtime_ns) == (two.st_size, two.st_mtime_ns)
