"""Accelerator of long runs: many updates per item of the train loader, each one compiled graph (``--model.compile``).

A compiled update takes 3 to 6 ms on two CPU cores and 0.4 ms on a GPU; Lightning's loop would add 0.3 to 0.5 ms. So an
item of the train loader is a stream of batches here, and the updates step the bare optimizers. The weights are those of
the module's ``training_step``, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Timer
from torch import Tensor

from pricerl.runtime import CompiledFunction, GraphedFunction
from pricerl.sac.replay import Transition
from pricerl.sac.update import Gradients

UPDATES_PER_ITEM = 50
"""Gradient updates per item of the train loader."""

COMPILE_FROM = 3_000
"""Number of updates from which compiling pays: it takes 10 to 20 s and saves about 5 ms per update."""

COMPILE_FROM_SECONDS = 300.0
"""Time limit of a run, in seconds, from which compiling pays: it takes up to 20 s and saves a third of each update."""

COUNTING_BATCHES = {"limit_train_batches": 1.0, "val_check_interval": 1.0, "overfit_batches": 0.0}
"""Settings of the trainer that count batches, with the value of each that counts none; items here hold many."""

Update = Callable[[Transition], tuple[Any, Gradients]]
"""Function that makes an update and returns a named tuple of metrics, ``()`` each, and the gradients as applied."""

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Function that compiles a part of an update."""


class FastUpdates:
    """Updates of a learner that ``make`` builds from wrapped parts: compiled, recorded as a CUDA graph or both."""

    def __init__(self, make: Callable[[Wrap], Update], compiles: bool, device: torch.device) -> None:
        self._compiles = compiles
        self._device = device
        self.pieces: list[CompiledFunction[..., Any]] = []
        self.update = make(self._wrap)

    @property
    def is_compiled(self) -> bool:
        """Whether updates are compiled, or will be at the first."""
        return self._compiles and not self.failed

    @property
    def failed(self) -> bool:
        """Whether compiling failed, so that updates run uncompiled."""
        return any(piece.failed for piece in self.pieces)

    def draw(self, batches: Iterator[Transition]) -> Iterator[Transition]:
        """Yield batches that are collected and sampled in single precision, whatever the trainer's precision."""
        while True:
            with torch.autocast(self._device.type, enabled=False):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a part of an update as this run calls it."""
        if self._compiles:
            function = CompiledFunction(function, "updates")
            self.pieces.append(function)
        return GraphedFunction(function, "updates") if self._device.type == "cuda" else function


def counts_batches(trainer: Any) -> list[str]:
    """Return the settings of a trainer that count batches."""
    settings = ((name, getattr(trainer, name), neutral) for name, neutral in COUNTING_BATCHES.items())
    # The number 1 is one batch, and 1.0 a share: all of them.
    return [name for name, value, neutral in settings if value != neutral or (value == 1 and isinstance(value, int))]


def is_long_enough(trainer: Any) -> bool:
    """Return whether a run makes so many updates, and has so much time for them, that compiling pays."""
    timers = [timer.time_remaining() for timer in trainer.callbacks if isinstance(timer, Timer)]
    if any(seconds is not None and seconds < COMPILE_FROM_SECONDS for seconds in timers):
        return False
    return bool(trainer.max_steps < 0 or trainer.max_steps - trainer.global_step >= COMPILE_FROM)


def show_gradients(module: LightningModule, gradients: Gradients, loss: Tensor) -> None:
    """Call the gradient hooks of callbacks and module, with an update's gradients in ``.grad``.

    The update has been made: a hook sees the gradients, averaged over the ranks and clipped, and changes nothing.
    """
    trainer: Any = module.trainer
    for optimizer, values in zip(trainer.optimizers, gradients, strict=True):
        for parameter, gradient in zip(optimizer.params, values, strict=False):  # a constant alpha has none
            parameter.grad = gradient
    for callback in trainer.callbacks:
        callback.on_before_backward(trainer, module, loss)
        callback.on_after_backward(trainer, module)
        for optimizer in trainer.optimizers:
            callback.on_before_optimizer_step(trainer, module, optimizer)
    module.on_before_backward(loss)
    module.on_after_backward()
    for optimizer in trainer.optimizers:
        module.on_before_optimizer_step(optimizer)
        optimizer.zero_grad()
