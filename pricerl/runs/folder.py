"""Folder of a run: its generations, the one in use, and the lock of the training process.

::

    checkpoints/<run>/
        current -> gen-0007            the generation in use: one link, moved in one step
        best.ckpt, advice.csv …        links through ``current``
        decisions.jsonl                the decision log
        gen-0006/, gen-0007/           generations, each written by one ``fit``
            manifest.json              size and checksum of every file
            best.ckpt, last.ckpt       checkpoints
            rank-1.00000250.ckpt       states of the further processes of a checkpoint
            published/                 sets of advice
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from pricerl import writing
from pricerl.errors import CheckpointError, UsageError
from pricerl.writing import CURRENT, MANIFEST, PUBLISHED, explained

LAST = "last.ckpt"
BEST = "best.ckpt"
CONFIG = "config.yaml"
METRICS_FILE = "metrics.csv"
LOCK = ".lock"

LATER = (MANIFEST, PUBLISHED, "wandb")
"""Names in a generation that its manifest leaves out: advice is added later, in sets with manifests of their own."""

LINKED = (*(BEST, LAST, CONFIG, METRICS_FILE, "fit-profile.txt"),)
"""Names in the folder of a run that lead through ``current``, if the generation holds them."""

GENERATION = re.compile(r"gen-\d{4,}")
"""Names of generations."""


@dataclass(frozen=True)
class Generation:
    """Folder of one training: immutable once it has a manifest."""

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
    def is_complete(self) -> bool:
        """Whether training and publication have ended."""
        return (self.path / MANIFEST).exists()

    def complete(self) -> None:
        """Remove unfinished files and write the manifest, with a checksum of every file.

        A manifest that cannot be written is a ``UsageError``; the generation stays incomplete then.
        """
        with explained(self.path, "the earlier generation stays in use; go on with fit --ckpt_path last"):
            for part in self.path.rglob(".*.part"):
                shutil.rmtree(part) if part.is_dir() else part.unlink()
            files: dict[str, dict[str, str | int]] = {}
            for file in sorted(self.path.rglob("*")):
                name = file.relative_to(self.path)
                if file.is_file() and name.parts[0] not in LATER:
                    files[name.as_posix()] = {"bytes": file.stat().st_size, "sha256": writing.hash_file(file)}
            content = {"format": 1, "generation": self.name, "files": files}
            writing.write_file(self.path / MANIFEST, (json.dumps(content, indent=1) + "\n").encode())

    def verify(self) -> None:
        """Compare every file with the manifest; missing, changed and damaged ones are a ``CheckpointError``."""
        path = self.path / MANIFEST
        try:
            files = json.loads(path.read_text(encoding="utf-8"))["files"]
            problems = [f"{name} {why}" for name, entry in files.items() if (why := self._fault(name, entry))]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{path} is missing or damaged; choose another generation") from error
        if problems:
            raise CheckpointError(f"{self.path} is damaged: {', '.join(problems[:5])}; choose another generation")

    def _fault(self, name: str, entry: dict[str, str]) -> str:
        """Return the fault of a file of the manifest, if it has one."""
        file = self.path / name
        if self.path.resolve() not in file.parent.resolve().joinpath(file.name).parents:
            return "lies outside"
        if not file.is_file():
            return "is missing"
        return "" if writing.hash_file(file) == entry["sha256"] else "was changed"

    @property
    def is_saved(self) -> bool:
        """Whether training has saved a checkpoint."""
        return (self.path / LAST).exists()

    def take_over(self, file: Path, name: str) -> None:
        """Give a file a second name in the generation, in one step, or a copy where there are no hard links."""
        target = self.path / name
        if target.exists() and target.samefile(file):
            return
        with writing.replacing(target) as part:
            part.unlink(missing_ok=True)
            try:
                os.link(file.resolve(), part)
            except OSError:
                writing.write_through(part, file.read_bytes())
        writing.sync_folder(self.path)

    def keep_ranks(self, updates: Collection[int | None]) -> None:
        """Remove the states of further processes but those that belong to the checkpoints of these updates."""
        for path in self.path.glob("rank-*.ckpt"):
            if int(path.suffixes[-2][1:]) not in updates:
                path.unlink()

    def discard(self) -> None:
        """Remove a generation that holds no checkpoint and no metrics."""
        metrics = self.path / METRICS_FILE
        if not (self.is_saved or self.is_complete or (metrics.exists() and metrics.stat().st_size)):
            shutil.rmtree(self.path, ignore_errors=True)

    def shrink(self) -> None:
        """Reduce a complete generation to what commands other than ``fit`` read: without its last checkpoint."""
        if self.is_saved and (self.path / BEST).exists():
            (self.path / MANIFEST).unlink(missing_ok=True)
            for path in (self.path / LAST, *self.path.glob("rank-*.ckpt")):
                path.unlink()
            self.complete()


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
        found = [Generation(path) for path in self.path.glob("gen-*") if GENERATION.fullmatch(path.name)]
        return sorted(found, key=lambda generation: generation.number)

    @property
    def current(self) -> Generation | None:
        """The generation in use, if a training has ended; in a copy without links, one of the same manifest."""
        link = self.path / CURRENT
        if link.is_symlink():
            return Generation(self.path / link.readlink())
        if not (link / MANIFEST).exists():
            return None
        content = (link / MANIFEST).read_bytes()
        complete = [item for item in self.generations() if item.is_complete]
        same = [item for item in complete if (item.path / MANIFEST).read_bytes() == content]
        return next(iter([*same, *complete[-1:]]), None)

    def restore_links(self) -> None:
        """Turn a copy that followed the links, such as one from a bucket, back into links."""
        with explained(self.path):
            known = self.generations()
            copied = None if (self.path / CURRENT).is_symlink() else self.current
            if copied is not None:
                self.use(copied)
            elif known and (self.path / LAST).is_file() and not (self.path / LAST).is_symlink():
                self.show(known[-1])

    def find(self, name: str | None) -> Generation:
        """Return a complete generation, by default the one before the current one; a ``UsageError`` lists them all."""
        complete = [item for item in self.generations() if item.is_complete]
        current = self.current
        if name is None and current is not None:
            earlier = [item for item in complete if item.number < current.number]
            name = earlier[-1].name if earlier else None
        for item in complete:
            if item.name == name:
                return item
        listed = ", ".join(item.name for item in complete) or "none"
        wanted = "no generation before the current one" if name is None else f"no complete generation {name!r}"
        raise UsageError(f"{self.path} has {wanted}; complete are {listed}")

    def start(self) -> Generation:
        """Create the next generation."""
        with explained(self.path):
            known = self.generations()
            made = Generation(self.path / f"gen-{known[-1].number + 1 if known else 1:04d}")
            made.path.mkdir(parents=True)
            writing.sync_folder(self.path)
        return made

    def use(self, generation: Generation) -> None:
        """Make a generation the current one; on failure the earlier one stays it."""
        with explained(self.path):
            current = self.path / CURRENT
            if current.is_dir() and not current.is_symlink():  # a copy, which the names lead through until it goes
                self.link(CURRENT)
            writing.point(current, generation.name)
            self.link(CURRENT)

    def show(self, generation: Generation) -> None:
        """Let the run's own names lead to an unfinished generation as long as there is no current one."""
        if self.current is None:
            with explained(self.path):
                self.link(generation.name)

    def link(self, through: str) -> None:
        """Point the names of files that exist below ``through``, ``current`` or a generation, and drop dead links."""
        for name in LINKED:
            link = self.path / name
            if (self.path / through / name).exists():
                writing.point(link, f"{through}/{name}")
            elif link.is_symlink():
                link.unlink()

    @property
    def is_linked(self) -> bool:
        """Whether the run's own names lead to all files in use and to no others; an interruption may leave some out."""
        links = [self.path / name for name in LINKED]
        wanted = [link for link in links if link.is_symlink() or (self.path / CURRENT / link.name).exists()]
        return all(link.exists() for link in wanted)

    def remove_old(self, keep: int, named: Collection[str]) -> None:
        """Keep the newest ``keep`` generations and the current one whole; of others that are ``named``, the weights."""
        current = self.current
        for generation in self.generations()[:-keep]:
            if current is not None and generation.name == current.name:
                continue
            if generation.name in named:
                generation.shrink()
            else:
                shutil.rmtree(generation.path, ignore_errors=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run's lock, so that no second training writes here; its holder is named in a ``UsageError``."""
        with explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / LOCK).open("a+", encoding="utf-8")
        with file:
            try:
                writing.lock(file, waits=False)
                (self.path / LOCK).stat()  # the folder may just have been removed by its last holder
            except OSError as error:
                file.seek(0)
                holder = file.read(200).strip() or "another process"
                raise UsageError(
                    f"{self.path} is being written by {holder}; wait until it ends, or choose another --run_name"
                ) from error
            since = datetime.now(timezone.utc).isoformat(timespec="seconds")
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}\n")
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)
                if {path.name for path in self.path.iterdir()} == {LOCK}:  # no training wrote anything
                    shutil.rmtree(self.path)
                    with contextlib.suppress(OSError):  # holds other runs
                        self.path.parent.rmdir()
