"""Seconds and memory from a seller's CSV to ``prices.csv`` and the work list, next to statsforecast's AutoETS.

    python benchmarks/catalogue.py --products 100 300

A seller with a year of days per product is simulated. On it ``fit`` runs as a command, with few gradient updates,
then ``predict`` with one more day of all products, and once more with nothing new. Further updates take the time that
``sac_speed.py`` measures. If statsforecast is installed, AutoETS with a weekly season then
forecasts the sales of the same products for as many days, once each. All processes of a command are counted: their
CPU time, and their memory, in which shared pages count once.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from runner import MAIN, Cost, Option, measure, own_cores, read_options

HORIZON = 14
"""Days of advice and of the peer's forecasts."""


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
    options = read_options(
        __doc__,
        products=[100, 300],
        days=365,
        updates=Option(50, "gradient updates of fit"),
        cores=Option(2, "cores that every command may use"),
    )
    os.sched_setaffinity(0, own_cores()[: options.cores])
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
