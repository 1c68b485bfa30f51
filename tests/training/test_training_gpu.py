"""Training on a GPU: nothing synchronizes with the device. The benchmark for GPUs also runs without one."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gymnasium.spaces import flatdim

from pricerl.env.pricing import PricingVectorEnv, default_market
from pricerl.runtime import GraphedFunction
from pricerl.sac.agent import SACAgent
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.sac.update import SACUpdate, make_optimizers
from pricerl.training.collector import Collector

ROOT = Path(__file__).parents[2]


NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=NEEDS_GPU)]
"""What runs on the CPU, too, does not break unseen where no GPU is."""


class Agent(SACAgent):
    """Agent that a collector can ask, without a module around it."""

    step_discount = SACConfig().gamma

    def observe_returns(self, returns):
        """Keep no statistics: the rewards are not scaled."""


def learner(device, warmup_steps, graphed=False):
    """Return a collector, the update, its agent and the step of the env, both as CUDA graphs if asked for."""
    torch.manual_seed(0)
    env = PricingVectorEnv(64, default_market().to(device))
    agent = Agent(flatdim(env.single_observation_space), 1, SACConfig(), NetworkConfig()).to(device)
    update = SACUpdate(agent, make_optimizers(agent)).trace
    env._step = env._decide_and_hold
    if graphed:
        update, env._step = GraphedFunction(update, "updates"), GraphedFunction(env._step, "env steps")
    return Collector(env, SACConfig(warmup_steps=warmup_steps), seed=0), update, agent, env._step


@pytest.mark.parametrize("device", DEVICES)
def test_collection_and_updates_never_synchronize_with_the_device(device):
    collector, update, agent, _ = learner(device, 128)
    collector.warm_up(agent)
    for mode in ("default", "error"):  # the first round loads kernels
        if device == "cuda":
            torch.cuda.set_sync_debug_mode(mode)
        try:
            collector.collect(agent, 40)  # past the end of an episode
            for batch in collector.buffer.sample_many(3, 256):
                metrics, _ = update(batch)
        finally:
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("default")
    assert torch.stack(metrics).isfinite().all()


@NEEDS_GPU
def test_recorded_updates_and_env_steps_are_those_of_plain_calls():
    weights, rewards = [], []
    for graphed in (False, True):
        collector, update, agent, step = learner("cuda", 640, graphed)
        collector.warm_up(agent)
        for batch in collector.buffer.sample_many(10, 256):
            update(batch)
        assert not graphed or None not in (update._graph, step._graph)
        rewards.append(collector.buffer.sample_many(1, 256)[0].reward)
        weights.append(torch.nn.utils.parameters_to_vector(agent.parameters()))
    torch.testing.assert_close(rewards[1], rewards[0])
    torch.testing.assert_close(weights[1], weights[0])


@pytest.mark.slow
def test_the_benchmark_for_gpus_prints_every_row_on_any_machine():
    command = [sys.executable, "benchmarks/gpu.py", "--tiny"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [line for line in done.stdout.splitlines() if line.startswith(("updates/s", "env steps/s"))]
    assert [row.split("  ")[0] for row in rows[:3]] == [
        "updates/s, batch 8",
        "env steps/s, 4 rows",
        "updates/s, 1 devices",
    ]
    assert all(float(row.split()[-1].replace(",", "")) > 0 for row in rows)
    assert ("no GPU here" in done.stdout) is not torch.cuda.is_available()
