"""The second process of the backtest: the same bits, and nothing left behind on any error."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pricerl.evaluation.backtest_process import BacktestProcess, BacktestTask
from pricerl.market import CostConfig, DemandConfig
from pricerl.simulation import SellerConfig

PARENT = """
import os, pickle, sys
from pathlib import Path
from pricerl.evaluation.backtest_process import BacktestProcess
process = BacktestProcess(pickle.loads(Path(sys.argv[1]).read_bytes()), "key")
print(process._process.pid, flush=True)
{end}
"""


@pytest.fixture
def task(simulated) -> BacktestTask:
    return BacktestTask(
        simulated(SellerConfig(days=120)), DemandConfig(num_draws=16), CostConfig(), 3, 1, "highest", {}
    )


def test_a_second_process_computes_the_same_bits(task):
    process = BacktestProcess(task, "key")
    here = task.run()
    assert here["simulated seller"].origins > 4 and process.result() == here
    assert process._process.returncode == 0


def test_an_error_in_the_second_process_is_a_warning_with_its_reason(task):
    process = BacktestProcess(task._replace(threads=10_000), "key")
    with pytest.warns(UserWarning, match=r"its own process failed: UsageError: --threads must be 1 to"):
        assert process.result() is None


def test_a_second_process_that_dies_is_a_warning(task):
    process = BacktestProcess(task, "key")
    process._process.kill()
    with pytest.warns(UserWarning, match="its own process failed: it ended with code -9"):
        assert process.result() is None


def test_a_second_process_that_cannot_start_is_a_warning(task, monkeypatch):
    monkeypatch.setattr("pricerl.evaluation.backtest_process.START", "raise SystemExit(3)")
    process = BacktestProcess(task, "key")
    with pytest.warns(UserWarning, match="its own process failed: it ended with code 3"):
        assert process.result() is None


def test_the_second_process_ends_with_the_object(task):
    process = BacktestProcess(task, "key")
    inner = process._process
    del process
    assert inner.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    "end", [pytest.param("os._exit(1)", marks=pytest.mark.slow), "raise KeyboardInterrupt", "os.kill(os.getpid(), 9)"]
)
def test_the_second_process_ends_with_the_first_however_that_one_ends(end, task, tmp_path):
    file = tmp_path / "task"
    long = task._replace(demand=DemandConfig(num_draws=20_000))
    file.write_bytes(pickle.dumps(long))
    command = [sys.executable, "-c", PARENT.format(end=end), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    child, until = int(done.stdout), time.monotonic() + 20
    while _runs(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(child)


def test_the_second_process_imports_no_lightning():
    code = (
        "import sys; from pricerl.evaluation.backtest_process import BacktestTask;"
        "import pricerl.evaluation.backtest, pricerl.runtime;"
        "sys.exit(bool({'lightning', 'torchmetrics', 'pyarrow.parquet'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def _runs(process: int) -> bool:
    """Whether a process exists and has not ended; an orphan that has may wait for its reaper."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
