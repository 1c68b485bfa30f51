"""Durable writes: a file, a folder or a link is either the old one or the new one, even after a power failure."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from pricerl.errors import UsageError

try:
    import fcntl
except ImportError:  # pragma: no cover  # not on Windows, where nothing keeps two writers apart
    fcntl = None  # type: ignore[assignment]  # checked before every use

PUBLISHED = "published"
"""Folder of published sets."""
CURRENT = "current"
"""Link to the newest published set."""
MANIFEST = "manifest.json"
"""File of checksums in each published set."""

SETS_KEPT = 5
"""Number of published sets that stay."""


def write_file(path: Path, content: bytes) -> None:
    """Write a file under a temporary name in its folder, flush it to the disk and move it into place.

    If that fails, with an ``OSError``, an existing file is untouched.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    with naming(path), replacing(path) as part:
        write_through(part, content)
    sync_folder(path.parent)


def write_through(path: Path, content: bytes, mode: str = "wb") -> None:
    """Write or append bytes to a file, and flush them to the disk."""
    with path.open(mode) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


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


def lock(file: IO[Any], shared: bool = False, waits: bool = True) -> None:
    """Lock an open file until it is closed; readers may share it. Without ``waits`` a holder is an ``OSError``."""
    if fcntl is not None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if waits else fcntl.LOCK_NB))


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add a file's name to system errors that lack one, such as those of writing to an open file."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


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


def stage_set(
    folder: Path,
    files: Iterable[tuple[str, str | bytes]],
    finish: Callable[[Path], None] = lambda _: None,
    mark: str = "",
    source: str = "",
) -> str:
    """Write a set of files that belong together without publishing it, and return its name for `show_set`.

    A set is a folder ``published/0007`` with a manifest. Readers find all files of the old set or all of the new one:
    ``published/current`` is a link to the newest, moved in one step, and the files' own names are links through it.

    Args:
        folder: created if absent; one that cannot be written is a ``UsageError``.
        files: path below the folder and content of each file, which may come in several pieces.
        finish: called with the folder of the new set, to add files.
        mark: text that names the state that the set belongs to, kept in its manifest.
        source: set from which all other files are taken over; none if empty.
    """
    sets = folder / PUBLISHED
    part = sets / f".{os.getpid()}.part"
    with explained(folder):
        try:
            shutil.rmtree(part, ignore_errors=True)
            paths: dict[str, Path] = {}
            for name, piece in files:
                path = paths.setdefault(name, part / name)
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("ab") as file:
                    file.write(piece if isinstance(piece, bytes) else piece.encode())
            for path in paths.values():  # all of them after the last is written
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            for inside in {path.parent for path in paths.values()}:
                sync_folder(inside)
            if source:
                earlier = (sets / source).resolve()
                take_over((path for path in _files_below(earlier) if path.name != MANIFEST), earlier, part)
            finish(part)
            names = [path.relative_to(part).as_posix() for path in _files_below(part)]
            refuse_folders(folder, names)
            manifest = {"files": {name: hash_file(part / name) for name in names}, "mark": mark}
            write_file(part / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
            return f"{_place(part, sets):04d}"
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            with contextlib.suppress(OSError):  # holds earlier sets
                sets.rmdir()
            raise


def show_set(folder: Path, name: str) -> None:
    """Publish a set that `stage_set` wrote; the earlier one stays published on failure, a ``UsageError``."""
    sets = folder / PUBLISHED
    with explained(folder):
        names = {path.relative_to(sets / name).as_posix() for path in _files_below(sets / name)} - {MANIFEST}
        point(sets / CURRENT, name)
        for inside in sorted(names):
            (folder / inside).parent.mkdir(exist_ok=True)
            point(folder / inside, f"{'../' * inside.count('/')}{PUBLISHED}/{CURRENT}/{inside}")
        for path in _links_into_sets(folder) - {folder / inside for inside in names}:
            path.unlink()
    for path in sorted(path for path in _numbered(sets) if (path / MANIFEST).is_file())[:-SETS_KEPT]:
        if path.name != name:
            shutil.rmtree(path, ignore_errors=True)


def is_shown(folder: Path, name: str) -> bool:
    """Return whether a set is the published one, and every name of its files, and no other, leads into it."""
    sets = folder / PUBLISHED
    if (sets / CURRENT).resolve().name != name:
        return False
    names = {path.relative_to(sets / name) for path in _files_below(sets / name)} - {Path(MANIFEST)}
    return _links_into_sets(folder) == {folder / path for path in names}


def find_set(folder: Path, marks: Collection[str]) -> str | None:
    """Return the newest set with one of some marks, None if there is none."""
    for path in sorted((folder / PUBLISHED).glob("[0-9]*"), reverse=True):
        with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
            if json.loads((path / MANIFEST).read_text(encoding="utf-8")).get("mark") in marks:
                return path.name
    return None


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _place(part: Path, sets: Path) -> int:
    """Move a complete set under the next free number, and return that."""
    number = max((int(path.name) for path in _numbered(sets)), default=0)
    while True:
        number += 1
        try:
            part.rename(sets / f"{number:04d}")
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another process was faster
                raise
        else:
            sync_folder(sets)
            return number


def _numbered(sets: Path) -> list[Path]:
    return [path for path in sets.iterdir() if path.name.isdecimal()]


def _links_into_sets(folder: Path) -> set[Path]:
    """Return the links in a folder, and in the folders directly below it, that lead into its current set."""
    inside = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink() and path.name != PUBLISHED]
    every = [*folder.iterdir(), *(item for sub in inside for item in sub.iterdir())]
    return {path for path in every if path.is_symlink() and f"{PUBLISHED}/{CURRENT}/" in str(path.readlink())}
