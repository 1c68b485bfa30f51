"""Checkpoint loading and validation, and the run settings that checkpoints store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pricerl.errors import CheckpointError

if TYPE_CHECKING:
    from lightning.pytorch import LightningDataModule
    from torch import nn

CHECKPOINT_KEY = "pricerl"
"""Key of format, version and configuration in a checkpoint."""

FORMAT = 4
USUAL_CLASSES = {
    "model": "pricerl.training.module.SACModule",
    "data": "pricerl.training.pricing_data.PricingDataModule",
}
"""Default classes of model and data; their settings are stored without the class."""

LAST, BEST = "last.ckpt", "best.ckpt"

RUNS = Path("checkpoints")
"""Folder of the runs, relative to the working directory; one folder per run."""


@dataclass(frozen=True)
class Checkpoint:
    """Checkpoint of pricerl, read once and passed on."""

    path: Path
    """Checkpoint file."""
    content: dict[str, Any]
    """Weights, states and configuration."""

    @classmethod
    def read(cls, given: str | Path, folder: Path = Path()) -> Checkpoint:
        """Load a file, weights only, onto the CPU.

        Args:
            given: a path, or ``last`` or ``best`` in the run's folder.
            folder: the run's folder.

        Raises:
            CheckpointError: the file is missing, unreadable or not a pricerl checkpoint.
        """
        path = {"last": folder / LAST, "best": folder / BEST}.get(str(given), Path(given))
        if path.is_dir():
            raise CheckpointError(f"{path} is a folder; name the checkpoint in it, such as {path / BEST}")
        if not path.exists():
            names = ", ".join(sorted(item.name for item in path.parent.glob("*.ckpt")))
            others = f"; the folder holds {names}" if names else ""
            raise CheckpointError(f"{path} does not exist{others}; run fit first or name another checkpoint")
        import torch  # imported here, because the commands about orders need only this module's names

        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        except PermissionError as error:
            raise CheckpointError(f"{path} cannot be read: no permission") from error
        except Exception as error:  # unpickling arbitrary bytes can raise anything
            raise CheckpointError(
                f"{path} is not a checkpoint, or it is damaged; run fit again or name another"
            ) from error
        checkpoint: dict[str, Any] = loaded if isinstance(loaded, dict) else {}
        about = checkpoint.get(CHECKPOINT_KEY)
        if not isinstance(about, dict) or not isinstance(checkpoint.get("state_dict"), dict):
            raise CheckpointError(f"{path} is a torch file but not a pricerl checkpoint; name one that fit wrote")
        found = about.get("format")
        if found != FORMAT:
            raise CheckpointError(f"{path} has checkpoint format {found}, this version reads {FORMAT}; run fit again")
        return cls(path, checkpoint)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the run that apply to later commands.

        Raises:
            CheckpointError: the stored configuration is damaged.
        """
        try:
            return lasting_settings(yaml.safe_load(self.content[CHECKPOINT_KEY]["config"]))
        except (yaml.YAMLError, KeyError, AttributeError) as error:
            raise CheckpointError("the checkpoint's configuration is damaged; run fit again or name another") from error

    def restore_weights(self, module: nn.Module) -> None:
        """Load the weights.

        Raises:
            CheckpointError: the weights do not fit the network.
        """
        try:
            module.load_state_dict(self.content["state_dict"])
        except RuntimeError as error:
            raise CheckpointError(
                f"{self.path} was trained with a different network than these settings define; take the model and "
                "data.reading.window of its run, or start a new run without --ckpt_path"
            ) from error

    def restore_data(self, data: LightningDataModule) -> None:
        """Load the DataModule's state as stored by Lightning: a seller's history and its scaler."""
        data.load_state_dict(self.content[type(data).__qualname__])


def lasting_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a run that apply to later commands: all but the data file, whose history is stored."""
    kept = {key: value for key, value in config.items() if key in ("seed_everything", "data", "model", "decision")}
    for group, usual in USUAL_CLASSES.items():
        if kept[group].get("class_path") == usual:
            kept[group] = kept[group]["init_args"]
    return {**kept, "data": {name: value for name, value in kept["data"].items() if name != "path"}}
