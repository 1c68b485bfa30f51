"""Start and resumption of a training: which generation it writes, from which save it goes on, what may have changed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pricerl.errors import CheckpointError, UsageError
from pricerl.operations.decision_log import LOG_FILE, read_log
from pricerl.operations.orders import RETRAIN
from pricerl.operations.provenance import current_versions, differing, hash_code, hash_history
from pricerl.runs import (
    BEST,
    LAST,
    METRICS_FILE,
    RUN_FILE,
    Checkpoint,
    Generation,
    RunFolder,
    verify_save,
    without_query,
)
from pricerl.training.loggers import Resumed
from pricerl.training.run import Run

HISTORY = "history"
"""Name of the data in ``--accept_changes``; all other names are settings."""

FREE = ("data.eval_every", "data.currency", "data.reading.query")
"""Settings of the data that a resumed run may change without a word: they do not change what is learned from, or the
history shows it."""

GENERATION, RESUMED = "PRICERL_GENERATION", "PRICERL_RESUMED"
"""Environment variables with the generation and the checkpoint of a run, from its first process to the others."""


def find_resumed(folder: RunFolder, given: str | None, resume: str | None) -> Checkpoint | None:
    """Return the checkpoint that ``fit`` goes on from, None for a new training.

    Args:
        folder: the run's folder.
        given: value of ``--ckpt_path``.
        resume: value of ``--resume``.

    Raises:
        UsageError: the options contradict each other.
        CheckpointError: the checkpoint cannot be used.
    """
    if resume not in (None, "auto"):
        raise UsageError(f"--resume must be auto, found {resume!r}; name a checkpoint with --ckpt_path")
    if resume is not None and given is not None:
        raise UsageError("--resume auto finds the checkpoint; leave out --ckpt_path, or --resume")
    if RESUMED in os.environ and not is_first_process():
        return Checkpoint.read(os.environ[RESUMED]) if os.environ[RESUMED] else None
    named = folder if given in (None, "last", "best") else RunFolder.of(Path(given))
    with contextlib.suppress(UsageError):  # a copy that may only be read: its checkpoint is one on its own
        named.restore_links()
    if resume is not None:
        return _newest(folder)
    newest = folder.generations()[-1:]
    if given is not None and newest and (given == "last" or Path(given) == folder.path / LAST):
        if not newest[0].saves() and not newest[0].is_complete:
            raise CheckpointError(
                f"{newest[0].path} was interrupted before its first save, so there is nothing to resume; leave out "
                "--ckpt_path, or name the checkpoint of another generation"
            )
        return Checkpoint.read(newest[0].path / LAST)
    return None if given is None else Checkpoint.read(given, folder.path)


def _newest(folder: RunFolder) -> Checkpoint | None:
    """Return the newest usable save of the newest generation, None if it has none."""
    for generation in folder.generations()[-1:]:
        for save in (generation.path / LAST, *(item / RUN_FILE for item in reversed(generation.saves()))):
            with contextlib.suppress(CheckpointError):
                found = Checkpoint.read(save)
                if found.save is not None:
                    verify_save(found.save)
                    return found
    return None


def refuse_changes(run: Run, checkpoint: Checkpoint, accepted: str | None) -> tuple[str, ...]:
    """Compare data and settings with those of the resumed run, and return the names of accepted differences.

    Args:
        run: run with its data.
        checkpoint: checkpoint to go on from.
        accepted: value of ``--accept_changes``, names separated by commas.

    Raises:
        UsageError: something changed that is not accepted; the message names all of it.
    """
    stored = checkpoint.about.get("settings") or {}
    parts = ("seed_everything", "data", "model")
    found = _flat(differing({name: run.settings[name] for name in parts if name in run.settings}, stored))
    changed = [name for name in found if name not in FREE and not name.startswith("model.algorithm.")]
    if run.advises and checkpoint.about.get(HISTORY) not in (None, fingerprint(run)):
        changed.insert(0, HISTORY)
    names = [name.strip() for name in (accepted or "").split(",") if name.strip()]
    unused = [name for name in names if not any(_covers(name, item) for item in changed)]
    if unused:
        raise UsageError(f"--accept_changes {unused[0]}: it is the same as in {checkpoint.path}; leave it out")
    refused = [item for item in changed if not any(_covers(name, item) for name in names)]
    if refused:
        listed = ", ".join(refused)
        raise UsageError(
            f"{listed} {'differs' if len(refused) == 1 else 'differ'} from the run of {checkpoint.path}; begin "
            f"anew without --ckpt_path and --resume, or go on all the same with --accept_changes {','.join(refused)}"
        )
    return tuple(changed)


def describe_run(run: Run) -> dict[str, Any]:
    """Return what every checkpoint of a run stores about it: settings, fingerprint of the history and limits."""
    return {
        "settings": without_query(run.settings),
        "history": fingerprint(run),
        "contains_history": run.advises and not run.options.portable,
        "code": hash_code(),
        "versions": current_versions(),
        "limits": {"max_steps": run.options.trainer.max_steps},
    }


def other_versions(checkpoint: Checkpoint) -> list[str]:
    """Return what differs between this program and the one that wrote a checkpoint."""
    stored, now = checkpoint.about.get("versions", {}), current_versions()
    found = [
        f"{name} {now[name]} instead of {stored[name]}" for name in now if stored.get(name, now[name]) != now[name]
    ]
    return [*found, *(["other code of pricerl"] if checkpoint.about.get("code") not in (None, hash_code()) else [])]


def fingerprint(run: Run) -> str | None:
    """Return the hash of a seller's history, None for other data."""
    return hash_history(run.pricing.preprocessor.products) if run.advises else None


