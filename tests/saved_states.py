"""States as they come back from a file."""

from __future__ import annotations

import json
from typing import Any

import torch


def as_saved(state: Any) -> Any:
    """Return a copy with contiguous tensors and everything else through JSON, or fail if a state holds other things."""
    if isinstance(state, torch.Tensor):
        assert state.is_contiguous()
        return state.clone()
    if isinstance(state, dict):
        assert all(isinstance(key, str) for key in state)
        return {key: as_saved(value) for key, value in state.items()}
    return json.loads(json.dumps(state))
