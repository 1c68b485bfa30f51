"""Train a price policy as ``fit`` does, through Lightning's Trainer, but without files and bars."""

from __future__ import annotations

import gc
from collections.abc import Sequence

from lightning.pytorch import Callback, Trainer, seed_everything

from pricerl.sac import NetworkConfig, SACConfig
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule


def train_policy(
    data: PricingDataModule,
    updates: int,
    algorithm: SACConfig | None = None,
    network: NetworkConfig | None = None,
    callbacks: Sequence[Callback] = (),
) -> SACModule:
    """Return the trained module in evaluation mode.

    Args:
        data: the market; its seed is the training's.
        updates: gradient updates.
        algorithm: settings of SAC, the defaults if absent.
        network: settings of the networks, the defaults if absent.
        callbacks: of the Trainer.
    """
    seed_everything(data.seed, verbose=False)
    module = SACModule(data.task, algorithm or SACConfig(), network or NetworkConfig())
    Trainer(
        accelerator="cpu",
        max_steps=updates,
        max_epochs=-1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    ).fit(module, data)
    gc.collect()  # trainer, module and buffer refer to one another
    return module.eval()
