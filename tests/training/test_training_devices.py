"""Several devices: identical ranks, each with its own experience."""

import os
import subprocess
import sys
from ast import literal_eval
from pathlib import Path
from types import SimpleNamespace

import pytest
from lightning.pytorch.strategies import SingleDeviceStrategy

from pricerl.cli.imports import explain_failure
from pricerl.errors import EXIT_BUG, UsageError
from pricerl.training.callbacks.checkpoint import RunCheckpoint
from pricerl.training.devices import ReplicatedStrategy, choose_strategy, count_devices

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
    own = "three messages per update and one per collection; Lightning asks before each whether a signal came"
    assert first[2] == "10 updates, {'all_gather': 1, 'all_reduce': 30, 'broadcast': 9}", own
    count, env_steps = literal_eval(first[3])
    assert count == env_steps, "each observation counts once"


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("60",), ("60", "normalized"), ("200", "ahead")], ids=["plain", "normalized", "through the market"]
)
def test_compiled_ranks_end_with_the_weights_of_eager_ones(tmp_path, words):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = []
    for mode in ("eager", "compiled"):
        command = [sys.executable, str(SCRIPT), str(tmp_path), *words, mode]
        subprocess.run(command, check=True, capture_output=True, timeout=150, env=environment)
        found.append([(tmp_path / f"rank{rank}.txt").read_text().splitlines()[:2] for rank in (0, 1)])
    assert found[0] == found[1], "the sum of the weights and statistics, in all digits, and the experience"
    assert found[0][0][0] == found[0][1][0], "on both ranks"


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
