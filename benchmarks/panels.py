"""Bias of histories: pricerl's elasticity from a single store's file against the whole panel's.

    python benchmarks/panels.py [PANEL.csv.gz]     # ../shared/data/cheese_panel.csv.gz if absent
    python benchmarks/panels.py --simulated

A panel has the columns store (or retailer, account), week or day, price and units; product, and promotion (yes, no) or
display_share, are optional. Its response to the regular price follows from a negative-binomial regression with effects
of stores and periods, a slope of the log regular price per store, and common effects of deals, their depth and
displays. A store's reference is its slope shrunk towards the panel's mean (DerSimonian and Laird 1986), with the error
that this leaves. Both estimates share the noise of the store's sales, so that coverage is an upper bound unless the
truth is known, as in simulated chains. Every file is fitted alone with the defaults of ``fit``.

Directions: a higher price pays if the elasticity is weaker than the break-even, price over margin. Costs are unknown,
so every store gets eight break-evens, from exp(-0.6) to exp(0.6) times its reference, as far as they exceed 1. A claim
has a probability of at least .975, as for grade B.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from runner import Option, compute_alone, read_options
from shops.sellers import read_days

from pricerl.arrays import FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.days import WEEK
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.data.price_setting import DEAL_DEPTH, deal_windows, regular_prices
from pricerl.market.demand.regression import LOOSE_SD, STILL_MOTIONS, Prior, fit_regression
from pricerl.market.fitting import fit_market
from pricerl.market.market import elasticity_at

NAMES = ("store", "retailer", "account")
PROMOTIONS = ("promotion", "display_share")
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

STORES, DAYS = 12, 182
"""Stores of a chain, and days of their histories."""
ELASTICITY, BETWEEN_CHAINS, BETWEEN_STORES = -1.9, 0.8, 0.3
"""Mean elasticity, between the published -2.62 and the mean of 54 grocery products in 2026, -1.48; and its sds."""
FLATTEST = -0.3
"""Elasticity of the least responsive store."""
UNITS = (5.0, 80.0)
"""Range of the daily units of a store, drawn evenly in logs."""
SIZE = 12.0
"""Negative-binomial size of a day's units."""
WEEK_SD, WEEK_MEMORY = 0.12, 0.7
"""Log sd of the chain's demand from week to week, and its autocorrelation."""
HOLDS = (14, 56)
"""Days for which a store keeps a regular price."""
RANGE = 0.12
"""Largest log distance of a regular price from its centre."""


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
    frame = pd.read_csv(path)
    store = next(name for name in NAMES if name in frame)
    return as_panel(frame, store, "week" if "week" in frame else "day")


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


def fit_store(rows: pd.DataFrame, elasticity: float, error: float) -> dict[str, Any]:
    """Fit a store's file alone and compare its elasticity with a reference and its error."""
    step = int(rows["step"].iloc[0])
    dates = START + step * (rows["period"] - rows["period"].min()).to_numpy()
    history = read_days(READING, dates, rows["price"].round(4).to_numpy(), rows["units"].to_numpy())
    prepared = DataPreprocessor.fit(history, READING)
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
        "cases": int(possible.sum()),
        "claims": int((claims != 0).sum()),
        "wrong": int((claims * np.sign(BREAK_EVENS - 1) < 0).sum()),
    }


class Chain(NamedTuple):
    """One product at the stores of a chain."""

    rows: pd.DataFrame
    """Panel: store, day, price, units and, where the file reports them, promotion."""
    elasticity: FloatArray
    """``(S,)`` elasticity to the regular price by store."""


class Setting(NamedTuple):
    """Departures from the regular price and their effect on demand, ``(S, D)`` each, in logs."""

    price: FloatArray
    """Posted price over the regular one."""
    demand: FloatArray
    """Demand that this brings beyond the response to the price."""
    paid: FloatArray | None = None
    """Average price paid over the posted one; absent where buyers pay the posted price."""


def _plain(week: FloatArray, rng: np.random.Generator) -> Setting:
    """Regular prices only."""
    none = np.zeros((STORES, DAYS))
    return Setting(none, none)


def _promotions(week: FloatArray, rng: np.random.Generator) -> Setting:
    """A week's deal of the whole chain every three to six weeks; displays and leaflets lift its demand further."""
    depth = _spells(rng, (7, 7), (14, 35), (0.15, 0.35))
    part = rng.random((STORES, 1)) < 0.9  # some stores never take part
    return Setting(-depth * part, (1.0 * depth + 0.25 * (depth > 0)) * part)


def _campaigns(week: FloatArray, rng: np.random.Generator) -> Setting:
    """Lower prices for two to seven weeks, advertised by the chain: too long and too rare to be taken for deals."""
    depth = _spells(rng, (14, 49), (21, 70), (0.04, 0.12))
    return Setting(-depth, 1.0 * depth + 0.05 * (depth > 0))


def _coupons(week: FloatArray, rng: np.random.Generator) -> Setting:
    """Coupons in some weeks bring buyers who pay less: the file holds the average price of all."""
    depth = _spells(rng, (7, 14), (14, 42), (0.02, 0.1)) * rng.uniform(0.5, 1.5, (STORES, 1))
    return Setting(0 * depth, 3.0 * depth, -depth)


