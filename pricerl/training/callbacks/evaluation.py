"""Deterministic episodes, dealt out among the ranks."""

from __future__ import annotations

from collections.abc import Mapping

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchmetrics import MeanMetric

from pricerl.training.datamodule import replay_data
from pricerl.training.module import SACModule

ON_THE_BAR = ("episode_return", "price_mean")


class Evaluation(Callback):
    """Runs the data's episodes whenever Lightning validates or tests, and logs their means as ``eval/…``."""

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluate while training and for ``validate``."""
        self._evaluate(trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Evaluate for ``test``."""
        self._evaluate(trainer, pl_module)

    def _evaluate(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, SACModule)
        scores = replay_data(trainer).score(module.policy, trainer.global_rank, trainer.world_size)
        for name, value in mean_over_ranks(scores).items():
            module.log(f"eval/{name}", value, prog_bar=name in ON_THE_BAR)


def mean_over_ranks(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Means over the episodes of all ranks; a rank may have had none.

    Args:
        scores: this rank's numbers by name, one an episode.
    """
    means = {}
    for name, values in scores.items():
        metric = MeanMetric().to(values.device)
        metric.update(values.float().mean() if len(values) else values.new_zeros(()), weight=len(values))
        means[name] = metric.compute()
    return means
