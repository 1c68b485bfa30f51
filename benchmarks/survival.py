"""Whether a run survives kills at random moments, and the cost of saving.

    python benchmarks/survival.py kills --count 50 --kind pricing    (or planner, normalized, ranks: two processes)
    python benchmarks/survival.py cost

The benchmark of kills is an undisturbed run: weights, optimizers, generators, env, replay buffer, metrics (but for
seconds) and advice must be the same to the last bit.
"""

from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from runner import MAIN, Option, read_options

from pricerl.cli.main import main as main_of_pricerl
from pricerl.runs.checkpoint import read_saved
from pricerl.runs.folder import RunFolder

SMALL = [
    *("--run_name=run", "--data.num_envs=8", "--data.eval_every=100", "--trainer.max_steps=600"),
    *("--model.network.hidden=[32,32]", "--model.init=scratch", "--model.algorithm.warmup_steps=64"),
    *("--model.algorithm.batch_size=32", "--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu"),
    "--data.seller.days=120",
]
PLAIN = [*SMALL, "--decision.compare_plan=false", "--model.algorithm.actor_horizon=0"]
UNBOUNDED = ["--model.network.residual=false", "--model.network.value_bounds=false"]
KINDS = {
    "pricing": PLAIN,
    "normalized": [*PLAIN, *UNBOUNDED, "--model.network.normalized=true"],
    "ahead": [*SMALL, "--model.algorithm.actor_horizon=2"],
    "ranks": [*PLAIN, "--trainer.devices=2"],
}
"""Short runs of each kind: a seller with plain SAC, with normalized critics, by gradients through the market and
compared with a plan; two processes."""

NOT_COMPARED = ("/loops", "/limits", "pytorch-lightning_version")
"""Parts of a checkpoint that differ by design: Lightning's counters of loops restart with every process."""

MOMENTS = ("anywhere", "anywhere", "save", "publication")
"""Moments of a kill: after a random time, or as soon as files of a save or of a publication appear."""


def fit(folder: Path, kind: str, *words: str) -> subprocess.Popen[str]:
    """Start a training that goes on with what the folder holds."""
    command = [sys.executable, str(MAIN), "fit", *KINDS[kind], "--resume=auto", *words]
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip


def finish(folder: Path, kind: str) -> subprocess.CompletedProcess[str]:
    """Run a training to its end."""
    process = fit(folder, kind)
    out, err = process.communicate(timeout=600)
    return subprocess.CompletedProcess([], process.returncode, out, err)


def differences(one: Path, other: Path) -> list[str]:
    """Return what differs between the current generations of two runs, nothing if they are the same bit for bit."""
    runs = [RunFolder(folder / "checkpoints" / "run") for folder in (one, other)]
    first, second = (run.current.path for run in runs if run.current is not None)
    found = []
    for name in ("best.ckpt", "last.ckpt"):
        found += _compare(name, read_saved(first / name), read_saved(second / name))
    for path in first.glob("rank-*.ckpt"):
        found += _compare(path.name, read_saved(path), read_saved(second / path.name))
    if _metrics(first) != _metrics(second):
        found.append("metrics.csv")
    advice = [run.path / "advice.csv" for run in runs]
    if advice[0].exists() and advice[0].read_bytes() != advice[1].read_bytes():
        found.append("advice.csv")
    return found


def _metrics(generation: Path) -> list[dict[str, str]]:
    with (generation / "metrics.csv").open(newline="") as file:
        return [
            {name: value for name, value in row.items() if value and not name.startswith("time/")}
            for row in csv.DictReader(file)
        ]


def _compare(label: str, one: Any, other: Any) -> list[str]:
    first, second = dict(_leaves(one)), dict(_leaves(other))
    return [
        f"{label}{place}"
        for place in sorted(first.keys() | second.keys())
        if not any(part in place for part in NOT_COMPARED) and not _same(first.get(place), second.get(place))
    ]


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{place}/{name}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{place}/{index}")
    else:
        yield place, value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, (torch.Tensor, np.ndarray)) and type(one) is type(other):
        first, second = np.asarray(one), np.asarray(other)
        return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()
    return bool(one == other) or (one != one and other != other)


