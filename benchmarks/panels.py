"""Bias of histories: pricerl's elasticity from a single store's file against that from the whole panel of stores.

    python benchmarks/panels.py                 # ../shared/data/cheese_panel.csv.gz
    python benchmarks/panels.py PANEL.csv.gz
    python benchmarks/panels.py --simulated

A panel has the columns store (or retailer, account), week or day, price and units; product, and promotion (yes, no) or
display_share, are optional. Its response to the regular price follows from a negative-binomial regression with effects
of stores and periods, a slope of the log regular price per store, and common effects of deals, their depth and
displays. A store's reference is its slope shrunk towards the panel's mean (DerSimonian and Laird 1986), with the error
that this leaves. Both estimates share the noise of the store's sales, so that coverage is an upper bound unless the
truth is known, as that of simulated chains. Every file is fitted alone with the defaults of ``fit``: as it is, with
prices rounded to cents (averages then look like posted prices), and with promotions where the panel has any.

Directions: a higher price pays if the elasticity is weaker than the break-even, price over margin. Costs are unknown,
so every store gets eight break-evens, from exp(-0.6) to exp(0.6) times its reference, as far as they exceed 1. A claim
has a probability of at least .975, as for grade B.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from shops.panels import CHAINS, simulate_chain

from pricerl.arrays import FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.days import WEEK
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.price_setting import DEAL_DEPTH, deal_windows, regular_prices
from pricerl.data.reading import columns
from pricerl.data.reading.reader import history_from_text
from pricerl.evaluation.valuation import elasticity_at
from pricerl.market.demand.regression import LOOSE_SD, STILL_MOTIONS, Prior, fit_regression
from pricerl.market.fitting import fit_market
from pricerl.runtime import claim_compute

STORES = ("store", "retailer", "account")
PROMOTIONS = ("promotion", "display_share")
DISPLAYED = 0.1  # share of the units sold under display from which a row is a promotion
READING = DataConfig(suspicious="keep")  # prices of all stores at once may look like a change of tax
START = np.datetime64("2023-01-02")  # of a panel's first row: only the order of its periods counts
FEWEST = 26  # rows of a store
BLOCK = {1: 28, WEEK: 4}
"""Rows over which the errors of a store may be correlated, by the days of a row."""
BREAK_EVENS = np.exp(np.linspace(-0.6, 0.6, 8))
"""Break-even elasticities over the reference."""
CLAIM = 0.975
WITHIN = 1.645
"""Sds within which 90 % of normal values lie."""


class Reference(NamedTuple):
    """Elasticities to the regular price by store and their errors, ``(S,)``; their mean, its error, and their sd."""

    stores: list[str]
    elasticity: FloatArray
    error: FloatArray
    mean: float
    mean_error: float
    spread: float


def read_panel(path: Path) -> pd.DataFrame:
    """Return the rows of a panel: product, store, period, price, units, promotion (a share; NaN without), step."""
    if not path.is_file():
        sys.exit(f"{path}: no such panel; give the path of a CSV file with store, week, price and units")
    frame = pd.read_csv(path)
    store = next((name for name in STORES if name in frame), None)
    period = next((name for name in ("week", "day") if name in frame), None)
    found = {"store": store, "week": period, "price": "price" in frame, "units": "units" in frame}
    if store is None or period is None or not all(found.values()):
        lacking = ", ".join(name for name in found if not found[name])
        sys.exit(f"{path}: no column {lacking}; found {', '.join(frame)}; rename yours")
    return as_panel(frame, store, period)


def as_panel(frame: pd.DataFrame, store: str = "store", period: str = "day") -> pd.DataFrame:
    """Return a frame in the columns of `read_panel`; rows without sales or price are left out."""
    reported = next((name for name in PROMOTIONS if name in frame), None)
    found = frame.rename(columns={store: "store", period: "period"})
    found["product"] = found["product"].astype(str) if "product" in found else ""
    found["promotion"] = np.nan if reported is None else frame[reported].replace({"yes": 1, "no": 0}).astype(float)
    found = found[["product", "store", "period", "price", "units", "promotion"]]
    found["step"] = WEEK if period == "week" else 1
    found = found[(found["price"] > 0) & (found["units"] >= 0)]
    rows = found.groupby(["product", "store"])["period"].transform("size")
    return found[rows >= FEWEST].sort_values(["product", "store", "period"], ignore_index=True)


def estimate(panel: pd.DataFrame) -> Reference:
    """Estimate the response of one product's stores to the regular price."""
    step = int(panel["step"].iloc[0])
    window = deal_windows(step)[1]
    log_price = np.log(panel["price"])
    regular = (
        log_price.groupby(panel["store"]).transform(lambda rows: regular_prices(rows.to_numpy(), window)).to_numpy()
    )
    depth = log_price.to_numpy() - regular
    store = pd.get_dummies(panel["store"]).to_numpy(float)
    period = pd.get_dummies(panel["period"]).to_numpy(float)
    slopes = store * (regular - regular.mean())[:, None]
    common = [depth, (depth < -DEAL_DEPTH).astype(float), panel["promotion"].fillna(0).to_numpy()]
    common = [column for column in common if np.ptp(column) > 0]
    design = np.column_stack([np.ones(len(panel)), slopes, *common, store[:, 1:], period[:, 1:]])
    prior = Prior(np.zeros(design.shape[1]), np.full(design.shape[1], LOOSE_SD))
    units = panel["units"].to_numpy(float)
    fit = fit_regression(units, design, prior, np.arange(len(units)), motions=STILL_MOTIONS)
    expected = np.exp(fit.log_mean)
    score = design * ((units - expected) / (1 + expected / fit.size))[:, None]
    block = panel["store"].astype(str) + panel.groupby("store").cumcount().floordiv(BLOCK[step]).astype(str).radd("/")
    summed = pd.DataFrame(score).groupby(block.to_numpy()).sum().to_numpy()
    robust = fit.covariance @ (summed.T @ summed) @ fit.covariance  # blocks are few: the larger error counts
    variance = np.maximum(np.diag(robust), np.diag(fit.covariance))[1 : 1 + store.shape[1]]
    return _shrink(sorted(panel["store"].unique()), fit.mode[1 : 1 + store.shape[1]], variance)


