"""Training of a price policy as in ``fit``, without files and progress bars."""

from __future__ import annotations

import gc

from lightning.pytorch import Trainer, seed_everything

from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.training.datamodule import ReplayDataModule
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule

PLAIN = SACConfig(actor_horizon=0, actor_lr=1e-3, alpha=0.1)
"""Plain SAC, tuned on price markets."""


def train_policy(data: PricingDataModule, updates: int, network: NetworkConfig) -> SACModule:
    """Train plain SAC from random weights and return the module, in evaluation mode."""
    seed_everything(data.seed, verbose=False)
    return fit_quietly(SACModule(data.task, PLAIN, network, init="scratch"), data, updates)


def fit_quietly(module: SACModule, data: ReplayDataModule, updates: int) -> SACModule:
    """Train a module without evaluations, files and progress bars, and return it in evaluation mode."""
    Trainer(
        accelerator="cpu",
        max_steps=updates,
        max_epochs=-1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(module, data)
    gc.collect()  # trainer, module and buffer form reference cycles
    return module.eval()
