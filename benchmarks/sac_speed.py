"""SAC updates per second of pricerl, of other libraries, and of the matrix products alone.

    pip install -e ".[bench]"
    python benchmarks/sac_speed.py --threads 1 2 --repeats 7

All train the same actor and two critics ([256, 256], ReLU, fp32) on the same inexpensive env with batches of 256 and
one update per env step, from Gymnasium env to optimizer step. Each contestant is a separate process, pinned to as many
cores as it has threads. It starts up, fills its buffer, compiles and warms up unmeasured, then waits for the request to
train a chunk. In every repeat all contestants train one chunk after the other, so that slow phases of the machine
affect all of them. The table shows medians over the repeats; ratios are medians of the ratios within a repeat. Updates
are read from each library's counter; ``steps`` are env steps per update, counted by the env, and ``cores`` CPU seconds
per second.

Every library uses its own matrix products: pricerl's command line oneDNN if that is faster and exact, SBX JAX's, and
stable-baselines3 torch's default.

The floor is the time of an update's matrix products alone, computed in full precision with torch's fastest library. The
table names contestants that are not installed or fail. Use no more threads than there are idle cores.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, NoReturn

from contestant import (
    BATCH,
    CAPACITY,
    ENV_ID,
    FLOORS,
    LEARNING_STARTS,
    PEERS,
    TRAINING_STEPS,
    Contender,
    Contestant,
    Gate,
    Tick,
    adam_steps,
    megaflop,
)
from runner import ROOT, Option, own_cores, read_options

BASE = "stable-baselines3"
FASTEST_PEER = "SBX"
"""Prefix of the peers among which the faster one is the reference."""
PACKAGES = ("torch", "jax", "stable-baselines3", "sbx-rl", "lightning")

GYM_CONFIG = ROOT / "configs" / "gym" / "sac.yaml"
UNCOMPILED = "updates run uncompiled"
"""Warning of a failed compilation, which is an error here."""
NAME_WIDTH = 36
UNDISTURBED = 0.9
"""Smallest CPU seconds per second of a contestant on otherwise idle cores."""
THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ONE_JAX_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def pricerl(tick: Tick, *words: str) -> NoReturn:
    """Run ``pricerl fit`` with progress bar and CSV log, without evaluations.

    Args:
        tick: callback after every ``training_step``.
        words: additional command-line options.
    """
    from lightning.pytorch import Callback, Trainer

    from pricerl.cli.main import main as command
    from pricerl.cli.parse import PricingCLI

    class Ticking(Callback):
        seen = 0

        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            new, self.seen = trainer.global_step - self.seen, trainer.global_step
            tick(new, lambda: adam_steps(trainer.optimizers[1]))  # the actor's

    warnings.filterwarnings("error", message=UNCOMPILED)
    instantiate = PricingCLI.instantiate_trainer

    def with_ticks(cli: PricingCLI, **kwargs: Any) -> Trainer:
        trainer = instantiate(cli, **kwargs)
        trainer.callbacks.append(Ticking())  # type: ignore[attr-defined]
        return trainer

    PricingCLI.instantiate_trainer = with_ticks  # type: ignore[method-assign]
    options = {
        "config": GYM_CONFIG,
        "allow": "contestant",
        "data.env_id": ENV_ID,
        "data.eval_every": TRAINING_STEPS,
        "model.algorithm.batch_size": BATCH,
        "model.algorithm.warmup_steps": LEARNING_STARTS,
        "model.algorithm.buffer_capacity": CAPACITY,
        "trainer.max_steps": TRAINING_STEPS,
        "threads": os.environ[THREAD_COUNTS[0]],
    }
    given = [f"--{name}={value}" for name, value in options.items()]
    raise SystemExit(command(["fit", *given, *words]))


COMPILED, EAGER = "--model.compile=on", "--model.compile=off"
DEFAULTS = (
    *("--model.network.input_normalization=true", "--model.network.layer_norm=true", "--model.network.residual=true"),
    *("--model.network.small_init=0.01", "--model.algorithm.max_grad_norm=10"),
)
"""The default networks, without dropout, and the default clipping. Rewards have no bounds here, so values neither."""
PRICERL: dict[str, Contender] = {
    "pricerl compiled": lambda tick: pricerl(tick, COMPILED),
    "pricerl eager": lambda tick: pricerl(tick, EAGER),
    "pricerl as by default, compiled": lambda tick: pricerl(tick, COMPILED, *DEFAULTS),
    "pricerl as by default, eager": lambda tick: pricerl(tick, EAGER, *DEFAULTS),
    "pricerl compiled, medium precision": lambda tick: pricerl(tick, COMPILED, "--matmul_precision=medium"),
}
CONTESTANTS = {**FLOORS, **PEERS, **{name: ("pricerl", contender) for name, contender in PRICERL.items()}}


def serve(name: str, threads: int, updates: int) -> NoReturn:
    """Run one contestant; stdin and stdout connect to the parent, and library output goes to stderr."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, own_cores()[-threads:])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    CONTESTANTS[name][1](Gate(answers, updates).tick)
    raise SystemExit("it stopped training")


