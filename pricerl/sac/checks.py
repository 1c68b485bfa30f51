"""Argument checks: shapes and finite values."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pricerl.errors import NonFiniteError


def check_shapes(*tensors: tuple[str, Tensor, str], sizes: Mapping[str, int] | None = None) -> None:
    """Raise an error unless every axis letter has one size, which rules out broadcasting.

    Args:
        tensors: name in the message, tensor, and one letter per axis, such as ``"NB"``; no letter for a scalar.
        sizes: known sizes by letter; any other letter has the size of its first appearance.

    Raises:
        ValueError: naming the tensor, the shape expected and the shape found.
    """
    known = dict(sizes or {})
    for name, tensor, axes in tensors:
        found = tuple(tensor.shape)
        if len(found) == len(axes):
            for axis, size in zip(axes, found, strict=True):
                known.setdefault(axis, size)
        expected = tuple(map(known.get, axes))
        if found != expected:
            letters = f"({axes},)" if len(axes) == 1 else f"({', '.join(axes)})"
            numbers = f" = {expected}" if axes and None not in expected else ""
            raise ValueError(f"{name} must have shape {letters}{numbers}; found {found}")


def check_finite(name: str, tensor: Tensor) -> None:
    """Raise an error if a tensor of any shape contains NaN or infinity.

    The check synchronizes with the device, so call it only once every few updates.

    Raises:
        NonFiniteError: naming the tensor, its shape, the number of non-finite elements and the first index.
    """
    bad = (~tensor.detach().isfinite()).nonzero()
    if len(bad):
        raise NonFiniteError(
            f"{name} of shape {tuple(tensor.shape)} has {len(bad)} of {tensor.numel()} elements that are NaN or "
            f"infinite, the first at {tuple(bad[0].tolist())}"
        )
