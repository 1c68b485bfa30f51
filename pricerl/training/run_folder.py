"""Folder of a run: its generations, the one in use, and the lock of the training process.

::

    checkpoints/<run>/
        current -> gen-0007        the generation in use: one link, moved in one step
        best.ckpt, advice.csv …    links through ``current``
        decisions.jsonl            the decision log
        gen-0006/, gen-0007/       generations
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

from pricerl.data.naming import Sources, name_after
from pricerl.errors import PROBLEMS, UsageError, did_you_mean
from pricerl.terminal import shown
from pricerl.training.generations import BEST, CONFIG, LAST, METRICS_FILE, REPLAY, SAVES, Generation
from pricerl.writing import CURRENT, MANIFEST, explained, point, sync_folder

try:
    import fcntl
except ImportError:  # pragma: no cover  # not on Windows, where nothing keeps two processes apart
    fcntl = None  # type: ignore[assignment]  # checked before every use

RUNS = Path("checkpoints")
"""Folder of the runs, relative to the working directory; one folder per run."""

LOCK, RUN_LOG = ".lock", "run.log"

LINKED = (
    *(BEST, LAST, CONFIG, METRICS_FILE, "fit-profile.txt"),
    *("advice.csv", "advice.json", "advice.xlsx", "prices.csv", PROBLEMS, "report.html", "report"),
)
"""Names in the folder of a run that lead through ``current``, if the generation holds them."""

MOST_LISTED = 10
"""Most runs that a message lists."""

USUAL_PRESET = "balanced"
"""Preset of the reward that is part of no run's name."""

NAME = re.compile(r"[^\W_][\w .@+=,-]{0,99}")
"""Names of runs: letters and digits of any script first, no separators of folders."""


def check_name(name: str) -> str:
    """Return the name of a run.

    Raises:
        UsageError: it is not a name, but for example a path.
    """
    if not NAME.fullmatch(name) or name.endswith((" ", ".")):
        raise UsageError(
            f"--run_name {name!r}: must be a name of at most 100 letters, digits and . _ - + @ = , not a path; runs "
            "are folders in checkpoints"
        )
    return name


