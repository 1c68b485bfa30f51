"""Common setting of the contestants of ``sac_speed.py``: env, sizes, the barrier between chunks, and the floor.

An env step only draws random numbers, so what is measured is the time of updates, not of simulation. Importing this
module registers the env; ``contestant:Speed-v0`` makes Gymnasium import it if ``benchmarks/`` is on the path.
The floor is the time of the matrix products that every update in this setting needs. A peer runs another library's
training loop until its process ends and reports updates to ``tick``. It learns its temperature.
"""

from __future__ import annotations

import contextlib
import functools
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
"""Callback with the number of updates since the last call and a function that reads the contestant's counter."""
Contender = Callable[[Tick], None]
"""Function that trains until its process ends."""

ENV_ID = "contestant:Speed-v0"
OBSERVATION, ACTION = 63, 1
"""Widths of observation (seven days of nine features, as in pricerl's env) and action (one price)."""
EPISODE_STEPS = 200
BEST_ACTION = 0.3
"""Action with the highest reward."""

BATCH = 256
HIDDEN = (256, 256)
PLAIN: dict[str, Any] = {
    "input_normalization": False,
    "layer_norm": False,
    "residual": False,
    "value_bounds": False,
    "small_init": 1.0,
}
"""Fields of ``NetworkConfig`` that make pricerl's networks plain perceptrons, like the peers'."""
LEARNING_STARTS = 256
"""Random steps before the first update: one batch."""
CAPACITY = 100_000
"""Capacity of every replay buffer in transitions, more than a benchmark stores."""

WARMUP_UPDATES = 600
"""Unmeasured updates at the start, which cover random steps (256), compilation and cache warm-up."""

PATIENCE_SECONDS = 600
"""Timeout of a contestant's answer."""

TRAINING_STEPS = 1_000_000
"""Nominal length of every library's run; the benchmark ends it earlier."""
SBX_BURST = 64
"""Updates in one jitted loop of SBX's faster form."""


class SpeedEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """Random observations and a reward for actions near ``BEST_ACTION``.

    Attributes:
        steps: steps of all instances in this process, as proof that a contestant collects data.
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
    """Barrier between the chunks of a contestant, which trains in its own loop and calls ``tick`` after its updates.

    Args:
        answers: stream to the parent, which writes a line to stdin per further chunk and closes it at the end.
        updates: fewest updates per chunk.
    """

    def __init__(self, answers: TextIO, updates: int) -> None:
        self.answers, self.updates = answers, updates
        self.left = WARMUP_UPDATES
        self.counted_before = self.steps_before = 0
        self.start, self.busy_before = time.perf_counter(), time.process_time()

    def tick(self, updates: int, counted: Callable[[], int]) -> None:
        """Count updates; at the end of a chunk, answer and wait.

        Args:
            updates: number since the last call.
            counted: function that waits for pending computations and reads the library's counter.
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
            os._exit(0)  # some libraries would take minutes to exit regularly
        self.left, self.counted_before, self.steps_before = self.updates, total, SpeedEnv.steps
        self.start, self.busy_before = time.perf_counter(), time.process_time()


