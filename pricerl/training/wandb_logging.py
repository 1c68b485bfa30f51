"""Weights & Biases: one run of the service per run of pricerl, however often it is resumed."""

from __future__ import annotations

import json
import math
import netrc
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from pricerl.errors import NonFiniteError
from pricerl.writing import write_file

WANDB_FILE = "wandb.json"
"""File in a generation with the id of its run in Weights & Biases."""

ID_BYTES = 4
"""Random bytes of an id: eight digits, as many as the service's own ids have."""


@dataclass(frozen=True)
class TrackingConfig:
    """Place of the run in Weights & Biases; read with ``--wandb true`` only."""

    project: str | None = None
    """Project; if absent that of ``WANDB_PROJECT``, else ``pricerl``."""

    entity: str | None = None
    """User or team; if absent that of ``WANDB_ENTITY``, else the account's default."""

    group: str | None = None
    """Group of runs; if absent that of ``WANDB_RUN_GROUP``."""

    tags: tuple[str, ...] = ()
    """Tags; if absent those of ``WANDB_TAGS``, separated by commas."""

    mode: Literal["online", "offline", "disabled"] | None = None
    """Whether anything is uploaded; if absent that of ``WANDB_MODE``, else online where a key is known."""


@dataclass(frozen=True)
class TrackedRun:
    """Facts about a run that Weights & Biases shows."""

    name: str
    """Name of the run."""
    folder: Path
    """Folder of the service's own files; ``WANDB_DIR`` has priority."""
    id: str
    """Id of the run in the service."""
    monitor: str
    """Metric whose highest value makes the best evaluation."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Hyperparameters by name: every setting, data fingerprint, version, commit."""
    best: Mapping[str, float] = field(default_factory=dict)
    """Best evaluation so far, in a resumed run."""


class RunLogger(WandbLogger):
    """Logger of a run with its settings, the summary of its best evaluation, and an alert when it diverges.

    It works offline without a known key, so that it neither prompts nor fails.

    Args:
        run: facts about the run.
        config: its place in the service.
    """

    def __init__(self, run: TrackedRun, config: TrackingConfig) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")
        folder = Path(os.environ.get("WANDB_DIR") or run.folder)
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(
            name=os.environ.get("WANDB_NAME") or run.name,
            project=config.project or os.environ.get("WANDB_PROJECT") or "pricerl",
            save_dir=folder,
            id=run.id,
            mode=config.mode or os.environ.get("WANDB_MODE") or ("online" if _knows_key() else "offline"),
            entity=config.entity,
            group=config.group,
            tags=list(config.tags) or None,
        )
        self._monitor, self._facts, self._best = run.monitor, dict(run.facts), dict(run.best)

    @rank_zero_only
    def start(self) -> None:
        """Start or resume the run in the service."""
        self.experiment.define_metric("*", step_metric="env_steps", step_sync=True)
        self.experiment.config.update(self._facts, allow_val_change=True)
        self._summarize()

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log a row, and note the best evaluation in the summary."""
        super().log_metrics(metrics, step)
        value = metrics.get(self._monitor)
        if value is not None and float(value) > self._best.get(self._monitor, -math.inf):
            names = [name for name in metrics if name.startswith("eval/") or name in ("updates", "env_steps")]
            self._best = {name: float(metrics[name]) for name in names}
            self._summarize()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """End the logging of a training; a diverged one sends an alert first."""
        error = sys.exc_info()[1]  # Lightning calls this while it handles the exception
        if isinstance(error, NonFiniteError):
            self.experiment.alert("training diverged", str(error), level="ERROR")
        super().finalize(status)

    def _summarize(self) -> None:
        self.experiment.summary.update({f"best/{name}": value for name, value in self._best.items()})


def keep_id(folder: Path, source: Path | None) -> str:
    """Return the id of a generation's run in the service, and store it in the generation.

    Args:
        folder: the generation's folder.
        source: generation that a resumed run comes from.
    """
    for place in filter(None, (folder, source)):
        if found := stored_id(place / WANDB_FILE):
            break
    else:
        found = os.environ.get("WANDB_RUN_ID") or secrets.token_hex(ID_BYTES)
    if getattr(rank_zero_only, "rank", 0) == 0 and stored_id(folder / WANDB_FILE) != found:
        write_file(folder / WANDB_FILE, (json.dumps({"id": found}) + "\n").encode())
    return found


def stored_id(path: Path) -> str | None:
    """Return the id in a file, None if the file is absent or holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["id"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) and 0 < len(found) <= 64 and found.isalnum() else None


def _knows_key() -> bool:
    """Return whether a Weights & Biases key is set or stored by its login."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
