"""Trains on two CPU processes; every rank leaves a checksum of its weights and of its buffer in the given folder."""

import sys
from datetime import timedelta
from pathlib import Path

import torch
from lightning.pytorch import Trainer, seed_everything

from pricerl.sac import NetworkConfig, SACConfig
from pricerl.simulation import SellerConfig
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule
from pricerl.training.strategies import ReplicatedStrategy

if __name__ == "__main__":
    torch.set_num_threads(1)
    seed_everything(0, verbose=False)
    data = PricingDataModule(seller=SellerConfig(days=60), num_envs=8)
    module = SACModule(data.task, SACConfig(warmup_steps=64, batch_size=32), NetworkConfig(hidden=(32, 32)))
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy=ReplicatedStrategy(timeout=timedelta(seconds=60)),
        max_steps=40,
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(module, data)
    state = torch.cat([value.double().reshape(-1) for value in module.state_dict().values()])
    buffer = data.collector.buffer.sample(64)
    text = (
        f"{state.sum().item()!r} {state.abs().sum().item()!r} {trainer.global_step}\n{buffer.reward.sum().item()!r}\n"
    )
    (Path(sys.argv[1]) / f"rank{trainer.global_rank}.txt").write_text(text)
