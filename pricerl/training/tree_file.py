"""File format of checkpoints: one safetensors file whose metadata hold everything that is no tensor, as JSON.

Nothing in it is executed when it is read: tensors are bytes with a name, a type and a shape, the rest is text. A digest
of all of it is part of the file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from pricerl.errors import CheckpointError
from pricerl.writing import write_file

TENSOR, ARRAY, FLOAT, ITEMS = "$tensor", "$array", "$float", "$items"
"""Marks of values that JSON cannot hold: tensors and arrays by name, numbers that are not finite, other keys than
texts."""

TREE, DIGEST = "pricerl", "sha256"
"""Keys of the metadata."""

DAYS = "datetime64[D]"
"""Type of arrays that are stored as whole numbers."""

PICKLES = (b"PK\x03\x04", *(b"\x80" + bytes([protocol]) for protocol in range(2, 6)))
"""First bytes of torch's files and of pickles."""

REMEDY = "run fit again or name another"


def write_tree(path: Path, tree: Mapping[str, Any]) -> None:
    """Write nested dicts and lists of tensors, arrays, texts, numbers, booleans and None.

    Tensors that share their memory are stored once.

    Raises:
        TypeError: a value is of another type; the message names its place.
        OSError: the file cannot be written; an existing one is untouched.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_Writer(tensors).encode(tree, ""), separators=(",", ":"), allow_nan=False)
    metadata = {TREE: text, DIGEST: _digest(text, tensors)}
    write_file(path, safetensors.torch.save(tensors, metadata))


def read_tree(path: Path) -> dict[str, Any]:
    """Read what `write_tree` wrote, onto the CPU.

    Raises:
        CheckpointError: the file is missing, unreadable, of another format or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        why = "no permission" if isinstance(error, PermissionError) else error.strerror
        raise CheckpointError(f"{path} cannot be read: {why}") from error
    damaged = CheckpointError(f"{path} is not a checkpoint, or it is damaged; {REMEDY}")
    try:
        tensors = safetensors.torch.load(content)
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
        text, digest = metadata[TREE], metadata[DIGEST]
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if content.startswith(PICKLES):
            raise CheckpointError(
                f"{path} is a torch file: a checkpoint of format 4 or older, or of another program; this version reads "
                "no pickles: run fit again"
            ) from error
        raise damaged from error
    if digest != _digest(text, tensors):
        raise CheckpointError(f"{path} is damaged: its content does not match its checksum; {REMEDY}")
    try:
        tree = _decode(json.loads(text), tensors)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged from error
    if not isinstance(tree, dict):
        raise damaged
    return tree


class _Writer:
    """Encoder that moves tensors out of a tree."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors
        self._names: dict[tuple[Any, ...], str] = {}

    def encode(self, value: Any, place: str) -> Any:
        """Return a value as JSON; ``place`` is its path in the tree."""
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {FLOAT: repr(float(value))}
        if isinstance(value, Tensor):
            return {TENSOR: self._name(value, place)}
        if isinstance(value, np.ndarray):
            array = np.ascontiguousarray(value.view(np.int64) if value.dtype == DAYS else value)
            array = array if array.flags.writeable else array.copy()  # torch warns about others
            return {ARRAY: self._name(torch.from_numpy(array), place), "type": str(value.dtype)}
        if isinstance(value, (list, tuple)):
            return [self.encode(item, f"{place}/{index}") for index, item in enumerate(value)]
        if isinstance(value, Mapping):
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return {key: self.encode(item, f"{place}/{key}") for key, item in value.items()}
            return {ITEMS: [[key, self.encode(item, f"{place}/{key}")] for key, item in value.items()]}
        raise TypeError(f"{place or 'the tree'} is a {type(value).__name__}, which a checkpoint cannot hold")

    def _name(self, tensor: Tensor, place: str) -> str:
        tensor = tensor.detach()
        key = tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride(), tensor.device
        known = self._names.get(key) if tensor.numel() else None
        if known is None:
            known = place or "tensor"
            self._names[key] = known
            plain = tensor.cpu().contiguous()
            owns = plain.untyped_storage().nbytes() == plain.nbytes
            self.tensors[known] = plain if owns else plain.clone()
        return known


def _decode(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if TENSOR in value:
        return tensors[value[TENSOR]]
    if ARRAY in value:
        array, kind = tensors[value[ARRAY]].numpy(), value["type"]
        if kind not in (str(array.dtype), DAYS):
            raise ValueError(f"an array of type {kind}")
        return array.view(DAYS) if kind == DAYS else array
    if FLOAT in value:
        return float(value[FLOAT])
    if ITEMS in value:
        return {key: _decode(item, tensors) for key, item in value[ITEMS]}
    return {key: _decode(item, tensors) for key, item in value.items()}


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Hash the JSON and the name, type, shape and bytes of every tensor."""
    found = hashlib.sha256(text.encode())
    for part in _parts(tensors):
        found.update(part)
    return found.hexdigest()


def _parts(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    for name in sorted(tensors):
        tensor = tensors[name]
        yield f"\0{name}\0{tensor.dtype}{tuple(tensor.shape)}".encode()
        flat = tensor.reshape(-1)
        if flat.stride(0) != 1:  # a repeated or single element
            flat = flat.clone(memory_format=torch.contiguous_format).as_strided(flat.shape, (1,))
        yield flat.view(torch.uint8).numpy().data
