"""Lightning's gradient hooks for updates that take their gradients as values."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.trainer import call
from torch import Tensor

from pricerl.sac.update import Gradients, Optimizers


def call_gradient_hooks(trainer: Trainer, optimizers: Optimizers, gradients: Gradients, loss: Tensor) -> None:
    """Call the gradient hooks of callbacks and module once, with an update's gradients in ``.grad``.

    The update has been made: a hook sees the gradients, averaged over the ranks and clipped, and changes nothing. Hooks
    with an optimizer are called for each of the three.

    Args:
        trainer: trainer of the run.
        optimizers: optimizers of the parameters.
        gradients: gradients of an update, as applied.
        loss: the critics' loss ``()``, which hooks see before the others.
    """
    for optimizer, values in zip(optimizers, gradients, strict=True):
        for parameter, gradient in zip(optimizer.params, values, strict=False):  # a constant alpha has none
            parameter.grad = gradient
    hooks: list[tuple[Any, ...]] = [("on_before_backward", loss), ("on_after_backward",)]
    hooks += [("on_before_optimizer_step", optimizer) for optimizer in optimizers]
    hooks += [("on_before_zero_grad", optimizer) for optimizer in optimizers]
    for name, *arguments in hooks:
        call._call_callback_hooks(trainer, name, *arguments)
        call._call_lightning_module_hook(trainer, name, *arguments)
    for optimizer in optimizers:
        for parameter in optimizer.params:
            parameter.grad = None