CHAINS: Mapping[str, Callable[[FloatArray, np.random.Generator], Setting]] = {
    "plain": _plain,
    "promotions": _promotions,
    "campaigns": _campaigns,
    "coupons": _coupons,
}
"""Chains by what moves their prices in addition to the stores."""


def simulate_chain(kind: str, seed: int) -> Chain:
    """Draw a chain of a kind of `CHAINS`; its demand weeks are common to all stores."""
    rng = np.random.default_rng([seed, *kind.encode()])
    centre = min(rng.normal(ELASTICITY, BETWEEN_CHAINS), FLATTEST)
    elasticity = np.minimum(rng.normal(centre, BETWEEN_STORES, STORES), FLATTEST)
    weekly = rng.normal(0, WEEK_SD, DAYS // WEEK)
    for number in range(1, len(weekly)):
        weekly[number] = WEEK_MEMORY * weekly[number - 1] + np.sqrt(1 - WEEK_MEMORY**2) * weekly[number]
    week = np.repeat(weekly, WEEK)
    regular = np.stack([_regular(rng) for _ in range(STORES)])
    setting = CHAINS[kind](week, rng)
    weekday = np.resize(rng.normal(0, 0.15, WEEK), DAYS)
    level = rng.uniform(*np.log(UNITS), (STORES, 1))
    log_units = level + week + weekday + elasticity[:, None] * (regular + setting.price) + setting.demand
    units = rng.negative_binomial(SIZE, SIZE / (SIZE + np.exp(log_units)))
    list_price = float(np.round(rng.uniform(3, 40), 2))
    posted = np.round(list_price * np.exp(regular + setting.price), 2)
    rows = {
        "store": np.repeat([f"store {number:02}" for number in range(STORES)], DAYS),
        "day": np.tile(np.arange(DAYS), STORES),
        "price": (posted if setting.paid is None else posted * np.exp(setting.paid)).ravel(),
        "units": units.ravel(),
    }
    return Chain(pd.DataFrame(rows), elasticity)


def _regular(rng: np.random.Generator) -> FloatArray:
    """Draw a store's log regular price over its list price, ``(D,)``."""
    found = np.zeros(DAYS)
    day = 0
    while day < DAYS:
        found[day:] = rng.uniform(-RANGE, RANGE)
        day += int(rng.integers(*HOLDS))
    return found


def _spells(
    rng: np.random.Generator, days: tuple[int, int], gaps: tuple[int, int], depths: tuple[float, float]
) -> FloatArray:
    """Draw the chain's spells of lower prices: their log discount, ``(D,)``, 0 between them."""
    depth = np.zeros(DAYS)
    start = int(rng.integers(*gaps))
    while start < DAYS:
        end = start + int(rng.integers(*days, endpoint=True))
        depth[start:end] = rng.uniform(*depths)
        start = end + int(rng.integers(*gaps, endpoint=True))
    return depth


def measure_panel(panel: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield every store's comparison with the panel."""
    for product, rows in panel.groupby("product"):
        found = estimate(rows)
        spread = f"{found.mean:.2f} ± {found.mean_error:.2f}, sd between stores {found.spread:.2f}"
        print(f"{product} {len(found.stores)} stores, elasticity {spread}".strip(), flush=True)
        for store, elasticity, error in zip(found.stores, found.elasticity, found.error, strict=True):
            own = rows[rows["store"] == store]
            yield {"panel": "as it is", **fit_store(own, min(float(elasticity), -0.1), float(error))}


def measure_chains(chains: int) -> Iterator[dict[str, Any]]:
    """Yield the comparison of simulated stores with their truth."""
    for kind in CHAINS:
        for seed in range(chains):
            chain = simulate_chain(kind, seed)
            rows = as_panel(chain.rows)
            for store, elasticity in zip(sorted(rows["store"].unique()), chain.elasticity, strict=True):
                own = rows[rows["store"] == store]
                yield {"panel": kind, "chain": seed, **fit_store(own, float(elasticity), 0.0)}


def summarise(found: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return a row per group of stores: excess, coverage and directions."""

    def show(group: pd.DataFrame) -> pd.Series:
        shares = group[["claims", "wrong"]].sum() / max(group["cases"].sum(), 1)
        return pd.Series(
            {
                "n": len(group),
                "excess": group["excess"].mean(),
                "se": group["excess"].std() / np.sqrt(len(group)),
                "cover %": 100 * (group["z"].abs() < WITHIN).mean(),
                "claims %": 100 * shares["claims"],
                "wrong %": 100 * shares["wrong"],
            }
        )

    return found.groupby(by, sort=False).apply(show, include_groups=False)


def main() -> None:
    options = read_options(
        __doc__,
        words="panel",
        simulated=Option(False, "simulated chains instead of a panel"),
        chains=Option(10, "chains of each kind"),
    )
    compute_alone()
    path = Path(*options.panel or ["../shared/data/cheese_panel.csv.gz"])
    if options.simulated:
        found = pd.DataFrame(measure_chains(options.chains))
    else:
        found = pd.DataFrame(measure_panel(read_panel(path)))
    print("excess: pricerl's steepness minus the reference's; claims, wrong: of all\n")
    for by in (["panel"], ["panel", "kind"]):
        print(summarise(found, by).round(2).to_string(), "\n")


if __name__ == "__main__":
    main()
