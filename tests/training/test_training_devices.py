"""Several devices: identical ranks, each with its own experience. On a GPU nothing synchronizes with the device."""

import os
import subprocess
import sys
from ast import literal_eval
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from bare_module import BareModule
from gymnasium.spaces import flatdim
from lightning.pytorch.strategies import SingleDeviceStrategy

from pricerl.cli.failures import explain_failure
from pricerl.env.pricing import PricingVectorEnv, default_market
from pricerl.errors import EXIT_BUG, UsageError
from pricerl.sac.agent import SACAgent
from pricerl.sac.config import NetworkConfig, SACConfig
from pricerl.training.callbacks.checkpoint import RunCheckpoint
from pricerl.training.collector import Collector
from pricerl.training.devices import ReplicatedStrategy, choose_strategy, count_devices

SCRIPT = Path(__file__).with_name("two_ranks.py")
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def train_two_ranks(folder, *words):
    """Train in two processes; return the lines that each rank left."""
    command = [sys.executable, str(SCRIPT), str(folder), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [(folder / f"rank{rank}.txt").read_text().splitlines() for rank in (0, 1)]


def test_two_ranks_end_with_identical_weights_and_their_own_experience(tmp_path):
    first, second = train_two_ranks(tmp_path)
    assert first[0] == second[0], "weights, temperature, target network and input statistics agree to the last bit"
    assert first[0].endswith(" 60")
    assert first[1] != second[1], "each rank has its own episodes"
    own = "three messages per update and one per collection; Lightning asks before each whether a signal came"
    assert first[2] == "10 updates, {'all_gather': 1, 'all_reduce': 30, 'broadcast': 9}", own
    count, env_steps = literal_eval(first[3])
    assert count == env_steps, "each observation counts once"


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("60",), ("60", "normalized"), ("200", "ahead")], ids=["plain", "normalized", "through the market"]
)
def test_compiled_ranks_end_with_the_weights_of_eager_ones(tmp_path, words):
    eager, compiled = ([rank[:2] for rank in train_two_ranks(tmp_path, *words, mode)] for mode in ("eager", "compiled"))
    assert eager == compiled, "the sum of the weights and statistics, in all digits, and the experience"
    assert eager[0][0] == eager[1][0], "on both ranks"


@pytest.mark.parametrize(
    ("devices", "count"), [(1, 1), ("1", 1), (2, 2), ("2", 2), ([0, 1], 2), ("0,1", 2), ("0,", 1), ("auto", 1)]
)
def test_devices_are_counted_however_they_are_written(devices, count, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert count_devices(devices) == count


def test_several_devices_or_machines_get_replicated_ranks_and_no_strategy_that_shards_the_model():
    assert choose_strategy("auto", 1, 1) == "auto"
    assert isinstance(choose_strategy("auto", 2, 1), ReplicatedStrategy)
    assert isinstance(choose_strategy("ddp", 1, 2), ReplicatedStrategy)
    own = SingleDeviceStrategy()
    assert choose_strategy(own, 2, 1) is own
    with pytest.raises(UsageError, match=r"one of auto, ddp, found 'fsdp': others .* and an update has three"):
        choose_strategy("fsdp", 2, 1)


def test_ranks_ask_each_other_for_signals_every_ten_updates_wherever_an_epoch_begins():
    asked = []
    strategy = SimpleNamespace(reduce_boolean_decision=lambda received, all: asked.append(received))
    saver = RunCheckpoint("eval/episode_return")
    for update in (1, 9, 10, 11, 33, 83, 133, 134):
        before = len(asked)
        saver._should_stop(SimpleNamespace(world_size=2, global_step=update, strategy=strategy))
        assert (len(asked) > before) == (update in (10, 33, 83, 133))


def test_the_others_of_a_lost_rank_say_so_instead_of_reporting_a_bug():
    names = {"__name__": "torch.distributed.distributed_c10d"}
    exec("def all_reduce():\n    raise RuntimeError('Connection closed by peer')", names)
    with pytest.raises(RuntimeError) as caught:
        names["all_reduce"]()
    said = explain_failure(caught.value, [])
    assert said == ("error: another process of this training has ended; go on with fit --ckpt_path last", EXIT_BUG)


class Agent(SACAgent):
    """Agent that a collector can ask, without a module around it."""

    step_discount = SACConfig().gamma

    def observe(self, observation):
        self.normalization.update(observation)

    def observe_returns(self, returns):
        """Keep no statistics: the rewards are not scaled."""


def learner(device):
    """Return a collector, the module and its agent."""
    torch.manual_seed(0)
    env = PricingVectorEnv(64, default_market().to(device))
    agent = Agent(flatdim(env.single_observation_space), 1, SACConfig(), NetworkConfig()).to(device)
    return Collector(env, SACConfig(warmup_steps=128), seed=0), BareModule(agent), agent


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_GPU)])
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
    done = subprocess.run(command, cwd=SCRIPT.parents[2], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [line for line in done.stdout.splitlines() if line.startswith(("updates/s", "env steps/s"))]
    assert [row.split("  ")[0] for row in rows[:3]] == [
        "updates/s, batch 8",
        "env steps/s, 4 rows",
        "updates/s, 1 devices",
    ]
    assert all(float(row.split()[-1].replace(",", "")) > 0 for row in rows)
    assert ("no GPU here" in done.stdout) is not torch.cuda.is_available()
