"""Several devices: one process each, a rank; messages between the ranks, and the error when one is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property, wraps
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy, Strategy
from torch import Tensor

from pricerl.errors import EXIT_BUG, LostRankError, UsageError
from pricerl.runtime import usable_cores
from pricerl.terminal import write_lines

ANSWER_WITHIN = timedelta(seconds=20)
"""Time within which every rank must answer a message of training; 20 s are enough for a disk to be slow."""

START_WITHIN = timedelta(minutes=10)
"""Time within which every rank must answer any other message: fitting markets, compiling or saving takes minutes."""

NOTICED_WITHIN = 20.0
"""Seconds after a rank's end that the others have to notice it in their next message."""

PATIENCE = 2.0
"""Seconds until a process whose connections have closed has ended, too."""

REMEDY = "start again from the last checkpoint with fit --ckpt_path last"

_PARENT = os.getppid()


class Ranks:
    """Messages of training between all ranks; a rank that has ended or does not answer raises a ``LostRankError``."""

    def __init__(self, children: list[subprocess.Popen[bytes]]) -> None:
        self._children = children
        self._group: torch.distributed.ProcessGroup | None = None

    @property
    def settled(self) -> bool:
        """Whether `settle` was called."""
        return self._group is not None

    def settle(self) -> None:
        """Wait for `ANSWER_WITHIN` instead of `START_WITHIN`: all ranks have planned and compiled by now."""
        self._group = torch.distributed.new_group(timeout=ANSWER_WITHIN)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over the ranks, in one message, the same to the last bit on all."""
        if not tensors:
            return
        message = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with lost_ranks_named(self._children):
            torch.distributed.all_reduce(message, group=self._group)
        message.div_(torch.distributed.get_world_size())
        for tensor, mean in zip(tensors, torch.split(message, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all ranks, of one shape, in order, in one message."""
        found = [torch.empty_like(tensor) for _ in range(torch.distributed.get_world_size())]
        with lost_ranks_named(self._children):
            torch.distributed.all_gather(found, tensor, group=self._group)
        return found


@contextmanager
def lost_ranks_named(children: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Replace the error of a message by a ``LostRankError`` with the lost rank; kill the others, which may hang."""
    try:
        yield
    except RuntimeError as error:
        lost = _ended(children)
        for child in children:
            child.kill()
        raise LostRankError(f"training stopped: {lost or _other_reason(error)}; {REMEDY}") from error


def _watch(children: list[subprocess.Popen[bytes]]) -> None:
    """End this process if a child has failed and no message has noticed it for `NOTICED_WITHIN` seconds."""
    while not any(child.poll() for child in children):
        if all(child.poll() == 0 for child in children):
            return
        time.sleep(1.0)
    time.sleep(NOTICED_WITHIN)
    write_lines([f"error: training stopped: {_ended(children)}; {REMEDY}"], problems=True)
    for child in children:
        child.kill()
    os._exit(EXIT_BUG)


def _ended(children: list[subprocess.Popen[bytes]]) -> str:
    """Return which children have ended, after up to `PATIENCE`: only those killed by a signal, if there are any."""
    end = time.monotonic() + PATIENCE
    while not any(child.poll() is not None for child in children) and children and time.monotonic() < end:
        time.sleep(0.05)
    codes = {rank: child.returncode for rank, child in enumerate(children, start=1) if child.poll() is not None}
    killed = [f"rank {rank} was killed by {signal.Signals(-code).name}" for rank, code in codes.items() if code < 0]
    left = [f"rank {rank} ended with exit code {code}" for rank, code in codes.items()]
    return " and ".join(killed or left)


def _other_reason(error: RuntimeError) -> str:
    if "timed out" in str(error).lower() or "timeout" in str(error).lower():
        return f"another rank has not answered within {ANSWER_WITHIN.seconds} s"
    if int(os.environ.get("LOCAL_RANK", "0")):  # started by rank 0, whose connections close before it ends
        end = time.monotonic() + PATIENCE
        while os.getppid() == _PARENT and time.monotonic() < end:
            time.sleep(0.05)
        if os.getppid() != _PARENT:
            return "rank 0 has ended"
    sentence = str(error).partition("\n")[0].partition(". ")[0]  # gloo's errors go on with advice for programmers
    return f"the connection to another rank broke ({sentence})"


class RankLauncher:
    """Starter of this program for each further device of this machine, as Lightning's strategies expect it."""

    is_interactive_compatible = False

    def __init__(self, environment: ClusterEnvironment, num_processes: int, num_nodes: int) -> None:
        self.environment = environment
        self.num_processes = num_processes
        self.num_nodes = num_nodes
        self.children: list[subprocess.Popen[bytes]] = []

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None) -> Any:
        """Start the other ranks, unless something else does, and call the function."""
        self.environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.environment.creates_processes_externally:
            self._start()
            threading.Thread(target=_watch, args=(self.children,), daemon=True, name="rank-watch").start()
        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, usable_cores() // self.num_processes))
        return function(*args)

    def kill(self, number: int) -> None:
        """Send a signal to the other ranks."""
        for child in self.children:
            child.send_signal(number)

    def _start(self) -> None:
        os.environ["MASTER_ADDR"] = self.environment.main_address
        os.environ["MASTER_PORT"] = str(self.environment.main_port)
        os.environ["NODE_RANK"] = str(self.environment.node_rank())
        os.environ["LOCAL_RANK"] = str(self.environment.local_rank())
        os.environ["WORLD_SIZE"] = str(self.num_processes * self.num_nodes)
        spec = sys.modules["__main__"].__spec__
        program = [str(Path(sys.argv[0]).resolve())] if spec is None else ["-m", spec.name]
        path = os.pathsep.join(filter(None, sys.path))  # PYTHONSAFEPATH leaves out the program's own folder
        for rank in range(1, self.num_processes):
            variables = {**os.environ, "LOCAL_RANK": str(rank), "PYTHONPATH": path}
            self.children.append(subprocess.Popen([sys.executable, *program, *sys.argv[1:]], env=variables))


