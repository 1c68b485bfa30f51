"""Durable writes: a file is either the old one or the new one, even after a power failure."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from pricerl.errors import UsageError


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
        if path.is_dir() and not path.is_symlink():
            raise UsageError(f"{path} is a folder, where a file is to be written; rename it, or choose another folder")
        if path.parent.is_file():
            raise UsageError(f"{path.parent} is a file, where a folder is needed; rename it, or choose another folder")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name in the same folder, and move what was made there into place; remove it on failure."""
    part = path.with_name(f".{path.name}.part")  # a leftover one may be deleted
    try:
        yield part
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


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
    connection = sqlite3.connect(path, patience, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    except sqlite3.OperationalError as error:
        raise BlockingIOError(errno.EWOULDBLOCK, "another command holds it", str(path)) from error
    finally:
        connection.close()


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add a file's name to system errors that lack one, such as those of writing to an open file."""
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


# until the folder of a run needs none of them

CURRENT = "current"
MANIFEST = "manifest.json"
PUBLISHED = "published"


def point(link: Path, target: str) -> None:
    """Point a symbolic link to a target, relative to its folder, in one step; it replaces a link or file of its name.

    A folder of its name is removed only if copying that follows links has certainly left it. Any other, and a link that
    cannot be written, is an ``OSError``; everything that exists is untouched then.
    """
    if link.is_symlink() and str(link.readlink()) == target:
        return
    if (is_folder := link.is_dir() and not link.is_symlink()) and not _is_copy(link, link.parent / target):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(link))
    with replacing(link) as part:
        part.unlink(missing_ok=True)
        part.symlink_to(target)
        if is_folder:
            copied = link.with_name(f".{link.name}.old")
            link.rename(copied)
            shutil.rmtree(copied, ignore_errors=True)
    sync_folder(link.parent)


def _is_copy(folder: Path, target: Path) -> bool:
    """Return whether a folder is a copy of a link's target: a generation or set, or the same files as the target."""
    if folder.name == CURRENT:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            return isinstance(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"], dict)
    files = [path for path in folder.rglob("*") if path.is_file()]
    others = [target / path.relative_to(folder) for path in files]
    same = (other.is_file() and hash_file(path) == hash_file(other) for path, other in zip(files, others, strict=True))
    return bool(files) and all(same)


def lock(file: IO[Any], shared: bool = False, waits: bool = True) -> None:
    """Lock an open file until it is closed; readers may share it. Without ``waits`` a holder is an ``OSError``."""
    if fcntl is not None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if waits else fcntl.LOCK_NB))


def take_over(files: Iterable[Path], source: Path, target: Path) -> None:
    """Give files below ``source`` a second name, or a copy without hard links, below ``target``; existing ones stay."""
    for path in files:
        copy = target / path.relative_to(source)
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, copy)
            except OSError:
                shutil.copyfile(path, copy)
