"""Calibration of the posterior, on sellers from pricerl's own prior and on a mix of simulated shops.

    python benchmarks/calibration.py run --first 0 --sellers 1000 --out checkpoints/calibration_0.csv
    python benchmarks/calibration.py run --first 1000 --sellers 1000 --out checkpoints/calibration_1.csv
    python benchmarks/calibration.py table checkpoints/calibration_*.csv
    python benchmarks/calibration.py mixed --sellers 10

``run`` is simulation-based calibration (Talts et al. 2018). If truths are drawn from the prior and histories from the
model, the rank of each truth among its posterior draws is uniform. Everything with a prior is drawn from it: the curve
and the evidence of the seller's own price (``market.demand.families`` and ``priors``), weekdays and memory of prices
(``covariates``), the level in time and the spread of the units (``regression``). The price history has none: it is
drawn by the habits of a plain seller. The level at the current price is the cell's.

A rank too often in the middle is a posterior too wide, one too often at both ends a posterior too narrow, and a mean
away from a half a biased one. ``run`` and ``mixed`` append the sellers that their file lacks.

``mixed`` ranks the elasticity of the shops of PriceBench, with shocks, equally many of each kind at three volumes. Each
sd is compared with the sd of a reader who knows the kind: the shape of demand, weekdays, what the file hides, falls at
round prices, the spread of units and how the level moves, but neither the level nor the elasticity, on which the
reader has the same prior sd.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from runner import RUNS, Option, append_rows, compute_alone, keys_in, read_options
from scipy.stats import chisquare
from shops.pricebench import TRUTHS, Cell, open_shop_set
from shops.sellers import ranges_of, read_days
from shops.shocks import covariance_of_shocks

from pricerl.arrays import FloatArray
from pricerl.data.config import DataConfig
from pricerl.data.costs import CostConfig
from pricerl.data.days import weekday_of
from pricerl.data.history import History, ProductHistory
from pricerl.data.preprocessor import DataPreprocessor
from pricerl.market.demand.averaging import NO_MEMORY
from pricerl.market.demand.config import DemandConfig
from pricerl.market.demand.covariates import REFERENCE, WEEKDAY, RegressionData, gather_covariates
from pricerl.market.demand.families import FAMILIES, CurveSet, draw_prior
from pricerl.market.demand.priors import (
    INFORMED,
    INFORMED_SD,
    USUAL_MEAN,
    USUAL_SD,
    LogNormal,
    RoundPrices,
    find_round_prices,
    log_normal_prior,
    own_price_log_ratio,
    usual_elasticity,
)
from pricerl.market.demand.regression import GRID
from pricerl.market.fitting import fit_market
from pricerl.market.level import covariance_of_levels
from pricerl.market.market import ProductMarket
from pricerl.simulation.seller import draw_prices
from pricerl.simulation.true_demand import ShopRanges, expected_units

DAYS, UNITS = (60, 130, 250), (5.5, 50.0, 500.0)
"""Lengths of the histories, and daily units at the current price at the end of the history."""
MARGINS = (0.03, 0.95)
"""Range of the margin over the price: nobody charges less than the cost."""
CANDIDATES = 6000
"""Curves from the prior among which one is drawn, a multiple of the number of families."""
STEP = 1.05
"""Relative price change of the gain; the elasticity is that over as much up and down."""
LOG_RATIOS = np.log([1 / STEP, 1.0, STEP])
BINS = 20
"""Bins of a histogram: 100 of 2,000 sellers each."""
RANKS = ("elasticity", "gain", "level")
"""Quantities with ranks: elasticity; relative gain of the step; daily units at the current price."""
MIXED_DAYS = 130
"""Length of the histories of the mixed population."""
MIXED_BINS = 10
"""Bins of its histograms."""


class Seller(NamedTuple):
    """A seller drawn from the prior."""

    history: History
    """One product."""
    log_units: FloatArray
    """``(1, 3)`` log mean daily units of the days ahead a step below, at and a step above the current price."""
    unit_cost: float
    """Money."""
    family: str
    """Family of its demand."""


def draw_seller(days: int, units: float, informed: float, rng: np.random.Generator) -> Seller:
    """Draw a seller from the prior and a history from the model.

    Args:
        days: length of the history.
        units: daily units at the current price on a weekday of the mean log effect.
        informed: prior probability that the seller chose the price well.
        rng: source of randomness.
    """
    current_price = round(rng.uniform(*ShopRanges().start_prices), 2)
    price = draw_prices(current_price, days, ShopRanges(), rng)
    dates = np.datetime64("2025-01-01") + np.arange(days)
    history = read_days(DataConfig(), dates, price, np.ones(days))
    product = history.products[0]
    motion = list(GRID.values())[rng.integers(len(GRID))]
    data = gather_covariates(product)
    effects = _draw_effects(data, rng)
    settings = DemandConfig()
    prior = log_normal_prior(usual_elasticity(1), settings.prior_elasticity_sd)
    curve, margin = _draw_curve(prior, find_round_prices(product), informed, rng)
    x = np.concatenate([data.regular - np.log(current_price), LOG_RATIOS])
    ascending, place = np.unique(x, return_inverse=True)
    log_demand = curve.at(ascending, current_price)[0][place]
    moved = rng.multivariate_normal(np.zeros(days), covariance_of_levels(motion, data.row, days), method="cholesky")
    mean = units * np.exp(log_demand[:days] + (data.covariates - data.ahead) @ effects + moved)
    sold = rng.negative_binomial(motion.size, motion.size / (motion.size + mean)).astype(np.float64)
    weekday = effects[np.array(data.names) == WEEKDAY]
    level = np.log(units) + np.log(np.exp(weekday).mean()) - weekday.mean()
    observed = replace(history, products=(replace(product, units=sold, sales=sold * price),))
    return Seller(
        observed, log_demand[None, days:] + level, (1 - margin) * current_price, list(FAMILIES)[int(curve.family[0])]
    )


def _draw_effects(data: RegressionData, rng: np.random.Generator) -> FloatArray:
    """Draw the coefficients ``(C,)`` of the covariates; not all buyers remember prices."""
    effects = np.asarray(data.prior.mean + data.prior.sd * rng.normal(size=len(data.names)))
    if rng.random() < NO_MEMORY:
        effects[np.array(data.names) == REFERENCE] = 0.0
    return effects


def _draw_curve(
    prior: LogNormal, rounds: RoundPrices, informed: float, rng: np.random.Generator
) -> tuple[CurveSet, float]:
    """Draw a margin over the price, and a curve given what the margin says about it to the model."""
    margin = 1.0
    while not MARGINS[0] < margin < MARGINS[1]:  # out of range it says nothing
        knows = rng.random() < informed
        best = rng.normal(prior.mean, np.hypot(prior.sd, INFORMED_SD)) if knows else rng.normal(USUAL_MEAN, USUAL_SD)
        margin = float(np.exp(-best))
    curves = draw_prior(CANDIDATES, prior, rng, rounds)
    steepness = np.log(-curves.elasticity)
    weight = np.exp(own_price_log_ratio(-np.log(margin), steepness, prior, INFORMED_SD, informed))
    return curves.take(rng.choice(CANDIDATES, 1, p=weight / weight.sum())), margin


def rank(seed: int, informed: float) -> dict[str, Any]:
    """Draw the seller of a seed, fit its market, and return the ranks of its truth, shares from 0 to 1."""
    cells = [(days, units) for days in DAYS for units in UNITS]
    days, units = cells[seed % len(cells)]
    rng = np.random.default_rng([seed, len(cells)])
    seller = draw_seller(days, units, informed, rng)
    prepared = DataPreprocessor.fit(seller.history, DataConfig())
    costs = CostConfig(unit_cost=seller.unit_cost, share_kept=1.0, fixed_cost=0.0)
    fitted = fit_market(prepared, DemandConfig(prior_informed=informed), costs, seed, conversions=False).products[0]
    now = prepared.products[0].current_price
    true = _quantities(seller.log_units, now, seller.unit_cost)
    drawn = _quantities(_log_units(fitted, now), now, seller.unit_cost)
    row = {"seed": seed, "days": days, "units": units, "family": seller.family}
    row["true_elasticity"] = float(true["elasticity"][0])
    for name in RANKS:
        below = int((drawn[name] < true[name]).sum())
        row[f"rank_{name}"] = (below + rng.random()) / (len(drawn[name]) + 1)
    return row


def _log_units(fitted: ProductMarket, now: float) -> FloatArray:
    """Return the log units ``(K, 3)`` of the posterior draws a step below, at and a step above the price ``now``."""
    at = np.log(now) + LOG_RATIOS
    return np.stack([np.interp(at, fitted.log_grid, draw) for draw in fitted.units.log_value])


def _quantities(log_units: FloatArray, now: float, unit_cost: float) -> dict[str, FloatArray]:
    """Return the `RANKS` of draws ``(K,)`` from log units ``(K, 3)`` a step below, at and a step above the price."""
    keep, after = ((ratio * now - unit_cost) * np.exp(log_units[:, at]) for ratio, at in ((1.0, 1), (STEP, 2)))
    return {
        "elasticity": (log_units[:, 2] - log_units[:, 0]) / (2 * np.log(STEP)),
        "gain": after / keep,
        "level": log_units[:, 1],
    }


def rank_shop(cell: Cell, seed: int) -> dict[str, Any]:
    """Return the rank of a PriceBench shop's elasticity, and the sds of pricerl and of one who knows the kind."""
    shop = open_shop_set([(cell, seed)], DemandConfig())
    (fitted,), (truth,) = shop.market.products, shop.truths
    (product,) = shop.market.preprocessor.products
    drawn = _quantities(_log_units(fitted, product.current_price), product.current_price, 0.0)["elasticity"]
    log_units = np.log(expected_units(truth, truth["current_price"] * np.exp(LOG_RATIOS)))
    true = float(log_units[2] - log_units[0]) / (2 * np.log(STEP))
    return {
        **cell._asdict(),
        "seed": seed,
        "true_elasticity": true,
        "rank_elasticity": (float((drawn < true).sum()) + 0.5) / (len(drawn) + 1),
        "error": float(drawn.mean()) - true,
        "sd": float(drawn.std()),
        "sd_known": known_sd(truth, product, covariance_of_shocks(cell.days, seed)),
    }


