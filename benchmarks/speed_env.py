"""What every contestant of ``sac_speed.py`` shares: a cheap env, sizes, the gate between chunks, and the floor.

The env costs one draw of random numbers a step, so that updates and not the simulation are timed. Importing this
module registers it; ``speed_env:Speed-v0`` makes Gymnasium import it when ``benchmarks/`` is on the path.
The floor is the matrix products that no update in this setting can do without.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import gymnasium
import numpy as np
from gymnasium.spaces import Box

if TYPE_CHECKING:
    from torch import Tensor

Tick = Callable[[int, Callable[[], int]], None]
"""Takes the updates since the last call and a function that reads the contestant's own count of all updates."""
Contender = Callable[[Tick], None]
"""Trains until its process ends."""

ENV_ID = "speed_env:Speed-v0"
OBSERVATION, ACTION = 63, 1
"""Widths: seven days of nine features, as pricerl's own env shows them, and one price."""
EPISODE_STEPS = 200
BEST_ACTION = 0.3
"""Where the reward peaks, so that there is something to learn."""

BATCH = 256
HIDDEN = (256, 256)
LEARNING_STARTS = 256
"""Random steps before the first update: one batch."""
CAPACITY = 100_000
"""Transitions in every replay buffer: more than a benchmark fills."""

WARMUP_UPDATES = 600
"""Reports of updates before the first measured one: random steps (256), compilation, caches."""

PATIENCE_SECONDS = 600
"""A contestant that is silent for longer has failed."""

EXACT = 1e-5
"""Error, as a share of the largest result, up to which a product counts as one in full precision."""


class SpeedEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """Random observations and a reward for actions near ``BEST_ACTION``.

    Attributes:
        steps: steps of all instances in this process, by which the benchmark sees that a contestant collects.
    """

    steps = 0

    def __init__(self) -> None:
        self.observation_space = Box(0.0, 1.0, (OBSERVATION,), np.float32)
        self.action_space = Box(-1.0, 1.0, (ACTION,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Start an episode at a random observation."""
        super().reset(seed=seed)
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Reward the action and draw the next observation; the registered time limit ends the episode."""
        SpeedEnv.steps += 1
        return self._observation(), -((float(action[0]) - BEST_ACTION) ** 2), False, False, {}

    def _observation(self) -> np.ndarray:
        return self.np_random.random(OBSERVATION, dtype=np.float32)


gymnasium.register("Speed-v0", SpeedEnv, max_episode_steps=EPISODE_STEPS)


class Gate:
    """Holds a contestant between its chunks: it trains in its own loop and passes here after its updates.

    Args:
        answers: where the parent reads; it writes a line to stdin for each further chunk and closes it at the end.
        updates: of a chunk, at least.
    """

    def __init__(self, answers: TextIO, updates: int) -> None:
        self.answers, self.updates = answers, updates
        self.left = WARMUP_UPDATES
        self.counted_before = self.steps_before = 0
        self.start, self.busy_before = time.perf_counter(), time.process_time()

    def tick(self, updates: int, counted: Callable[[], int]) -> None:
        """Count updates; at the end of a chunk, answer and wait.

        Args:
            updates: made since the last call.
            counted: reads the library's own counter, and waits for what is still being computed.
        """
        self.left -= updates
        if self.left > 0:
            return
        total = counted()
        seconds = time.perf_counter() - self.start
        done, steps = total - self.counted_before, SpeedEnv.steps - self.steps_before
        chunk = {"seconds": seconds, "busy": time.process_time() - self.busy_before, "updates": done, "steps": steps}
        print(json.dumps(chunk), file=self.answers, flush=True)
        if not sys.stdin.readline():
            os._exit(0)  # nothing here is worth a tidy end, and some libraries would take minutes
        self.left, self.counted_before, self.steps_before = self.updates, total, SpeedEnv.steps
        self.start, self.busy_before = time.perf_counter(), time.process_time()


@dataclass
class Contestant:
    """A process that trains when told to, and what it has shown."""

    name: str
    process: subprocess.Popen[bytes] | None = None
    log: Path = Path(os.devnull)
    rates: list[float] = field(default_factory=list)
    """Updates a second, one for each repeat."""
    steps: list[float] = field(default_factory=list)
    """Env steps an update."""
    cores: list[float] = field(default_factory=list)
    """Cores that it kept busy."""
    problem: str = ""

    def train(self) -> None:
        """Let it train a chunk."""
        assert self.process is not None and self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
        chunk = self.answer()
        if chunk:
            self.rates.append(chunk["updates"] / chunk["seconds"])
            self.steps.append(chunk["steps"] / max(chunk["updates"], 1))
            self.cores.append(chunk["busy"] / chunk["seconds"])

    def answer(self) -> dict[str, float] | None:
        """The next answer; None, and a problem, where the process has died or is silent."""
        assert self.process is not None and self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_SECONDS)
        line = self.process.stdout.readline() if ready else b""
        if line:
            return json.loads(line)
        said = [text.strip() for text in self.log.read_text(errors="replace").splitlines() if text.strip()]
        last_words = said[-1] if said else "it died without a word"
        self.problem = f"failed: {last_words if ready else f'silent for {PATIENCE_SECONDS} s'}"
        self.end()
        return None

    def end(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Network:
    """Layers as the products see them, of several networks alike.

    Args:
        widths: of the input, the hidden layers and the output.
        copies: ``N``.
    """

    def __init__(self, widths: tuple[int, ...], copies: int) -> None:
        import torch

        pairs = list(itertools.pairwise(widths))
        self.inputs = [torch.randn(copies, BATCH, wide) for wide, _ in pairs]
        self.weights = [torch.randn(copies, out, wide) for wide, out in pairs]
        self.gradients = [torch.randn(copies, BATCH, out) for _, out in pairs]

    def forward(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Factors of every layer's output."""
        for layer, weight in zip(self.inputs, self.weights, strict=True):
            yield layer, weight.mT

    def weight_gradients(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Factors of the gradients of every layer's weights."""
        for gradient, layer in zip(self.gradients, self.inputs, strict=True):
            yield gradient.mT, layer

    def input_gradients(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Factors of the gradients of the inputs of layer ``first`` and all above it."""
        yield from zip(self.gradients[first:], self.weights[first:], strict=True)


def products_of_an_update() -> list[tuple[Tensor, Tensor]]:
    """Left and right factors, 2-D each, of every matrix product of one SAC update with two critics."""
    actor = Network((OBSERVATION, *HIDDEN, 2 * ACTION), copies=1)
    critics = Network((OBSERVATION + ACTION, *HIDDEN, 1), copies=2)
    slow_critics = Network((OBSERVATION + ACTION, *HIDDEN, 1), copies=2)
    target = [*actor.forward(), *slow_critics.forward()]
    critic_loss = [*critics.forward(), *critics.weight_gradients(), *critics.input_gradients(first=1)]
    actor_loss = [*actor.forward(), *critics.forward(), *critics.input_gradients(first=0)]
    actor_descent = [*actor.weight_gradients(), *actor.input_gradients(first=1)]
    stacked = target + critic_loss + actor_loss + actor_descent
    return [pair for lefts, rights in stacked for pair in zip(lefts, rights, strict=True)]


def megaflop() -> float:
    """Million multiplications and additions of an update's products."""
    return sum(2 * left.numel() * right.shape[1] for left, right in products_of_an_update()) / 1e6


def multiply(tick: Tick, onednn: bool) -> None:
    """Compute an update's products over and over.

    Args:
        tick: told of every round of products.
        onednn: hand fp32 products to oneDNN by allowing it bf16; processors without bf16 matrix units still
            compute them in full precision, many of them faster than torch's default library.

    Raises:
        ArithmeticError: if the products are not exact.
    """
    import torch

    if onednn:
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    products = [(left, right, torch.mm(left, right)) for left, right in products_of_an_update()]
    for left, right, result in products:
        exact = left.double() @ right.double()
        error = float((result - exact).abs().max() / exact.abs().max())
        if error > EXACT:
            raise ArithmeticError(f"products are off by {error:.0e}")
    for done in itertools.count(1):
        for left, right, result in products:
            torch.mm(left, right, out=result)
        tick(1, lambda done=done: done)


FLOORS: dict[str, tuple[str, Contender]] = {
    "floor: torch's default products": ("torch", lambda tick: multiply(tick, onednn=False)),
    "floor: products by oneDNN": ("torch", lambda tick: multiply(tick, onednn=True)),
}
"""The module to look for and the function that multiplies, by the name in the table."""