def kill(process: subprocess.Popen[str], folder: Path, moment: str, longest: float, chance: random.Random) -> str:
    """Send a random signal at a moment, to the process alone or to its group, and return its name."""
    number = chance.choice([signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
    deadline = time.monotonic() + (chance.uniform(0.3, longest) if moment == "anywhere" else longest)
    patterns = {"save": "checkpoints/run/gen-*/.*.ckpt.part", "publication": "checkpoints/run/.*.part"}
    while process.poll() is None and time.monotonic() < deadline:
        if moment != "anywhere" and next(folder.glob(patterns[moment]), None) is not None:
            time.sleep(chance.uniform(0, 0.02))
            break
        time.sleep(0.002 if moment != "anywhere" else 0.02)
    if process.poll() is None:
        os.killpg(process.pid, number) if number != signal.SIGTERM else process.send_signal(number)
    return signal.Signals(number).name


def run_kills(kind: str, count: int, seed: int) -> int:
    """Kill runs at random moments until each has ended; return how many differ from the undisturbed one."""
    chance, ended, bad = random.Random(seed), Counter[str](), 0
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        started = time.monotonic()
        result = finish(whole, kind)
        longest = time.monotonic() - started
        assert result.returncode in (0, 4), result.stderr
        for trial in range(count):
            folder, names = Path(place) / f"{trial}", []
            for _ in range(chance.choice([1, 1, 2])):
                moment = chance.choice(MOMENTS)
                process = fit(folder, kind)
                name = kill(process, folder, moment, longest, chance)
                _, err = process.communicate(timeout=600)
                names.append(f"{name} {moment} {process.returncode}")
                if "Traceback" in err or "a bug in" in err:
                    print(err)
            result = finish(folder, kind)
            found = differences(whole, folder) if result.returncode in (0, 4) else [result.stderr[-500:]]
            bad += bool(found)
            ended.update(names)
            print(f"{trial + 1:3d} {', '.join(names):60s} {'identical' if not found else found[:4]}", flush=True)
            shutil.rmtree(folder)
    print(f"{kind}: {count - bad} of {count} runs end bit-identical to the undisturbed one")
    for name, number in sorted(ended.items()):
        print(f"  {number:3d} {name}")
    return bad


def run_cost() -> int:
    """Measure the share of saving in the training time at default settings."""
    from pricerl.training.callbacks.checkpoint import RunCheckpoint

    spent: list[float] = []
    saved, started = RunCheckpoint._save, time.perf_counter()

    def timed(self: RunCheckpoint, *args: Any, **settings: Any) -> None:
        before = time.perf_counter()
        saved(self, *args, **settings)
        spent.append(time.perf_counter() - before)

    RunCheckpoint._save = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        words = ["fit", "--run_name=run", "--trainer.enable_progress_bar=false", *PLAIN[-2:]]
        main_of_pricerl(words)
        total = time.perf_counter() - started
        sizes = {found.st_ino: found.st_size for path in Path(place).rglob("*") if (found := path.stat())}
        print(
            f"default settings: {len(spent)} saves of {1000 * np.median(spent):.0f} ms (median), {sum(spent):.2f} s of "
            f"{total:.1f} s, {sum(spent) / total:.1%}; the run's folder holds {sum(sizes.values()) / 1e6:.0f} MB"
        )
    return 0


def main() -> int:
    """Run one of the measurements."""
    options = read_options(
        __doc__,
        commands=("kills", "cost"),
        kind=Option("pricing", choices=KINDS),
        count=50,
        seed=0,
    )
    if options.command == "kills":
        return run_kills(options.kind, options.count, options.seed)
    return run_cost()


if __name__ == "__main__":
    sys.exit(main())
