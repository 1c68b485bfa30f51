"""Env steps a second: ``PricingVectorEnv`` beside Gymnasium's ``SyncVectorEnv`` of single ``PricingEnv``.

Run from the repository root::

    python benchmarks/env_speed.py --repeats 7 --threads 2

An env step is one decision of one row, with noise and everything else at its default: a day with absolute actions, the
days of the minimum hold (three) with steps. Every repeat times all envs one after the other, each for whole episodes,
so that starting anew counts and a machine that slows down slows all of them; the medians over the repeats are printed,
after a warm-up. The cost of a row must not grow with the batch: see ``ns a row``. ``ratio`` is over ``SyncVectorEnv``
with the same action; ``compiled`` is ``EnvConfig(compile=True)``. Pick no more threads than idle cores: a thread that
waits for a busy core makes every operation wait with it.
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

from pricerl.env import EnvConfig, PricingEnv, PricingVectorEnv
from pricerl.env.pricing import default_market
from pricerl.market import Market

BATCHES = (64, 1_024, 4_096, 16_384, 65_536)
ACTIONS = ("absolute", "step")
SINGLES, SYNC_ENVS = "SyncVectorEnv", 64
SECONDS_A_REPEAT = 0.3


class Contestant(NamedTuple):
    """An env with what its rate must be counted in."""

    name: str
    action: str
    rows: int
    days_per_step: int
    steps: int
    """Of an episode."""
    step: Callable[[], Any]
    """Steps all rows once."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="timings of every env; the median is printed")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="torch threads")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    report(measure(build_contestants(default_market()), options.repeats))


def build_contestants(market: Market) -> list[Contestant]:
    """Both kinds of action; per kind, the single envs first, which the batches are compared with."""
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
    """Step ``env`` with random actions drawn beforehand; both kinds of env start anew by themselves."""
    actions = torch.rand(rows, 1) * 2 - 1
    chosen = actions.numpy() if isinstance(env, SyncVectorEnv) else actions
    env.reset(seed=0)
    return lambda: env.step(chosen)


def measure(contestants: list[Contestant], repeats: int) -> list[tuple[Contestant, float]]:
    """Every contestant with its median env steps a second, timed in turn."""
    rates: list[list[float]] = [[] for _ in contestants]
    for repeat in range(repeats + 1):
        for contestant, found in zip(contestants, rates, strict=True):
            rate = contestant.rows * steps_a_second(contestant)
            if repeat:  # the first round is the warm-up
                found.append(rate)
    return [(item, statistics.median(found)) for item, found in zip(contestants, rates, strict=True)]


def steps_a_second(contestant: Contestant) -> float:
    """Rate over whole episodes, at least one."""
    steps, start = 0, time.perf_counter()
    while steps == 0 or time.perf_counter() - start < SECONDS_A_REPEAT:
        for _ in range(contestant.steps):
            contestant.step()
        steps += contestant.steps
    return steps / (time.perf_counter() - start)


def report(results: list[tuple[Contestant, float]]) -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, cpu")
    print(f"{'env':<18} {'action':<10} {'rows':>7} {'env steps/s':>12} {'days/s':>12} {'ns a row':>9} {'ratio':>7}")
    one_by_one = 1.0
    for item, rate in results:
        if item.name == SINGLES:
            one_by_one = rate
        print(
            f"{item.name:<18} {item.action:<10} {item.rows:>7,} {rate:>12,.0f} {rate * item.days_per_step:>12,.0f} "
            f"{1e9 / rate:>9,.0f} {rate / one_by_one:>7,.0f}"
        )


if __name__ == "__main__":
    main()
