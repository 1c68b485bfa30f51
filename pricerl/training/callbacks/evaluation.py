"""Deterministic episodes from held-out days, scored against keeping the price and against the planner."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer
from torchmetrics import MeanMetric

from pricerl.evaluation import EpisodeScores, score_episodes
from pricerl.training.datamodule import pricing_data
from pricerl.training.module import SACModule


class Evaluation(Callback):
    """Runs the episodes whenever Lightning validates or tests, and logs their means as ``eval/…``."""

    def __init__(self) -> None:
        self.metrics = {name: MeanMetric() for name in EpisodeScores._fields}

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluate while training and for ``validate``."""
        self._evaluate(trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluate for ``test``."""
        self._evaluate(trainer, pl_module)

    def _evaluate(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, SACModule)
        scores = score_episodes(module.policy, pricing_data(trainer).dynamics)
        for name, metric in self.metrics.items():
            metric.reset()
            metric.to(module.device).update(getattr(scores, name))
            module.log(f"eval/{name}", metric.compute(), prog_bar=name in ("episode_return", "price_mean"))
