"""Folder of a run: its generations, the one in use, and the lock of the training process.

::

    checkpoints/<run>/
        shop.db                        the shop: its days, decisions and advice
        current                        names of the generations that have ended, first the one in use
        best.ckpt, config.yaml …       its files, under a second name
        advice.csv, prices.csv …       files written from the shop
        gen-0006/, gen-0007/           generations, each written by one ``fit``
            best.ckpt, last.ckpt       checkpoints
            rank-1.00000250.ckpt       states of the further processes of a checkpoint
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from pricerl import writing
from pricerl.errors import UsageError
from pricerl.writing import explained

LAST = "last.ckpt"
BEST = "best.ckpt"
CONFIG = "config.yaml"
METRICS_FILE = "metrics.csv"
CURRENT = "current"
"""File with the names of the generations that have ended, a line each: first the one in use."""
LOCK = ".training.lock"

SHOWN = (BEST, LAST, CONFIG, METRICS_FILE, "fit-profile.txt")
"""Files of the current generation that have a second name in the folder of the run."""

GENERATION = re.compile(r"gen-\d{4,}")
"""Names of generations."""


@dataclass(frozen=True)
class Generation:
    """Folder of one training: immutable once it has ended and its advice was recorded."""

    path: Path

    @property
    def name(self) -> str:
        """Name such as gen-0007."""
        return self.path.name

    @property
    def number(self) -> int:
        """Number in the name."""
        return int(self.name.removeprefix("gen-"))

    @property
    def is_saved(self) -> bool:
        """Whether training has saved a checkpoint."""
        return (self.path / LAST).exists()

    @property
    def model(self) -> Path:
        """The best checkpoint, or the last one if no evaluation chose another."""
        best = self.path / BEST
        return best if best.exists() else self.path / LAST

    def take_over(self, file: Path, name: str) -> None:
        """Give a file a second name in the generation."""
        writing.give_name(file, self.path / name)

    def keep_ranks(self, updates: Collection[int | None]) -> None:
        """Remove the states of further processes but those that belong to the checkpoints of these updates."""
        for path in self.path.glob("rank-*.ckpt"):
            if int(path.suffixes[-2][1:]) not in updates:
                path.unlink()

    def discard(self) -> None:
        """Remove a generation that holds no checkpoint and no metrics."""
        metrics = self.path / METRICS_FILE
        if not (self.is_saved or (metrics.exists() and metrics.stat().st_size)):
            shutil.rmtree(self.path, ignore_errors=True)

    def shrink(self) -> None:
        """Reduce a generation that has ended to what commands other than ``fit`` read: without its last checkpoint."""
        if self.is_saved and (self.path / BEST).exists():
            for path in (self.path / LAST, *self.path.glob("rank-*.ckpt")):
                path.unlink()


def generation_of(checkpoint: Path) -> Generation | None:
    """Return the generation that a checkpoint lies in; a run of such a name holds generations of its own."""
    for folder in checkpoint.parents[:3]:
        if GENERATION.fullmatch(folder.name) and not any(folder.glob("gen-*")):
            return Generation(folder)
    return None


@dataclass(frozen=True)
class RunFolder:
    """Folder of a run; a method that cannot write there raises a ``UsageError``."""

    path: Path

    @classmethod
    def of(cls, checkpoint: Path) -> RunFolder:
        """Return the folder of the run that a checkpoint belongs to: above its generation, if it lies in one."""
        generation = generation_of(checkpoint)
        return cls(checkpoint.parent if generation is None else generation.path.parent)

    def generations(self) -> list[Generation]:
        """Return all generations, the newest last."""
        found = (Generation(path) for path in self.path.glob("gen-*") if GENERATION.fullmatch(path.name))
        return sorted(found, key=lambda generation: generation.number)

    @property
    def ended(self) -> list[Generation]:
        """Generations whose training has ended and whose advice was recorded; the first one is in use."""
        path = self.path / CURRENT
        if path.is_symlink():  # of pricerl 1.0
            return [Generation(self.path / path.readlink())]
        names = path.read_text(encoding="utf-8").split() if path.is_file() else []
        return [Generation(self.path / name) for name in names if GENERATION.fullmatch(name)]

    @property
    def current(self) -> Generation | None:
        """The generation in use, if a training has ended."""
        return next(iter(self.ended), None)

    def start(self) -> Generation:
        """Create the next generation."""
        with explained(self.path):
            known = self.generations()
            made = Generation(self.path / f"gen-{known[-1].number + 1 if known else 1:04d}")
            made.path.mkdir(parents=True)
            writing.sync_folder(self.path)
        return made

    def use(self, generation: Generation) -> None:
        """Make a generation the current one, and give its files their names in the run's folder."""
        with explained(self.path):
            if self.current != generation:
                others = (item.name for item in self.ended if item != generation and item.path.exists())
                text = "".join(f"{name}\n" for name in (generation.name, *others))
                writing.write_file(self.path / CURRENT, text.encode())
            self._name_files(generation)

    def show(self, generation: Generation) -> None:
        """Show the files of an unfinished generation in the run's folder as long as there is no current one."""
        if self.current is None:
            with explained(self.path):
                self._name_files(generation)

    def _name_files(self, generation: Generation) -> None:
        for name in SHOWN:
            if (generation.path / name).exists():
                writing.give_name(generation.path / name, self.path / name)
            else:
                (self.path / name).unlink(missing_ok=True)

    @property
    def is_shown(self) -> bool:
        """Whether the run's folder shows the files of the current generation; an interruption may leave some out."""
        if (current := self.current) is None:
            return True
        pairs = [(current.path / name, self.path / name) for name in SHOWN]
        return all(writing.is_same(*pair) if pair[0].exists() else not pair[1].exists() for pair in pairs)

    def remove_old(self, keep: int, named: Collection[str]) -> None:
        """Keep the newest ``keep`` generations and the current one whole; of others that are ``named``, the weights."""
        for generation in {*self.generations()[:-keep]} - {self.current}:
            if generation.name in named:
                generation.shrink()
            else:
                shutil.rmtree(generation.path, ignore_errors=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run's lock, so that no second training writes here; its holder is named in a ``UsageError``."""
        path = self.path / LOCK
        holder = path.with_name(".holder")
        with explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        try:
            with writing.locked(path, patience=0.0):
                since = datetime.now(timezone.utc).isoformat(timespec="seconds")
                with explained(holder):
                    holder.write_text(f"process {os.getpid()} on {socket.gethostname()} since {since}\n", "utf-8")
                try:
                    yield
                finally:
                    holder.unlink(missing_ok=True)
        except BlockingIOError as error:
            known = holder.read_text(encoding="utf-8").strip() if holder.exists() else "another process"
            raise UsageError(
                f"{self.path} is being written by {known}; wait until it ends, or choose another --run_name"
            ) from error
        finally:
            if {item.name for item in self.path.iterdir()} == {LOCK}:  # no training wrote anything
                shutil.rmtree(self.path, ignore_errors=True)
                with contextlib.suppress(OSError):  # holds other runs
                    self.path.parent.rmdir()
