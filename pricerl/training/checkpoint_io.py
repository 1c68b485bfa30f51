"""Lightning's checkpoints in pricerl's format: without pickles and absolute paths, and resumable at every item."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import CheckpointIO

from pricerl.training.checkpointing import Checkpoint
from pricerl.training.tree_file import read_tree, write_tree


class TreeCheckpointIO(CheckpointIO):
    """Reader and writer of checkpoints for Lightning: safetensors and JSON instead of pickles.

    Args:
        given: checkpoint to resume from, which the command has read already.
    """

    def __init__(self, given: Checkpoint | None = None) -> None:
        self._given = given

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint durably and in one step."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_tree(target, checkpoint)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Return the given checkpoint, or read one; a time limit counts anew, for the process that resumes."""
        given = self._given is not None and Path(path) == self._given.path
        content = dict(self._given.content) if given and self._given is not None else read_tree(Path(path))
        states = content.get("callbacks", {})
        return {**content, "callbacks": {name: state for name, state in states.items() if not name.startswith("Timer")}}

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        target = Path(path)
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)


def start_at_epoch(loop: dict[str, Any], epochs: int) -> None:
    """Rewrite the counters of Lightning's loops, so that a resumed run begins an epoch instead of going back into one.

    The DataModule makes that epoch as long as what was left of it.
    """
    for counter in ("total", "current"):
        loop["epoch_progress"][counter].update(dict.fromkeys(("ready", "started", "processed", "completed"), epochs))
    batches = loop["epoch_loop.batch_progress"]
    batches["current"].update(dict.fromkeys(batches["current"], 0))
    batches["total"].update(dict.fromkeys(batches["total"], batches["total"]["ready"]))
    batches["is_last_batch"] = False
    for name in ("total", "current"):
        validated = loop["epoch_loop.val_loop.batch_progress"][name]
        validated.update(dict.fromkeys(validated, 0))


def relative(value: Any) -> Any:
    """Return a callback's state without absolute paths, and without classes of keys and values that are paths."""
    if isinstance(value, Mapping):
        return {relative(key): relative(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [relative(item) for item in value]
    if isinstance(value, Path) or (isinstance(value, str) and Path(value).is_absolute()):
        return os.path.relpath(value)
    return value.detach() if isinstance(value, torch.Tensor) else value
