"""Several devices: identical ranks, each with its own experience."""

import os
import subprocess
import sys
from ast import literal_eval
from pathlib import Path

import pytest
from lightning.pytorch.strategies import SingleDeviceStrategy

from pricerl.errors import UsageError
from pricerl.training.strategies import ReplicatedStrategy, choose_strategy, count_devices

SCRIPT = Path(__file__).with_name("two_ranks.py")


def test_two_ranks_end_with_identical_weights_and_their_own_experience(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)], capture_output=True, text=True, timeout=150, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = ((tmp_path / f"rank{rank}.txt").read_text().splitlines() for rank in (0, 1))
    assert first[0] == second[0], "weights, temperature, target network and input statistics agree to the last bit"
    assert first[0].endswith(" 60")
    assert first[1] != second[1], "each rank has its own episodes"
    assert first[2] == "10 updates, {'all_gather': 1, 'all_reduce': 20}", "two messages per update, no barrier"
    count, env_steps = literal_eval(first[3])
    assert count == env_steps, "each observation counts once"


@pytest.mark.parametrize(
    ("devices", "count"), [(1, 1), ("1", 1), (2, 2), ("2", 2), ([0, 1], 2), ("0,1", 2), ("0,", 1), ("auto", 1)]
)
def test_devices_are_counted_however_they_are_written(devices, count, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert count_devices(devices) == count


def test_several_devices_or_machines_get_replicated_ranks():
    assert choose_strategy("auto", 1, 1) == "auto"
    assert isinstance(choose_strategy("auto", 2, 1), ReplicatedStrategy)
    assert isinstance(choose_strategy("ddp", 1, 2), ReplicatedStrategy)
    own = SingleDeviceStrategy()
    assert choose_strategy(own, 2, 1) is own


def test_a_strategy_that_shards_the_model_is_refused():
    with pytest.raises(UsageError, match=r"one of auto, ddp, found 'fsdp'"):
        choose_strategy("fsdp", 2, 1)
