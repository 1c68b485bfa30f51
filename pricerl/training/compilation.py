"""Decision whether to compile updates, by the length of the run and by the compiler's cache.

The first compiled run leaves a marker, an empty file, in the compiler's cache. A later run of the same graph finds it
and compiles from fewer updates on.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import re
import tempfile
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Timer

from pricerl import runtime, sac

COMPILE_FROM = 10_000
"""Number of updates from which compiling pays: it takes 10 to 20 s and saves about 3 ms per update."""

COMPILE_FROM_CACHE = 2_000
"""Number of updates from which compiling pays if the graph is cached: it then takes 5 s."""

COMPILE_FROM_SECONDS = 300.0
"""Time limit of a run, in seconds, from which compiling pays: it takes up to 20 s and saves a third of each update."""


def is_too_short(timer: Timer) -> bool:
    """Return whether a time limit leaves too little time for compiling to pay."""
    left = timer.time_remaining()
    return left is not None and left < COMPILE_FROM_SECONDS


def compiler_cache() -> Path:
    """Return the folder of torch's compiler for compiled graphs; torch's own function would import the compiler."""
    if given := os.environ.get("TORCHINDUCTOR_CACHE_DIR"):
        return Path(given)
    try:
        user = getpass.getuser()
    except (KeyError, ImportError, OSError):  # the user has no name
        user = f"uid_{os.getuid()}" if hasattr(os, "getuid") else "unknown_user"
    return Path(tempfile.gettempdir(), "torchinductor_" + re.sub(r'[\\/:*?"<>|]', "_", user))


def graph_marker(*settings: object) -> Path:
    """Return the path of the marker of the graph of an update.

    Its name is a hash of everything that the graph depends on: ``settings``, torch, processor, threads, precision and
    source code.

    Args:
        settings: dimensions, networks and algorithm, as objects whose ``repr`` shows every value.
    """
    machine = torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    precision = torch.get_float32_matmul_precision(), runtime.COMPUTE
    found = hashlib.sha256(repr((machine, precision, settings)).encode())
    for path in (Path(runtime.__file__), *sorted(Path(sac.__file__).parent.glob("*.py"))):
        found.update(path.read_bytes())
    return compiler_cache() / f"pricerl-{found.hexdigest()[:32]}"


def leave(marker: Path) -> None:
    """Create a marker; nothing happens where that is impossible."""
    with contextlib.suppress(OSError):
        marker.touch()


def fewest_updates(marker: Path | None) -> int:
    """Return the number of updates from which compiling pays.

    Args:
        marker: marker of the graph; None to ignore the compiler's cache.
    """
    return COMPILE_FROM_CACHE if marker is not None and os.path.isfile(marker) else COMPILE_FROM  # noqa: PTH113 (raises nothing)
