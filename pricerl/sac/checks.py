"""Checks at the door: ranks, shapes, and numbers that are numbers."""

from __future__ import annotations

from torch import Tensor

from pricerl.errors import NonFiniteError


def check_rank(name: str, tensor: Tensor, axes: str) -> None:
    """Refuse a tensor whose number of axes is not that of ``axes``.

    Args:
        name: what the tensor is called in the message.
        tensor: the tensor to look at; only its shape is read.
        axes: one letter an axis, such as ``"NB"``; empty for a scalar.

    Raises:
        ValueError: naming the tensor, the shape expected and the shape found.
    """
    if tensor.ndim != len(axes):
        raise ValueError(f"{name} must have shape {_written(axes)}; found {tuple(tensor.shape)}")


def check_shape(name: str, tensor: Tensor, shape: tuple[int, ...], axes: str) -> None:
    """Refuse a tensor that has not exactly this shape: nothing is ever broadcast.

    Args:
        name: what the tensor is called in the message.
        tensor: the tensor to look at; only its shape is read.
        shape: the only shape accepted.
        axes: the letters of its axes, for the message.

    Raises:
        ValueError: naming the tensor, the shape expected and the shape found.
    """
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} must have shape {_written(axes)} = {shape}; found {tuple(tensor.shape)}")


def check_finite(name: str, tensor: Tensor) -> None:
    """Refuse a tensor that holds a NaN or an infinity.

    This waits for the device, so call it every so many updates, not in each.

    Args:
        name: what the tensor is called in the message.
        tensor: the tensor to look at, of any shape.

    Raises:
        NonFiniteError: naming the tensor, its shape, how many elements are bad and where the first one is.
    """
    if tensor.detach().sum().isfinite():
        return  # no sum with a NaN or an infinity is finite
    bad = ~tensor.detach().isfinite()
    count = int(bad.sum())
    if count:
        first = tuple(bad.nonzero()[0].tolist())
        raise NonFiniteError(
            f"{name} of shape {tuple(tensor.shape)} has {count} of {tensor.numel()} elements that are NaN or infinite, "
            f"the first at {first}"
        )


def _written(axes: str) -> str:
    return f"({axes},)" if len(axes) == 1 else f"({', '.join(axes)})"
