"""Losses that are compiled with their gradients, for long runs (``--model.compile``).

Everything else of an update stays the same, so Lightning, its callbacks and other ranks find gradients in ``.grad``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch.callbacks import Timer
from torch import Tensor, nn

from pricerl.runtime import CompiledFunction

COMPILE_FROM = 3_000
"""Number of updates from which compiling pays: it takes 10 to 20 s and saves about 5 ms per update."""

COMPILE_FROM_SECONDS = 300.0
"""Time limit of a run, in seconds, from which compiling pays: it takes up to 20 s and saves a third of each update."""


class CompiledLoss:
    """Loss function that is compiled together with the gradients of its loss, the first of its results.

    Args:
        function: maps tensors, in any nesting of tuples, to a loss ``()`` and details that carry no gradient.
        parameters: parameters of the gradients.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], parameters: Sequence[nn.Parameter]) -> None:
        self._function = function
        self._parameters = parameters
        self._gradients: Sequence[Tensor] = ()
        self.loss: Tensor | None = None
        """Latest loss."""
        self.graph = CompiledFunction(self._differentiate, "updates")

    def __call__(self, *inputs: Any) -> tuple[Tensor, ...]:
        """Return what the function returns, with a loss that has no graph."""
        (self.loss, *details), self._gradients = self.graph(*inputs)
        return self.loss, *details

    def backward(self) -> None:
        """Leave the gradients of the latest loss in ``.grad``."""
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient

    def _differentiate(self, *inputs: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        loss, *details = self._function(*inputs)
        return (loss.detach(), *details), torch.autograd.grad(loss, self._parameters)


def is_long_enough(trainer: Any) -> bool:
    """Return whether a run makes so many updates, and has so much time for them, that compiling pays."""
    timers = [timer.time_remaining() for timer in trainer.callbacks if isinstance(timer, Timer)]
    if any(seconds is not None and seconds < COMPILE_FROM_SECONDS for seconds in timers):
        return False
    return bool(trainer.max_steps < 0 or trainer.max_steps - trainer.global_step >= COMPILE_FROM)
