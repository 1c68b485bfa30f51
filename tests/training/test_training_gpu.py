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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_collection_and_updates_never_synchronize_with_the_device():
    env = PricingVectorEnv(64, default_market().to("cuda"))
    config = SACConfig(warmup_steps=128)
    agent = SACAgent(flatdim(env.single_observation_space), 1, config, NetworkConfig()).to("cuda")
    agent.step_discount = config.gamma
    update, collector = SACUpdate(agent, make_optimizers(agent)).trace, Collector(env, config, seed=0)
    collector.warm_up(agent)
    for mode in ("default", "error"):  # the first round loads kernels
        torch.cuda.set_sync_debug_mode(mode)
        try:
            collector.collect(agent, 40)  # past the end of an episode
            for batch in collector.buffer.sample_many(3, 256):
                update(batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_recorded_updates_and_env_steps_are_those_of_plain_calls():
    market = default_market().to("cuda")
    weights, rewards = [], []
    for graphed in (False, True):
        torch.manual_seed(0)
        env = PricingVectorEnv(64, market)
        agent = SACAgent(flatdim(env.single_observation_space), 1, SACConfig(), NetworkConfig()).to("cuda")
        update = SACUpdate(agent, make_optimizers(agent)).trace
        step = env._decide_and_hold
        env._step = GraphedFunction(step, "env steps") if graphed else step
        update = GraphedFunction(update, "updates") if graphed else update
        collector = Collector(env, SACConfig(warmup_steps=640), seed=0)
        collector.warm_up(agent)
        for batch in collector.buffer.sample_many(10, 256):
            update(batch)
        assert not graphed or None not in (update._graph, env._step._graph)
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
