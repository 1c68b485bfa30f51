"""Checks of arguments: rank, shape, finite values."""

from __future__ import annotations

from torch import Tensor

from pricerl.errors import NonFiniteError


def check_rank(name: str, tensor: Tensor, axes: str) -> None:
    """Raise an error unless a tensor has as many axes as ``axes``.

    Args:
        name: of the tensor in the message.
        tensor: only its shape is read.
        axes: one letter per axis, such as ``"NB"``; empty for a scalar.

    Raises:
        ValueError: naming the tensor, the shape expected and the shape found.
    """
    if tensor.ndim != len(axes):
        raise ValueError(f"{name} must have shape {_written(axes)}; found {tuple(tensor.shape)}")


def check_shape(name: str, tensor: Tensor, shape: tuple[int, ...], axes: str) -> None:
    """Raise an error unless a tensor has exactly this shape, so that nothing is ever broadcast.

    Args:
        name: of the tensor in the message.
        tensor: only its shape is read.
        shape: the only shape accepted.
        axes: the letters of its axes, for the message.

    Raises:
        ValueError: naming the tensor, the shape expected and the shape found.
    """
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} must have shape {_written(axes)} = {shape}; found {tuple(tensor.shape)}")


def check_finite(name: str, tensor: Tensor) -> None:
    """Raise an error if a tensor contains NaN or infinity.

    The check waits for the device, so call it once every few updates.

    Args:
        name: of the tensor in the message.
        tensor: of any shape.

    Raises:
        NonFiniteError: naming the tensor, its shape, the number of such elements and the index of the first.
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
