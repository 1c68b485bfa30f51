"""State of the process's global random number generators: torch, numpy and Python."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """Return the state of the global generators as a nested dict of tensors and plain values.

    Keys: ``torch``, the CPU's generator; ``cuda``, one per GPU by its index, empty before the first use of a GPU;
    ``numpy`` and ``python``, the generators behind ``np.random`` and ``random``.
    """
    in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    gpus = torch.cuda.get_rng_state_all() if in_use else []
    _, key, position, has_gauss, gauss = np.random.get_state()
    version, words, next_gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": {str(index): state for index, state in enumerate(gpus)},
        "numpy": {
            "key": torch.from_numpy(np.asarray(key).astype(np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "gauss": float(gauss),
        },
        "python": {"version": version, "words": torch.tensor(words), "gauss": next_gauss},
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Restore the global generators; states of GPUs that this machine lacks are skipped.

    Args:
        state: as returned by `random_state`; its tensors may be on any device.
    """
    torch.set_rng_state(state["torch"].cpu())
    for index in range(torch.cuda.device_count() if state["cuda"] else 0):
        if str(index) in state["cuda"]:
            torch.cuda.set_rng_state(state["cuda"][str(index)].cpu(), index)
    saved = state["numpy"]
    key = saved["key"].cpu().numpy().astype(np.uint32)
    np.random.set_state(("MT19937", key, saved["position"], saved["has_gauss"], saved["gauss"]))
    saved = state["python"]
    random.setstate((saved["version"], tuple(saved["words"].tolist()), saved["gauss"]))


@contextmanager
def preserved_randomness() -> Iterator[None]:
    """Leave the global generators as they were, whatever the body draws."""
    state = random_state()
    try:
        yield
    finally:
        restore_random_state(state)
