"""Start and resumption of a training: its checkpoint and its generation."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pricerl.errors import CheckpointError, refuse
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.folder import BEST, LAST, METRICS_FILE, Generation, RunFolder
from pricerl.writing import is_same

GENERATION = "PRICERL_GENERATION"
RESUMED = "PRICERL_RESUMED"
"""Environment variables with the generation and the checkpoint of a run, from its first process to the others."""


def find_resumed(folder: RunFolder, given: str | None, resume: str | None) -> Checkpoint | None:
    """Return the checkpoint of ``--ckpt_path`` and ``--resume``, if any, or raise a ``CheckpointError``."""
    refuse(
        {
            f"--resume must be auto, found {resume!r}; name a checkpoint with --ckpt_path": (
                resume not in (None, "auto")
            ),
            "--resume auto finds the checkpoint; leave out --ckpt_path, or --resume": (
                resume is not None and given is not None
            ),
        }
    )
    if RESUMED in os.environ and not is_first_process():
        return Checkpoint.read(os.environ[RESUMED]) if os.environ[RESUMED] else None
    newest = folder.generations()[-1:]
    if resume is not None:
        return _trained(_last_usable(newest[0])) if newest else None
    if given is not None and newest and (given == "last" or Path(given) == folder.path / LAST):
        refuse(
            {
                f"{newest[0].path} was interrupted before its first save, so there is nothing to resume; leave out "
                "--ckpt_path, or name the checkpoint of another generation": not newest[0].is_saved
            },
            CheckpointError,
        )
        return _trained(Checkpoint.read(newest[0].path / LAST))
    return None if given is None else _trained(Checkpoint.read(given, folder.path))


def _trained(checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Return a checkpoint that a training wrote; of the network that ships, going on is to begin."""
    return checkpoint if checkpoint is not None and checkpoint.is_trained else None


def _last_usable(generation: Generation) -> Checkpoint | None:
    """Return the newest undamaged checkpoint of a generation, if it has one."""
    for name in (LAST, BEST):
        with contextlib.suppress(CheckpointError):
            return Checkpoint.read(generation.path / name)
    return None


def has_nothing_left(checkpoint: Checkpoint, max_steps: int) -> bool:
    """Return whether training has ended at a checkpoint, by itself or by its limit."""
    same_limit = checkpoint.about.get("limits", {}).get("max_steps") == max_steps
    stopped = checkpoint.saver.get("finished", False) and checkpoint.update < max_steps
    return bool(stopped and same_limit) or 0 < max_steps <= checkpoint.update


def open_generation(folder: RunFolder, resumed: Checkpoint | None, ended: bool) -> tuple[Generation, Checkpoint | None]:
    """Return the generation that a training writes, and the checkpoint in it that it goes on from.

    A generation that is unfinished, or has ended unpublished at this checkpoint, goes on; else a new one begins.
    """
    if not is_first_process():
        return Generation(Path(os.environ[GENERATION])), resumed
    if resumed is None:
        return _announce(folder.start(), None)
    source = resumed.generation
    best = None if source is None else source.path / BEST
    if resumed.best_update == resumed.update:
        best = resumed.path
    unfinished = source is not None and (ended or source not in folder.ended) and source.path.parent == folder.path
    if source is None or not unfinished or not is_same(source.path / LAST, resumed.path):
        place = resumed.path.parent if source is None else source.path
        source = folder.start()
        for file in (*place.glob("rank-*.ckpt"), *place.glob(METRICS_FILE)):
            source.take_over(file, file.name)
    source.take_over(resumed.path, LAST)
    if best is not None and best.exists():
        source.take_over(best, BEST)
    return _announce(source, Checkpoint(source.path / LAST, resumed.content))


def is_first_process() -> bool:
    """Return whether this is the only or the first process of the run."""
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"


def _announce(generation: Generation, resumed: Checkpoint | None) -> tuple[Generation, Checkpoint | None]:
    """Pass both to the other processes, which are started later and inherit the environment."""
    os.environ[GENERATION] = str(generation.path)
    os.environ[RESUMED] = "" if resumed is None else str(resumed.path)
    return generation, resumed
