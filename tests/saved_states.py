"""States as they come back from a file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch


def as_saved(state: Any) -> Any:
    """Return a copy of contiguous tensors and arrays, the rest through JSON; fail if a state holds other things."""
    if isinstance(state, torch.Tensor):
        assert state.is_contiguous()
        return state.clone()
    if isinstance(state, np.ndarray):
        return state.copy()
    if isinstance(state, dict):
        assert all(isinstance(key, str) for key in state)
        return {key: as_saved(value) for key, value in state.items()}
    return json.loads(json.dumps(state))
