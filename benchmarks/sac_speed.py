"""SAC updates per second of pricerl, of other libraries, and of the matrix products alone.

Run from the repository root::

    pip install -e ".[bench]"
    python benchmarks/sac_speed.py --threads 1 2 --repeats 7

All train the same actor and two critics ([256, 256], ReLU, fp32) on the same inexpensive env with batches of 256 and
one update per env step, from Gymnasium env to optimizer step. Each contestant is a separate process, pinned to as many
cores as it has threads. It starts up, fills its buffer, compiles and warms up unmeasured, then waits for the request to
train a chunk. In every repeat all contestants train one chunk after the other, so that slow phases of the machine
affect all of them. The table shows medians over the repeats; ratios are medians of the ratios within a repeat. Updates
are read from each library's counter; ``steps`` are env steps per update, counted by the env, and ``cores`` CPU seconds
per second.

Every library uses its own matrix products: pricerl's command line oneDNN if that is faster and exact, SBX those of JAX,
the others torch's default.

The floor is the time of an update's matrix products alone, computed in full precision with torch's fastest library. The
table names contestants that are not installed or fail. Use no more threads than there are idle cores.
"""

from __future__ import annotations

import argparse
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
    HIDDEN,
    LEARNING_STARTS,
    PLAIN,
    Contender,
    Contestant,
    Gate,
    Tick,
    megaflop,
)
from peers import PEERS, SBX_BURST, TRAINING_STEPS, adam_steps

BASE = "stable-baselines3"
FASTEST_PEER = "SBX"
"""Prefix of the peers among which the faster one is the reference."""
PACKAGES = ("torch", "jax", "stable-baselines3", "sbx-rl", "torchrl", "tianshou", "skrl", "lightning")

GYM_CONFIG = Path(__file__).resolve().parent.parent / "configs" / "gym" / "sac.yaml"
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


def bare_loop(tick: Tick) -> None:
    """Run pricerl's env, collector, replay buffer and compiled update in a plain loop, without Lightning."""
    import torch
    from bare_module import BareModule
    from torch import Tensor

    from pricerl.env.gym_adapter import GymVectorEnv
    from pricerl.runtime import claim_compute
    from pricerl.sac.agent import SACAgent
    from pricerl.sac.config import NetworkConfig, SACConfig
    from pricerl.training.collector import Collector

    claim_compute(int(os.environ[THREAD_COUNTS[0]]))
    warnings.filterwarnings("error", message=UNCOMPILED)
    torch.manual_seed(0)
    env = GymVectorEnv(ENV_ID)
    config = SACConfig(max_grad_norm=0.0, batch_size=BATCH, warmup_steps=LEARNING_STARTS, buffer_capacity=CAPACITY)

    class Agent(SACAgent):
        step_discount = config.gamma

        def observe_returns(self, returns: Tensor) -> None:
            """Keep no statistics: the rewards are not scaled."""

    agent = Agent(env.observation_dim, env.action_dim, config, NetworkConfig(hidden=HIDDEN, **PLAIN))
    module = BareModule(agent, compiles=True)
    collector = Collector(env, config, seed=0)
    collector.warm_up(agent)
    while True:
        collector.collect(agent, config.updates_per_iteration)
        for batch in collector.buffer.sample_many(config.updates_per_iteration, BATCH):
            module.update(batch)
        tick(config.updates_per_iteration, lambda: adam_steps(module.bare_optimizers[1]))


COMPILED, EAGER = "--model.compile=on", "--model.compile=off"
FULL = (
    "--model.network.input_normalization=true",
    "--model.network.layer_norm=true",
    "--model.network.residual=true",
    "--model.network.actor_dropout=0.05",
    "--model.network.critic_dropout=0.05",
)
"""Network features that the peers lack: input normalization, LayerNorm, residual connections and dropout."""
DEFAULTS = (*FULL[:3], "--model.network.small_init=0.01", "--model.algorithm.max_grad_norm=10")
"""The default networks, without dropout, and the default clipping. Rewards have no bounds here, so values neither."""
PRICERL: dict[str, Contender] = {
    "pricerl compiled": lambda tick: pricerl(tick, COMPILED),
    f"pricerl compiled, {SBX_BURST} updates per step": lambda tick: pricerl(
        tick, COMPILED, f"--model.algorithm.updates_per_iteration={SBX_BURST}"
    ),
    "pricerl eager": lambda tick: pricerl(tick, EAGER),
    "pricerl as by default, compiled": lambda tick: pricerl(tick, COMPILED, *DEFAULTS),
    "pricerl as by default, eager": lambda tick: pricerl(tick, EAGER, *DEFAULTS),
    "pricerl full, compiled": lambda tick: pricerl(tick, COMPILED, *FULL),
    "pricerl full, eager": lambda tick: pricerl(tick, EAGER, *FULL),
    "pricerl compiled, medium precision": lambda tick: pricerl(tick, COMPILED, "--matmul_precision=medium"),
    "pricerl bare loop": bare_loop,
}
CONTESTANTS = {**FLOORS, **PEERS, **{name: ("pricerl", contender) for name, contender in PRICERL.items()}}


def serve(name: str, threads: int, updates: int) -> NoReturn:
    """Run one contestant; stdin and stdout connect to the parent, and library output goes to stderr."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
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
    print(f"\n{f'{threads} threads, updates/s' if threads > 1 else '1 thread, updates/s':<{NAME_WIDTH}}", end="")
    print(*(f"{title:>8}" for title in titles))
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
        print(f"{contestant.name:<{NAME_WIDTH}}", end="")
        print(*(f"{cell:>8}" for cell in cells))
    with_lightning, bare = measured.get("pricerl compiled"), measured.get("pricerl bare loop")
    if with_lightning and bare:
        cost = statistics.median(1 / slow - 1 / quick for slow, quick in zip(with_lightning, bare, strict=True))
        share = statistics.median(1 - slow / quick for slow, quick in zip(with_lightning, bare, strict=True))
        print(f"Lightning's own cost: {1e3 * cost:.2f} ms per update, {share:.1%} (compiled against bare loop)")
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


def parse() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="threads, and cores, of each contestant")
    parser.add_argument("--repeats", type=int, default=7, help="chunks of every contestant; the median is printed")
    parser.add_argument("--updates", type=int, default=600, help="approximate updates in a chunk")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, metavar="NAME", help=", ".join(CONTESTANTS))
    parser.add_argument("--serve", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if max(options.threads) > cores:
        parser.error(f"--threads {max(options.threads)}: there are {cores} cores")
    return options


def main() -> None:
    options = parse()
    if options.serve:
        serve(options.serve, options.threads[0], options.updates)
    print(versions())
    print(f"floor: {megaflop():.0f} MFLOP per update")
    for threads in options.threads:
        report(compete(options.only or list(CONTESTANTS), threads, options.repeats, options.updates), threads)


if __name__ == "__main__":
    main()