def has_nothing_left(checkpoint: Checkpoint, max_steps: int) -> bool:
    """Return whether training has ended at a checkpoint, by itself or by its limit."""
    saver = checkpoint.content.get("callbacks", {}).get("RunCheckpoint", {})
    stopped = saver.get("finished", False) and checkpoint.update < max_steps
    stored: Mapping[str, Any] = checkpoint.about.get("limits", {})
    return bool(stopped and stored.get("max_steps") == max_steps) or 0 < max_steps <= checkpoint.update


def is_delivered(generation: Generation, advises: bool) -> bool:
    """Return whether nothing is left to publish of a run that has ended: neither its generation nor its advice.

    A seller's advice is recorded last of all. A generation that a rollback has replaced was once the current one.
    """
    folder = RunFolder(generation.path.parent)
    entries, current = read_log(folder.path / LOG_FILE).entries, folder.current
    if not generation.is_complete:
        return False
    if any(entry["kind"] == RETRAIN and entry["generation"] == generation.name for entry in entries):
        return True
    if advises:
        return any(Path(entry.get("checkpoint") or "").parts[:1] == (generation.name,) for entry in entries)
    replaced = any(entry.get("instead_of") == generation.name for entry in entries)
    return replaced or (current is not None and current.number >= generation.number)


def resumed_place(checkpoint: Checkpoint | None) -> Resumed | None:
    """Return the place from which a run goes on."""
    if checkpoint is None:
        return None
    states = [state for state in checkpoint.content.values() if isinstance(state, dict) and "evaluated" in state]
    return Resumed(checkpoint.update, states[0]["evaluated"] if states else True)


def open_generation(folder: RunFolder, resumed: Checkpoint | None, ended: bool) -> tuple[Generation, Checkpoint | None]:
    """Return the generation that a training writes, and the checkpoint in it that it goes on from.

    An unfinished generation that is resumed from its last save goes on, and so does an ended one that is not yet
    published; everything else begins a new one.

    Args:
        folder: the run's folder.
        resumed: checkpoint to go on from.
        ended: whether training has ended at that checkpoint.
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
    best_save = _best_save(resumed, source)
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


def _best_save(resumed: Checkpoint, source: Generation) -> Path | None:
    """Return the save of the best evaluation up to a checkpoint, if it is still there."""
    saver = resumed.content.get("callbacks", {}).get("RunCheckpoint", {})
    update = saver.get("best_update")
    folder = None if update is None else source.save_folder(update)
    return folder.resolve() if folder is not None and folder.exists() else None


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in settings.items():
        full = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{full}.")
        else:
            yield full


def _covers(name: str, changed: str) -> bool:
    return changed == name or changed.startswith(f"{name}.")
