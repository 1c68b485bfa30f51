"""Weights & Biases: one run per training, with settings, metrics, the best checkpoint and an alert if it diverges."""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from lightning.pytorch import Callback
from lightning.pytorch.loggers import WandbLogger

from pricerl.errors import NonFiniteError
from pricerl.runs.checkpoint import Checkpoint
from pricerl.runs.folder import BEST


@dataclass(frozen=True)
class TrackingConfig:
    """Place of the run in Weights & Biases; read with ``--wandb true`` only."""

    project: str | None = None
    """Project; if absent ``WANDB_PROJECT``, else ``pricerl``."""
    entity: str | None = None
    """User or team; if absent ``WANDB_ENTITY``, else the account's default."""
    group: str | None = None
    """Group of runs; if absent ``WANDB_RUN_GROUP``."""
    tags: tuple[str, ...] = ()
    """Tags; if absent ``WANDB_TAGS``, separated by commas."""
    mode: Literal["online", "offline", "disabled"] | None = None
    """Whether anything is uploaded; if absent ``WANDB_MODE``, else online where a key is known."""


class RunTracking(Callback):
    """Callback with the ``logger`` of a training, which goes on with the run of a ``resumed`` checkpoint.

    Args:
        config: place of the run in the service.
        generation: folder of the training, which holds the service's own files unless ``WANDB_DIR`` names another.
        resumed: checkpoint that the training goes on from, if any.
        settings: hyperparameters, nested.
        monitor: metric whose highest value is shown.
    """

    def __init__(
        self,
        config: TrackingConfig,
        generation: Path,
        resumed: Checkpoint | None,
        settings: Mapping[str, Any],
        monitor: str,
    ) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")
        known = {} if resumed is None else resumed.content.get("callbacks", {}).get(type(self).__name__, {})
        self._settings = settings
        self._monitor = monitor
        self._best = generation / BEST
        self.logger = WandbLogger(
            name=os.environ.get("WANDB_NAME") or generation.parent.name,
            save_dir=os.environ.get("WANDB_DIR") or generation,
            id=known.get("id"),
            project=config.project or os.environ.get("WANDB_PROJECT") or "pricerl",
            mode=config.mode or os.environ.get("WANDB_MODE") or ("online" if _knows_key() else "offline"),
            entity=config.entity,
            group=config.group,
            tags=list(config.tags) or None,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the id of the run in the service."""
        return {"id": str(self.logger.experiment.id)}

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Start or resume the run."""
        self.logger.experiment.define_metric("*", step_metric="env_steps", step_sync=True)
        self.logger.experiment.define_metric(self._monitor, step_metric="env_steps", summary="max")
        self.logger.log_hyperparams(dict(self._settings))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Upload the best checkpoint."""
        if self._best.exists() and trainer.is_global_zero:
            self.logger.experiment.log_model(self._best, f"policy-{self.logger.experiment.id}", aliases=["best"])

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Send an alert if training diverged, and end the run as failed."""
        if isinstance(exception, NonFiniteError):
            self.logger.experiment.alert("training diverged", str(exception), level="ERROR")
        self.logger.experiment.finish(exit_code=1)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """End the run."""
        self.logger.experiment.finish()


def _knows_key() -> bool:
    """Return whether a Weights & Biases key is set or stored by its login."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    from wandb import Settings  # slow to import, and only needed here

    host = urlsplit(os.environ.get("WANDB_BASE_URL", Settings().base_url)).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
