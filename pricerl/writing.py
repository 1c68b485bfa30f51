"""Atomic writes of several files."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

from pricerl.errors import UsageError


def write_together(files: dict[Path, str]) -> None:
    """Write all files or none: a failure leaves everything as it was.

    Raises:
        UsageError: a file cannot be written.
    """
    undo = contextlib.ExitStack()
    try:
        with undo:
            parts = {path: _write_part(path, text, undo) for path, text in files.items()}
            for path, part in parts.items():
                _move(part, path, undo)
            undo.pop_all()
    except OSError as error:
        where = error.filename or next(iter(files)).parent
        raise UsageError(f"{where} cannot be written: {error.strerror}; earlier files are untouched") from error
    for path in files:
        _sibling(path, "old").unlink(missing_ok=True)


def _write_part(path: Path, text: str, undo: contextlib.ExitStack) -> Path:
    """Write a file next to its target."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    for folder in reversed([parent for parent in path.parents if not parent.exists()]):
        folder.mkdir()
        undo.callback(folder.rmdir)
    part = _sibling(path, "part")
    undo.callback(part.unlink, missing_ok=True)
    part.write_text(text, encoding="utf-8", newline="")
    return part


def _move(part: Path, path: Path, undo: contextlib.ExitStack) -> None:
    """Move a file to its target and set an existing one aside."""
    if path.exists():
        old = _sibling(path, "old")
        path.replace(old)
        undo.callback(old.replace, path)
    else:
        undo.callback(path.unlink, missing_ok=True)
    part.replace(path)


def _sibling(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")
