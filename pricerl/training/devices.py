"""Several devices: one process each, a rank, whose gradients and statistics are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch import Tensor

from pricerl.errors import refuse

ANSWER_WITHIN = timedelta(minutes=10)
"""Time within which every rank must answer a message: fitting markets, compiling or saving takes minutes."""


def average(tensors: Sequence[Tensor]) -> None:
    """Replace tensors by their means over the ranks, in one message, the same to the last bit on all."""
    if not tensors:
        return
    message = torch.cat([tensor.reshape(-1) for tensor in tensors])
    torch.distributed.all_reduce(message)
    message.div_(torch.distributed.get_world_size())
    for tensor, mean in zip(tensors, torch.split(message, [tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))


def gather(tensor: Tensor) -> list[Tensor]:
    """Return the tensors of all ranks, of one shape, in order, in one message."""
    found = [torch.empty_like(tensor) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(found, tensor)
    return found


class ReplicatedStrategy(DDPStrategy):
    """DDP with its process group, but without its model wrapper, which expects one backward pass per step.

    Every rank starts from rank 0's weights, and gradients are averaged after each backward pass, so that all ranks stay
    identical.
    """

    def configure_ddp(self) -> None:
        """Copy rank 0's parameters and buffers."""
        assert isinstance(self.model, LightningModule)
        for tensor in [*self.model.parameters(), *self.model.buffers()]:
            torch.distributed.broadcast(tensor.detach(), src=0)

    def post_backward(self, closure_loss: Tensor) -> None:
        """Average the gradients that a backward pass has left over the ranks, in one message."""
        assert self.lightning_module is not None
        average([item.grad for item in self.lightning_module.parameters() if item.grad is not None])


def choose_strategy(strategy: Any, devices: Any, num_nodes: int) -> Any:
    """Return the strategy of a trainer's setting, or raise a ``UsageError`` for one that shards or wraps the model."""
    if isinstance(strategy, Strategy):
        return strategy
    refuse(
        {
            f"trainer.strategy must be one of auto, ddp, found {strategy!r}: others shard or wrap the model for one "
            "backward pass per step, and an update has three": strategy not in ("auto", "ddp")
        }
    )
    return ReplicatedStrategy(timeout=ANSWER_WITHIN) if num_nodes > 1 or count_devices(devices) > 1 else "auto"


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
