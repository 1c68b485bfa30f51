"""Backtests in a second process, which computes them while this one trains.

The process is a fresh interpreter, not a fork, which is unsafe once torch has started threads, and not one of
``multiprocessing``, which would run an unguarded script a second time.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pricerl.data import DataPreprocessor
    from pricerl.evaluation.backtest import Backtest
    from pricerl.market import CostConfig, DemandConfig
    from pricerl.market.demand.pooling import Evidence
    from pricerl.runtime import MatmulPrecision

START = "import sys; sys.path[:] = sys.argv[1:]; from pricerl.evaluation.backtest_process import answer; answer()"


class BacktestTask(NamedTuple):
    """Arguments of `run_backtests`, and the settings of the processor that its last bits depend on."""

    preprocessor: DataPreprocessor
    demand: DemandConfig
    cost: CostConfig
    seed: int
    threads: int
    """CPU threads of torch."""
    precision: MatmulPrecision
    """Precision of matrix products."""
    evidence: Mapping[str, Evidence]
    """Evidence on the elasticities of the catalogue's products that are not in this history, by name."""

    def run(self) -> dict[str, Backtest]:
        """Compute the backtests in this process."""
        from pricerl.evaluation.backtest import run_backtests
        from pricerl.market.fitting import find_pool

        pool = find_pool(self.preprocessor.products, self.demand, self.evidence)
        return run_backtests(self.preprocessor, self.demand, self.cost, self.seed, pool=pool)


class BacktestProcess:
    """Second process at work on a task; it ends with this object and with this process, however that one ends.

    Args:
        task: the backtests to compute.
        key: fingerprint of the task.
    """

    def __init__(self, task: BacktestTask, key: str) -> None:
        from pricerl.market import DEMAND_MODELS

        self.key = key
        command = [sys.executable, "-c", START, *sys.path]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        self._end = weakref.finalize(self, _end, self._process)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has died already; `result` gives the reason
            pickle.dump((task, DEMAND_MODELS[task.demand.demand]), self._process.stdin)
            self._process.stdin.flush()  # and not closed: the second process ends when this pipe does

    def result(self) -> dict[str, Backtest] | None:
        """Wait for the result and return it, None with a warning if the process failed."""
        assert self._process.stdout is not None
        content = self._process.stdout.read()
        code = self._process.wait()
        self._end()
        answer: Any = pickle.loads(content) if code == 0 else f"it ended with code {code}"
        if isinstance(answer, Mapping):
            return dict(answer)
        warnings.warn(f"the backtest is computed a second time, its own process failed: {answer}", stacklevel=2)
        return None


def answer() -> None:
    """Compute the task on standard input and write the result, or a text about an error, to standard output."""
    results, sys.stdout = sys.stdout.buffer, sys.stderr
    try:
        task: BacktestTask
        task, model = pickle.load(sys.stdin.buffer)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        from pricerl.runtime import claim_compute

        claim_compute(task.threads, task.precision)
        from pricerl.market import DEMAND_MODELS

        DEMAND_MODELS[task.demand.demand] = model  # its package registers it only where a command imports it
        found: Any = task.run()
    except Exception as error:  # it is reported, and the parent computes the backtests itself
        found = f"{type(error).__name__}: {error}"
    pickle.dump(found, results)
    results.flush()
    os._exit(0)  # without waiting for the thread that reads


def _end_with_parent() -> None:
    """End this process as soon as the parent's end of standard input is closed."""
    sys.stdin.buffer.read()
    os._exit(1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # a task that it never read
                pipe.close()