def start(name: str, threads: int, updates: int, folder: Path) -> Contestant:
    """Start a contestant in an empty folder and wait for the end of its warm-up."""
    if importlib.util.find_spec(CONTESTANTS[name][0]) is None:
        return Contestant(name, problem="not installed")
    own = folder / str(len(list(folder.iterdir())))
    own.mkdir()
    environment = {**os.environ, **dict.fromkeys(THREAD_COUNTS, str(threads))}
    environment |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "", "FORCE_COLOR": "1"}  # forces a progress bar
    if threads == 1:
        environment["XLA_FLAGS"] = ONE_JAX_THREAD
    words = [sys.executable, str(Path(__file__).resolve()), "--serve", name]
    words += ["--threads", str(threads), "--updates", str(updates)]
    log = own / "log.txt"
    with log.open("wb") as file:
        pipe = subprocess.PIPE
        process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=file, cwd=own, env=environment)
    contestant = Contestant(name, process, log)
    contestant.answer()
    return contestant


def compete(names: list[str], threads: int, repeats: int, updates: int) -> list[Contestant]:
    """Run all contestants in turn."""
    contestants: list[Contestant] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            for name in names:
                print(f"warming up {name}", file=sys.stderr)
                contestants.append(start(name, threads, updates, Path(folder)))
            for repeat in range(repeats):
                print(f"repeat {repeat + 1} of {repeats}", file=sys.stderr)
                for contestant in contestants:
                    if not contestant.problem:
                        contestant.train()
        finally:
            for contestant in contestants:
                contestant.end()
    return contestants


def report(contestants: list[Contestant], threads: int) -> None:
    """Print the table for one number of threads."""
    titles = ("median", "slowest", "fastest", "/ SB3", "/ SBX", "of floor", "cores", "steps")
    print(f"\n{f'{threads} threads, updates/s':<{NAME_WIDTH}}", *(f"{title:>8}" for title in titles))
    measured = {contestant.name: contestant.rates for contestant in contestants if not contestant.problem}
    base = measured.get(BASE)
    peer = _fastest({name: rates for name, rates in measured.items() if name.startswith(FASTEST_PEER)})
    floor = _fastest({name: rates for name, rates in measured.items() if name in FLOORS})
    for contestant in contestants:
        if contestant.problem:
            print(f"{contestant.name:<{NAME_WIDTH}} {contestant.problem}")
            continue
        rates = contestant.rates
        cells = [f"{number:.1f}" for number in (statistics.median(rates), min(rates), max(rates))]
        cells += [_ratio(rates, base, ".2f"), _ratio(rates, peer, ".2f"), _ratio(rates, floor, ".0%")]
        cells += [
            f"{statistics.median(contestant.cores):.2f}",
            f"{statistics.median(contestant.steps):.2f}" if any(contestant.steps) else "-",
        ]
        print(f"{contestant.name:<{NAME_WIDTH}}", *(f"{cell:>8}" for cell in cells))
    if any(min(contestant.cores, default=1.0) < UNDISTURBED for contestant in contestants):
        print("Other work ran on these cores: updates/s are too low, only the ratios are valid.")


def _fastest(measured: dict[str, list[float]]) -> list[float] | None:
    return max(measured.values(), key=statistics.median, default=None)


def _ratio(rates: list[float], others: list[float] | None, form: str) -> str:
    if others is None:
        return "-"
    return format(statistics.median(rate / other for rate, other in zip(rates, others, strict=True)), form)


def versions() -> str:
    """Return the versions of the measured packages."""
    found: list[str] = []
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{package} {importlib.metadata.version(package)}")
    return ", ".join(found)


def main() -> None:
    options = read_options(
        __doc__,
        threads=Option([1], "threads, and cores, of each contestant"),
        repeats=Option(7, "chunks of every contestant; the median is printed"),
        updates=Option(600, "approximate updates in a chunk"),
        only=Option([*CONTESTANTS], "names in the table", CONTESTANTS),
        serve=Option(str, "one contestant, for a parent that asks for chunks", CONTESTANTS),
    )
    if options.serve:
        serve(options.serve, options.threads[0], options.updates)
    if max(options.threads) > len(own_cores()):
        raise SystemExit(f"--threads {max(options.threads)}: there are {len(own_cores())} cores")
    print(versions())
    print(f"floor: {megaflop():.0f} MFLOP per update")
    for threads in options.threads:
        report(compete(options.only, threads, options.repeats, options.updates), threads)


if __name__ == "__main__":
    main()
