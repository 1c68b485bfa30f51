"""Whether a run survives a fault at every write, flush, rename, link and new folder, one after the other.

    python benchmarks/faults.py           (the operation fails as on a full disk)
    python benchmarks/faults.py --die     (the process dies there, half of a write done)

The writes of SQLite itself do not count. Before each fault, a run has published a generation, which must stay readable.
Afterwards the faulted run goes on, and must be the undisturbed one, see survival.py.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from runner import Option, read_options
from survival import KINDS, differences

from pricerl.cli.main import main as main_of_pricerl
from pricerl.operations.log.decision_log import LOG_FILE, verify
from pricerl.operations.shop import Shop
from pricerl.runs.checkpoint import read_saved
from pricerl.runs.folder import RunFolder


class Faults:
    """Failure of one operation on files below a folder: every write, flush, rename, link and new folder counts.

    Args:
        folder: folder whose files count.
        at: number of the operation that fails; 0 to count only.
        dies: whether the process dies there, half of a write done, instead of getting an error.
    """

    def __init__(self, folder: Path, at: int, dies: bool) -> None:
        self.folder, self.at, self.dies, self.count = folder.resolve(), at, dies, 0

    def note(self, name: str, path: Any = None, half: Callable[[], object] = lambda: None) -> None:
        """Count an operation, and let it fail if it is its turn."""
        if path is not None and self.folder not in Path.cwd().joinpath(path).parents:
            return
        self.count += 1
        if self.count == self.at:
            half()
            if self.dies:
                os._exit(99)
            named = () if path is None else (str(path),)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *named)

    def install(self) -> None:
        """Wrap the functions of this process."""
        for name in ("replace", "rename", "link", "mkdir"):
            place = 1 if name in ("replace", "link") else 0
            setattr(os, name, self._wrapped(getattr(os, name), name, place))
        fsync, opened = os.fsync, io.open

        def synced(file: int) -> None:
            self.note("fsync")
            fsync(file)

        def open_file(path: Any, mode: str = "r", *rest: Any, **settings: Any) -> Any:
            if not set(mode) & set("wax+") or not isinstance(path, (str, os.PathLike)):
                return opened(path, mode, *rest, **settings)
            self.note("open", path)
            return Written(opened(path, mode, *rest, **settings), self, path)

        os.fsync, io.open, builtins.open = synced, open_file, open_file  # type: ignore[assignment]

    def _wrapped(self, function: Callable[..., Any], name: str, place: int) -> Callable[..., Any]:
        def call(*args: Any, **settings: Any) -> Any:
            self.note(name, args[place])
            return function(*args, **settings)

        return call


class Written:
    """Open file whose writes are counted."""

    def __init__(self, file: Any, faults: Faults, path: Any) -> None:
        self.file, self.faults, self.path = file, faults, path

    def write(self, content: Any) -> Any:
        """Write, or half of it."""

        def half() -> None:
            self.file.write(content[: len(content) // 2])
            self.file.flush()

        self.faults.note("write", self.path, half)
        return self.file.write(content)

    def __enter__(self) -> Written:
        self.file.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self.file.__exit__(*error)

    def __iter__(self) -> Any:
        return iter(self.file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


BRIEF = ["--data.eval_every=20", "--trainer.max_steps=40"]
"""Shorter runs, since every operation of one is made to fail in turn."""


def in_child(folder: Path, words: list[str], faults: Faults | None = None) -> tuple[int, str, int]:
    """Run a command in a forked process; return exit code, standard error and the number of operations."""
    log = folder / "child.txt"
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        out = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(out, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        torch.set_num_threads(1)
        if faults is not None:
            faults.install()
        code = main_of_pricerl(words)
        sys.stderr.flush()
        os.write(out, f"\noperations {0 if faults is None else faults.count}".encode())
        os._exit(code)
    _, status = os.waitpid(child, 0)
    text = log.read_text(errors="replace") if log.exists() else ""
    said, _, count = text.rpartition("\noperations ")
    return os.waitstatus_to_exitcode(status), said if count else text, int(count) if count.isdigit() else 0


def run_faults(dies: bool, first: int, step: int) -> int:
    """Let each operation on files fail, one after the other; return how many ended badly."""
    words = ["fit", *KINDS["pricing"], *BRIEF]
    bad = 0
    with tempfile.TemporaryDirectory() as place:
        before, whole = Path(place) / "before", Path(place) / "whole"
        before.mkdir()
        assert in_child(before, words)[0] in (0, 4), "the earlier run"
        shutil.copytree(before, whole)
        code, said, total = in_child(whole, [*words, "--seed_everything=1"], Faults(whole, 0, dies))
        assert code in (0, 4), said
        for at in range(first, total + 1, step):
            folder = Path(place) / f"{at}"
            shutil.copytree(before, folder)
            code, said, _ = in_child(folder, [*words, "--seed_everything=1"], Faults(folder, at, dies))
            problems = _after_fault(folder, code, said, dies)
            if code not in (0, 4):
                goes_on = ["--resume=auto"] if (folder / "checkpoints/run/gen-0002").exists() else []
                code, again, _ = in_child(folder, [*words, "--seed_everything=1", *goes_on])
                problems += [] if code in (0, 4) else [f"does not go on: {again[-300:]}"]
            problems += differences(whole, folder) if not problems else []
            bad += bool(problems)
            print(f"{at:4d} of {total}: {said.strip()[-220:] or 'harmless'} {problems or ''}", flush=True)
            shutil.rmtree(folder)
    print(f"{'deaths' if dies else 'errors'}: {bad} of {len(range(first, total + 1, step))} end badly")
    return bad


def _after_fault(folder: Path, code: int, said: str, dies: bool) -> list[str]:
    """Return what is wrong right after a fault: an earlier file lost, an unreadable state, or a traceback."""
    found = []
    if "Traceback" in said or (not dies and code not in (0, 4) and said.count("error: ") != 1):
        found.append(f"not one sentence: {said[-500:]}")
    run = folder / "checkpoints" / "run"
    Shop.read(RunFolder(run)).find_model("gen-0001")
    for name in ("best.ckpt", "last.ckpt"):
        read_saved(run / name)
    for name in ("advice.csv", "advice.json", "report.html", "metrics.csv", "config.yaml"):
        if not (run / name).read_bytes():
            found.append(f"{name} is empty")
    verify(run / LOG_FILE)
    return found


def main() -> int:
    """Run the measurement."""
    options = read_options(
        __doc__,
        die=Option(False, "the process dies instead of getting an error"),
        first=Option(1, "begin with this operation"),
        step=Option(1, "only every n-th operation"),
    )
    return run_faults(options.die, options.first, options.step)


if __name__ == "__main__":
    sys.exit(main())
