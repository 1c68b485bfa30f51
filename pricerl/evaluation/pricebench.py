"""PriceBench: rules on simulated shops with known demand, each decision compared with the ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pricerl.arrays import limits_of
from pricerl.data import DataConfig, DataPreprocessor, History
from pricerl.evaluation.pricing_rules import HARM, RULES, Rule, Shop
from pricerl.evaluation.sensitivity import find_sensitivity, observe_causes
from pricerl.market import DemandConfig, Market, assemble, fit_market
from pricerl.simulation import SellerConfig, expected_profit, simulate, simulated_history

TRUTHS = ("constant", "linear", "logit", "kinked", "reference", "seasonal", "stockouts", "ads", "optimal")
DAYS = (130, 365, 1000)
UNITS = (5.5, 50.0, 500.0)

NUM_DRAWS = 200
STEP = 1.05
"""Relative price change whose predicted gain is checked for coverage."""
CLAIM = 0.975
"""Smallest probability of a gain that counts as a claim (grade B)."""
PERCENT = 100.0


@dataclass(frozen=True)
class Cell:
    """One setting of the benchmark."""

    truth: str
    """Demand family, or the disturbance that hides it."""
    days: int
    """Days of history."""
    units: float
    """Mean daily units at the current price."""


ALL_CELLS = tuple(Cell(truth, days, units) for days in DAYS for units in UNITS for truth in TRUTHS)


@dataclass(frozen=True)
class ShopSet:
    """Shops in one market, one product per shop."""

    addresses: tuple[tuple[Cell, int], ...]
    """Cell and seed of each shop."""
    demand: str
    """Name of the fitted demand model."""
    truths: tuple[dict[str, Any], ...]
    """Ground truths of the simulated sellers."""
    market: Market

    def shops(self) -> list[Shop]:
        """Return the shops, which contain no ground truth."""
        return [Shop(*pair) for pair in zip(self.market.preprocessor.products, self.market.products, strict=True)]


def open_shop_set(addresses: Sequence[tuple[Cell, int]], demand: str) -> ShopSet:
    """Simulate shops and fit a market to each history; a shop does not depend on the others in its set.

    Args:
        addresses: cell and seed of each shop.
        demand: name of the demand model.
    """
    truths, histories, fitted = [], [], []
    config = DemandConfig(demand=demand, num_draws=NUM_DRAWS)
    for cell, seed in addresses:
        seller = SellerConfig(market=cell.truth, days=cell.days, units=cell.units, seed=seed)  # type: ignore[arg-type]  # a str
        history = simulated_history(seller, DataConfig())
        alone = DataPreprocessor.fit(history, DataConfig())
        truths.append(simulate(seller)[1])
        fitted.append(fit_market(alone, config, seed=seed).products[0])
        histories.append(history)
    names = [f"{cell.truth} {seed}" for cell, seed in addresses]
    products = tuple(replace(item.products[0], product=name) for item, name in zip(histories, names, strict=True))
    reports = tuple(replace(item.reports[0], product=name) for item, name in zip(histories, names, strict=True))
    prepared = DataPreprocessor.fit(History("PriceBench", products, reports), DataConfig())
    return ShopSet(tuple(addresses), demand, tuple(truths), assemble(prepared, fitted))


def price_shop_set(shop_set: ShopSet, rules: Mapping[str, Rule] = RULES) -> Iterator[dict[str, Any]]:
    """Price every shop of a set by every rule.

    Args:
        shop_set: the shops.
        rules: by name.

    Yields:
        One row per shop and rule: its price, profit there and at the current price over the oracle's, the probability
        of a gain, whether a confounder like the strongest observed cause would overturn it, and whether the 90 %
        interval of a 5 % step's gain covers the truth.
    """
    for (cell, seed), truth, shop in zip(shop_set.addresses, shop_set.truths, shop_set.shops(), strict=True):
        profit_now, oracle = (_true_profit(truth, price) for price in (shop.current_price, truth["optimal_price"]))
        causes = observe_causes(shop.history)
        covered = _covers(shop, _true_profit(truth, STEP * shop.current_price) / profit_now)
        for name, rule in rules.items():
            price = rule(shop)
            profit = _true_profit(truth, price)
            yield {
                "truth": cell.truth,
                "days": cell.days,
                "units": cell.units,
                "seed": seed,
                "demand": shop_set.demand,
                "rule": name,
                "price": price,
                "moved": not np.isclose(price, shop.current_price, rtol=1e-6),
                "oracle_share": profit / oracle,
                "gain": profit / profit_now - 1,
                "probability": shop.probability_better(price),
                "fragile": (found := find_sensitivity(shop, price, causes)) is not None
                and found.overturned_by(1) != "",
                "covered": covered,
            }


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one line per cell, demand model and rule, in percent.

    Args:
        rows: of ``price_shop_set``.

    Returns:
        ``oracle``: mean share of the oracle's profit; ``harmed``: shops made more than 1 % worse; ``moved``: shops
        whose price changes; ``claims``: changes that gain with a probability of at least 0.975; ``stand``: claims that
        a confounder like the strongest observed covariate would not overturn; ``true``: claims that gained;
        ``cover``: 90 % intervals that cover the truth; ``shops``: their number, no percentage.
    """
    rows = rows.assign(claim=rows["moved"] & (rows["probability"] >= CLAIM))
    outcomes = {"stand": ~rows["fragile"].astype(bool), "true": rows["gain"] > 0}
    of_claims = {name: found.where(rows["claim"]).astype(float) for name, found in outcomes.items()}
    rows = rows.assign(harmed=rows["gain"] < -HARM, **of_claims)
    keys = ["days", "units", "truth", "demand", "rule"]
    rows = rows.rename(columns={"oracle_share": "oracle", "claim": "claims", "covered": "cover"})
    cells = rows.groupby(keys, sort=False)
    means = cells[["oracle", "harmed", "moved", "claims", "stand", "true", "cover"]].mean()
    return (PERCENT * means).assign(shops=cells["seed"].nunique())


def _true_profit(truth: Mapping[str, Any], price: float) -> float:
    """Return the expected profit before fixed cost of an average day."""
    return float(expected_profit(truth, price)) + float(truth["fixed_cost"])


def _covers(shop: Shop, true_ratio: float) -> bool:
    """Return whether the 90 % interval of the profit ratio of a 5 % step covers the true ratio."""
    low, high = limits_of(shop.at(STEP * shop.current_price) / shop.profit_now)
    return bool(low <= true_ratio <= high)
