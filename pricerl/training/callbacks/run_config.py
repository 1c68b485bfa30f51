"""Callback that writes the resolved configuration of a run."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser

from pricerl.runs.folder import CONFIG, Generation
from pricerl.writing import write_file


class RunConfig(Callback):
    """Writer of the resolved configuration as ``config.yaml`` into the generation when ``fit`` starts."""

    def __init__(self, parser: LightningArgumentParser, config: Any, generation: Generation) -> None:
        self.parser = parser
        self.config = config
        self.generation = generation

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the configuration, in the first process."""
        if trainer.is_global_zero:
            text = self.parser.dump(self.config, skip_unset=False, skip_validation=True)
            write_file(self.generation.path / CONFIG, text.encode())
