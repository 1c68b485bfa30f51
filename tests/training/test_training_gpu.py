"""Training on a GPU: nothing synchronizes with the device. The benchmark for GPUs also runs without one."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bare_module import BareModule
from gymnasium.spaces import flatdim

from pricerl.env.pricing import PricingVectorEnv, default_market
from pricerl.sac.agent import SACAgent
from pricerl.sac.config import NetworkConfig, SACConfig
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


def learner(device):
    """Return a collector, the module and its agent."""
    torch.manual_seed(0)
    env = PricingVectorEnv(64, default_market().to(device))
    agent = Agent(flatdim(env.single_observation_space), 1, SACConfig(), NetworkConfig()).to(device)
    return Collector(env, SACConfig(warmup_steps=128), seed=0), BareModule(agent), agent


@pytest.mark.parametrize("device", DEVICES)
def test_collection_and_updates_never_synchronize_with_the_device(device):
    collector, module, agent = learner(device)
    collector.warm_up(agent)
    for mode in ("default", "error"):  # the first round loads kernels
        if device == "cuda":
            torch.cuda.set_sync_debug_mode(mode)
        try:
            collector.collect(agent, 40)  # past the end of an episode
            for batch in collector.buffer.sample_many(3, 256):
                metrics = module.update(batch)
        finally:
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("default")
    assert torch.stack(list(metrics.values())).isfinite().all()


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
