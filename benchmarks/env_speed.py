"""Env steps a second: ``PricingVectorEnv`` beside Gymnasium's ``SyncVectorEnv`` of single ``PricingEnv``.

Run from the repository root::

    python benchmarks/env_speed.py --repeats 7 --threads 2

An env step is one decision of one row; with the default guardrails it simulates three days. Every repeat times all
envs one after the other, so that a machine that slows down slows all of them; the medians over the repeats are
printed, after a warm-up of each env. Pick no more threads than idle cores: a thread that waits for a busy
core makes every operation wait with it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from gymnasium.vector import SyncVectorEnv

from pricerl.env import PricingEnv, PricingVectorEnv
from pricerl.env.pricing import default_market
from pricerl.market import Market

BATCHES = (16_384, 1_024, 64)
SYNC_ENVS = 64
SECONDS_A_REPEAT = 0.5
WARMUP_STEPS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="timings of every env; the median is printed")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch threads")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    report(measure(build_steppers(default_market()), options.repeats))


def build_steppers(market: Market) -> dict[str, tuple[int, int, Callable[[], Any]]]:
    """Name, rows, days a step and a function that makes one step of all rows."""
    steppers: dict[str, tuple[int, int, Callable[[], Any]]] = {}
    for rows in BATCHES:
        env = PricingVectorEnv(rows, market)
        steppers[f"PricingVectorEnv, {rows:,} rows"] = rows, env.dynamics.days_per_step, stepper(env, rows)
    sync = SyncVectorEnv([lambda: PricingEnv(market)] * SYNC_ENVS)
    steppers[f"SyncVectorEnv of {SYNC_ENVS} PricingEnv"] = (
        SYNC_ENVS,
        env.dynamics.days_per_step,
        stepper(sync, SYNC_ENVS, as_numpy=True),
    )
    return steppers


def stepper(env: Any, rows: int, as_numpy: bool = False) -> Callable[[], Any]:
    """Step ``env`` with random actions drawn beforehand; both kinds of env start anew by themselves."""
    actions = torch.rand(rows, 1) * 2 - 1
    chosen = actions.numpy() if as_numpy else actions
    env.reset(seed=0)
    for _ in range(WARMUP_STEPS):
        env.step(chosen)
    return lambda: env.step(chosen)


def measure(steppers: dict[str, tuple[int, int, Callable[[], Any]]], repeats: int) -> dict[str, tuple[float, int]]:
    """Median env steps a second of each env, timed in turn, and its days a step."""
    rates: dict[str, list[float]] = {name: [] for name in steppers}
    for _ in range(repeats):
        for name, (rows, _, step) in steppers.items():
            rates[name].append(rows * steps_a_second(step))
    return {name: (statistics.median(rates[name]), days) for name, (_, days, _) in steppers.items()}


def steps_a_second(step: Callable[[], Any]) -> float:
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS_A_REPEAT:
        step()
        steps += 1
    return steps / (time.perf_counter() - start)


def report(rates: dict[str, tuple[float, int]]) -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, cpu")
    print(f"{'env':<32} {'env steps/s':>14} {'days/s':>14} {'ratio':>8}")
    *_, (one_by_one, _) = rates.values()
    for name, (rate, days) in rates.items():
        print(f"{name:<32} {rate:>14,.0f} {rate * days:>14,.0f} {rate / one_by_one:>8,.0f}")


if __name__ == "__main__":
    main()
