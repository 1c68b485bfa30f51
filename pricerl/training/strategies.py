"""Multi-device training: Lightning starts the processes, the module averages the gradients."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import torch
from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from torch import Tensor

from pricerl.errors import UsageError
from pricerl.training.ranks import START_WITHIN, lost_ranks_named, watch


class ReplicatedStrategy(DDPStrategy):
    """DDP with its launcher and process group, but without its model wrapper.

    The wrapper averages gradients in hooks of one backward pass; it does not support three manual backward
    passes per update. Here every rank starts from rank 0's weights, and ``SACModule`` averages gradients before the
    optimizer steps, so that all ranks stay identical. A rank that ends takes the others with it, in one sentence.
    """

    @property
    def children(self) -> list[subprocess.Popen[bytes]]:
        """Processes of other ranks that this one has started."""
        return getattr(self.launcher, "procs", [])

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = RankLauncher(self.cluster_environment, self.num_processes, self.num_nodes)

    def configure_ddp(self) -> None:
        """Copy rank 0's parameters and buffers."""
        assert isinstance(self.model, LightningModule)
        for tensor in [*self.model.parameters(), *self.model.buffers()]:
            torch.distributed.broadcast(tensor.detach(), src=0)

    def barrier(self, name: str | None = None) -> None:
        """Wait for all ranks."""
        with lost_ranks_named(self.children):
            super().barrier(name)

    def broadcast(self, obj: Any, src: int = 0) -> Any:
        """Return an object of one rank."""
        with lost_ranks_named(self.children):
            return super().broadcast(obj, src)

    def reduce(self, tensor: Any, group: Any = None, reduce_op: Any = "mean") -> Any:
        """Return a tensor reduced over the ranks, such as an evaluation's metric."""
        with lost_ranks_named(self.children):
            return super().reduce(tensor, group, reduce_op)

    def all_gather(self, tensor: Tensor, group: Any = None, sync_grads: bool = False) -> Tensor:
        """Return the tensors of all ranks."""
        with lost_ranks_named(self.children):
            return super().all_gather(tensor, group, sync_grads)

    def reduce_boolean_decision(self, decision: bool, all: bool = True) -> bool:
        """Return whether all ranks, or any, decide so."""
        with lost_ranks_named(self.children):
            return super().reduce_boolean_decision(decision, all)


class RankLauncher(_SubprocessScriptLauncher):
    """Lightning's launcher, except that a rank that ends does not get this one killed before it can say so."""

    def launch(  # type: ignore[override]  # Lightning passes no other names
        self, function: Callable[..., Any], *args: Any, trainer: Any = None
    ) -> Any:
        """Start the other ranks and call the function."""
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            self._call_children_scripts()
            watch(self.procs)
        _set_num_threads_if_needed(self.num_processes)
        return function(*args)


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
        raise UsageError(
            f"trainer.strategy must be one of auto, ddp, found {strategy!r}: others shard or wrap the model for one "
            "backward pass per step, and an update has three"
        )
    several = num_nodes > 1 or count_devices(devices) > 1
    return ReplicatedStrategy(timeout=START_WITHIN) if several else "auto"


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