@dataclass(frozen=True)
class RunFolder:
    """Folder of a run."""

    path: Path

    @classmethod
    def of(cls, checkpoint: Path) -> RunFolder:
        """Return the folder of the run that a checkpoint belongs to: above its generation, if it lies in one."""
        for folder in checkpoint.parents[:3]:
            if re.fullmatch(r"gen-\d{4,}", folder.name):
                return cls(folder.parent)
        return cls(checkpoint.parent)

    def generations(self) -> list[Generation]:
        """Return all generations, the newest last."""
        found = [Generation(path) for path in self.path.glob("gen-[0-9]*") if re.fullmatch(r"gen-\d{4,}", path.name)]
        return sorted(found, key=lambda generation: generation.number)

    @property
    def current(self) -> Generation | None:
        """The generation in use; None before the first training has ended."""
        link = self.path / CURRENT
        if link.is_symlink():
            return Generation(self.path / link.readlink())
        return self._copied if link.exists() else None

    @property
    def _copied(self) -> Generation | None:
        """The generation in use of a copy that followed the links, by its manifest."""
        complete = [item for item in self.generations() if item.is_complete]
        content = (self.path / CURRENT / MANIFEST).read_bytes() if (self.path / CURRENT / MANIFEST).exists() else b""
        same = [item for item in complete if (item.path / MANIFEST).read_bytes() == content]
        return next(iter([*same, *complete[-1:]]), None)

    def restore_links(self) -> None:
        """Turn a copy that followed the links, such as one from a bucket, back into links.

        Raises:
            UsageError: the folder cannot be written.
        """
        copied = None if (self.path / CURRENT).is_symlink() else self.current
        if copied is not None:
            self.use(copied)

    def find(self, name: str | None) -> Generation:
        """Return a complete generation by its name, by default the one before the current one.

        Raises:
            UsageError: it does not exist or is unfinished; the message names those that can be chosen.
        """
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
        """Create the next generation.

        Raises:
            UsageError: the folder cannot be written.
        """
        with explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            known = self.generations()
            made = Generation(self.path / f"gen-{known[-1].number + 1 if known else 1:04d}")
            (made.path / SAVES).mkdir(parents=True)
            (made.path / REPLAY).mkdir()
            sync_folder(self.path)
        return made

    def use(self, generation: Generation) -> None:
        """Make a generation the current one.

        Raises:
            UsageError: the link cannot be written; the earlier generation stays the current one.
        """
        with explained(self.path):
            current = self.path / CURRENT
            if current.is_dir() and not current.is_symlink():  # a copy that followed the links
                self.link(CURRENT)
            point(current, generation.name)
            self.link(CURRENT)

    def link(self, through: str) -> None:
        """Point the names of files that exist below ``through``, ``current`` or a generation, and drop dead links."""
        for name in LINKED:
            link = self.path / name
            if (self.path / through / name).exists():
                point(link, f"{through}/{name}")
            elif link.is_symlink():
                link.unlink()

    @property
    def is_linked(self) -> bool:
        """Whether the run's own names lead to all files in use and to no others; an interruption may leave some out."""
        for name in LINKED:
            link = self.path / name
            wanted = (self.path / CURRENT / name).exists() or link.is_symlink()
            if wanted and not link.exists():
                return False
        return True

    def show(self, generation: Generation) -> None:
        """Let the run's own names lead to an unfinished generation as long as there is no current one."""
        if self.current is None:
            self.link(generation.name)

    def remove_old(self, keep: int, named: Collection[str]) -> None:
        """Keep the newest generations and the current one; of older ones keep the weights behind decisions.

        Args:
            keep: number of generations to keep whole.
            named: names of generations that the decision log refers to; of these, ``best.ckpt`` stays.
        """
        current = self.current
        for generation in self.generations()[:-keep]:
            if current is not None and generation.name == current.name:
                continue
            if generation.name not in named:
                shutil.rmtree(generation.path, ignore_errors=True)
            elif (generation.path / REPLAY).exists():
                self._shrink(generation)

    def _shrink(self, generation: Generation) -> None:
        """Reduce a generation to what commands other than ``fit`` read: without buffers and states of processes."""
        (generation.path / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(generation.path / REPLAY)
        for path in generation.path.glob(f"{SAVES}/*/rank-*.state"):
            path.unlink()
        generation.complete()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run's lock, so that no second training writes here.

        Raises:
            UsageError: another process holds it; the message names it.
        """
        if fcntl is None:  # pragma: no cover  # on Windows
            yield  # type: ignore[unreachable]
            return
        with explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / LOCK).open("a+", encoding="utf-8")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
                if {path.name for path in self.path.iterdir()} <= {LOCK, RUN_LOG}:  # nothing was written
                    for path in list(self.path.iterdir()):
                        path.unlink()
                    for folder in (self.path, self.path.parent):
                        with contextlib.suppress(OSError):  # holds other runs
                            folder.rmdir()


def name_run(path: Sources | None = None, preset: str | None = None, env_id: str | None = None) -> str:
    """Return the name of a run without one: that of the environment, or of the first file and any unusual preset."""
    if env_id is not None:
        return re.sub(r"[^\w.-]+", "-", env_id)
    return name_after(path) if preset == USUAL_PRESET else f"{name_after(path)}-{preset}"


def runs_with(file: str) -> list[RunFolder]:
    """Return the folders of the runs that hold a file, by name."""
    return [RunFolder(path) for path in sorted(RUNS.glob("*")) if (path / file).exists()]


def needed_name(folder: Path, file: str) -> str:
    """Return the name of a run for a printed command; empty if no other run holds a file, so that none is needed."""
    return folder.name if any(other.path.name != folder.name for other in runs_with(file)) else ""


def find_run(name: str | None, holding: str) -> RunFolder:
    """Return the folder of a run, by default that of the only one.

    Args:
        name: name of the run.
        holding: file that distinguishes the runs to choose from if no name is given.

    Raises:
        UsageError: it does not exist, or there are several to choose from.
    """
    if name is None:
        found = runs_with(holding)
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(f"{RUNS} holds no run with {holding} yet; start with: pricerl advise FILE")
        listed = ", ".join(shown(run.path.name) for run in found[:MOST_LISTED])
        more = f" and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
        raise UsageError(f"{RUNS} holds {len(found)} runs, {listed}{more}; name one with --run_name")
    folder = RUNS / check_name(name)
    if not folder.is_dir():
        runs = sorted(path.name for path in RUNS.glob("*") if path.is_dir())
        raise UsageError(f"{folder} is not a folder of a run{did_you_mean(name, runs)}")
    return RunFolder(folder)
