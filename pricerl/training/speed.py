"""Accelerator of long runs: many updates per item of the train loader, each one compiled graph (``--model.compile``).

A compiled update takes 3 to 6 ms on two CPU cores and 0.4 ms on a GPU; Lightning's loop and wrapped optimizers would
add 0.3 to 0.5 ms. So an item of the train loader is a stream of batches here, and the updates step the bare optimizers.
The weights are those of the module's ``training_step``, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import Timer

from pricerl.runtime import CompiledFunction, GraphedFunction
from pricerl.sac.replay import Transition
from pricerl.sac.update import Gradients

UPDATES_PER_ITEM = 50
"""Gradient updates per item of the train loader."""

COMPILE_FROM = 3_000
"""Number of updates from which compiling pays: it takes 10 to 20 s and saves about 5 ms per update."""

COMPILE_PLANNED_FROM = 10_000
"""The same for a run that follows a plan, which usually ends early, after far fewer updates than its limit."""

COMPILE_FROM_SECONDS = 300.0
"""Time limit of a run, in seconds, from which compiling pays: it takes up to 20 s and saves a third of each update."""

COUNTING_BATCHES = {"limit_train_batches": 1.0, "val_check_interval": 1.0, "overfit_batches": 0.0}
"""Settings of the trainer that count batches, with the value of each that counts none; items here hold many."""

Update = Callable[[Transition], tuple[Any, Gradients]]
"""Function that makes an update and returns a named tuple of metrics, ``()`` each, and the gradients as applied."""

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Function that compiles a part of an update."""


class FastUpdates:
    """Updates of a learner, compiled, recorded as a CUDA graph or both.

    Args:
        make: function that builds the update; it wraps the parts between messages of several ranks.
        compiles: whether updates are compiled.
        device: device of the weights; on a GPU updates are recorded.
    """

    def __init__(self, make: Callable[[Wrap], Update], compiles: bool, device: torch.device) -> None:
        self._compiles, self._device = compiles, device
        self.pieces: list[CompiledFunction[..., Any]] = []
        self._update = make(self._wrap)

    @property
    def is_compiled(self) -> bool:
        """Whether updates are compiled, or will be at the first."""
        return self._compiles and not self.failed

    @property
    def failed(self) -> bool:
        """Whether compiling failed, so that updates run uncompiled."""
        return any(piece.failed for piece in self.pieces)

    def run(self, batches: Iterator[Transition], before: Callable[[int], None]) -> Iterator[tuple[Any, Gradients]]:
        """Make one update per batch and yield its results.

        Args:
            batches: batches; they are collected and sampled in single precision whatever the trainer's precision.
            before: called before each update with the number of those made here.
        """
        made = 0
        while True:
            with torch.autocast(self._device.type, enabled=False):
                batch = next(batches, None)
            if batch is None:
                return
            before(made)
            yield self._update(batch)
            made += 1

    def _wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a part of an update as this run calls it."""
        if self._compiles:
            function = CompiledFunction(function, "updates")
            self.pieces.append(function)
        return GraphedFunction(function, "updates") if self._device.type == "cuda" else function


def counts_batches(trainer: Any) -> list[str]:
    """Return the settings of a trainer that count batches."""
    return [name for name, neutral in COUNTING_BATCHES.items() if not _is_neutral(getattr(trainer, name), neutral)]


def _is_neutral(value: Any, neutral: float) -> bool:
    """Return whether a setting counts nothing; a limit of 1 batch is no share of them."""
    return bool(value == neutral) and (isinstance(value, float) or neutral == 0.0)


def is_too_short(callbacks: Sequence[Callback]) -> bool:
    """Return whether a time limit leaves too little time for compiling to pay."""
    left = [timer.time_remaining() for timer in callbacks if isinstance(timer, Timer)]
    return any(seconds is not None and seconds < COMPILE_FROM_SECONDS for seconds in left)