@dataclass
class Contestant:
    """Process that trains on request, and its results."""

    name: str
    process: subprocess.Popen[bytes] | None = None
    log: Path = Path(os.devnull)
    rates: list[float] = field(default_factory=list)
    """Updates per second, per repeat."""
    steps: list[float] = field(default_factory=list)
    """Env steps per update."""
    cores: list[float] = field(default_factory=list)
    """CPU seconds per second."""
    problem: str = ""

    def train(self) -> None:
        """Request one chunk of training."""
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
        """Return the next answer; None, with ``problem`` set, if the process has died or does not answer."""
        assert self.process is not None and self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_SECONDS)
        line = self.process.stdout.readline() if ready else b""
        if line:
            return json.loads(line)
        lines = [text.strip() for text in self.log.read_text(errors="replace").splitlines() if text.strip()]
        last = lines[-1] if lines else "it ended without a message"
        self.problem = f"failed: {last if ready else f'no answer for {PATIENCE_SECONDS} s'}"
        self.end()
        return None

    def end(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Network:
    """Inputs, weights and gradients of all layers of several networks of one shape.

    Args:
        widths: widths of input, hidden layers and output.
        copies: number of networks.
    """

    def __init__(self, widths: tuple[int, ...], copies: int) -> None:
        import torch

        pairs = list(itertools.pairwise(widths))
        self.inputs = [torch.randn(copies, BATCH, wide) for wide, _ in pairs]
        self.weights = [torch.randn(copies, out, wide) for wide, out in pairs]
        self.gradients = [torch.randn(copies, BATCH, out) for _, out in pairs]

    def forward(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Return the factors of every layer's output."""
        for layer, weight in zip(self.inputs, self.weights, strict=True):
            yield layer, weight.mT

    def weight_gradients(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Return the factors of the gradients of every layer's weights."""
        for gradient, layer in zip(self.gradients, self.inputs, strict=True):
            yield gradient.mT, layer

    def input_gradients(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Return the factors of the gradients of the inputs of layer ``first`` and all later ones."""
        yield from zip(self.gradients[first:], self.weights[first:], strict=True)


def products_of_an_update() -> list[tuple[Tensor, Tensor]]:
    """Return left and right factors, 2-D each, of every matrix product of one SAC update with two critics."""
    actor = Network((OBSERVATION, *HIDDEN, 2 * ACTION), copies=1)
    critics = Network((OBSERVATION + ACTION, *HIDDEN, 1), copies=2)
    target_critics = Network((OBSERVATION + ACTION, *HIDDEN, 1), copies=2)
    target = [*actor.forward(), *target_critics.forward()]
    critic_loss = [*critics.forward(), *critics.weight_gradients(), *critics.input_gradients(first=1)]
    actor_loss = [*actor.forward(), *critics.forward(), *critics.input_gradients(first=0)]
    actor_descent = [*actor.weight_gradients(), *actor.input_gradients(first=1)]
    stacked = target + critic_loss + actor_loss + actor_descent
    return [pair for lefts, rights in stacked for pair in zip(lefts, rights, strict=True)]


def megaflop() -> float:
    """Return the multiplications and additions of an update's products, in millions."""
    return sum(2 * left.numel() * right.shape[1] for left, right in products_of_an_update()) / 1e6


def multiply(tick: Tick, onednn: bool) -> None:
    """Compute an update's products repeatedly.

    Args:
        tick: callback after every round of products.
        onednn: send fp32 products to oneDNN by allowing it bf16; processors without bf16 matrix units still
            compute them in full precision, many of them faster than torch's default library.

    Raises:
        ArithmeticError: if the products are not exact.
    """
    import torch

    from pricerl.runtime import EXACT

    if onednn:
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
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
"""Required module and multiplying function, by the name in the table."""


def stable_baselines3(tick: Tick) -> None:
    """Train with ``SAC("MlpPolicy").learn``."""
    from stable_baselines3 import SAC

    model = SAC("MlpPolicy", ENV_ID, buffer_size=CAPACITY, learning_starts=LEARNING_STARTS, batch_size=BATCH, seed=0)
    _learn(model, tick, 1, lambda: model._n_updates)


def sbx(tick: Tick, burst: int) -> None:
    """Train with ``SAC("MlpPolicy").learn`` in JAX, with ``burst`` env steps and updates per jitted loop."""
    from sbx import SAC

    model = SAC(
        "MlpPolicy",
        ENV_ID,
        buffer_size=CAPACITY,
        learning_starts=LEARNING_STARTS,
        batch_size=BATCH,
        train_freq=burst,
        gradient_steps=burst,
        seed=0,
    )
    _learn(model, tick, burst, lambda: int(model.policy.actor_state.step))  # reading it waits for JAX


def _learn(model: Any, tick: Tick, burst: int, counted: Callable[[], int]) -> None:
    """Train a model with the interface of Stable-Baselines3; updates are complete when the next rollout starts."""
    from stable_baselines3.common.callbacks import BaseCallback

    class Ticking(BaseCallback):
        def _on_rollout_start(self) -> None:
            tick(burst, counted)

        def _on_step(self) -> bool:
            return True

    model.learn(TRAINING_STEPS, callback=Ticking())


def adam_steps(optimizer: Any) -> int:
    """Return the step counter of a torch Adam's first parameter."""
    return int(next(iter(optimizer.state.values()))["step"])


PEERS: dict[str, tuple[str, Contender]] = {
    "stable-baselines3": ("stable_baselines3", stable_baselines3),
    "SBX": ("sbx", functools.partial(sbx, burst=1)),
    f"SBX, {SBX_BURST} updates per call": ("sbx", functools.partial(sbx, burst=SBX_BURST)),
}
"""Required module and training function of other libraries; otherwise they use their own defaults."""
