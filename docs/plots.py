"""Figures of docs/evidence.md, from the rows of the CSV files next to this one, and of docs/posterior.md.

``python docs/plots.py`` writes them to ``docs/images/``; it needs the extra ``plots``.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pricerl.data.config import DataConfig
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.market.fitting import fit_market
from pricerl.market.market import log_units_at
from pricerl.simulation.seller import SellerConfig, simulate, simulated_history
from pricerl.simulation.true_demand import expected_units

DOCS = Path(__file__).parent
STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
SAME_BYTES = {"svg.fonttype": "none", "svg.hashsalt": "pricerl"}
PRESETS = {"normalized": "normalized critics", "fast": "fast", "sac": "plain SAC"}
"""Preset and its label."""
PUBLISHED = {"HalfCheetah-v4": 5534, "Hopper-v4": 906, "Walker2d-v4": 626}
"""Return of plain SAC at 100,000 env steps, ten seeds (docs/evidence.md)."""
MOST_STEPS = 100_000


def main(folder: Path = DOCS / "images") -> None:
    """Draw every figure."""
    with matplotlib.rc_context({**STYLE, **SAME_BYTES}):
        for draw in (pricebench, returns):
            figure = draw(pd.read_csv(DOCS / f"{draw.__name__}.csv"))
            figure.savefig(folder / f"{draw.__name__}.svg", metadata={"Date": None})
        posterior().savefig(folder / "posterior.svg", metadata={"Date": None})


def pricebench(rows: pd.DataFrame) -> Figure:
    """Draw the share of the attainable gain and the shops harmed, by truth and volume."""
    figure = Figure((7.5, 4.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, column, label in zip(panels, ("share", "harmed"), ("attainable gain taken", "shops harmed"), strict=True):
        for at, (units, group) in enumerate(rows.groupby("units")):
            place = np.arange(len(group)) + 0.27 * (at - 1)
            axes.barh(place, group[column], 0.27, label=f"{units:g} units per day")
        axes.set(xlabel=f"{label}, %", yticks=range(len(group)), yticklabels=group["truth"])
    panels[0].invert_yaxis()
    panels[0].legend()
    return figure


def returns(rows: pd.DataFrame) -> Figure:
    """Draw the mean return over the env steps with the range of the seeds, an environment per panel."""
    figure = Figure((8, 3), layout="constrained")
    rows = rows[rows["env_steps"] <= MOST_STEPS]
    for axes, (env, published) in zip(figure.subplots(1, 3), PUBLISHED.items(), strict=True):
        for preset, label in PRESETS.items():
            chosen = rows[(rows["env"] == env) & (rows["preset"] == preset)]
            _band(axes, chosen.groupby("env_steps")["return"].agg(["mean", "min", "max"]), label)
        axes.axhline(published, color="black", lw=0.8, ls="--", label="published, at the end")
        axes.set(title=env, xlabel="thousand env steps")
    figure.axes[0].set_ylabel("return of 10 episodes")
    figure.axes[0].legend(fontsize=7)
    return figure


def posterior() -> Figure:
    """Draw a simulated seller's units by price: the days, median and 90 % limits of the draws, and the truth."""
    seller = SellerConfig(market="linear", days=130, units=60.0, seed=1)
    _, truth = simulate(seller)
    market = fit_market(DataPreprocessor.fit(simulated_history(seller, DataConfig()), DataConfig()))
    product = market.products[0]
    days = market.preprocessor.products[0]
    prices = np.geomspace(0.8 * days.price.min(), 1.2 * days.price.max(), 60)
    low, middle, high = np.quantile(np.exp(log_units_at(product, prices)), [0.05, 0.5, 0.95], axis=0)
    figure = Figure((6, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.scatter(days.price, days.units, s=6, alpha=0.5, color="grey", label="days")
    axes.fill_between(prices, low, high, alpha=0.2, lw=0, label="90 % of draws")
    axes.plot(prices, middle, label="median")
    axes.plot(prices, expected_units(truth, prices), color="black", lw=0.8, ls="--", label="truth")
    axes.set(xlabel="price", ylabel="units per day", ylim=(0, None))
    axes.legend(fontsize=7)
    return figure


def _band(axes: Axes, lines: pd.DataFrame, label: str) -> None:
    axes.fill_between(lines.index / 1000, lines["min"], lines["max"], alpha=0.2, lw=0)
    axes.plot(lines.index / 1000, lines["mean"], label=label)


if __name__ == "__main__":
    main()
