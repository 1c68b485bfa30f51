"""Updates and env steps per second on a GPU, plain and compiled, and scaling over devices.

    python benchmarks/gpu.py

An update trains two critics and an actor of [256, 256] on 63 observation columns, with sampling from the replay
buffer. An env step is one decision of one row of ``PricingVectorEnv``. ``devices`` gives updates of all devices
together: each makes the same number, with its own batches, and averages gradients in three messages. The table is
printed once, rates with three digits. Without a GPU everything runs on the CPU, with a note; ``--tiny`` runs small
sizes for a test of the command.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
from bare_module import BareModule
from contestant import ACTION, OBSERVATION, PLAIN
from runner import Option, read_options

from pricerl.env.config import EnvConfig
from pricerl.env.pricing import PricingVectorEnv, default_market
from pricerl.sac.agent import SACAgent
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.replay import ReplayBuffer, Transition

WARM_UP_CALLS = 5
"""Calls before a measurement, of which the first compiles."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of a measurement."""

    batches: tuple[int, ...] = (256, 8_192)
    rows: tuple[int, ...] = (64, 4_096, 65_536)
    seconds: float = 3.0
    capacity: int = 100_000


TINY = Sizes(batches=(8,), rows=(4,), seconds=0.05, capacity=100)


def per_second(function: Callable[[], Any], seconds: float, device: torch.device, count: int = 1) -> float:
    """Return ``count`` times the calls per second, synchronizing with the device only at the beginning and the end."""
    for _ in range(WARM_UP_CALLS):
        function()
    wait(device)
    start, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - start < seconds:
        function()
        calls += 1
    wait(device)
    return count * calls / (time.perf_counter() - start)


def wait(device: torch.device) -> None:
    """Synchronize with the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def make_buffer(sizes: Sizes, device: torch.device, seed: int) -> ReplayBuffer:
    """Return a full buffer of random transitions."""
    buffer, rows = ReplayBuffer(sizes.capacity, OBSERVATION, ACTION, device=device, seed=seed), sizes.capacity
    observation, action = torch.rand(rows, OBSERVATION), torch.rand(rows, ACTION) * 2 - 1
    buffer.add(Transition(observation, action, torch.randn(rows), torch.full((rows,), 0.97), observation))
    return buffer


def make_agent(device: torch.device) -> SACAgent:
    """Return an agent, the same in every process."""
    torch.manual_seed(0)
    return SACAgent(OBSERVATION, ACTION, SACConfig(max_grad_norm=0.0), NetworkConfig(**PLAIN)).to(device)


def updates(kind: str, batch: int, sizes: Sizes, device: torch.device) -> float:
    """Return updates per second."""
    agent, buffer = make_agent(device), make_buffer(sizes, device, seed=0)
    module = BareModule(agent, compiles=kind == "compiled")
    return per_second(lambda: module.update(buffer.sample(batch)), sizes.seconds, device)


def env_steps(kind: str, rows: int, sizes: Sizes, device: torch.device) -> float:
    """Return env steps of all rows per second."""
    env = PricingVectorEnv(rows, default_market().to(device), config=EnvConfig(compile=kind == "compiled"))
    env.reset(seed=0)
    actions = torch.rand(rows, 1, device=device) * 2 - 1
    return per_second(lambda: env.step(actions), sizes.seconds, device, rows)


def share(rank: int, size: int, batch: int, sizes: Sizes, store: str, queue: Any) -> None:
    """Make updates as one of several processes."""
    device = torch.device("cuda", rank) if torch.cuda.is_available() else torch.device("cpu")
    torch.set_num_threads(1)
    backend = "nccl" if device.type == "cuda" else "gloo"
    torch.distributed.init_process_group(backend, init_method=f"file://{store}", rank=rank, world_size=size)
    agent, buffer = make_agent(device), make_buffer(sizes, device, seed=rank)

    module = BareModule(agent)
    module.averages = True
    update = module.update
    count = 10 if sizes == TINY else 300
    for _ in range(WARM_UP_CALLS):
        update(buffer.sample(batch))
    wait(device)
    start = time.perf_counter()
    for _ in range(count):
        update(buffer.sample(batch))
    wait(device)
    if rank == 0:
        queue.put(size * count / (time.perf_counter() - start))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def scaling(size: int, batch: int, sizes: Sizes) -> float:
    """Return the updates per second of ``size`` devices together."""
    context = torch.multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        words = size, batch, sizes, os.path.join(folder, "store"), queue  # noqa: PTH118 (a plain string)
        torch.multiprocessing.spawn(share, words, nprocs=size)  # type: ignore[attr-defined]
    found: float = queue.get()
    return found


def main() -> None:
    options = read_options(__doc__, tiny=Option(False, "small sizes, to test the command"))
    sizes = TINY if options.tiny else Sizes()
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name() if on_gpu else 'CPU'}")
    if not on_gpu:
        print("note: no GPU here; these are rates of the CPU")
    kinds = ["plain", *([] if options.tiny else ["compiled"])]
    warnings.simplefilter("error" if not options.tiny else "default")
    print(f"\n{'':<24}", *(f"{kind:>12}" for kind in kinds))
    for batch in sizes.batches:
        rates = [updates(kind, batch, sizes, device) for kind in kinds]
        print(f"{f'updates/s, batch {batch:,}':<24}", *(f"{rate:>12,.3g}" for rate in rates), flush=True)
    for rows in sizes.rows:
        rates = [env_steps(kind, rows, sizes, device) for kind in kinds]
        print(f"{f'env steps/s, {rows:,} rows':<24}", *(f"{rate:>12,.3g}" for rate in rates), flush=True)
    for size in range(1, max(2, torch.cuda.device_count()) + 1):
        rate = scaling(size, sizes.batches[0], sizes)
        print(f"{f'updates/s, {size} devices':<24} {rate:>12,.3g}", flush=True)


if __name__ == "__main__":
    main()
