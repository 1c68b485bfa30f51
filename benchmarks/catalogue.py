"""Seconds and memory from a seller's CSV to ``prices.csv`` and the work list, next to statsforecast's AutoETS.

    python benchmarks/catalogue.py --products 100 300

A seller with a year of days per product is simulated. On it ``fit`` runs as a command, with few gradient updates,
then ``predict`` with one more day of all products, and once more with nothing new. Further updates take the time that
``sac_speed.py`` measures. If statsforecast is installed, AutoETS with a weekly season then
forecasts the sales of the same products for as many days, once each. All processes of a command are counted: their
CPU time, and their memory, in which shared pages count once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pandas as pd

MAIN = Path(__file__).resolve().parent.parent / "main.py"
HORIZON = 14
"""Days of advice and of the peer's forecasts."""
INTERVAL = 0.1
"""Seconds between two looks at the processes."""
TICKS = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """Time and memory of a command."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds, of all its processes."""
    memory: float
    """Largest sum over its processes at a time, MB."""


def measure(command: list[str], folder: Path) -> Cost:
    """Run a command of pricerl or Python in a folder, and return its time and memory."""
    started = time.perf_counter()
    with (folder / "log").open("ab") as log:
        running = subprocess.Popen([sys.executable, *command], cwd=folder, stdout=log, stderr=log)
    cpu: dict[int, float] = {}
    peak = 0.0
    while running.poll() is None:
        memory = 0.0
        for process in family(running.pid):
            try:
                cells = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            except OSError:  # it has just ended
                continue
            cpu[process] = (int(cells[11]) + int(cells[12])) / TICKS
            memory += next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)
        peak = max(peak, memory)
        time.sleep(INTERVAL)
    if running.returncode not in (0, 4):  # 4: no product has enough evidence
        raise SystemExit((folder / "log").read_text())
    return Cost(time.perf_counter() - started, sum(cpu.values()), peak)


def family(process: int) -> list[int]:
    """Return the ids of a process and of all that it started, directly or not."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        children = []
    return [process, *(other for child in children for other in family(int(child)))]


def forecast(path: str, cores: int) -> None:
    """Forecast the sales of each product in a file with AutoETS."""
    from statsforecast import StatsForecast
    from statsforecast.models import AutoETS

    names = {"Product": "unique_id", "Report Date": "ds", "Total Sales": "y"}
    sales = pd.read_csv(path, usecols=list(names), parse_dates=["Report Date"]).rename(columns=names)
    found = StatsForecast([AutoETS(season_length=7)], freq="D", n_jobs=cores).forecast(df=sales, h=HORIZON, level=[90])
    assert len(found) == HORIZON * sales["unique_id"].nunique()


def measure_catalogue(products: int, days: int, updates: int, cores: int) -> dict[str, Cost]:
    """Return time and memory of each command on a catalogue, by its name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = ["--products", str(products), "--days", str(days + 1)]
        measure([str(MAIN), "simulate", "--out", "later.csv", *size], folder)
        later = pd.read_csv(folder / "later.csv", dtype=str)
        last = later["Report Date"].max()
        later[later["Report Date"] < last].to_csv(folder / "sales.csv", index=False)
        words = ["--horizon", str(HORIZON), "--run_name", "sales", "--data.path"]
        fit = [str(MAIN), "fit", *words, "sales.csv", "--today", last, "--trainer.max_steps", str(updates)]
        later_day = ["--today", f"{pd.Timestamp(last) + pd.Timedelta(days=1):%F}"]
        predict = [str(MAIN), "predict", *words, "later.csv", *later_day]
        found = {name: measure(command, folder) for name, command in (("fit", fit), ("predict", predict))}
        found["predict, nothing new"] = measure(predict, folder)
        run = folder / "checkpoints" / "sales"
        assert len(pd.read_csv(run / "prices.csv")) and f"{products:,} products" in (run / "report.html").read_text()
        if find_spec("statsforecast") is not None:
            code = f"from catalogue import forecast; forecast({str(folder / 'sales.csv')!r}, {cores})"
            found["AutoETS"] = measure(["-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"], folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--updates", type=int, default=50, help="gradient updates of fit")
    parser.add_argument("--cores", type=int, default=2, help="cores that every command may use")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    print("| products | command | wall s | CPU s | CPU ms per product | MB at most | CPU over AutoETS |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for products in options.products:
        found = measure_catalogue(products, options.days, options.updates, options.cores)
        peer = found.get("AutoETS")
        for name, cost in found.items():
            ratio = "–" if peer is None else f"{cost.cpu / peer.cpu:.1f}"
            row = (f"{products:,}", name, f"{cost.wall:.1f}", f"{cost.cpu:.1f}", f"{1000 * cost.cpu / products:.0f}")
            print("|", " | ".join((*row, f"{cost.memory:.0f}", ratio)), "|", flush=True)


if __name__ == "__main__":
    main()