def _shrink(stores: list[str], slope: FloatArray, variance: FloatArray) -> Reference:
    """Shrink the stores' slopes ``(S,)`` towards their mean by the spread that their errors leave."""
    weight = 1 / variance
    mean = weight @ slope / weight.sum()
    excess = weight @ np.square(slope - mean) - (len(slope) - 1)
    between = max(0.0, excess / (weight.sum() - np.square(weight).sum() / weight.sum()))
    weight = 1 / (between + variance)
    mean = float(weight @ slope / weight.sum())
    kept = between / (between + variance)
    error = np.sqrt(kept * variance + np.square(1 - kept) / weight.sum())
    return Reference(stores, mean + kept * (slope - mean), error, mean, float(weight.sum() ** -0.5), between**0.5)


def fit_store(rows: pd.DataFrame, elasticity: float, error: float, version: str) -> dict[str, Any]:
    """Fit a store's file alone and compare its elasticity with a reference and its error."""
    step = int(rows["step"].iloc[0])
    price = rows["price"].round(2) if version == "rounded" else rows["price"].round(4)
    file = {
        columns.REPORT_DATE: (START + step * (rows["period"] - rows["period"].min()).to_numpy()).astype(str),
        columns.PRODUCT_PRICE: price,
        columns.TOTAL_SALES: (price * rows["units"]).round(4),
        columns.UNITS: rows["units"],
    }
    if version == "promotions":
        file[columns.PROMOTION] = np.where(rows["promotion"] >= DISPLAYED, "yes", "no")
    text = pd.DataFrame(file).to_csv(index=False)
    prepared = DataPreprocessor.fit(history_from_text(text, "panel", READING), READING)
    fitted = fit_market(prepared, conversions=False).products[0]
    steepness = -elasticity_at(fitted, prepared.products[0].current_price)
    break_even = -elasticity * BREAK_EVENS
    raises = (steepness[:, None] < break_even).mean(0)
    possible = break_even > 1  # a margin below the price
    claims = possible * ((raises >= CLAIM).astype(int) - (raises <= 1 - CLAIM).astype(int))
    excess = float(steepness.mean() + elasticity)
    return {
        "kind": fitted.price_setting,
        "excess": excess,
        "z": excess / np.hypot(steepness.std(), error),
        "sd": steepness.std(),
        "error": error,
        "estimate": float(steepness.mean()),
        "cases": int(possible.sum()),
        "claims": int((claims != 0).sum()),
        "wrong": int((claims * np.sign(BREAK_EVENS - 1) < 0).sum()),
    }