def _named(method: Callable[..., Any]) -> Any:
    """Return a method of a strategy whose failure names the lost rank."""

    @wraps(method)
    def call(self: ReplicatedStrategy, *args: Any, **options: Any) -> Any:
        with lost_ranks_named(self.children):
            return method(self, *args, **options)

    return call


class ReplicatedStrategy(DDPStrategy):
    """DDP with its process group, but without its model wrapper, which expects one backward pass per step.

    Every rank starts from rank 0's weights, and gradients are averaged after each backward pass, so that all ranks stay
    identical. A rank that ends takes the others with it, in one sentence.
    """

    _own_launcher: RankLauncher | None = None

    @property
    def launcher(self) -> Any:
        """Starter of the other ranks, in the place of Lightning's, which kills this one when another ends."""
        if self._own_launcher is None and self.cluster_environment is not None:
            self._own_launcher = RankLauncher(self.cluster_environment, self.num_processes, self.num_nodes)
        return self._own_launcher

    @property
    def children(self) -> list[subprocess.Popen[bytes]]:
        """Processes of other ranks that this one has started."""
        return [] if self._own_launcher is None else self._own_launcher.children

    @cached_property
    def ranks(self) -> Ranks:
        """Messages between the ranks."""
        return Ranks(self.children)

    def configure_ddp(self) -> None:
        """Copy rank 0's parameters and buffers."""
        assert isinstance(self.model, LightningModule)
        for tensor in [*self.model.parameters(), *self.model.buffers()]:
            torch.distributed.broadcast(tensor.detach(), src=0)

    def post_backward(self, closure_loss: Tensor) -> None:
        """Average the gradients that a backward pass has left over the ranks, in one message."""
        assert self.lightning_module is not None
        self.ranks.average([item.grad for item in self.lightning_module.parameters() if item.grad is not None])

    barrier = _named(DDPStrategy.barrier)
    broadcast = _named(DDPStrategy.broadcast)
    reduce = _named(DDPStrategy.reduce)
    all_gather = _named(DDPStrategy.all_gather)
    reduce_boolean_decision = _named(DDPStrategy.reduce_boolean_decision)

    def gather(self, tensor: Tensor, group: Any = None) -> list[Tensor]:
        """Return the tensors of all ranks as a list, as metrics want them."""
        return list(self.all_gather(tensor))


def choose_strategy(strategy: Any, devices: Any, num_nodes: int) -> Any:
    """Return the strategy of a trainer's setting, or raise a ``UsageError`` for one that shards or wraps the model."""
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
