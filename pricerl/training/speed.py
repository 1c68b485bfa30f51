"""Compiled steps of long runs (``--model.compile``): a loss, its gradients and the optimizer's step in one graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch.callbacks import Timer
from torch import Tensor

from pricerl.runtime import CompiledFunction
from pricerl.sac.optimizer import Adam
from pricerl.training.devices import average

COMPILE_FROM = 3_000
"""Number of updates from which compiling pays: it takes 10 to 20 s and saves about 5 ms per update."""

COMPILE_FROM_SECONDS = 300.0
"""Time limit of a run, in seconds, from which compiling pays: it takes up to 20 s and saves a third of each update."""


class CompiledStep:
    """Compiled twin of a step of an optimizer down a loss, see `pricerl.training.off_policy.OffPolicyModule.descend`.

    Several ranks compile loss and gradients, average them, and step alike.

    Args:
        function: maps tensors, in any nesting of tuples, to a loss ``()`` and details that carry no gradient.
        optimizer: optimizer without Lightning's wrapper.
        averages: whether gradients are averaged over several ranks.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], optimizer: Adam, averages: bool) -> None:
        self._function = function
        self._optimizer = optimizer
        self._averages = averages
        self.graph = CompiledFunction(self._differentiate if averages else self._step, "updates")

    def __call__(self, *inputs: Any) -> tuple[Tensor, ...]:
        """Make the step, leave its gradients in ``.grad``, and return what the function returns."""
        results: tuple[Tensor, ...]
        results, gradients, *norm = self.graph(*inputs)
        if self._averages:
            average(gradients)
            norm = [self._optimizer.descend(gradients)]
        (self._optimizer.grad_norm,) = norm
        for parameter, gradient in zip(self._optimizer.params, gradients, strict=True):
            parameter.grad = gradient
        return results

    def _differentiate(self, *inputs: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        loss, *details = self._function(*inputs)
        return (loss.detach(), *details), torch.autograd.grad(loss, self._optimizer.params)

    def _step(self, *inputs: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], Tensor]:
        results, gradients = self._differentiate(*inputs)
        return results, gradients, self._optimizer.descend(gradients)


def is_long_enough(trainer: Any) -> bool:
    """Return whether a run makes so many updates, and has so much time for them, that compiling pays."""
    timers = [timer.time_remaining() for timer in trainer.callbacks if isinstance(timer, Timer)]
    if any(seconds is not None and seconds < COMPILE_FROM_SECONDS for seconds in timers):
        return False
    return bool(trainer.max_steps < 0 or trainer.max_steps - trainer.global_step >= COMPILE_FROM)
