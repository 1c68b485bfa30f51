"""Values of an env's attributes as tensors and plain values, and back, bit by bit and without pickle.

Plain values are None, bool, int, finite float, str, and lists and dicts of them. Everything else becomes a dict with a
``kind``: tuples, lists and dicts by their items, arrays and numpy numbers by their bytes, generators by their state. An
object that occurs twice is restored as one object.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
"""Names of numpy's bit generators, in ``np.random``."""

ARRAY_KINDS = "biufcSU"
"""Kinds of numpy types whose bytes are their values."""


class CannotSaveError(TypeError):
    """A value is of a type that cannot be saved, or shares its memory with another."""


class Encoder:
    """Encoder of values that may have parts in common, such as all attributes of an env."""

    def __init__(self) -> None:
        self._seen: list[object] = []

    def encode(self, value: Any) -> Any:
        """Return ``value`` as tensors and plain values.

        Raises:
            CannotSaveError: it cannot be saved.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"kind": "float", "value": repr(value)}
        if type(value) is tuple:
            return {"kind": "tuple", "items": self._items(value)}
        if isinstance(value, np.generic) and value.dtype.kind in ARRAY_KINDS:
            return {"kind": "number", **_array_bytes(np.asarray(value))}
        for index, seen in enumerate(self._seen):
            if seen is value:
                return {"kind": "same", "index": index}
        encode = self._encoders.get(type(value))
        if encode is None:
            raise CannotSaveError(f"is of the type {type(value).__name__}")
        if isinstance(value, np.ndarray):
            arrays = (seen for seen in self._seen if isinstance(seen, np.ndarray))
            if any(np.may_share_memory(value, array) for array in arrays):
                raise CannotSaveError("shares its memory with another array")
        self._seen.append(value)
        return encode(self, value)

    def _items(self, values: Any) -> Any:
        """Return a list if all items are plain, else a dict by index: lists of a state hold no tensors."""
        encoded = [self.encode(value) for value in values]
        nested = any(isinstance(value, dict) for value in encoded)
        return {str(index): value for index, value in enumerate(encoded)} if nested else encoded

    def _encode_list(self, value: list[Any]) -> dict[str, Any]:
        return {"kind": "list", "items": self._items(value)}

    def _encode_deque(self, value: deque[Any]) -> dict[str, Any]:
        return {"kind": "deque", "items": self._items(value), "length": value.maxlen}

    def _encode_dict(self, value: dict[Any, Any]) -> dict[str, Any]:
        return {"kind": "dict", "keys": self._items(value), "values": self._items(value.values())}

    def _encode_array(self, value: NDArray[Any]) -> dict[str, Any]:
        if value.dtype.kind not in ARRAY_KINDS:
            raise CannotSaveError(f"is an array of {value.dtype}")
        return {"kind": "array", **_array_bytes(value)}

    def _encode_tensor(self, value: Tensor) -> dict[str, Any]:
        if value.requires_grad or value.layout != torch.strided:
            raise CannotSaveError("is a tensor with a gradient or without strides")
        return {"kind": "tensor", "values": value.cpu().contiguous().clone(), "device": str(value.device)}

    def _encode_generator(self, value: np.random.Generator) -> dict[str, Any]:
        bits = value.bit_generator
        if type(bits).__name__ not in BIT_GENERATORS or type(bits.seed_seq) is not np.random.SeedSequence:
            raise CannotSaveError(f"is a generator of {type(bits).__name__}")
        seeds = {**bits.seed_seq.state, "n_children_spawned": bits.seed_seq.n_children_spawned}
        return {"kind": "generator", "state": self.encode(dict(bits.state)), "seeds": self.encode(seeds)}

    def _encode_random_state(self, value: np.random.RandomState) -> dict[str, Any]:
        return {"kind": "random state", "state": self.encode(value.get_state(legacy=False))}

    _encoders: dict[type, Callable[[Encoder, Any], dict[str, Any]]] = {  # noqa: RUF012 - constant
        list: _encode_list,
        deque: _encode_deque,
        dict: _encode_dict,
        np.ndarray: _encode_array,
        Tensor: _encode_tensor,
        np.random.Generator: _encode_generator,
        np.random.RandomState: _encode_random_state,
    }


class Decoder:
    """Decoder of what one `Encoder` encoded, in the same order."""

    def __init__(self) -> None:
        self._made: list[Any] = []

    def decode(self, value: Any) -> Any:
        """Return the value that was encoded; objects are new."""
        if not isinstance(value, dict):
            return value
        kind = value["kind"]
        if kind == "float":
            return float(value["value"])
        if kind == "tuple":
            return tuple(self._items(value["items"]))
        if kind == "number":
            return _array(value)[()]
        if kind == "same":
            return self._made[value["index"]]
        place = len(self._made)
        self._made.append(None)
        if kind in ("list", "dict", "deque"):
            return self._fill(value, place)
        made = self._make(kind, value)
        self._made[place] = made
        return made

    def _items(self, encoded: Any) -> list[Any]:
        values = encoded if isinstance(encoded, list) else [encoded[str(index)] for index in range(len(encoded))]
        return [self.decode(value) for value in values]

    def _fill(self, value: dict[str, Any], place: int) -> Any:
        """Return a container, which is registered before its items: they may contain it."""
        made: Any = {"list": [], "dict": {}, "deque": deque(maxlen=value.get("length"))}[value["kind"]]
        self._made[place] = made
        if value["kind"] == "dict":
            keys = self._items(value["keys"])
            made.update(zip(keys, self._items(value["values"]), strict=True))
        else:
            made.extend(self._items(value["items"]))
        return made

    def _make(self, kind: str, value: dict[str, Any]) -> Any:
        if kind == "array":
            return _array(value)
        if kind == "tensor":
            return value["values"].clone().to(value["device"])
        state = self.decode(value["state"])
        if kind == "random state":
            made = np.random.RandomState()
            made.set_state(state)
            return made
        name = state["bit_generator"]
        if kind != "generator" or name not in BIT_GENERATORS:
            raise ValueError(f"no value of kind {kind} can be restored")
        bits = getattr(np.random, name)(np.random.SeedSequence(**self.decode(value["seeds"])))
        bits.state = state
        return np.random.Generator(bits)


def _array_bytes(value: NDArray[Any]) -> dict[str, Any]:
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    content = np.frombuffer(value.tobytes(order), dtype=np.uint8)  # type: ignore[arg-type]  # order is a str
    return {
        "dtype": value.dtype.str,
        "shape": list(value.shape),
        "order": order,
        "bytes": torch.from_numpy(content.copy()),
    }


def _array(value: dict[str, Any]) -> NDArray[Any]:
    content = np.frombuffer(value["bytes"].cpu().numpy().tobytes(), dtype=np.dtype(value["dtype"]))
    return np.array(content.reshape(value["shape"], order=value["order"]), order="K")