def measure_panel(panel: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield every store's comparison with the panel, in each version of its file."""
    versions = ["as it is", "rounded"] + ["promotions"] * int(panel["promotion"].notna().any())
    for product, rows in panel.groupby("product"):
        found = estimate(rows)
        spread = f"{found.mean:.2f} ± {found.mean_error:.2f}, sd between stores {found.spread:.2f}"
        print(f"{product} {len(found.stores)} stores, elasticity {spread}".strip(), flush=True)
        for store, elasticity, error in zip(found.stores, found.elasticity, found.error, strict=True):
            own = rows[rows["store"] == store]
            for version in versions:
                yield {"panel": version, **fit_store(own, min(float(elasticity), -0.1), float(error), version)}


def measure_chains(chains: int) -> Iterator[dict[str, Any]]:
    """Yield the comparison of simulated stores with their truth, and print how the panel's estimate compares."""
    for kind in CHAINS:
        misses = []
        for seed in range(chains):
            chain = simulate_chain(kind, seed)
            rows = as_panel(chain.rows)
            found = estimate(rows)
            misses.append(chain.elasticity.mean() - found.mean)
            for store, elasticity in zip(found.stores, chain.elasticity, strict=True):
                own = rows[rows["store"] == store]
                yield {"panel": kind, "chain": seed, **fit_store(own, float(elasticity), 0.0, "as it is")}
        error = np.std(misses) / np.sqrt(chains)
        print(f"{kind}: the panel's estimate is too steep by {np.mean(misses):.2f} ± {error:.2f}", flush=True)


def summarise(found: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return a row per group of stores: excess, its spread beyond the errors, coverage and directions."""

    def show(group: pd.DataFrame) -> pd.Series:
        noise = (np.square(group["sd"]) + np.square(group["error"])).mean()
        return pd.Series(
            {
                "n": len(group),
                "excess": group["excess"].mean(),
                "se": group["excess"].std() / np.sqrt(len(group)),
                "sd beyond": np.sqrt(max(group["excess"].var() - noise, 0.0)),
                "own sd": group["sd"].mean(),
                "sd z": group["z"].std(),
                "moves": np.cov(group["estimate"] - group["excess"], group["estimate"])[0, 1] / group["estimate"].var(),
                "cover %": 100 * (group["z"].abs() < WITHIN).mean(),
                "claims %": 100 * group["claims"].sum() / max(group["cases"].sum(), 1),
                "wrong %": 100 * group["wrong"].sum() / max(group["cases"].sum(), 1),
                "of claims %": 100 * group["wrong"].sum() / max(group["claims"].sum(), 1),
            }
        )

    return found.groupby(by, sort=False).apply(show, include_groups=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("panel", nargs="?", type=Path, default=Path("../shared/data/cheese_panel.csv.gz"))
    parser.add_argument("--simulated", action="store_true", help="simulated chains instead of a panel")
    parser.add_argument("--chains", type=int, default=10, help="chains of each kind")
    options = parser.parse_args()
    claim_compute(1)
    warnings.simplefilter("ignore")
    if options.simulated:
        found = pd.DataFrame(measure_chains(options.chains))
    else:
        found = pd.DataFrame(measure_panel(read_panel(options.panel)))
    print(
        "excess: pricerl's steepness minus the reference's; moves: the reference's per 1 of pricerl's; wrong: of all\n"
    )
    for by in (["panel"], ["panel", "kind"]):
        print(summarise(found, by).round(2).to_string(), "\n")


if __name__ == "__main__":
    main()