def known_sd(truth: Mapping[str, Any], product: ProductHistory, shocks: FloatArray) -> float:
    """Return the posterior sd of the elasticity for one who knows all but it and the level.

    Args:
        truth: of the shop.
        product: its history.
        shocks: ``(T, T)`` covariance of the log level on the history's days and perhaps some before.
    """
    parameters = {name: value for name, value in truth["parameters"].items() if name != "jump"}
    smooth = {**truth, "parameters": parameters}
    open_to = np.array(truth["weekday_demand"])[weekday_of(product.dates.astype(np.int64))]
    days = np.flatnonzero(product.observed & (open_to > 0))
    price = product.price[days] * truth["current_price"] / product.current_price
    units = expected_units(smooth, price) / expected_units(smooth, truth["current_price"])
    mean = parameters["units"] * units * open_to[days]
    kept = len(shocks) - len(product.dates) + days
    noise = shocks[np.ix_(kept, kept)] + np.diag(1 / mean + 1 / ranges_of(truth["family"]).noise_size)
    design = np.column_stack([np.ones(len(days)), np.log(units) / parameters["elasticity"]])
    precision = design.T @ np.linalg.solve(noise, design)
    precision[1, 1] += 1 / DemandConfig().prior_elasticity_sd ** 2
    return float(np.sqrt(np.linalg.inv(precision)[1, 1]))


