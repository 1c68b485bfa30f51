"""Generation of a run: the folder that one ``fit`` writes, immutable once it has a manifest.

::

    gen-0007/
        manifest.json          size and checksum of every file
        best.ckpt, last.ckpt   links into ``saves``
        saves/00000250/        run.ckpt and one rank-N.state per process
        replay/                segments of the replay buffer
        published/             sets of advice
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pricerl.errors import CheckpointError
from pricerl.writing import MANIFEST, PUBLISHED, explained, hash_file, point, sync_folder, write_file

LAST, BEST, CONFIG, METRICS_FILE = "last.ckpt", "best.ckpt", "config.yaml", "metrics.csv"
SAVES, REPLAY, RUN_FILE = "saves", "replay", "run.ckpt"
MANIFEST_FORMAT = 1

LATER = (MANIFEST, PUBLISHED, "wandb")
"""Names in a generation that its manifest leaves out: advice is added later, in sets with manifests of their own."""


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
        """Write the manifest, with a checksum of every file; unused saves and unfinished files are removed first.

        Raises:
            UsageError: it cannot be written; the generation stays incomplete.
        """
        with explained(self.path, "the earlier generation stays in use; go on with fit --ckpt_path last"):
            self._write_manifest()

    def _write_manifest(self) -> None:
        for part in self.path.rglob(".*.part"):
            shutil.rmtree(part) if part.is_dir() else part.unlink()
        files: dict[str, dict[str, str | int]] = {
            name: {"link": str((self.path / name).readlink())}
            for name in (BEST, LAST)
            if (self.path / name).is_symlink()
        }
        for file in sorted(self.path.rglob("*")):
            name = file.relative_to(self.path)
            if file.is_file() and not file.is_symlink() and name.parts[0] not in LATER:
                files[name.as_posix()] = {"bytes": file.stat().st_size, "sha256": hash_file(file)}
        content = {"format": MANIFEST_FORMAT, "generation": self.name, "files": files}
        write_file(self.path / MANIFEST, (json.dumps(content, indent=1) + "\n").encode())

    def verify(self) -> None:
        """Compare every file with the manifest.

        Raises:
            CheckpointError: the manifest is absent or damaged, or files are missing or changed; all are named.
        """
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
        if "link" in entry:
            target = file.parent / entry["link"]
            same = str(file.readlink()) == entry["link"] if file.is_symlink() else file.is_file()
            return "" if same and hash_file(file) == hash_file(target) else "is not the link it was"
        if not file.is_file():
            return "is missing"
        return "" if hash_file(file) == entry["sha256"] else "was changed"

    def saves(self) -> list[Path]:
        """Return the folders of complete saves, the newest last."""
        found = (self.path / SAVES).glob("[0-9]*")
        return sorted(path for path in found if (path / RUN_FILE).exists())

    @contextlib.contextmanager
    def saving(self, update: int, leads: bool = True) -> Iterator[Path]:
        """Yield the folder of a new save, which appears under its name once all processes have filled it.

        Args:
            update: number of gradient updates made.
            leads: whether this process moves the folder into place; the others only write into it.
        """
        folder = self.save_folder(update)
        part = folder.with_name(f".{folder.name}.part")
        part.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            if leads:
                sync_folder(part)
                if folder.exists():  # left by a process that was killed before it could name it
                    shutil.rmtree(folder)
                part.rename(folder)
                sync_folder(folder.parent)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def save_folder(self, update: int) -> Path:
        """Return the folder of the save of an update, which need not exist."""
        return self.path / SAVES / f"{update:08d}"

    def name_save(self, name: str, update: int) -> None:
        """Point ``best.ckpt`` or ``last.ckpt`` to the save of an update."""
        point(self.path / name, f"{SAVES}/{self.save_folder(update).name}/{RUN_FILE}")

    def discard(self) -> None:
        """Remove a generation that holds no save and no metrics."""
        metrics = self.path / METRICS_FILE
        if self.saves() or self.is_complete or (metrics.exists() and metrics.stat().st_size):
            return
        shutil.rmtree(self.path, ignore_errors=True)

    def keep_saves(self, updates: Collection[int]) -> None:
        """Remove all saves but those of these updates."""
        kept = {self.save_folder(update).name for update in updates}
        for folder in self.saves():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
