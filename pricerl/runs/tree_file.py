"""File format of checkpoints: one safetensors file whose metadata hold everything that is no tensor, as JSON.

Nothing in it is executed when it is read: tensors are bytes with a name, the rest is text. It holds a checksum.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pricerl.errors import CheckpointError
from pricerl.writing import write_file

TENSOR = "$tensor"
"""Mark of a value that JSON cannot hold: a tensor, by its name."""
ARRAY = "$array"
FLOAT = "$float"
"""Mark of a number that is not finite."""
ITEMS = "$items"
"""Mark of a mapping with other keys than texts."""

TREE = "pricerl"
"""Key of the metadata, as is ``CHECKSUM``."""
CHECKSUM = "sha256"
BLANK = "0" * 64
"""Checksum in a file whose checksum is computed."""

DAYS = "datetime64[D]"
"""Type of arrays that are stored as whole numbers."""

REMEDY = "run fit again or name another"


def write_tree(path: Path, tree: Mapping[str, Any]) -> None:
    """Write nested dicts and lists of tensors, arrays, texts, numbers, booleans and None.

    A value of another type is a ``TypeError`` that names its place; an existing file is untouched on failure.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_encode(tree, "", tensors), separators=(",", ":"), allow_nan=False)
    write_file(path, _sealed(text, tensors))


def read_tree(path: Path) -> dict[str, Any]:
    """Read what `write_tree` wrote, onto the CPU; a file that is none of these or damaged is a ``CheckpointError``."""
    if path.exists() and not path.is_file():  # a pipe or a device might never end
        raise CheckpointError(f"{path} is no ordinary file; {REMEDY}")
    damaged = CheckpointError(f"{path} is not a checkpoint, or it is damaged; {REMEDY}")
    try:
        with safe_open(path, "pt") as header:  # refuses a file of another length than its header says
            metadata = header.metadata()
        text = metadata[TREE]
        checksum = metadata[CHECKSUM]
        content = path.read_bytes()
        tensors = safetensors.torch.load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged from error
    except OSError as error:
        why = "no permission" if isinstance(error, PermissionError) else error.strerror
        raise CheckpointError(f"{path} cannot be read: {why}") from error
    if _checksum(content.replace(_field(checksum), _field(BLANK), 1)) != checksum:
        raise CheckpointError(f"{path} is damaged: its content does not match its checksum; {REMEDY}")
    try:
        tree = _decode(json.loads(text), tensors)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged from error
    if not isinstance(tree, dict):
        raise damaged
    return tree


def _encode(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    """Return a value as JSON, and move its tensors out under their ``place``, their path in the tree."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {FLOAT: repr(float(value))}
    if isinstance(value, Tensor):
        tensors[place] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {TENSOR: place}
    if isinstance(value, np.ndarray):
        tensors[place] = torch.from_numpy((value.view(np.int64) if value.dtype == DAYS else value).copy())
        return {ARRAY: place, "type": str(value.dtype)}
    if isinstance(value, (list, tuple)):
        return [_encode(item, f"{place}/{index}", tensors) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        items = [[key, _encode(item, f"{place}/{key}", tensors)] for key, item in value.items()]
        plain = all(isinstance(key, str) and not key.startswith("$") for key in value)
        return dict(items) if plain else {ITEMS: items}
    raise TypeError(f"{place or 'the tree'} is a {type(value).__name__}, which a checkpoint cannot hold")


def _decode(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if TENSOR in value:
        return tensors[value[TENSOR]]
    if ARRAY in value:
        array = tensors[value[ARRAY]].numpy()
        kind = value["type"]
        if kind not in (str(array.dtype), DAYS):
            raise ValueError(f"an array of type {kind}")
        return array.view(DAYS) if kind == DAYS else array
    if FLOAT in value:
        return float(value[FLOAT])
    if ITEMS in value:
        return {key: _decode(item, tensors) for key, item in value[ITEMS]}
    return {key: _decode(item, tensors) for key, item in value.items()}


def _sealed(text: str, tensors: dict[str, Tensor]) -> bytes:
    """Return the content of a file with its checksum."""
    content = safetensors.torch.save(tensors, {TREE: text, CHECKSUM: BLANK})
    return content.replace(_field(BLANK), _field(_checksum(content)), 1)


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _field(checksum: str) -> bytes:
    """Return the checksum as it stands in the file; the quotes within a text are escaped there."""
    return f'"{CHECKSUM}":"{checksum}"'.encode()