def rank_missing(options: argparse.Namespace) -> None:
    """Append the ranks of the sellers or shops that the file lacks."""
    compute_alone()
    seeds = range(options.first, options.first + options.sellers)
    if options.command == "run":
        done = keys_in(options.out, ["seed"])
        append_rows(options.out, (rank(seed, options.informed) for seed in seeds if (seed,) not in done))
        return
    done = keys_in(options.out, [*Cell._fields, "seed"])
    shops = itertools.product(UNITS, options.truths, seeds)
    wanted = ((Cell(truth, MIXED_DAYS, units), seed) for units, truth, seed in shops)
    append_rows(options.out, (rank_shop(cell, seed) for cell, seed in wanted if (*cell, seed) not in done))


def compare(rows: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return one line per group of shops of the mixed population.

    ``covers`` counts 90 % intervals that hold the true elasticity, in percent; ``ratio`` is the median of the sd over
    the sd of one who knows the kind, ``error`` the median of the mean minus the truth, ``z sd`` the root mean square of
    the errors over the sds, and ``ranks`` their histogram from 0, where the truth is below all draws, to 1.
    """
    lines = {}
    for name, found in rows.groupby(by, sort=False):
        ranks = found["rank_elasticity"]
        lines[name] = {
            "shops": len(found),
            "covers": round(100 * float(ranks.between(0.05, 0.95).mean()), 1),
            "sd": round(float(found["sd"].median()), 2),
            "ratio": round(float((found["sd"] / found["sd_known"]).median()), 2),
            "error": round(float(found["error"].median()), 2),
            "z sd": round(float(np.sqrt(np.square(found["error"] / found["sd"]).mean())), 2),
            "ranks": " ".join(map(str, np.histogram(ranks, MIXED_BINS, (0.0, 1.0))[0])),
        }
    return pd.DataFrame(lines).T.rename_axis(by)


def show(files: Sequence[str | Path]) -> None:
    """Print the tests of uniform ranks, over all sellers and by groups of them."""
    rows = pd.concat([pd.read_csv(file) for file in files]).drop_duplicates("seed")
    print(f"{len(rows)} sellers; goal: p above .01 for elasticity and gain")
    for name in RANKS:
        counts = _counts(rows[f"rank_{name}"])
        print(f"\n{name}: {' '.join(map(str, counts))}")
        print(pd.DataFrame(_lines(rows, name)).to_string(index=False))


def _lines(rows: pd.DataFrame, name: str) -> Iterator[dict[str, Any]]:
    """Return one line per group of sellers: its test, mean rank, and the sd of its ranks over a uniform one's.

    Ranks are uniform in groups by what the model sees; in groups by the family they need not be.
    """
    groups = {"all": rows}
    for by in ("days", "units", "family"):
        groups |= {f"{by} {value}": found for value, found in rows.groupby(by)}
    for label, found in groups.items():
        ranks = found[f"rank_{name}"]
        spread = float(ranks.std() * np.sqrt(12))
        yield {
            "sellers": label,
            "n": len(found),
            "p": f"{chisquare(_counts(ranks)).pvalue:.4f}",
            "mean rank": f"{ranks.mean():.3f} ± {1 / np.sqrt(12 * len(found)):.3f}",
            "spread": f"{spread:.3f} ± {np.sqrt(0.2 / len(found)):.3f}",
            "90 % covers": f"{100 * ranks.between(0.05, 0.95).mean():.1f}",
        }


def _counts(ranks: pd.Series) -> Any:
    return np.histogram(ranks, BINS, (0.0, 1.0))[0]


def main() -> None:
    options = read_options(
        __doc__,
        commands=("run", "mixed", "table"),
        words="files",
        first=Option(0, "first seed"),
        sellers=Option(int, "2000, or 10 of each kind and volume, if absent"),
        informed=Option(INFORMED, "see data.market.prior_informed"),
        truths=Option([*TRUTHS], choices=TRUTHS),
        out=Option(Path, "file of the ranks; calibration.csv or mixed.csv in checkpoints/ if absent"),
    )
    options.sellers = options.sellers or (10 if options.command == "mixed" else 2000)
    options.out = options.out or RUNS / ("mixed.csv" if options.command == "mixed" else "calibration.csv")
    if options.command != "table":
        rank_missing(options)
    if options.command != "mixed":
        show(options.files or [options.out])
        return
    rows = pd.read_csv(options.out)
    print(f"{len(rows)} shops; goals: covers 88 to 93, ratio at most 1.25")
    for by in ("units", "truth"):
        print(compare(rows, by).to_string(), "\n")


if __name__ == "__main__":
    main()
