"""Argument checks: rank, shape, finite values."""

from __future__ import annotations

from torch import Tensor

from pricerl.errors import NonFiniteError


def check_rank(name: str, tensor: Tensor, axes: str) -> None:
    """Raise an error unless a tensor has as many axes as ``axes``.

    Args:
        name: name of the tensor in the message.
        tensor: tensor to check; only its shape is read.
        axes: one letter per axis, such as ``"NB"``; empty for a scalar.

    Raises:
        ValueError: naming the tensor, the shape expected and the shape found.
    """
    if tensor.ndim != len(axes):
        raise ValueError(f"{name} must have shape {_written(axes)}; found {tuple(tensor.shape)}")


def check_shape(name: str, tensor: Tensor, shape: tuple[int, ...], axes: str) -> None:
    """Raise an error unless a tensor has exactly this shape, which rules out broadcasting.

    Args:
        name: name of the tensor in the message.
        tensor: tensor to check; only its shape is read.
        shape: required shape.
        axes: letters of the axes in the message.

    Raises:
        ValueError: naming the tensor, the shape expected and the shape found.
    """
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} must have shape {_written(axes)} = {shape}; found {tuple(tensor.shape)}")


def check_finite(name: str, tensor: Tensor) -> None:
    """Raise an error if a tensor contains NaN or infinity.

    The check synchronizes with the device, so call it only once every few updates.

    Args:
        name: name of the tensor in the message.
        tensor: tensor of any shape.

    Raises:
        NonFiniteError: naming the tensor, its shape, the number of non-finite elements and the first index.
    """
    if tensor.detach().sum().isfinite():
        return  # a sum that includes NaN or infinity is not finite
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
