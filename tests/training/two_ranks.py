"""Trains on two CPU processes; every rank leaves checksums of its weights and buffer, and its messages, in a folder."""

import sys
from collections import Counter
from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer, seed_everything

from pricerl.market.demand.config import DemandConfig
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.simulation.seller import SellerConfig
from pricerl.training.devices import ANSWER_WITHIN, ReplicatedStrategy
from pricerl.training.module import SACModule
from pricerl.training.pricing_data import PricingDataModule

MESSAGES = Counter()


def count(name):
    """Count the calls of a function of torch.distributed."""
    function = getattr(torch.distributed, name)

    def call(*args, **kwargs):
        MESSAGES[name] += 1
        return function(*args, **kwargs)

    setattr(torch.distributed, name, call)


class CountOneItem(Callback):
    """Counts the messages of ten updates."""

    found = ""

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 0:
            self.shown = float(module.agent.normalization.count)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.current_epoch == 0 and batch_idx == 5:
            self.before = trainer.global_step
            for name in ("all_reduce", "all_gather", "barrier", "broadcast", "reduce"):
                count(name)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.current_epoch == 0 and batch_idx == 14:
            self.found = f"{trainer.global_step - self.before} updates, {dict(sorted(MESSAGES.items()))}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    seed_everything(0, verbose=False)
    data = PricingDataModule(seller=SellerConfig(days=60), market=DemandConfig(num_draws=16), num_envs=8)
    mode = "off"
    if "compiled" in sys.argv:  # by a compiler that returns the function itself
        torch.compile = lambda function, **_: function
        mode = "on"
    network = NetworkConfig(hidden=(32, 32))
    settings = SACConfig(warmup_steps=64, batch_size=32, actor_horizon=2 if "ahead" in sys.argv else 0)
    if "normalized" in sys.argv:
        network = NetworkConfig(hidden=(32, 32), residual=False, value_bounds=False, normalized=True)
    module = SACModule(data.task, settings, network, mode)
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy=ReplicatedStrategy(timeout=ANSWER_WITHIN),
        max_steps=int(sys.argv[2]) if len(sys.argv) > 2 else 60,
        callbacks=[counter := CountOneItem()],
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
    observed = float(module.agent.normalization.count) - counter.shown, trainer.world_size * data.collector.env_steps
    lines = [
        f"{state.sum().item()!r} {state.abs().sum().item()!r} {trainer.global_step}",
        f"{buffer.reward.sum().item()!r}",
        counter.found,
        f"{observed}",
    ]
    text = "\n".join(lines) + "\n"
    (Path(sys.argv[1]) / f"rank{trainer.global_rank}.txt").write_text(text)
