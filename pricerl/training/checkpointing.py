"""Read checkpoints with suspicion, and put into them what a later command needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pricerl.errors import CheckpointError

if TYPE_CHECKING:
    from torch import nn

CHECKPOINT_KEY = "pricerl"
FORMAT = 4
LASTING_SETTINGS = ("seed_everything", "data", "model", "decision")
LAST, BEST = "last.ckpt", "best.ckpt"

RUNS = Path("checkpoints")
"""Runs land here, relative to the working directory, one folder each."""


def describe_run(config_yaml: str, version: str) -> dict[str, Any]:
    """What a checkpoint carries under ``CHECKPOINT_KEY``: format, version and the run's configuration."""
    return {"format": FORMAT, "version": version, "config": config_yaml}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Load a checkpoint, weights only, onto the CPU.

    Raises:
        CheckpointError: the file is missing, unreadable, no checkpoint or not one of pricerl's.
    """
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; name the checkpoint in it, such as {path / BEST}")
    if not path.exists():
        raise CheckpointError(f"{path} does not exist{_others(path)}; run fit first or name another checkpoint")
    import torch  # here, since the commands about orders need only names of this module

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise CheckpointError(f"{path} cannot be read: no permission") from error
    except Exception as error:  # an unpickler that is fed other bytes can raise anything
        raise CheckpointError(f"{path} is not a checkpoint, or it is damaged; run fit again or name another") from error
    checkpoint: dict[str, Any] = loaded if isinstance(loaded, dict) else {}
    about = checkpoint.get(CHECKPOINT_KEY)
    if not isinstance(about, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise CheckpointError(f"{path} is a torch file but no pricerl checkpoint; name one that fit wrote")
    found = about.get("format")
    if found != FORMAT:
        raise CheckpointError(f"{path} has checkpoint format {found}, this version reads {FORMAT}; run fit again")
    return checkpoint


def load_weights(module: nn.Module, checkpoint: dict[str, Any], path: Path) -> None:
    """Put a checkpoint's weights into the module.

    Raises:
        CheckpointError: they belong to another network.
    """
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} was trained with another network than these settings ask for; take the model and "
            "data.reading.window of its run, or start a new run without --ckpt_path"
        ) from error


def stored_config(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Settings of the run that hold for later commands, all but trainer, paths and the file: its history is carried."""
    try:
        config = yaml.safe_load(checkpoint[CHECKPOINT_KEY]["config"])
        kept = {key: value for key, value in config.items() if key in LASTING_SETTINGS}
        kept["data"].pop("path", None)
    except (yaml.YAMLError, KeyError, AttributeError) as error:
        raise CheckpointError("the checkpoint's configuration is damaged; run fit again or name another") from error
    return kept


def _others(path: Path) -> str:
    """Name the checkpoints that do lie in the folder."""
    found = sorted(item.name for item in path.parent.glob("*.ckpt")) if path.parent.is_dir() else []
    return f"; the folder holds {', '.join(found)}" if found else ""
