"""Env steps per second of ``PricingVectorEnv`` and of Gymnasium's ``SyncVectorEnv`` of single ``PricingEnv``.

Run from the repository root::

    python benchmarks/env_speed.py --repeats 7 --threads 2

An env step is one decision of one row, with noise and default settings: one day with absolute actions, the days of the
minimum hold (three) with steps. After a warm-up, every repeat times all envs one after the other, each for whole
episodes, so that resets count and slow phases of the machine affect all of them. The table shows medians over the
repeats. The cost per row (``ns per row``) must not grow with the batch. ``ratio`` is relative to ``SyncVectorEnv`` with
the same action; ``compiled`` is ``EnvConfig(compile=True)``. Use no more threads than there are idle cores: one thread
that waits for a busy core delays every operation.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from gymnasium.vector import SyncVectorEnv

from pricerl.env.config import EnvConfig
from pricerl.env.pricing import PricingEnv, PricingVectorEnv, default_market
from pricerl.market.market import Market

BATCHES = (64, 1_024, 4_096, 16_384, 65_536)
ACTIONS = ("absolute", "step")
SINGLES, SYNC_ENVS = "SyncVectorEnv", 64
SECONDS_PER_REPEAT = 0.3


class Contestant(NamedTuple):
    """Env with the sizes needed for its rate."""

    name: str
    action: str
    rows: int
    days_per_step: int
    steps: int
    """Steps per episode."""
    step: Callable[[], Any]
    """Function that steps all rows once."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="timings of every env; the median is printed")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch threads")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    report(measure(build_contestants(default_market()), options.repeats))


def build_contestants(market: Market) -> list[Contestant]:
    """Return all envs for both types of action, each starting with the single envs as reference."""
    contestants = []
    for action in ACTIONS:
        config = EnvConfig(action=action)
        singles = SyncVectorEnv([lambda config=config: PricingEnv(market, config=config)] * SYNC_ENVS)
        envs: list[tuple[str, int, Any]] = [(SINGLES, SYNC_ENVS, singles)]
        for name, compiled in (("PricingVectorEnv", False), ("compiled", True)):
            own = replace(config, compile=compiled)
            envs += [(name, rows, PricingVectorEnv(rows, market, config=own)) for rows in BATCHES]
        days = envs[-1][2].dynamics.days_per_step
        steps = math.ceil(config.horizon / days)
        contestants += [Contestant(name, action, rows, days, steps, stepper(env, rows)) for name, rows, env in envs]
    return contestants


def stepper(env: Any, rows: int) -> Callable[[], Any]:
    """Return a function that steps ``env`` with fixed random actions; both types of env reset automatically."""
    actions = torch.rand(rows, 1) * 2 - 1
    chosen = actions.numpy() if isinstance(env, SyncVectorEnv) else actions
    env.reset(seed=0)
    return lambda: env.step(chosen)


def measure(contestants: list[Contestant], repeats: int) -> list[tuple[Contestant, float]]:
    """Time all contestants in turn; return each with its median of env steps per second."""
    rates: list[list[float]] = [[] for _ in contestants]
    for repeat in range(repeats + 1):
        for contestant, found in zip(contestants, rates, strict=True):
            rate = contestant.rows * steps_per_second(contestant)
            if repeat:  # the first round is the warm-up
                found.append(rate)
    return [(item, statistics.median(found)) for item, found in zip(contestants, rates, strict=True)]


def steps_per_second(contestant: Contestant) -> float:
    """Return the rate over whole episodes, at least one."""
    steps, start = 0, time.perf_counter()
    while steps == 0 or time.perf_counter() - start < SECONDS_PER_REPEAT:
        for _ in range(contestant.steps):
            contestant.step()
        steps += contestant.steps
    return steps / (time.perf_counter() - start)


def report(results: list[tuple[Contestant, float]]) -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, cpu")
    print(f"{'env':<18} {'action':<10} {'rows':>7} {'env steps/s':>12} {'days/s':>12} {'ns per row':>10} {'ratio':>7}")
    one_by_one = 1.0
    for item, rate in results:
        if item.name == SINGLES:
            one_by_one = rate
        print(
            f"{item.name:<18} {item.action:<10} {item.rows:>7,} {rate:>12,.0f} {rate * item.days_per_step:>12,.0f} "
            f"{1e9 / rate:>10,.0f} {rate / one_by_one:>7,.0f}"
        )


if __name__ == "__main__":
    main()
