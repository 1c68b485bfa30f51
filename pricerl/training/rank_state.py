"""State of one process of a run: its env, generators and replay buffer, written with every save.

The buffer is written in segments, files of the transitions added since the previous save. A save lists the segments
that hold its buffer, so a save costs as much as was added, however large the buffer is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from pricerl.errors import CheckpointError
from pricerl.training.collector import Collector
from pricerl.training.generations import REPLAY, SAVES, Generation
from pricerl.training.randomness import random_state, restore_random_state
from pricerl.training.tree_file import read_tree, write_tree

OTHER_SAVE = "go on with another save, as --resume auto does"
"""Remedy for a damaged state."""


class Segment(NamedTuple):
    """Transitions ``first`` to ``last - 1`` of a process, counted from 0 in the order in which they were added."""

    file: str
    first: int
    last: int


class RankState:
    """Files of one process in a generation.

    Args:
        generation: folder of the generation.
        rank: index of the process.
    """

    def __init__(self, generation: Path, rank: int) -> None:
        self.replay, self.rank = generation / REPLAY, rank
        self._segments: list[Segment] = []
        self._of_saves: dict[str, list[Segment]] = {}

    def write(self, folder: Path, collector: Collector, world_size: int) -> None:
        """Write the state into the folder of a save, and the new transitions into a segment.

        Raises:
            OSError: a file cannot be written.
        """
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
        self._of_saves[folder.name.strip(".").removesuffix(".part")] = list(self._segments)

    def keep(self, saves: Iterable[str]) -> None:
        """Delete the segments that neither these saves nor the next one need."""
        self._of_saves = {name: self._of_saves[name] for name in saves if name in self._of_saves}
        needed = {segment.file for segments in (*self._of_saves.values(), self._segments) for segment in segments}
        for path in self.replay.glob(f"{self.rank}-*.rows"):
            if path.name not in needed:
                path.unlink(missing_ok=True)

    def restore(self, save: Path, collector: Collector, world_size: int) -> str:
        """Restore the state of a save into a new collector, and the process's global generators.

        Args:
            save: folder of the save; its segments lie in its generation.
            collector: collector as it was built.
            world_size: number of processes of this run.

        Returns:
            Why the run is not continued exactly, as the end of a sentence; empty if it is.

        Raises:
            CheckpointError: a file is damaged.
        """
        if not (save / state_file(self.rank)).exists():
            return "the checkpoint lies outside its generation, without the state of the processes"
        state = read_tree(save / state_file(self.rank))
        try:
            segments = [Segment(*values) for values in state["segments"]]
            if state["world_size"] != world_size:
                return f"it was saved by {state['world_size']} processes and goes on with {world_size}"
            buffer = state["collector"]["buffer"]
            chunks = self._read(save, segments, buffer["added"] - buffer["size"])
            collector.buffer.restore(chunks, buffer["added"], buffer["generator_state"])
            exact = collector.load_state_dict(state["collector"])
            restore_random_state(state["random"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{save / state_file(self.rank)} cannot be restored: {error}; {OTHER_SAVE}"
            ) from error
        if save.resolve().parent.parent == self.replay.resolve().parent:
            self._segments = segments
            for other in save.parent.iterdir():
                self._note_segments(other)
        return "" if exact else "the environment's state cannot be saved, so its episodes start anew"

    def _note_segments(self, save: Path) -> None:
        try:
            listed = read_tree(save / state_file(self.rank))["segments"]
        except CheckpointError:
            return
        self._of_saves[save.name] = [Segment(*values) for values in listed]

    def _read(self, save: Path, segments: list[Segment], oldest: int) -> Iterator[Tensor]:
        """Yield the transitions from ``oldest`` on."""
        for segment in segments:
            if Path(segment.file).name != segment.file:
                raise CheckpointError(f"{segment.file!r} is not a name of a segment")
            rows: Any = read_tree(save.parent.parent / REPLAY / segment.file)["rows"]
            if len(rows) != segment.last - segment.first:
                raise CheckpointError(f"{segment.file} holds {len(rows)} transitions instead of those listed")
            yield rows[max(0, oldest - segment.first) :]


def state_file(rank: int) -> str:
    """Return the name of a process's state in the folder of a save."""
    return f"rank-{rank}.state"


def verify_save(save: Path) -> None:
    """Read the states of all processes and their segments.

    Raises:
        CheckpointError: one of them is missing or damaged.
    """
    for path in save.glob("rank-*.state"):
        for file, first, last in read_tree(path)["segments"]:
            rows = read_tree(save.parent.parent / REPLAY / Path(str(file)).name).get("rows")
            if rows is None or len(rows) != last - first:
                raise CheckpointError(f"{path} lists other transitions than {file} holds; {OTHER_SAVE}")


def adopt(generation: Generation, save: Path) -> None:
    """Take a save of another generation over, with the segments that its processes list; files get a second name.

    Raises:
        OSError: a file cannot be written.
    """
    source = save.parent.parent
    names = [f"{SAVES}/{save.name}/{path.name}" for path in save.iterdir()]
    for path in save.glob("rank-*.state"):
        with contextlib.suppress(CheckpointError):  # found again, and said, when it is restored
            names += [f"{REPLAY}/{Path(str(values[0])).name}" for values in read_tree(path)["segments"]]
    for name in names:
        target = generation.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() and (source / name).exists():
            _link_or_copy(source / name, target)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)
