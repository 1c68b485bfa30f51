"""Cost of an update as the batch, the ensemble of critics or the replay buffer grows.

Run from the repository root::

    python benchmarks/sac_scaling.py --threads 1

One size grows at a time, from a batch of 256, two critics of [256, 256] and a buffer of 100,000 transitions of 63
observation columns and one action. Every row is a separate process that fills the buffer, compiles, and then samples
and updates. Memory is that of the process minus that of an idle process with torch loaded; cached pages of a
memory-mapped buffer, which the system can reclaim, are counted separately. A buffer above 4 GB, the default of
``model.algorithm.buffer_memory_gb``, is mapped to a file in the temporary folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from contestant import ACTION, OBSERVATION, PLAIN

ROWS_PER_WRITE = 50_000
UPDATES_PER_SAMPLE = 10
SECONDS = 2.0
ROUNDS = 2


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    batch: int = 256
    critics: int = 2
    capacity: int = 100_000


CASES = (
    *(Case(batch=batch) for batch in (64, 128, 256, 512, 1024, 2048, 4096)),
    *(Case(critics=critics) for critics in (3, 5, 10)),
    *(Case(capacity=capacity) for capacity in (10_000, 1_000_000, 10_000_000)),
)


def measure(case: Case, threads: int) -> dict[str, float | bool]:
    """Fill, compile and train in this process."""
    import torch
    import torch._dynamo  # part of the idle process
    from bare_module import BareModule

    from pricerl.runtime import claim_compute
    from pricerl.sac.agent import SACAgent
    from pricerl.sac.config import NetworkConfig, SACConfig
    from pricerl.sac.replay import ReplayBuffer, Transition

    claim_compute(threads)
    torch.manual_seed(0)
    idle = resident("RssAnon")
    config = SACConfig(batch_size=case.batch, buffer_capacity=case.capacity, max_grad_norm=0.0)
    agent = SACAgent(OBSERVATION, ACTION, config, NetworkConfig(num_critics=case.critics, **PLAIN))
    limit = int(config.buffer_memory_gb * 1e9)
    buffer = ReplayBuffer(case.capacity, OBSERVATION, ACTION, device="cpu", seed=0, memory_limit=limit)
    for start in range(0, case.capacity, ROWS_PER_WRITE):
        rows = min(ROWS_PER_WRITE, case.capacity - start)
        observation, action = torch.rand(rows, OBSERVATION), torch.rand(rows, ACTION) * 2 - 1
        reward, discount = torch.randn(rows), torch.full((rows,), config.gamma)
        buffer.add(Transition(observation, action, reward, discount, observation))
    update = BareModule(agent, compiles=True).update
    sampling, updating = [], []
    for _ in range(ROUNDS + 1):
        found = train(buffer, update, case.batch)
        sampling.append(found[0])
        updating.append(found[1])
    sample_ms, update_ms = (1e3 * statistics.median(times[1:]) for times in (sampling, updating))  # first: warm-up
    return {
        "updates_per_second": 1e3 / (sample_ms + update_ms),
        "update_ms": update_ms,
        "sample_ms": sample_ms,
        "memory_mb": (resident("RssAnon") - idle) / 1e6,
        "mapped_mb": resident("RssShmem") / 1e6 + resident("RssFile") / 1e6 if buffer.is_memory_mapped else 0.0,
        "buffer_mb": buffer.nbytes / 1e6,
        "is_mapped": buffer.is_memory_mapped,
    }


def train(buffer, update, batch: int) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Sample and update for ``SECONDS``; return the seconds per update of each."""
    sampling = updating = 0.0
    updates = 0
    while updates == 0 or sampling + updating < SECONDS:
        start = time.perf_counter()
        batches = buffer.sample_many(UPDATES_PER_SAMPLE, batch)
        sampled = time.perf_counter()
        for each in batches:
            update(each)
        sampling += sampled - start
        updating += time.perf_counter() - sampled
        updates += len(batches)
    return sampling / updates, updating / updates


def resident(kind: str) -> int:
    """Return one kind of this process's memory in bytes, from ``/proc/self/status``; 0 if that does not exist."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(Case(**json.loads(options.case)), options.threads)))
        return
    titles = (
        "batch",
        "critics",
        "buffer",
        "updates/s",
        "update ms",
        "sample ms",
        "memory MB",
        "buffer MB",
        "buffer in",
    )
    print("".join(f"{title:>11}" for title in titles))
    for case in CASES:
        words = [sys.executable, __file__, "--threads", str(options.threads), "--case", json.dumps(asdict(case))]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
        found = json.loads(done.stdout)
        where = f"file, {found['mapped_mb']:,.0f} cached" if found["is_mapped"] else "memory"
        print(
            f"{case.batch:>11,}{case.critics:>11}{case.capacity:>11,}{found['updates_per_second']:>11.1f}"
            f"{found['update_ms']:>11.2f}{found['sample_ms']:>11.3f}{found['memory_mb']:>11,.0f}"
            f"{found['buffer_mb']:>11,.0f}   {where}",
            flush=True,
        )


if __name__ == "__main__":
    main()
