"""State of one process of a run: its env, generators and replay buffer, written with every save.

The buffer is written in segments, files of what was added since the previous save; a save lists those that it needs.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pricerl.errors import CheckpointError
from pricerl.runs.folder import REPLAY, Generation
from pricerl.runs.tree_file import read_tree, write_tree

OTHER_SAVE = "go on with another save, as --resume auto does"
"""Remedy for a damaged state."""


class Segment(NamedTuple):
    """Transitions ``first`` to ``last - 1`` of a process, counted from 0 in the order in which they were added."""

    file: str
    first: int
    last: int


class RankState:
    """Files of the process ``rank`` in a generation, for a `pricerl.training.collector.Collector`."""

    def __init__(self, generation: Path, rank: int) -> None:
        self.generation = Generation(generation)
        self.replay = generation / REPLAY
        self.rank = rank
        self._segments: list[Segment] = []

    def write(self, folder: Path, collector: Any, world_size: int) -> None:
        """Write the state into the folder of a save, and the new transitions into a segment."""
        buffer = collector.buffer
        oldest = max(0, buffer.added - buffer.capacity)
        written = max(self._segments[-1].last if self._segments else 0, oldest)
        if buffer.added > written:
            segment = Segment(f"{self.rank}-{written:012d}.rows", written, buffer.added)
            self.replay.mkdir(exist_ok=True)
            write_tree(self.replay / segment.file, {**segment._asdict(), "rows": buffer.rows(written, buffer.added)})
            self._segments.append(segment)
        self._segments = [segment for segment in self._segments if segment.last > oldest]
        state = {
            "world_size": world_size,
            "collector": collector.state_dict(),
            "random": random_state(),
            "segments": [list(segment) for segment in self._segments],
        }
        write_tree(folder / state_file(self.rank), state)

    def keep(self, best: int | None) -> None:
        """Delete the segments that neither the newest save nor that of the best update lists."""
        needed = {segment.file for segment in self._segments}
        if best is not None:
            with contextlib.suppress(CheckpointError):  # the best save is that of another number of processes
                needed |= {item.file for item in list_segments(self.generation.save_folder(best), self.rank)}
        for path in self.replay.glob(f"{self.rank}-*.rows"):
            if path.name not in needed:
                path.unlink(missing_ok=True)

    def restore(self, save: Path, collector: Any, world_size: int) -> str:
        """Restore the state of a save into a new collector, and the process's global generators.

        Return why the run is not continued exactly, as the end of a sentence; empty if it is. A damaged file is a
        ``CheckpointError``.
        """
        if not (save / state_file(self.rank)).exists():
            return "the checkpoint lies outside its generation, without the state of the processes"
        state = read_tree(save / state_file(self.rank))
        try:
            segments = [Segment(*values) for values in state["segments"]]
            if state["world_size"] != world_size:
                return f"it was saved by {state['world_size']} processes and goes on with {world_size}"
            buffer = state["collector"]["buffer"]
            chunks = _read_rows(save, segments, buffer["added"] - buffer["size"])
            collector.buffer.restore(chunks, buffer["added"], buffer["generator_state"])
            exact = collector.load_state_dict(state["collector"])
            restore_random_state(state["random"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{save / state_file(self.rank)} cannot be restored: {error}; {OTHER_SAVE}"
            ) from error
        if save.resolve().parent.parent == self.generation.path.resolve():
            self._segments = segments
        return "" if exact else "the environment's state cannot be saved, so its episodes start anew"


def state_file(rank: int) -> str:
    """Return the name of a process's state in the folder of a save."""
    return f"rank-{rank}.state"


def list_segments(save: Path, rank: int) -> list[Segment]:
    """Return the segments that a process lists in a save; a missing or damaged state is a ``CheckpointError``."""
    path = save / state_file(rank)
    try:
        return [Segment(Path(file).name, first, last) for file, first, last in read_tree(path)["segments"]]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} lists no segments; {OTHER_SAVE}") from error


def _read_rows(save: Path, segments: Iterable[Segment], oldest: int = 0) -> Iterator[Tensor]:
    """Yield the transitions of segments from ``oldest`` on; refuse a segment that is damaged or holds others."""
    for segment in segments:
        if Path(segment.file).name != segment.file:
            raise CheckpointError(f"{segment.file!r} is not a name of a segment")
        rows: Any = read_tree(save.parent.parent / REPLAY / segment.file).get("rows", ())
        if len(rows) != segment.last - segment.first:
            raise CheckpointError(
                f"{segment.file} holds {len(rows)} transitions instead of those that {save} lists; {OTHER_SAVE}"
            )
        yield rows[max(0, oldest - segment.first) :]


def verify_save(save: Path) -> None:
    """Read the states of all processes and their segments; a missing or damaged one is a ``CheckpointError``."""
    for rank in range(len(list(save.glob("rank-*.state")))):
        for _ in _read_rows(save, list_segments(save, rank)):
            pass


def random_state() -> dict[str, Any]:
    """Return the state of the global generators of torch, numpy and Python as a checkpoint holds it.

    Under ``cuda`` there is one per GPU by its index, and none before the first use of a GPU.
    """
    in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    gpus = torch.cuda.get_rng_state_all() if in_use else []
    return {
        "torch": torch.get_rng_state(),
        "cuda": {str(index): state for index, state in enumerate(gpus)},
        "numpy": np.random.get_state(legacy=False),
        "python": random.getstate(),
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Restore what `random_state` returned, from any device; states of GPUs that this machine lacks are skipped."""
    torch.set_rng_state(state["torch"].cpu())
    for index in range(torch.cuda.device_count() if state["cuda"] else 0):
        if str(index) in state["cuda"]:
            torch.cuda.set_rng_state(state["cuda"][str(index)].cpu(), index)
    np.random.set_state(state["numpy"])
    version, words, next_gauss = state["python"]
    random.setstate((version, tuple(words), next_gauss))


@contextlib.contextmanager
def preserved_randomness() -> Iterator[None]:
    """Leave the global generators as they were, whatever the body draws."""
    state = random_state()
    try:
        yield
    finally:
        restore_random_state(state)
