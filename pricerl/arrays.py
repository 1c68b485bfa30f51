"""Array types, checks of shapes and values, summaries of an estimate, groups, records as plain values, bytes."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeGuard, TypeVar

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pricerl.errors import NonFiniteError

if TYPE_CHECKING:
    from torch import Tensor

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
DateArray = NDArray[np.datetime64]

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A share or a probability, 0 to 1."""

Day = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
"""A day in ISO format."""

LIMITS = (0.05, 0.95)
"""Quantiles at the two ends of a 90 % interval."""
LIMIT_SDS = 1.645
"""Standard deviations from the middle of a Gaussian to the ends of its 90 % interval."""
LOSS_WEIGHT = 2.25
"""How much worse losing 1 counts than missing a gain of 1, by default."""


class Interval(NamedTuple):
    """An estimate: mean and 90 % limits."""

    mean: float
    low: float
    """5 % limit."""
    high: float
    """95 % limit."""


Floats = Annotated[FloatArray, tuple[float, ...]]
"""Numbers ``(N,)``; the second type is how a record shows an array."""
Intervals = Annotated[FloatArray, tuple[Interval, ...]]
"""Means with their 90 % limits, ``(N, 3)``."""


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a finite number; booleans are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def count_true(flags: BoolArray) -> int:
    """Return the number of True, faster than a sum."""
    return int(np.count_nonzero(flags))


def limits_of(draws: ArrayLike) -> FloatArray:
    """Return the 90 % limits over the first axis of ``draws (K, ...)``, ``(2, ...)``."""
    return quantiles_of(draws, LIMITS)


def quantiles_of(draws: ArrayLike, shares: Sequence[float]) -> FloatArray:
    """Return quantiles over the first axis of ``draws (K, ...)``, ``(N, ...)``.

    They are numpy's, without its checks, which take longer than a few hundred draws; to sort these is faster, too.
    """
    ordered = np.array(np.transpose(draws), order="C")
    ordered.sort()
    last = ordered.shape[-1] - 1
    position = np.array(shares) * last
    left = np.minimum(position.astype(np.int64), max(last - 1, 0))
    below, above = (ordered[..., places].astype(np.float64) for places in (left, np.minimum(left + 1, last)))
    return np.asarray((below + (above - below) * (position - left)).T)


def intervals_of(draws: ArrayLike) -> FloatArray:
    """Return mean and 90 % limits over the first axis of ``draws (K, ...)``, ``(3, ...)``.

    The median stands in for a mean outside the limits, which a few extreme draws would decide.
    """
    values = np.asarray(draws, dtype=np.float64)
    low, high = limits_of(values)
    mean = values.mean(axis=0)
    if (outside := (mean < low) | (mean > high)).any():
        mean = np.where(outside, np.median(values, axis=0), mean)
    return np.stack([mean, low, high])


def interval_of(draws: ArrayLike) -> Interval:
    """Return mean and 90 % limits of ``draws (K,)``, as `intervals_of` does."""
    return Interval(*intervals_of(draws).tolist())


def to_plain(value: Any) -> Any:
    """Convert dataclasses, structs and named tuples to dictionaries, arrays and tuples to lists, at any depth.

    Days of an array become text in ISO format, and NaN becomes None.
    """
    if isinstance(value, tuple) and hasattr(value, "_asdict") and not isinstance(value, Interval):
        value = value._asdict()
    elif isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    elif is_dataclass(value):
        value = vars(value)
    if isinstance(value, np.ndarray):
        found = value.astype(str if value.dtype.kind == "M" else object)
        found[value != value] = None
        return found.tolist()
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value


def check_shapes(*tensors: tuple[str, Tensor, str], sizes: Mapping[str, int] | None = None) -> None:
    """Raise a ``ValueError`` with both shapes unless every axis letter has one size, which rules out broadcasting.

    Args:
        tensors: name in the message, tensor, and one letter per axis, such as ``"NB"``; no letter for a scalar.
        sizes: known sizes by letter; any other letter has the size of its first appearance.
    """
    known = dict(sizes or {})
    for name, tensor, axes in tensors:
        found = tuple(tensor.shape)
        if len(found) == len(axes):
            known = {**dict(zip(axes, found, strict=True)), **known}
        expected = tuple(map(known.get, axes))
        if found != expected:
            letters = f"({axes},)" if len(axes) == 1 else f"({', '.join(axes)})"
            numbers = f" = {expected}" if axes and None not in expected else ""
            raise ValueError(f"{name} must have shape {letters}{numbers}; found {found}")


def check_finite(name: str, tensor: Tensor) -> None:
    """Raise a ``NonFiniteError`` if a tensor of any shape contains NaN or infinity; it names the first index.

    The check synchronizes with the device, so call it only once every few updates.
    """
    bad = (~tensor.detach().isfinite()).nonzero()
    if len(bad):
        raise NonFiniteError(
            f"{name} of shape {tuple(tensor.shape)} has {len(bad)} of {tensor.numel()} elements that are NaN or "
            f"infinite, the first at {tuple(bad[0].tolist())}"
        )


def pack(state: Any) -> NDArray[np.uint8]:
    """Return nested plain values and arrays as bytes ``(N,)``, which load at once however many they are."""
    return np.frombuffer(msgspec.msgpack.encode(state, enc_hook=_pack_array), np.uint8)


def unpack(packed: NDArray[np.uint8]) -> Any:
    """Return what `pack` was given, with lists in place of tuples."""
    return msgspec.msgpack.decode(packed.data, ext_hook=_unpack_array)


def _pack_array(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    content = (value.dtype.str, value.shape, np.ascontiguousarray(value).tobytes())
    return msgspec.msgpack.Ext(1, msgspec.msgpack.encode(content))


def _unpack_array(_: int, data: memoryview) -> NDArray[Any]:
    kind, shape, content = msgspec.msgpack.decode(data)
    return np.frombuffer(content, kind).reshape(shape).copy()


def grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    """Return the values of each key, both in the order in which they appear."""
    found: dict[Key, list[Value]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found
