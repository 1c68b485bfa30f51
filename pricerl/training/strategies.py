"""Multi-device training: Lightning starts the processes, the module averages the gradients."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch import Tensor

from pricerl.errors import UsageError


class ReplicatedStrategy(DDPStrategy):
    """DDP with its launcher and process group, but without its model wrapper.

    The wrapper averages gradients in hooks of one backward pass; it does not support three manual backward
    passes per update. Here every rank starts from rank 0's weights, and ``SACModule`` averages gradients before each
    optimizer step, so that all ranks stay identical.
    """

    def configure_ddp(self) -> None:
        """Copy rank 0's parameters and buffers."""
        assert isinstance(self.model, LightningModule)
        for tensor in [*self.model.parameters(), *self.model.buffers()]:
            torch.distributed.broadcast(tensor.detach(), src=0)


def choose_strategy(strategy: Any, devices: Any, num_nodes: int) -> Any:
    """Return the training strategy.

    Args:
        strategy: the trainer's setting: a name or a strategy.
        devices: a number, ``auto``, -1 or a list of devices.
        num_nodes: number of machines.

    Raises:
        UsageError: the strategy shards or wraps the model in a way that manual optimization does not allow.
    """
    if isinstance(strategy, Strategy):
        return strategy
    if strategy not in ("auto", "ddp"):
        raise UsageError(f"trainer.strategy must be one of auto, ddp, found {strategy!r}")
    several = num_nodes > 1 or count_devices(devices) > 1
    return ReplicatedStrategy(timeout=timedelta(minutes=10)) if several else "auto"


def count_devices(devices: Any) -> int:
    """Return the number of devices per machine requested by a ``devices`` setting."""
    if isinstance(devices, (list, tuple)):
        return len(devices)
    text = str(devices)
    if text in ("auto", "-1"):
        return max(1, torch.cuda.device_count())
    if "," in text:
        return len([part for part in text.split(",") if part.strip()])
    return int(text) if text.isdigit() else 1


def average_tensors(strategy: Strategy, tensors: list[Tensor]) -> None:
    """Replace tensors by their means over the ranks with one all-reduce."""
    flat = strategy.reduce(torch.cat([tensor.reshape(-1) for tensor in tensors]), reduce_op="mean")
    assert isinstance(flat, Tensor)
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))
