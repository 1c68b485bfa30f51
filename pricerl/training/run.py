"""Start and resumption of a training: its checkpoint and its generation."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pricerl.errors import CheckpointError, UsageError
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.folder import BEST, LAST, METRICS_FILE, RUN_FILE, Generation, RunFolder
from pricerl.runs.rank_state import verify_save

GENERATION = "PRICERL_GENERATION"
RESUMED = "PRICERL_RESUMED"
"""Environment variables with the generation and the checkpoint of a run, from its first process to the others."""


def find_resumed(folder: RunFolder, given: str | None, resume: str | None) -> Checkpoint | None:
    """Return the checkpoint of ``--ckpt_path`` and ``--resume``, if any, or raise a ``CheckpointError``."""
    if resume not in (None, "auto"):
        raise UsageError(f"--resume must be auto, found {resume!r}; name a checkpoint with --ckpt_path")
    if resume is not None and given is not None:
        raise UsageError("--resume auto finds the checkpoint; leave out --ckpt_path, or --resume")
    if RESUMED in os.environ and not is_first_process():
        return Checkpoint.read(os.environ[RESUMED]) if os.environ[RESUMED] else None
    named = folder if given in (None, "last", "best") else RunFolder.of(Path(given))
    with contextlib.suppress(UsageError):  # a copy that may only be read: its checkpoint is one on its own
        named.restore_links()
    newest = folder.generations()[-1:]
    if resume is not None:
        return _last_usable(newest[0]) if newest else None
    if given is not None and newest and (given == "last" or Path(given) == folder.path / LAST):
        if not newest[0].saves() and not newest[0].is_complete:
            raise CheckpointError(
                f"{newest[0].path} was interrupted before its first save, so there is nothing to resume; leave out "
                "--ckpt_path, or name the checkpoint of another generation"
            )
        return Checkpoint.read(newest[0].path / LAST)
    return None if given is None else Checkpoint.read(given, folder.path)


def _last_usable(generation: Generation) -> Checkpoint | None:
    """Return the newest usable save of a generation, None if it has none."""
    for save in (generation.path / LAST, *(item / RUN_FILE for item in reversed(generation.saves()))):
        with contextlib.suppress(CheckpointError):
            found = Checkpoint.read(save)
            if found.save is not None:
                verify_save(found.save)
                return found
    return None


def has_nothing_left(checkpoint: Checkpoint, max_steps: int) -> bool:
    """Return whether training has ended at a checkpoint, by itself or by its limit."""
    saver = checkpoint.content.get("callbacks", {}).get("RunCheckpoint", {})
    stopped = saver.get("finished", False) and checkpoint.update < max_steps
    stored: Mapping[str, Any] = checkpoint.about.get("limits", {})
    return bool(stopped and stored.get("max_steps") == max_steps) or 0 < max_steps <= checkpoint.update


def open_generation(folder: RunFolder, resumed: Checkpoint | None, ended: bool) -> tuple[Generation, Checkpoint | None]:
    """Return the generation that a training writes, and the checkpoint in it that it goes on from.

    A generation that is unfinished, or has ended unpublished at this checkpoint, goes on; else a new one begins.
    """
    if not is_first_process():
        return Generation(Path(os.environ[GENERATION])), resumed
    if resumed is None or resumed.save is None or (source := resumed.generation) is None:
        return _announce(folder.start(), resumed)
    last = source.path / LAST
    best = source.path / BEST
    goes_on = (ended or not source.is_complete) and source.path.parent == folder.path
    if goes_on and last.exists() and last.resolve() == resumed.path.resolve():
        source.keep_saves({int(path.resolve().parent.name) for path in (last, best) if path.exists()})
        return _announce(source, Checkpoint(last, resumed.content))
    made = folder.start()
    best_save = _save_of_best(resumed, source)
    made.adopt({resumed.save, best_save or resumed.save})
    made.name_save(LAST, int(resumed.save.name))
    if best_save is not None:
        made.name_save(BEST, int(best_save.name))
    with contextlib.suppress(OSError):
        shutil.copyfile(source.path / METRICS_FILE, made.path / METRICS_FILE)
    return _announce(made, Checkpoint(made.path / LAST, resumed.content))


def is_first_process() -> bool:
    """Return whether this is the only or the first process of the run."""
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"


def _announce(generation: Generation, resumed: Checkpoint | None) -> tuple[Generation, Checkpoint | None]:
    """Pass both to the other processes, which are started later and inherit the environment."""
    os.environ[GENERATION] = str(generation.path)
    os.environ[RESUMED] = "" if resumed is None else str(resumed.path)
    return generation, resumed


def _save_of_best(resumed: Checkpoint, source: Generation) -> Path | None:
    """Return the save of the best evaluation up to a checkpoint, if it is still there."""
    saver = resumed.content.get("callbacks", {}).get("RunCheckpoint", {})
    update = saver.get("best_update")
    folder = None if update is None else source.save_folder(update)
    return folder.resolve() if folder is not None and folder.exists() else None
